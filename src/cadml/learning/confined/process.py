"""The owner's side of a confined process: start it, ask it under a time limit, end it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import orjson

import cadml
from cadml.errors import ModelProcessFailed
from cadml.learning.confined.inside import SINGLE_THREADED, Guest

_START_LIMIT = 120.0  # seconds to import what models need; beyond, the machine is stuck
_LOOK_AGAIN = 0.5  # seconds between looks at whether a silent process still lives
_LARGEST_HEAD = 4 << 20
_LARGEST_BLOB = 512 << 20


class ConfinedProcess:
    """One process; thread-safe, one request at a time. It dies with this one, and at any misbehaviour."""

    def __init__(self, memory_mb: int, *, guest: Guest = "estimator") -> None:
        self._lock = threading.Lock()
        self._pipe, theirs = Pipe()
        with theirs:
            self._popen = _starter().submit(_start, theirs.fileno(), memory_mb, guest).result()
        with self._lock:
            head, _ = self._receive(_START_LIMIT)
        self.layers: tuple[str, ...] = tuple(head["layers"])  # see confined.limits

    def ask(self, do: str, *blobs: bytes, seconds: float, **head: Any) -> tuple[dict[str, Any], list[bytes]]:
        """Return the answer to a request.

        Raises
        ------
        ModelProcessFailed
            The process died or took longer than ``seconds``; it is gone.
        """
        with self._lock:
            try:
                self._pipe.send_bytes(
                    orjson.dumps({**head, "do": do, "seconds": seconds, "blobs": len(blobs)})
                )
                for blob in blobs:
                    self._pipe.send_bytes(blob)
            except OSError as error:
                self.close()
                raise ModelProcessFailed("the model's process is gone") from error
            return self._receive(seconds)

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return self._popen.poll() is None

    def close(self) -> None:
        """End the process now."""
        self._popen.kill()
        self._popen.wait()
        self._pipe.close()

    def _receive(self, seconds: float) -> tuple[dict[str, Any], list[bytes]]:
        deadline = time.monotonic() + seconds
        try:
            head = orjson.loads(self._frame(deadline, _LARGEST_HEAD))
            count = int(head["blobs"] > 0)
            return head, [self._frame(deadline, _LARGEST_BLOB) for _ in range(count)]
        except TimeoutError as error:
            self.close()
            raise ModelProcessFailed(f"the model took longer than {seconds:g} s and was stopped") from error
        except (OSError, EOFError, ValueError, TypeError, KeyError) as error:
            self.close()
            raise ModelProcessFailed("the model's process died or answered nonsense") from error

    def _frame(self, deadline: float, largest: int) -> bytes:
        while not self._pipe.poll(max(0.0, min(_LOOK_AGAIN, deadline - time.monotonic()))):
            if self._popen.poll() is not None and not self._pipe.poll(0):
                raise EOFError
            if time.monotonic() >= deadline:
                raise TimeoutError
        return self._pipe.recv_bytes(largest)


@cache
def _starter() -> ThreadPoolExecutor:
    """Return the thread that starts all: Linux kills a process with the *thread* that started it."""
    return ThreadPoolExecutor(1, "confined-starter")


def _start(descriptor: int, memory_mb: int, guest: str) -> subprocess.Popen[bytes]:
    folder = str(Path(cadml.__file__).parents[1])
    program = (
        f"import sys; sys.path.append({folder!r}); "
        "from cadml.learning.confined.inside import main; "
        f"main({descriptor}, {os.getpid()}, {memory_mb}, {guest!r})"
    )
    return subprocess.Popen(  # noqa: S603 - our own interpreter and our own words
        [sys.executable, "-I", "-c", program],
        pass_fds=[descriptor],
        env=SINGLE_THREADED,  # and nothing else: no key, no address, no setting of the service
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
