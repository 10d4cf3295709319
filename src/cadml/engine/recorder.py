"""A bounded queue of observations before the database: it never blocks or fails who observes."""

from __future__ import annotations

import threading
from collections import deque
from itertools import islice

import structlog

from cadml.errors import DatabaseUnavailable
from cadml.store.observations import Observation, Observations

ROOM = 10_000  # observations that may wait, at most some 20 MB: ten minutes of the quickest ingest
BATCH = 500
GATHER_S = 0.1  # lets what comes together be written together
RETRY_S = 5.0

log = structlog.get_logger("cadml.drift")


class Recorder:
    """Writes observations from a thread of its own. What finds no room is lost, and counted."""

    def __init__(self, store: Observations) -> None:
        self._store = store
        self._waiting: deque[Observation] = deque()
        self._lost = 0
        self._change = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="drift recorder", daemon=True)
        self._thread.start()

    def add(self, observation: Observation) -> None:
        """Take ``observation``, or count it as lost."""
        with self._change:
            if len(self._waiting) >= ROOM:
                self._lost += 1
                return
            self._waiting.append(observation)
            self._change.notify_all()

    def counts(self) -> tuple[int, int]:
        """Return how many observations wait and how many were lost since the start."""
        with self._change:
            return len(self._waiting), self._lost

    def flush(self, patience_s: float) -> bool:
        """Wait until nothing waits any more, at most ``patience_s``; return whether that is so."""
        with self._change:
            return self._change.wait_for(lambda: not self._waiting, patience_s)

    def close(self) -> None:
        """Write what waits, if the database takes it soon; the rest is lost and logged."""
        self._stop.set()
        with self._change:
            self._change.notify_all()
        self._thread.join()
        if self._waiting:
            log.warning("observations lost at the stop", count=len(self._waiting))

    def _run(self) -> None:
        told = 0
        while True:
            with self._change:
                self._change.wait_for(lambda: self._waiting or self._stop.is_set())
                if not self._waiting:
                    return
            self._stop.wait(GATHER_S)
            written = self._write()
            if not written and self._stop.wait(RETRY_S):
                self._write()
                return
            if self._lost > told:
                log.warning("observations lost: the queue was full", count=self._lost - told)
                told = self._lost

    def _write(self) -> bool:
        with self._change:
            batch = list(islice(self._waiting, BATCH))
        try:
            self._store.record(batch)
        except DatabaseUnavailable as error:
            log.warning("observations wait", reason=error.message)
            return False
        except Exception:  # a defect, or what PostgreSQL will not keep: lost, but the next ones are not
            log.exception("observations lost", count=len(batch))
            with self._change:
                self._lost += len(batch)
        with self._change:
            for _ in batch:
                self._waiting.popleft()
            self._change.notify_all()
        return True
