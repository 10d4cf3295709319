"""A real service of our own for a while: started as its operator starts it, stopped for certain."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cadml.config import PREFIX
from cadml.errors import InternalError

ANNOUNCED = "cadml listens on "
PATIENCE_S = 30.0
CADML = (sys.executable, "-m", "cadml")
# `cadml`, told by Linux to stop when the process that started it is gone, even by SIGKILL
# (prctl 1 is PR_SET_PDEATHSIG, signal 15 SIGTERM).
TIED_TO_US = "import ctypes; ctypes.CDLL(None).prctl(1, 15); from cadml.cli import main; main()"


@dataclass(frozen=True, slots=True)
class Served:
    """Where the service listens, its process, and the environment that commands beside it need."""

    url: str
    pid: int
    environment: dict[str, str]


@contextmanager
def served(data_dir: Path, workers: int, port: int = 0) -> Iterator[Served]:
    """Yield a service on loopback with an embedded database in ``data_dir``; stop it at the end.

    Raises
    ------
    InternalError
        It ended before it listened; the message holds its last line.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    environment |= {PREFIX + "DATA_DIR": str(data_dir), PREFIX + "LOG_FORMAT": "json"}
    data_dir.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", TIED_TO_US, "serve", "--port", str(port), "--workers", str(workers)]
    with (data_dir / "service.out").open("w+b") as out, (data_dir / "service.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own words
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches us alone, so that the service is stopped in order
        )
        try:
            yield Served(_announced(process, data_dir), process.pid, environment)
        finally:
            _stop(process)


def _announced(process: subprocess.Popen[bytes], data_dir: Path) -> str:
    while True:
        ended = process.poll() is not None  # asked first: what it said before its end counts
        for line in (data_dir / "service.out").read_text(errors="replace").splitlines(keepends=True):
            if line.startswith(ANNOUNCED) and line.endswith("\n"):
                return line.removeprefix(ANNOUNCED).strip()
        if ended:
            said = (data_dir / "service.log").read_text(errors="replace").strip().splitlines()
            raise InternalError(f"the service did not start: {said[-1] if said else 'it said nothing'}")
        time.sleep(0.05)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
