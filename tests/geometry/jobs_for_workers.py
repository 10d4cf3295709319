"""What the isolation tests run in worker processes: importable, as every job must be."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path

import numpy as np

from cadml.errors import TruncatedFile

STARTS = 0


def add(a: int, b: int) -> int:
    return a + b


def pid() -> int:
    return os.getpid()


def count() -> int:
    global STARTS  # noqa: PLW0603 - how many jobs this very process has done
    STARTS += 1
    return STARTS


def refuse() -> None:
    raise TruncatedFile("cut short", announced=7, room=3)


def blunder() -> None:
    raise ZeroDivisionError("a defect, not a property of the file")


def unpicklable() -> object:
    return lambda: None


def segfault() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def true_segfault() -> None:
    ctypes.string_at(8)


def abort() -> None:
    os.abort()


def leave(code: int) -> None:
    os._exit(code)


def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def sleep_deaf(seconds: int) -> None:
    """Sleep in compiled code, holding the interpreter lock and ignoring SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ctypes.PyDLL(None).sleep(seconds)


def eat_memory() -> int:
    eaten = [np.ones(1 << 27) for _ in range(1000)]  # 1 GiB each
    return len(eaten)


def big(n: int) -> np.ndarray:
    return np.arange(n)


def mark_and_sleep(path: str) -> None:
    Path(path).write_text(str(os.getpid()), encoding="ascii")
    time.sleep(1000)


def threads() -> int:
    np.linalg.svd(np.ones((300, 300)))  # would start the threads of OpenBLAS
    return len(list(Path("/proc/self/task").iterdir()))


def broken_warm_up() -> None:
    raise ImportError("libGL.so.1 is missing")
