"""cadml's programs as its operator starts them: real processes on a data folder, killed for certain."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from cadml.bench.service import ANNOUNCED
from cadml.config import PREFIX

API = "/api/v1"


def prism(corners: int, radius: float, height: float) -> bytes:
    """Return a closed prism as a binary STL; no two of different sizes are the same bytes."""
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    ring = np.stack([radius * np.cos(angle), 0.6 * radius * np.sin(angle)], axis=1)
    low, high = (np.column_stack([ring, np.full(corners, z)]) for z in (0, height))
    foot, top = np.array([0, 0, 0.0]), np.array([0, 0, height])
    triangles = []
    for i in range(corners):
        j = (i + 1) % corners
        triangles += [(foot, low[j], low[i]), (top, high[i], high[j])]
        triangles += [(low[i], low[j], high[j]), (low[i], high[j], high[i])]
    body = b"".join(
        struct.pack("<12fH", 0, 0, 0, *np.concatenate(corners_).tolist(), 0) for corners_ in triangles
    )
    return b"made for a test".ljust(80) + struct.pack("<I", len(triangles)) + body


class Installation:
    """A data folder and the programs that run on it."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        self.environment = inherited | {f"{PREFIX}DATA_DIR": str(folder), f"{PREFIX}LOG_FORMAT": "json"}
        self.environment |= settings
        self.url = ""
        self._running = ExitStack()
        self.service: subprocess.Popen[bytes] | None = None

    def program(self, *words: str, said: str) -> tuple[subprocess.Popen[bytes], str]:
        """Start ``cadml`` with ``words``; return it and the rest of the line that begins with ``said``."""
        out = self._running.enter_context((self.folder / f"{words[0]}.out").open("w+b"))
        log = self._running.enter_context((self.folder / f"{words[0]}.log").open("ab"))
        process = self._running.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", "cadml", *words],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
            )
        )
        self._running.callback(process.kill)
        lines: list[str] = []
        for _ in range(1200):
            assert process.poll() is None, (self.folder / f"{words[0]}.log").read_text()[-3000:]
            text = (self.folder / f"{words[0]}.out").read_text()
            lines = [line for line in text.splitlines(keepends=True) if line.startswith(said)]
            if lines and lines[0].endswith("\n"):
                return process, lines[0].removeprefix(said).strip()
            time.sleep(0.05)
        raise AssertionError(f"{words} did not start")

    def start_service(self) -> None:
        self.service, self.url = self.program("serve", "--port", "0", "--workers", "2", said=ANNOUNCED)

    def start_worker(self) -> subprocess.Popen[bytes]:
        return self.program("worker", "--workers", "1", said="cadml works")[0]

    def ask(self, path: str, **parameters: Any) -> Any:
        """Return the answer; while the database comes back, the service says 503."""
        for _ in range(600):
            answer = httpx.get(f"{self.url}{API}{path}", params=parameters, timeout=60)
            if answer.status_code != 503:
                assert answer.status_code == 200, answer.text
                return answer.json()
            time.sleep(0.1)
        raise AssertionError("the service stays unavailable")

    def counts(self, job: str) -> dict[str, int]:
        counts: dict[str, int] = self.ask(f"/jobs/{job}")["counts"]
        return counts

    def close(self) -> None:
        self._running.close()


@contextmanager
def installed(folder: Path, **settings: str) -> Iterator[Installation]:
    installation = Installation(folder, **settings)
    try:
        installation.start_service()
        yield installation
    finally:
        installation.close()


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def extraction_processes(installation: Installation) -> list[int]:
    """Return the ids of the service's extraction processes."""
    assert installation.service is not None
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            words = (entry / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            continue
        if parent == installation.service.pid and b"cadml.geometry.worker" in words:
            found.append(int(entry.name))
    return found
