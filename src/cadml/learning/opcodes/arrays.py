"""How an honest numpy writes arrays and dtypes; any other call or state of them is refused.

numpy believes the state of a dtype: flags that deny its objects turn bytes into pointers, offsets
beyond its size read foreign memory. So these calls are checked argument by argument.
"""

from __future__ import annotations

import math
import re

from cadml.learning.opcodes.names import (
    ARRAY,
    ARRAY_OF_BUFFER,
    DTYPE,
    EMPTY_ARRAY,
    ENCODE,
    MASKED_ARRAY,
    SCALAR,
    Pair,
)
from cadml.learning.opcodes.values import Global, Made, Mapping, Opaque, Sequence, Value

_CODE = re.compile(r"(b1|[iu][1248]|f(?:2|4|8|16)|c(?:8|16|32))|([SUV])([1-9][0-9]{0,6})|(O8?)")
_WIDTH = {"S": 1, "U": 4, "V": 1}  # bytes per unit of size in the code
_OBJECT_FLAGS = 63  # numpy's flags of a dtype of objects
_FLAGS_OF_OBJECTS = 0b111  # refcounted, pickled as list, pointer: never true of plain data
_ARITY: dict[Pair, tuple[int, ...]] = {
    DTYPE: (3,),
    EMPTY_ARRAY: (3,),
    ARRAY_OF_BUFFER: (4, 5),
    SCALAR: (2,),
    ENCODE: (2,),
}
# Items of a state; a masked array's is an array's (its first item another), its mask and its fill value.
_STATES: dict[Pair, int] = {ARRAY: 5, DTYPE: 8, MASKED_ARRAY: 7}
_DTYPE_VERSION = 3  # of its state, since numpy 1.3


def item_size(dtype: Value) -> int | None:
    """Return the bytes of one item, None for objects; raises ``ValueError`` for what is no honest dtype."""
    if not isinstance(dtype, Made) or dtype.origin.pair != DTYPE or _objection_to_dtype(dtype.args):
        raise ValueError("an array's dtype is none")
    match = _CODE.fullmatch(dtype.args.items[0])
    if match is None or match[4]:
        return None
    return int(match[1].lstrip("biufc")) if match[1] else _WIDTH[match[2]] * int(match[3])


def objection_to_call(function: Global, args: Sequence) -> str | None:
    """Return why numpy would not write this call, or None; other functions are not judged here."""
    items = args.items
    if args.count not in _ARITY.get(function.pair, (args.count,)):
        return "numpy is called in another way than its own"
    match function.pair:
        case pair if pair == DTYPE:
            return _objection_to_dtype(args)
        case pair if pair == EMPTY_ARRAY:
            is_empty = isinstance(items[1], Sequence) and items[1].kind == "tuple" and items[1].items == [0]
            is_fine = _is_global(items[0], ARRAY) and is_empty and (items[2] == b"b" or _is_bytes(items[2]))
            return None if is_fine else "an array begins in another way than numpy's"
        case pair if pair in {ARRAY_OF_BUFFER, SCALAR}:
            dtype, raw = (items[1], items[0]) if pair == ARRAY_OF_BUFFER else (items[0], items[1])
            return _objection_to_raw(dtype, raw)
        case pair if pair == ENCODE:
            is_fine = isinstance(items[0], str | Opaque) and items[1] == "latin1"
            return None if is_fine else "a text is encoded otherwise than bytes are written"
    return None


def objection_to_state(target: Made, state: Value) -> str | None:
    """Return why numpy would not write this state, or None; other instances are not judged here."""
    length = _STATES.get(target.origin.pair)
    if length is None:
        return None
    if not isinstance(state, Sequence) or state.kind != "tuple" or state.count != length:
        return "numpy is given another state than its own"
    match target.origin.pair:
        case pair if pair == ARRAY:
            return _objection_to_array_state(*state.items)
        case pair if pair == MASKED_ARRAY:
            is_masked = _is_bytes(state.items[5])
            return _objection_to_array_state(*state.items[:5]) if is_masked else "a mask is no bytes"
    return _objection_to_dtype_state(target, state.items)


def _objection_to_array_state(_: Value, shape: Value, dtype: Value, __: Value, raw: Value) -> str | None:
    if not isinstance(shape, Sequence) or not _is_shape(shape):
        return "an array's state is another than numpy's"
    return _objection_to_objects(shape, raw) if _is_of_objects(dtype) else _objection_to_raw(dtype, raw)


def _objection_to_objects(shape: Sequence, raw: Value) -> str | None:
    """Hold the shape against the list: numpy reads that many objects however short it is (seen in 2.4)."""
    if not isinstance(raw, Sequence) or raw.kind != "list":
        return "objects come as bytes"
    return None if raw.count == math.prod(shape.items) else "an array's shape is another than its list"


