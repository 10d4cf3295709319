"""What a pickle or joblib file is wrapped in, unpacked within bounds; one layer, one stream, no rest."""

from __future__ import annotations

import bz2
import lzma
import pickletools
import zlib
from collections.abc import Callable
from functools import partial
from typing import Protocol

from lz4.frame import LZ4FrameDecompressor

_OPCODES = frozenset(each.code.encode("latin1") for each in pickletools.opcodes)
_CHUNK = 1 << 20
_MOST_TO_ONE = 128  # unpacked bytes to a packed one; deflate reaches 1,032, honest models about 10
_LEAST_LIMIT = 4 << 20  # small files may hold long runs of equal numbers
_XZ_MEMORY = 80 << 20  # bytes of the decoder's dictionary: preset 9 needs 65 MiB


class ContainerError(Exception):
    """The wrapping is cut, altered, doubled or a bomb, or (``is_foreign``) not one that joblib writes."""

    def __init__(self, message: str, *, is_foreign: bool = False) -> None:
        super().__init__(message)
        self.is_foreign = is_foreign


class _Unpacker(Protocol):
    """What zlib, bz2, lzma and lz4 offer alike."""

    @property
    def eof(self) -> bool:
        """Whether the packed stream has ended."""

    @property
    def unused_data(self) -> bytes | None:
        """What follows it, if anything does."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return at most so many bytes more."""


class _Zlib:
    """zlib's decompressor in the manner of bz2's and lzma's: what was not used stays inside."""

    def __init__(self, wbits: int) -> None:
        self._machine = zlib.decompressobj(wbits)

    @property
    def eof(self) -> bool:
        return self._machine.eof

    @property
    def unused_data(self) -> bytes:
        return self._machine.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._machine.decompress(self._machine.unconsumed_tail + data, max_length)


_MAGIC: dict[bytes, Callable[[], _Unpacker]] = {
    b"\x1f\x8b": partial(_Zlib, 16 + zlib.MAX_WBITS),
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\x00": partial(lzma.LZMADecompressor, lzma.FORMAT_XZ, memlimit=_XZ_MEMORY),
    # The old lzma format has no magic: its first byte is also the opcode for a list's end.
    b"\x5d\x00\x00": partial(lzma.LZMADecompressor, lzma.FORMAT_ALONE, memlimit=_XZ_MEMORY),
    b"\x04\x22\x4d\x18": LZ4FrameDecompressor,
}


def is_compressed(data: bytes) -> bool:
    """Tell whether a file begins like one of joblib's compressions that we read."""
    return _unpacker(data) is not None


def unpack(data: bytes, most_bytes: int) -> bytes:
    """Return the stream inside ``data``, which is returned itself when nothing is around it.

    Raises
    ------
    ContainerError
        It is cut, followed by something, wrapped twice or grows beyond ``most_bytes``.
    """
    if data.startswith((b"ZF", b"PK", b"\x93NUMPY", b"\x28\xb5\x2f\xfd")):
        raise ContainerError("the container is not one of a pickle or joblib file", is_foreign=True)
    unpacker = _unpacker(data)
    if unpacker is None:
        return data
    limit = min(most_bytes, max(_LEAST_LIMIT, _MOST_TO_ONE * len(data)))
    try:
        inner = _run(unpacker, data, limit)
    # lz4 knows no error of its own.
    except (zlib.error, lzma.LZMAError, OSError, EOFError, MemoryError, RuntimeError) as error:
        raise ContainerError(f"the compression is damaged: {error}") from error
    if is_compressed(inner):
        raise ContainerError("the file is compressed twice")
    return inner


def _unpacker(data: bytes) -> _Unpacker | None:
    if data[:1] == b"\x78" and len(data) > 1 and (data[0] << 8 | data[1]) % 31 == 0:
        return _Zlib(zlib.MAX_WBITS)
    return next((make() for magic, make in _MAGIC.items() if data.startswith(magic)), None)


def _run(unpacker: _Unpacker, data: bytes, limit: int) -> bytes:
    result = bytearray()
    pending = data
    while not unpacker.eof:
        got = unpacker.decompress(pending, _CHUNK)
        pending = b""
        result += got
        if len(result) > limit:
            raise ContainerError(f"the file unpacks to more than {limit} bytes")
        if not got and not unpacker.eof:
            raise ContainerError("the compressed file is cut")
    if unpacker.unused_data:
        raise ContainerError(f"{len(unpacker.unused_data)} bytes follow the compressed stream")
    return bytes(result)


def looks_like_pickle(stream: bytes) -> bool:
    """Tell whether a stream begins with an opcode: protocols 0 and 1 have no other mark."""
    return stream[:1] in _OPCODES
