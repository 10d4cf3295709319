"""Run a function in a warm worker process that may crash, hang or eat memory without harm.

Every process has a pipe of its own, so whatever happens to it, even in the middle of a message,
costs the one call that it was serving. A pool with shared queues cannot promise that: a process
killed while it holds the queue's lock stops all the others.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pipe
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, cast

from cadml.errors import (
    CadmlError,
    ExtractionOutOfMemory,
    ExtractionTimeout,
    InternalError,
    ReaderCrashed,
    ServiceStopping,
)
from cadml.geometry.worker import FAILED, NO_MEMORY, READY, Charter

T = TypeVar("T")
Reason = Literal["crash", "timeout", "memory"]
_START_LIMIT = 120.0  # seconds for a process to load the readers; beyond, the machine is stuck
_LOOK_AGAIN = 0.5  # seconds between looks at whether a silent process still lives
_STOPPED = "the service stops, and this did not end in the time it had; send it again"
_TRIES = 3  # for a job that its process never began, because that had died while idle


class Workers:
    """A fixed number of worker processes, shared by any number of calling threads.

    Parameters
    ----------
    processes
        How many run at once; a caller that waits for its turn loses none of its time limit.
    timeout_s
        Wall-clock limit of one call, s. The process is killed at the limit, even in compiled code.
    memory_mb
        Address space of one process, MiB.
    files_per_process
        A process is replaced after so many calls (the kernel leaks).
    on_failure
        Called once, from the calling thread, for each crash, timeout or memory failure.
    warm
        Importable function that each process calls before its first job.
    """

    def __init__(  # noqa: PLR0917 - the signature agreed with the engine; callers name what is optional
        self,
        processes: int,
        timeout_s: float,
        memory_mb: int,
        files_per_process: int = 500,
        on_failure: Callable[[Reason], None] | None = None,
        warm: Callable[[], None] | None = None,
    ) -> None:
        self._timeout_s = timeout_s
        self._memory_mb = memory_mb
        self._files_per_process = files_per_process
        self._on_failure = on_failure
        self._warm = warm
        self._processes = processes
        self._busy = 0
        self._closed = False
        self._lock = threading.Lock()
        self._alive: set[_Process] = set()
        self._free: queue.SimpleQueue[_Process] = queue.SimpleQueue()
        # Linux kills a process with the *thread* that started it (PR_SET_PDEATHSIG), so all are
        # started from one thread that lives as long as this object.
        self._starter = ThreadPoolExecutor(1, "extraction-starter")
        for _ in range(processes):
            self._add()

    def run(self, function: Callable[..., T], *args: Any) -> T:
        """Return ``function(*args)`` as computed in a worker process; blocks until it is done.

        ``function`` must be importable (not from ``__main__``); arguments and result are pickled.

        Raises
        ------
        ExtractionTimeout
            The call took longer than the limit.
        ReaderCrashed
            The process died.
        ExtractionOutOfMemory
            The process could not get the memory that it asked for.
        ServiceStopping
            All processes were ended (:meth:`close`) before or while the call ran.
        CadmlError
            Whatever ``function`` raised; an exception of another class arrives as ``InternalError``.
        """
        for _ in range(_TRIES):
            process = self._take()
            try:
                return cast("T", process.call(function, args, self._timeout_s))
            except _NeverBegunError:
                continue
            except (ExtractionTimeout, ReaderCrashed, ExtractionOutOfMemory) as error:
                if self._closed:  # we ended it: the file has no part in that
                    raise ServiceStopping(_STOPPED) from error
                if self._on_failure is not None:
                    self._on_failure(_REASONS[type(error)])
                raise
            finally:
                self._give(process)
        raise InternalError("extraction processes die before they begin; see the machine's memory and limits")

    def states(self) -> dict[str, int]:
        """Return how many processes are ``idle`` and how many ``busy``."""
        with self._lock:
            return {"idle": self._processes - self._busy, "busy": self._busy}

    def close(self) -> None:
        """End all processes at once; a call that is still running ends with ``ServiceStopping``."""
        with self._lock:
            self._closed = True
            alive, self._alive = self._alive, set()
        for process in alive:
            process.kill()
        self._starter.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take(self) -> _Process:
        while not self._closed:
            try:
                process = self._free.get(timeout=_LOOK_AGAIN)
            except queue.Empty:
                continue
            with self._lock:
                self._busy += 1
            return process
        raise ServiceStopping(_STOPPED)

    def _give(self, process: _Process) -> None:
        """Put a process back, or another in its place."""
        with self._lock:
            self._busy -= 1
        if process.is_idle and process.calls < self._files_per_process:
            self._free.put(process)
            return
        process.kill()
        try:
            self._add()
        except OSError:  # the machine starts no process now: the dead one keeps the place until one can
            self._free.put(process)
        else:
            with self._lock:
                self._alive.discard(process)

    def _add(self) -> None:
        charter = Charter(sys.path.copy(), self._memory_mb, self._warm)
        try:
            process = self._starter.submit(_Process, charter).result()
        except RuntimeError:  # closed meanwhile
            return
        with self._lock:
            self._alive.add(process)
            closed = self._closed
        if closed:
            process.kill()
        # It joins the queue once it is warm, so that no call waits for it while another is free.
        threading.Thread(
            target=self._admit, args=(process,), name="extraction-admission", daemon=True
        ).start()

    def _admit(self, process: _Process) -> None:
        process.await_ready()
        self._free.put(process)


class _NeverBegunError(Exception):
    """The process died before it began the job, so the job has no part in it."""


_REASONS: dict[type[CadmlError], Reason] = {
    ReaderCrashed: "crash",
    ExtractionTimeout: "timeout",
    ExtractionOutOfMemory: "memory",
}


class _Process:
    """One worker process and the owner's end of its pipe."""

    def __init__(self, charter: Charter) -> None:
        self.calls = 0
        self.is_idle = False  # waiting for a job; False also after a call that did not end properly
        self._charter = charter
        self._problem: CadmlError | None = None  # why it could not begin
        self._pipe, theirs = Pipe()
        program = f"from cadml.geometry.worker import main; main({theirs.fileno()}, {os.getpid()})"
        with theirs:
            self._popen = subprocess.Popen(  # noqa: S603 - our own interpreter and our own words
                [sys.executable, "-P", "-c", program],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                # The kernel chatters on both; all that matters comes back through the pipe.
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

    def await_ready(self) -> None:
        """Hand over the charter and wait until the process is warm; trouble shows at the next call."""
        try:
            self._pipe.send(self._charter.sys_path)
            self._pipe.send(self._charter)
            outcome, value = self._receive(_START_LIMIT)
        except (OSError, EOFError):  # TimeoutError is an OSError
            self.kill()
            return
        self.is_idle = outcome == READY
        self._problem = value

    def call(self, function: Callable[..., Any], args: tuple[Any, ...], timeout_s: float) -> Any:
        """Return what ``function(*args)`` returns in the process, or raise what it raises."""
        if self._problem is not None:
            raise self._problem
        self.calls += 1
        self.is_idle = False
        try:
            self._pipe.send((function, args))
            self._receive(_START_LIMIT)
        except (OSError, EOFError) as error:
            self.kill()
            raise _NeverBegunError from error
        try:
            outcome, value = self._receive(timeout_s)
        except TimeoutError as error:
            raise ExtractionTimeout(
                f"reading took longer than {timeout_s:g} s and was stopped", limit_s=timeout_s
            ) from error
        except (OSError, EOFError) as error:
            raise self._crash() from error
        if outcome == NO_MEMORY:  # not idle: what is left of its memory is of no use to another file
            limit = self._charter.memory_mb
            raise ExtractionOutOfMemory(f"reading needed more than {limit} MiB of memory", limit_mb=limit)
        self.is_idle = True
        if outcome == FAILED:
            raise value
        return value

    def kill(self) -> None:
        """End the process now, whatever it does."""
        self._popen.kill()
        self._popen.wait()

    def _receive(self, timeout_s: float) -> tuple[str, Any]:
        """Return the next message; raises ``TimeoutError``, or ``EOFError`` when the process has died."""
        deadline = time.monotonic() + timeout_s
        while not self._pipe.poll(max(0.0, min(_LOOK_AGAIN, deadline - time.monotonic()))):
            if self._popen.poll() is not None and not self._pipe.poll(0):
                raise EOFError
            if time.monotonic() >= deadline:
                raise TimeoutError
        return cast("tuple[str, Any]", self._pipe.recv())

    def _crash(self) -> ReaderCrashed:
        try:
            code = self._popen.wait(_LOOK_AGAIN)
        except subprocess.TimeoutExpired:  # the pipe is broken but the process lingers
            self.kill()
            code = self._popen.returncode  # the one it was dying of, if it was
        if code < 0:
            name = signal.Signals(-code).name
            return ReaderCrashed(
                f"the reader died on this file ({name}); the service was not affected", signal=name
            )
        return ReaderCrashed(
            f"the reader ended on this file (exit {code}); the service was not affected", exit=code
        )
