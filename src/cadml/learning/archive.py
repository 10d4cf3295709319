"""Zip files read strictly: what the directory says, the members say too, and nothing lies between.

Lenient readers differ in which of two contradicting records they believe; a file in which they
could differ is refused, so that whatever reads it after us sees what we saw.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from dataclasses import dataclass

from cadml.errors import MalformedModel

MAGIC = b"PK\x03\x04"
_END = struct.Struct("<4s4H2LH")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_STORED, _DEFLATED = 0, 8
_UTF8_NAME = 0x800  # the only flag: no encryption, no sizes that follow the data
_MOST_MEMBERS = 20_000


@dataclass(frozen=True, slots=True)
class _Record:
    """What the central directory and the local header must both say."""

    name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int


def read_archive(data: bytes, most_bytes: int) -> dict[str, bytes]:
    """Return every member of the zip file ``data`` by name.

    Parameters
    ----------
    data
        The whole file: members back to back from its first byte, directory, end record; no comment.
    most_bytes
        Limit of all members together when unpacked.

    Raises
    ------
    MalformedModel
        Anything is doubled, hidden, contradictory, encrypted, altered, too large or unusual.
    """
    records, directory_at = _directory(data)
    if sum(record.size for record, _ in records) > most_bytes:
        raise MalformedModel(f"the archive unpacks to more than {most_bytes} bytes")
    members: dict[str, bytes] = {}
    expected_at = 0
    for record, offset in records:
        if offset != expected_at:
            raise MalformedModel(f"the archive hides or shares bytes before its member at {offset}")
        content, expected_at = _member(data, record, offset, directory_at)
        name = _name(record.name)
        if name in members:
            raise MalformedModel(f"the archive holds {name!r} twice")
        members[name] = content
    if expected_at != directory_at:
        raise MalformedModel("the archive hides bytes between its members and its directory")
    return members


def write_archive(members: dict[str, bytes]) -> bytes:
    """Return a zip file of ``members``, the same bytes for the same content."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return target.getvalue()


def _directory(data: bytes) -> tuple[list[tuple[_Record, int]], int]:
    """Return the records with their offsets, in the order of the offsets, and where the directory is."""
    if len(data) < _END.size:
        raise MalformedModel("the file is too short for a zip archive")
    mark, disk, first_disk, here, total, size, start, comment = _END.unpack_from(data, len(data) - _END.size)
    if mark != b"PK\x05\x06" or comment or disk or first_disk or here != total:
        raise MalformedModel("the archive does not end with a plain end record")
    if total > _MOST_MEMBERS or start + size != len(data) - _END.size:
        raise MalformedModel("the archive's end record contradicts its length")
    records, at = [], start
    for _ in range(total):
        if at + _CENTRAL.size > len(data):
            raise MalformedModel("the archive's directory is cut")
        fields = _CENTRAL.unpack_from(data, at)
        name_length, extra, note, offset = fields[10], fields[11], fields[12], fields[16]
        if fields[0] != b"PK\x01\x02" or extra or note or fields[13]:
            raise MalformedModel("the archive's directory holds something else than plain records")
        name = data[at + _CENTRAL.size : at + _CENTRAL.size + name_length]
        records.append((_Record(name, fields[3], fields[4], *fields[7:10]), offset))
        at += _CENTRAL.size + name_length
    if at != start + size:
        raise MalformedModel("the archive's directory contradicts its length")
    return sorted(records, key=lambda each: each[1]), start


def _member(data: bytes, record: _Record, offset: int, end: int) -> tuple[bytes, int]:
    """Return a member's content and where it ends."""
    if offset + _LOCAL.size > end:
        raise MalformedModel("the archive's directory points outside the members")
    mark, _, flags, method, _, _, crc, packed, size, name_length, extra = _LOCAL.unpack_from(data, offset)
    begin = offset + _LOCAL.size + name_length
    name = data[offset + _LOCAL.size : begin]
    if mark != MAGIC or extra or _Record(name, flags, method, crc, packed, size) != record:
        raise MalformedModel(f"a member's header contradicts the directory: {record.name!r}")
    if flags & ~_UTF8_NAME or method not in {_STORED, _DEFLATED}:
        raise MalformedModel(f"a member is encrypted, streamed or packed in an unusual way: {record.name!r}")
    if begin + packed > end:
        raise MalformedModel(f"a member is cut: {record.name!r}")
    content = data[begin : begin + packed]
    if method == _DEFLATED:
        content = _inflate(content, record)
    if len(content) != size or zlib.crc32(content) != crc:
        raise MalformedModel(f"a member is not what its checksum says: {record.name!r}")
    return content, begin + packed


def _inflate(packed: bytes, record: _Record) -> bytes:
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = machine.decompress(packed, record.size + 1)
    except zlib.error as error:
        raise MalformedModel(f"a member cannot be unpacked: {record.name!r}: {error}") from error
    if not machine.eof or machine.unused_data or machine.unconsumed_tail:
        raise MalformedModel(f"a member unpacks to something else than its size says: {record.name!r}")
    return content


def _name(raw: bytes) -> str:
    try:
        name = raw.decode("ascii")
    except UnicodeDecodeError as error:
        raise MalformedModel(f"a member's name is not plain: {raw!r}") from error
    if not name or not name.isprintable() or "/" in name or "\\" in name or name.startswith("."):
        raise MalformedModel(f"a member's name is not plain: {name!r}")
    return name
