"""A seccomp filter for Linux: no socket, no other program, no process, no file written.

The numbers are those of ``asm/unistd.h`` (x86_64) and ``asm-generic/unistd.h`` (aarch64); the filter's
words those of ``linux/bpf_common.h`` and ``linux/seccomp.h``.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from collections.abc import Iterable
from dataclasses import dataclass

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER = 38, 22, 2
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data; 8 bytes an argument
_CLONE_THREAD = 0x10000
_WRITING = 0x1 | 0x2 | 0x40 | 0x200  # O_WRONLY, O_RDWR, O_CREAT, O_TRUNC


@dataclass(frozen=True, slots=True)
class _Machine:
    architecture: int  # AUDIT_ARCH_*
    clone: int
    opens: tuple[tuple[int, int], ...]  # call, index of its flags
    unknown: tuple[int, ...]  # clone3, openat2: said not to exist, so that libc uses the older call
    denied: tuple[int, ...]


_SHARED = (425, 426, 427, 428, 429, 430, 431, 432, 434, 438, 440, 442)  # io_uring, mounts, pidfd
_MACHINES = {
    "x86_64": _Machine(
        architecture=0xC000003E,
        clone=56,
        opens=((2, 1), (257, 2)),
        unknown=(435, 437),
        denied=(
            *(41, 42, 43, 44, 46, 49, 50, 53, 288, 307),  # sockets
            *(57, 58, 59, 62, 101, 129, 200, 234, 297, 322),  # programs, processes, signals, ptrace
            *(76, 77, 82, 83, 84, 85, 86, 87, 88, 90, 91, 92, 93, 94, 132, 133, 188, 189, 190),  # files
            *(235, 258, 259, 260, 261, 263, 264, 265, 266, 268, 280, 285, 304, 316, 319),
            *(155, 161, 165, 166, 169, 172, 173, 175, 176, 246, 272, 308, 313, 320),  # the machine
            *(248, 249, 250, 298, 310, 311, 321, 323, *_SHARED),  # keys, foreign memory, bpf
        ),
    ),
    "aarch64": _Machine(
        architecture=0xC00000B7,
        clone=220,
        opens=((56, 2),),
        unknown=(435, 437),
        denied=(
            *(198, 199, 200, 201, 202, 203, 206, 211, 242, 269),
            *(117, 129, 130, 131, 138, 221, 240, 281),
            *(5, 6, 7, 33, 34, 35, 36, 37, 38, 45, 46, 47, 52, 53, 54, 55, 88, 264, 276, 279),
            *(39, 40, 41, 51, 97, 104, 105, 106, 142, 224, 225, 268, 273, 294),
            *(217, 218, 219, 241, 270, 271, 280, 282, *_SHARED),
        ),
    ),
}


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("words", ctypes.c_void_p)]


def install() -> bool:
    """Put the filter on this process and its threads for good; False where the machine has none."""
    machine = _MACHINES.get(platform.machine())
    if machine is None or platform.system() != "Linux":
        return False
    words = b"".join(_words(machine))
    buffer = ctypes.create_string_buffer(words, len(words))
    program = _Program(len(words) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return bool(libc.prctl(_PR_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0) == 0)


def _words(machine: _Machine) -> Iterable[bytes]:
    """Yield the filter: each rule tests, and returns on a match or falls to the next."""
    yield _word(_LOAD, _ARCHITECTURE)
    yield from _unless(_EQUAL, machine.architecture, _KILL)
    yield _word(_LOAD, _NUMBER)
    yield from _if(_AT_LEAST, 0x40000000, _KILL)  # the x32 calls are the same ones under other numbers
    for call in machine.unknown:
        yield from _if(_EQUAL, call, _ERRNO | errno.ENOSYS)
    for call in machine.denied:
        yield from _if(_EQUAL, call, _ERRNO | errno.EPERM)
    for call, argument in machine.opens:
        yield _word(_EQUAL, call, 0, 4)
        yield _word(_LOAD, _ARGUMENTS + 8 * argument)
        yield from _if(_ANY_BIT, _WRITING, _ERRNO | errno.EACCES)
        yield _word(_RETURN, _ALLOW)
    yield _word(_EQUAL, machine.clone, 0, 3)
    yield _word(_LOAD, _ARGUMENTS)
    yield _word(_ANY_BIT, _CLONE_THREAD, 1, 0)
    yield _word(_RETURN, _ERRNO | errno.EPERM)
    yield _word(_RETURN, _ALLOW)


def _word(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, operand)


def _if(test: int, operand: int, answer: int) -> tuple[bytes, bytes]:
    return _word(test, operand, 0, 1), _word(_RETURN, answer)


def _unless(test: int, operand: int, answer: int) -> tuple[bytes, bytes]:
    return _word(test, operand, 1, 0), _word(_RETURN, answer)