def _is_global(value: Value, pair: tuple[str, str]) -> bool:
    return isinstance(value, Global) and value.pair == pair


def _is_bytes(value: Value) -> bool:
    """Tell whether a value is bytes: many, few, or the text of which old protocols make them."""
    if isinstance(value, Made):
        return value.origin.pair in {ENCODE, ("builtins", "bytearray"), ("builtins", "bytes")}
    return isinstance(value, bytes | Opaque)


def _is_shape(shape: Sequence) -> bool:
    return shape.kind == "tuple" and shape.count == len(shape.items) and all(map(_is_count, shape.items))


def _is_count(value: Value) -> bool:
    return type(value) is int and 0 <= value < 1 << 40


def _is_of_objects(dtype: Value) -> bool:
    try:
        return item_size(dtype) is None
    except ValueError:
        return False


def _objection_to_dtype(args: Value) -> str | None:
    if isinstance(args, Sequence) and args.kind == "tuple" and args.count == 3:
        code, align, copy = args.items
        # Without the copy, the state would change the one dtype that the whole process shares.
        if isinstance(code, str) and _CODE.fullmatch(code) and align is False and copy is True:
            return None
    return "a dtype begins in another way than numpy's"


def _objection_to_raw(dtype: Value, raw: Value) -> str | None:
    try:
        size = item_size(dtype)
    except ValueError as error:
        return str(error)
    return None if size is not None and _is_bytes(raw) else "raw bytes are to become objects"


def _objection_to_dtype_state(dtype: Made, items: list[Value]) -> str | None:
    version, order, base, names, fields, size, alignment, flags = items
    ints = all(type(each) is int for each in (version, size, alignment, flags))
    # A dishonest dtype was refused when it was made; the scan goes on to tell every import.
    if (
        _objection_to_dtype(dtype.args)
        or not ints
        or version != _DTYPE_VERSION
        or base is not None
        or order not in {"<", ">", "|", "="}
    ):
        return "a dtype's state is another than numpy's"
    expected = item_size(dtype)
    if expected is None:
        is_fine = (size, alignment, flags, names, fields) == (-1, -1, _OBJECT_FLAGS, None, None)
        return None if is_fine else "a dtype of objects denies it"
    if flags & _FLAGS_OF_OBJECTS or not 0 <= flags < 256 or alignment not in {-1, 1, 2, 4, 8, 16}:
        return "a dtype of plain data claims to hold objects"
    if size not in {-1, expected} or (dtype.args.items[0][0] in _WIDTH) != (size == expected):
        return "a dtype's size contradicts its code"
    if names is None and fields is None:
        return None
    return _objection_to_fields(names, fields, expected, dtype.args.items[0][0])


def _objection_to_fields(names: Value, fields: Value, size: int, kind: str) -> str | None:
    if kind != "V" or not isinstance(names, Sequence) or not isinstance(fields, Mapping):
        return "a dtype's fields are another thing than numpy's"
    if names.kind != "tuple" or not names.count == len(names.items) == fields.count == len(fields.entries):
        return "a dtype's fields and their names differ"
    for name in names.items:
        field = fields.entries.get(name) if isinstance(name, str) else None
        if not isinstance(field, Sequence) or field.kind != "tuple" or field.count != 2:
            return "a dtype's fields and their names differ"
        dtype, offset = field.items
        try:
            width = item_size(dtype)
        except ValueError as error:
            return str(error)
        if width is None or not _is_count(offset) or offset + width > size:
            return "a dtype's field lies outside it, or holds objects"
    return None


def wrapped_bytes(state: Value) -> tuple[int | None, int | None]:
    """Return what follows joblib's wrapper: how many raw bytes (None: a stream), and how aligned.

    Raises
    ------
    ValueError
        joblib would not write this wrapper.
    """
    if not isinstance(state, Mapping) or not set(state.entries) <= _WRAPPER_KEYS or state.count > 6:
        raise ValueError("an array's wrapper is another than joblib's")
    entries, shape = state.entries, state.entries.get("shape")
    alignment = entries.get("numpy_array_alignment_bytes")
    if not _is_global(entries.get("subclass"), ARRAY) or entries.get("order") not in {"C", "F"}:
        raise ValueError("an array's wrapper announces no plain array")
    if not isinstance(shape, Sequence) or not _is_shape(shape) or alignment not in {None, 16}:
        raise ValueError("an array's wrapper has no shape")
    size = item_size(entries.get("dtype"))
    if size is None:
        return None, None
    for side in shape.items:
        size *= side
    return size, alignment


_WRAPPER_KEYS = frozenset(
    {
        "subclass",
        "shape",
        "order",
        "dtype",
        "allow_mmap",
        "numpy_array_alignment_bytes",
    }
)
