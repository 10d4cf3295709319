"""The bytes of a pickle as its machine reads them: opcodes, their arguments, frames.

Stricter than any unpickler: whatever two of them could read differently (odd integers, arguments
across a frame's end, unquoted strings) is an error here.
"""

from __future__ import annotations

import codecs
import re
import struct
from typing import Any

_INT = re.compile(rb"-?(0|[1-9][0-9]{0,18})")
_LONG = re.compile(rb"(-?(?:0|[1-9][0-9]{0,999}))L?")
_FLOAT = re.compile(rb"-?(inf|nan|[0-9]+(\.[0-9]*)?(e[-+]?[0-9]{1,3})?)")
_INDEX = re.compile(rb"0|[1-9][0-9]{0,9}")
# Possessive (++, *+): whoever may go back remembers every byte, 120 bytes for each.
_TEXT_ESCAPES = re.compile(rb"(?:[^\\]++|\\u[0-9a-fA-F]{4}|\\U[0-9a-fA-F]{8}|\\(?![uU]))*+", re.DOTALL)
_BYTE_ESCAPES = re.compile(rb"(?:[^\\]++|\\x[0-9a-fA-F]{2}|\\[0-3][0-7]{2}|\\[\\'\"abfnrtv])*+", re.DOTALL)
_LONGEST_LINE = 1 << 16  # bytes of one text argument that is not a string
_LONGEST_NUMBER = 4_096  # bytes of one integer


class StreamError(Exception):
    """The bytes are no pickle that every reader reads alike."""


class Stream:
    """A position in ``data``; every method reads at it and moves it on."""

    def __init__(self, data: bytes, position: int = 0) -> None:
        self.data = data
        self.position = position
        self.frame_end: int | None = None

    def opcode(self) -> int:
        """Return the next opcode's byte."""
        if self.frame_end is not None and self.position >= self.frame_end:
            self.frame_end = None
        if self.position >= len(self.data):
            raise StreamError("the stream ends without STOP")
        code = self.data[self.position]
        self.position += 1
        return code

    def begin_frame(self) -> None:
        """Enter the frame whose length comes next."""
        length = self.number("<Q")
        if self.frame_end is not None and self.position < self.frame_end:
            raise StreamError("a frame begins inside another")
        if length > len(self.data) - self.position:
            raise StreamError("a frame is longer than the stream")
        self.frame_end = self.position + length

    def leave_frame(self) -> None:
        """Make sure that no frame holds what comes next."""
        if self.frame_end is not None and self.position < self.frame_end:
            raise StreamError("raw data begins inside a frame")
        self.frame_end = None

    def take(self, count: int) -> bytes:
        """Return the next ``count`` bytes."""
        begin = self.skip(count)
        return self.data[begin : self.position]

    def skip(self, count: int) -> int:
        """Move past ``count`` bytes; return where they begin."""
        begin = self.position
        end = len(self.data) if self.frame_end is None else self.frame_end
        if count > end - begin:
            raise StreamError("an argument reaches beyond its frame or the stream")
        self.position = begin + count
        return begin

    def number(self, form: str) -> Any:
        """Return one number packed as :mod:`struct` calls ``form``."""
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self, longest: int = _LONGEST_LINE) -> bytes:
        """Return what comes before the next line feed, and pass that."""
        end = len(self.data) if self.frame_end is None else self.frame_end
        at = self.data.find(b"\n", self.position, min(end, self.position + longest + 1))
        if at < 0:
            raise StreamError("a line does not end")
        begin, self.position = self.position, at + 1
        return self.data[begin:at]

    def name(self) -> str:
        """Return a line as the text that GLOBAL and INST take it for."""
        return _text(self.line(), "utf-8")

    def index(self) -> int:
        """Return a line as a place in the memo."""
        line = self.line()
        if not _INDEX.fullmatch(line):
            raise StreamError("a place in the memo is no plain number")
        return int(line)

    def integer(self) -> int | bool:
        """Return INT's line as a number."""
        line = self.line()
        if line in {b"00", b"01"}:
            return line == b"01"
        if not _INT.fullmatch(line):
            raise StreamError("an integer is written in an odd way")
        return int(line)

    def long(self) -> int:
        """Return LONG's line as a number."""
        match = _LONG.fullmatch(self.line())
        if not match:
            raise StreamError("a long integer is written in an odd way")
        return int(match[1])

    def packed_long(self, form: str) -> int:
        """Return an integer whose length, packed as ``form``, comes first."""
        length = self.number(form)
        if not 0 <= length <= _LONGEST_NUMBER:
            raise StreamError("an integer's length is out of range")
        return int.from_bytes(self.take(length), "little", signed=True)

    def real(self) -> float:
        """Return FLOAT's line as a number."""
        line = self.line()
        if not _FLOAT.fullmatch(line):
            raise StreamError("a float is written in an odd way")
        return float(line)

    def quoted(self) -> str:
        """Return STRING's line as Python 3 decodes it."""
        line = self.line(len(self.data))
        if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in {b"'", b'"'}:
            raise StreamError("a string is not quoted")
        if not _BYTE_ESCAPES.fullmatch(line, 1, len(line) - 1):
            raise StreamError("a string is escaped in an odd way")
        return _text(codecs.escape_decode(line[1:-1])[0], "ascii")

    def escaped(self) -> str:
        """Return UNICODE's line."""
        line = self.line(len(self.data))
        if not _TEXT_ESCAPES.fullmatch(line):
            raise StreamError("a text is escaped in an odd way")
        return _text(line, "raw-unicode-escape")

    def text(self, form: str, coding: str = "utf-8") -> str:
        """Return a text whose length, packed as ``form``, comes first."""
        return _text(self.take(self._length(form)), coding)

    def blob(self, form: str) -> bytes | int:
        """Return bytes if they are few, else how many were passed; their length comes first."""
        length = self._length(form)
        if length <= 64:
            return self.take(length)
        self.skip(length)
        return length

    def _length(self, form: str) -> int:
        length: int = self.number(form)
        if length < 0:
            raise StreamError("a length is negative")
        return length


def _text(raw: bytes, coding: str) -> str:
    try:
        return raw.decode(coding, "surrogatepass" if coding == "utf-8" else "strict")
    except UnicodeDecodeError as error:
        raise StreamError(f"a text is not {coding}") from error
