"""Pickle opcodes written by hand, for the attacks that the guard must refuse."""

from __future__ import annotations

import struct

MARK, STOP, TUPLE, REDUCE, BUILD, POP = b"(", b".", b"t", b"R", b"b", b"0"
MEMOIZE, STACK_GLOBAL, NEWOBJ, OBJ, EMPTY_TUPLE, EMPTY_DICT = b"\x94", b"\x93", b"\x81", b"o", b")", b"}"
SETITEM, SETITEMS, EMPTY_LIST, APPEND, TUPLE1, TUPLE2, NONE = b"s", b"u", b"]", b"a", b"\x85", b"\x86", b"N"
TRUE, FALSE = b"\x88", b"\x89"


def proto(version: int = 4) -> bytes:
    """Return PROTO."""
    return b"\x80" + bytes([version])


def text(value: str) -> bytes:
    """Return BINUNICODE of a text."""
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def binary(value: bytes) -> bytes:
    """Return BINBYTES."""
    return b"B" + struct.pack("<I", len(value)) + value


def number(value: int) -> bytes:
    """Return BININT."""
    return b"J" + struct.pack("<i", value)


def line_global(module: str, name: str) -> bytes:
    """Return GLOBAL."""
    return b"c" + f"{module}\n{name}\n".encode()


def stack_global(module: str, name: str) -> bytes:
    """Return STACK_GLOBAL with both texts in place."""
    return text(module) + text(name) + STACK_GLOBAL


def args(*values: bytes) -> bytes:
    """Return a tuple of values."""
    return MARK + b"".join(values) + TUPLE


def call(function: bytes, *values: bytes) -> bytes:
    """Return REDUCE of a function with arguments."""
    return function + args(*values) + REDUCE


def frame(content: bytes) -> bytes:
    """Return content in a frame of its length."""
    return b"\x95" + struct.pack("<Q", len(content)) + content


def instance(module: str, name: str, state: bytes | None = None) -> bytes:
    """Return an instance as protocol 2 and later write it, with its state."""
    made = line_global(module, name) + EMPTY_TUPLE + NEWOBJ
    return made if state is None else made + state + BUILD


def mapping(**entries: bytes) -> bytes:
    """Return a dict with texts as keys."""
    return EMPTY_DICT + MARK + b"".join(text(key) + value for key, value in entries.items()) + SETITEMS
