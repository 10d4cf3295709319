"""Worker processes for what can wait: started when there is such work, ended when there is none."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from cadml.geometry.isolate import Workers

IDLE_S = 30.0  # between two chunks of a backfill pass milliseconds; a start takes seconds
T = TypeVar("T")


class Background:
    """Runs functions in processes that ``make`` starts; thread-safe."""

    def __init__(self, make: Callable[[], Workers]) -> None:
        self._make = make
        self._workers: Workers | None = None
        self._users = 0
        self._rest: threading.Timer | None = None
        self._lock = threading.Lock()

    def run(self, function: Callable[..., T], *args: Any) -> T:
        """Return ``function(*args)`` as :meth:`Workers.run` does."""
        with self._lock:
            if self._rest is not None:
                self._rest.cancel()
                self._rest = None
            if self._workers is None:
                self._workers = self._make()
            workers = self._workers
            self._users += 1
        try:
            return workers.run(function, *args)
        finally:
            self._leave()

    def _leave(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users and self._workers is not None:
                self._rest = threading.Timer(IDLE_S, self._end_if_idle)
                self._rest.daemon = True
                self._rest.start()

    def _end_if_idle(self) -> None:
        with self._lock:
            if self._users:
                return
            workers, self._workers = self._workers, None
        if workers is not None:
            workers.close()

    def close(self) -> None:
        """End the processes; what they were doing ends with ``ReaderCrashed``."""
        with self._lock:
            workers, self._workers = self._workers, None
            if self._rest is not None:
                self._rest.cancel()
        if workers is not None:
            workers.close()
