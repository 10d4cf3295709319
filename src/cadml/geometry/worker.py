"""The worker's side of :mod:`cadml.geometry.isolate`: what runs in the process that may die.

Started as a bare interpreter, so the owner's ``__main__`` (pytest, uvicorn, a script) is never run
again. Speaks over one pipe: it receives a :class:`Charter`, says READY, then for each job
``(function, args)`` says STARTED and answers ``(outcome, value)``.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from cadml.errors import CadmlError, InternalError, MalformedFile

READY, STARTED, DONE, FAILED, NO_MEMORY = "ready", "started", "done", "failed", "no memory"
_MIB = 1 << 20
_PR_SET_PDEATHSIG = 1  # from linux/prctl.h
# One core per worker: several workers fill the machine without fighting over it.
_SINGLE_THREADED = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@dataclass(frozen=True, slots=True)
class Charter:
    """What a worker must know before its first job."""

    sys_path: list[str]
    memory_mb: int
    warm: Callable[[], None] | None


def main(descriptor: int, owner: int) -> None:
    """Serve jobs from the pipe ``descriptor`` until it closes or the process ``owner`` dies."""
    _follow(owner)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the owner, which then stops us
    for name in _SINGLE_THREADED:
        os.putenv(name, "1")
    with Connection(descriptor) as pipe:
        try:
            sys.path[:] = pipe.recv()  # first, so that the charter's function can be found
            charter: Charter = pipe.recv()
            if charter.warm is not None:
                charter.warm()
            _limit(charter.memory_mb)
        except Exception as error:  # noqa: BLE001 - the owner tells the operator what is wrong here
            why = f"an extraction process cannot begin: {type(error).__name__}: {error}"
            pipe.send((FAILED, InternalError(why)))
            return
        pipe.send((READY, None))
        while True:
            try:
                function, args = pipe.recv()
            except EOFError:  # the owner has closed the pipe, or is gone
                return
            pipe.send((STARTED, None))
            _answer(pipe, function, args)


def _follow(owner: int) -> None:
    """Arrange that this process dies with its owner, however that one ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        # Where memory runs out, the machine shall end a worker and not the service or the database.
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")
    if os.getppid() != owner:  # it died before we asked
        os._exit(1)


def _limit(memory_mb: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is expected; its core dump is of no use
    resource.setrlimit(resource.RLIMIT_AS, (memory_mb * _MIB, memory_mb * _MIB))


def _answer(pipe: Connection, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """Run one job and send its outcome; an exception is an outcome."""
    try:
        pipe.send((DONE, function(*args)))
    except CadmlError as error:
        pipe.send((FAILED, error))
    except Exception as error:  # noqa: BLE001 - any other exception of a reader must reach the caller as a value
        # Open CASCADE reports it as Standard_OutOfMemory, numpy and Python as MemoryError.
        if isinstance(error, MemoryError) or type(error).__name__ == "Standard_OutOfMemory":
            pipe.send((NO_MEMORY, None))
        elif type(error).__module__.startswith("OCP."):
            # Each C++ exception of the kernel is a class of its own in Python, without a common parent
            # to catch by. All say that the kernel could make nothing of the file.
            pipe.send((FAILED, _wrapped(error, "the CAD kernel gives up on this file", MalformedFile)))
        else:
            pipe.send((FAILED, _wrapped(error, "the reader failed")))


def _wrapped(error: Exception, what: str, kind: type[CadmlError] = InternalError) -> CadmlError:
    name = type(error).__name__
    if kind is InternalError:  # it will be logged, and a reader's own words may quote the file
        frames = "".join(traceback.format_tb(error.__traceback__))
        return kind(f"{what}: {name}", exception=name, traceback=frames)
    return kind(f"{what}: {name}: {error}", exception=name)
