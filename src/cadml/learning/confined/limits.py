"""What a confined process gives up before it touches a model file; none of it can be taken back.

=================  =====================================================================================
layer              holds against
=================  =====================================================================================
rlimits            memory, processor time, core dumps, file growth: on every Unix, even for native code
network namespace  any connection, even for native code; where the kernel lets a user have one
seccomp            sockets, programs, processes, writing: Linux on x86_64 and aarch64, even for native code
audit hook         the same, asked for by Python code; native code passes it. On every system
=================  =====================================================================================

Reading files stays possible, as imports need it; what is read can reach nobody but the owner, who takes
numbers and an ONNX graph and nothing else.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from typing import Any

from cadml.learning.confined import seccomp

_MIB = 1 << 20
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000  # from linux/sched.h
_PR_SET_PDEATHSIG = 1  # from linux/prctl.h
_FORBIDDEN = (
    "socket.",
    "subprocess.",
    "os.system",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.spawn",
    "os.startfile",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.mkdir",
    "os.link",
    "os.symlink",
    "os.chmod",
    "os.chown",
    "os.truncate",
    "os.kill",
    "os.putenv",
    "pty.",
    "shutil.",
    "webbrowser.",
    "urllib.",
    "ftplib.",
    "smtplib.",
    "sqlite3.",
    "winreg.",
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def follow(owner: int) -> None:
    """Arrange that this process dies with its owner, and that memory's end ends it first."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != owner:  # it died before we asked
        os._exit(1)


def leave_network() -> bool:
    """Move into a network namespace without any interface; False where that is not allowed.

    Must come before any thread is started.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0 or libc.unshare(_CLONE_NEWNET) == 0)


def limit_memory(memory_mb: int) -> None:
    """Bound the address space; no core dump and no file may grow."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory_mb * _MIB, memory_mb * _MIB))


def allow_processor(seconds: float) -> None:
    """Let this process use so many more seconds of processor time, then die."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def close_doors() -> tuple[str, ...]:
    """Give up programs, processes, sockets and writing; return the layers that hold."""
    sys.addaudithook(_refuse)
    return ("audit hook", "seccomp") if seccomp.install() else ("audit hook",)


def _refuse(event: str, args: tuple[Any, ...]) -> None:
    if event.startswith(_FORBIDDEN):
        raise PermissionError(f"a confined model may not: {event}")
    if event == "open":
        mode, flags = args[1], args[2]
        writes = isinstance(mode, str) and any(letter in mode for letter in "wxa+")
        if writes or (isinstance(flags, int) and flags & _WRITING):
            raise PermissionError("a confined model may not write")
