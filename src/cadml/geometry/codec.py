"""A :class:`Part` as bytes and back, bit for bit, without pickle.

Layout: ``MAGIC``, one byte of layout version, then a zstd frame (with checksum) that holds

- 8 bytes: length of the header, little-endian
- the header, JSON: ``part`` (nested objects, ``$`` names the class, ``@n`` is array *n*) and
  ``arrays`` (dtype, shape of each)
- the arrays in order, C order, each starting on a multiple of 8 bytes from the first

A changed layout gets another version number, and :func:`decode` keeps reading the older ones: what
is stored is all that descriptors ever see.
"""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import orjson
import zstandard
from numpy.typing import NDArray

from cadml.errors import BlobUnavailable
from cadml.geometry.part import (
    BoundingBox,
    BRep,
    Drawing,
    Finding,
    Kind,
    MassProperties,
    Part,
    Severity,
    Tessellation,
)

MAGIC = b"CADMLPART"
LAYOUT = 1
_LEVEL = 1  # on tessellations, levels 3 to 9 cost 2 to 20 times the time for 5 % less space
_LARGEST = 8 << 30  # bytes; a frame that claims more was not written by encode()
_ALIGNMENT = 8
_DTYPES = {name: np.dtype(name) for name in ("<f8", "<f4", "<i8", "<i4", "|i1", "|u1")}
_CLASSES: dict[str, type] = {
    cls.__name__: cls for cls in (Part, BRep, Tessellation, Drawing, BoundingBox, MassProperties, Finding)
}
_ENUMS: dict[tuple[str, str], type] = {("Part", "kind"): Kind, ("Finding", "severity"): Severity}


def encode(part: Part) -> bytes:
    """Return ``part`` as bytes that :func:`decode` turns back into the same part."""
    arrays: list[NDArray[Any]] = []
    tree = _flatten(part, arrays)
    table = [(array.dtype.str, array.shape) for array in arrays]
    header = orjson.dumps({"part": tree, "arrays": table})
    pieces = [len(header).to_bytes(8, "little"), header]
    for array in arrays:
        data = array.tobytes()
        pieces += (data, bytes(-len(data) % _ALIGNMENT))
    frame = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(b"".join(pieces))
    return MAGIC + bytes([LAYOUT]) + frame


def decode(data: bytes) -> Part:
    """Return the part that :func:`encode` wrote.

    Raises
    ------
    BlobUnavailable
        The bytes are damaged, or were written by a later release.
    """
    start = len(MAGIC) + 1
    if len(data) < start or not data.startswith(MAGIC):
        raise BlobUnavailable(
            "the stored part is damaged: it does not begin as one; read its source file again"
        )
    if data[start - 1] != LAYOUT:
        raise BlobUnavailable(
            f"the stored part has layout {data[start - 1]}, which this release cannot read; upgrade cadml",
            layout=data[start - 1],
        )
    try:
        return _unpack(data[start:])
    except (zstandard.ZstdError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        # What a damaged or foreign header can cause; the checksum already catches flipped bits.
        raise BlobUnavailable(f"the stored part is damaged ({error}); read its source file again") from error


def _flatten(value: Any, arrays: list[NDArray[Any]]) -> Any:  # noqa: PLR0911 - one line per kind of value
    """Return ``value`` as JSON can hold it, its arrays moved to ``arrays``."""
    if isinstance(value, np.ndarray):
        if value.dtype.str not in _DTYPES:
            raise TypeError(f"a part holds no {value.dtype} arrays")
        arrays.append(value)
        return f"@{len(arrays) - 1}"
    if is_dataclass(value):
        tree = {field.name: _flatten(getattr(value, field.name), arrays) for field in fields(value)}
        return {"$": type(value).__name__, **tree}
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$": "float", "hex": value.hex()}  # JSON has no NaN
    if isinstance(value, str):
        # Lone surrogates (from undecodable names) are no UTF-8; "~" keeps "@n" unmistakable.
        return (
            f"~{value}"
            if value.isascii()
            else {"$": "str", "hex": value.encode("utf-8", "surrogatepass").hex()}
        )
    if isinstance(value, tuple):
        return [_flatten(item, arrays) for item in value]
    if isinstance(value, dict):
        return {"$": "dict", "items": [[key, _flatten(item, arrays)] for key, item in value.items()]}
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, np.generic):
        return _flatten(value.item(), arrays)
    raise TypeError(f"a part holds no {type(value).__name__}")


def _unpack(frame: bytes) -> Part:
    size = zstandard.frame_content_size(frame)
    if not 8 <= size <= _LARGEST:
        raise ValueError(f"it claims {size} bytes")
    data = zstandard.ZstdDecompressor().decompress(frame, max_output_size=size, allow_extra_data=False)
    start = 8 + int.from_bytes(data[:8], "little")
    header = orjson.loads(data[8:start])
    arrays: list[NDArray[Any]] = []
    for name, shape in header["arrays"]:
        dtype, count = _DTYPES[name], math.prod(shape)
        if count < 0 or start + count * dtype.itemsize > len(data):
            raise ValueError("an array ends beyond the data")
        # Views of immutable bytes: read-only without a copy.
        arrays.append(np.frombuffer(data, dtype, count, start).reshape(shape))
        start += -(-count * dtype.itemsize // _ALIGNMENT) * _ALIGNMENT
    part = _restore(header["part"], arrays)
    if not isinstance(part, Part):
        raise TypeError("it holds something else")
    return part


def _restore(value: Any, arrays: list[NDArray[Any]]) -> Any:  # noqa: PLR0911 - one line per kind of value
    if isinstance(value, str):
        return value[1:] if value[0] == "~" else arrays[int(value[1:])]
    if isinstance(value, list):
        return tuple(_restore(item, arrays) for item in value)
    if not isinstance(value, dict):
        return value
    name = value.pop("$")
    if name == "float":
        return float.fromhex(value["hex"])
    if name == "str":
        return bytes.fromhex(value["hex"]).decode("utf-8", "surrogatepass")
    if name == "dict":
        return {key: _restore(item, arrays) for key, item in value["items"]}
    restored = {key: _restore(item, arrays) for key, item in value.items()}
    for (owner, key), enum in _ENUMS.items():
        if owner == name:
            restored[key] = enum(restored[key])
    return _CLASSES[name](**restored)
