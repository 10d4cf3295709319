"""Known attacks as files, made from opcodes at start: a guard that lets one pass loads no model.

Nothing here is ever loaded. The tests run the guard over the same files with a command that leaves a
mark, and over many more.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator

import lz4.frame

from cadml.learning.archive import write_archive
from cadml.learning.assembly import (
    APPEND,
    BUILD,
    EMPTY_DICT,
    EMPTY_LIST,
    EMPTY_TUPLE,
    FALSE,
    MARK,
    MEMOIZE,
    NEWOBJ,
    NONE,
    OBJ,
    POP,
    REDUCE,
    SETITEM,
    STACK_GLOBAL,
    STOP,
    TRUE,
    TUPLE2,
    args,
    binary,
    call,
    frame,
    instance,
    line_global,
    mapping,
    number,
    proto,
    stack_global,
    text,
)
from cadml.learning.opcodes.notorious import REACHES

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "zlib": zlib.compress,
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lz4": lz4.frame.compress,
}

# Not dangerous in themselves: only a whitelist refuses them.
UNLISTED_ONLY = frozenset(
    {
        "bit generator from a class",
        "constructor called",
        "constructor with __new__",
        "filled like a dict",
        "filled like a list",
        "module of a listed module",
        "reconstructed on a class",
        "state that is a list",
    }
)


def recipes(command: str) -> dict[str, tuple[str, bytes]]:
    """Return file name and bytes of each attack by its name; ``command`` is what a shell would run."""
    found: dict[str, tuple[str, bytes]] = {}
    for module, name in REACHES:
        stream = proto() + call(stack_global(module, name), text(command)) + STOP
        found[f"{module}.{name}"] = ("model.pkl", stream)
    for source in (_writings, _memo_games, _structures, _states, _calls, _arrays):
        found |= {name: ("model.pkl", stream) for name, stream in source(command)}
    found |= dict(_files(command))
    return found


def _writings(command: str) -> Iterator[tuple[str, bytes]]:
    """Yield the same call in each way that a pickle can write it."""
    run, inside = line_global("os", "system"), args(text(command))
    quoted = command.encode()
    yield "GLOBAL, protocol 0", run + MARK + b"S'" + quoted + b"'\n" + b"tR."
    yield "INST", MARK + text(command) + b"ios\nsystem\n."
    yield "OBJ", proto(1) + MARK + run + text(command) + OBJ + STOP
    yield "NEWOBJ", proto(2) + run + inside + NEWOBJ + STOP
    yield "NEWOBJ_EX", proto() + run + inside + EMPTY_DICT + b"\x92" + STOP
    yield "framed", proto() + frame(stack_global("os", "system") + inside + REDUCE + STOP)
    yield "texts of hex", b"S'\\x6f\\x73'\nS'\\x73\\x79\\x73\\x74\\x65\\x6d'\n\x93" + inside + b"R."
    yield "texts of octal", b"S'\\157\\163'\nS'system'\n\x93" + inside + b"R."
    yield "escaped unicode", b"V\\u006f\\u0073\nVsystem\n\x93" + inside + b"R."
    yield "surrogate name", proto() + text("os\ud800") + text("system") + STACK_GLOBAL + inside + b"R."
    yield "import without call", proto() + run + STOP
    yield "call in a list", proto() + EMPTY_LIST + run + inside + REDUCE + APPEND + STOP
    yield "call as a key", proto() + EMPTY_DICT + run + inside + REDUCE + NONE + SETITEM + STOP
    yield "result dropped", proto() + run + inside + REDUCE + POP + NONE + STOP
    for opcode, code in ((b"\x82", b"\x01"), (b"\x83", b"\x01\x00"), (b"\x84", b"\x01\x00\x00\x00")):
        yield f"EXT {len(code)}", proto() + opcode + code + inside + REDUCE + STOP
    yield "PERSID", b"Pos.system\n" + inside + REDUCE + STOP
    yield "BINPERSID", proto() + text("os.system") + b"Q" + inside + REDUCE + STOP
    yield "NEXT_BUFFER", proto(5) + b"\x97" + STOP
    yield "READONLY_BUFFER", proto(5) + binary(b"x") + b"\x98" + STOP


def _memo_games(command: str) -> Iterator[tuple[str, bytes]]:
    """Yield imports whose names come from the memo, or from nowhere."""
    inside = args(text(command)) + REDUCE + STOP
    both = text("system") + MEMOIZE + POP + text("os") + MEMOIZE + POP
    yield "BINGET", proto() + both + b"h\x01h\x00" + STACK_GLOBAL + inside
    yield "GET", proto() + both + b"g1\ng0\n" + STACK_GLOBAL + inside
    yield "LONG_BINGET", proto() + both + b"j\x01\0\0\0j\0\0\0\0" + STACK_GLOBAL + inside
    yield "PUT over PUT", (
        proto() + text("json") + b"q\x05" + POP + text("os") + b"q\x05" + POP + b"h\x05" + text("system")
        + STACK_GLOBAL + inside
    )  # fmt: skip
    yield "PUT far away", proto() + text("os") + b"r\xff\xff\xff\x7f" + text("system") + STACK_GLOBAL + inside
    yield "DUP", proto() + text("os") + b"2" + POP + text("system") + STACK_GLOBAL + inside
    yield "function in the memo", proto() + line_global("os", "system") + b"q\x07" + POP + b"h\x07" + inside
    yield "missing memo key", proto() + b"h\x63" + text("system") + STACK_GLOBAL + inside
    yield "integer as module", proto() + number(5) + text("system") + STACK_GLOBAL + inside
    yield "bytes as module", proto() + binary(b"os") + text("system") + STACK_GLOBAL + inside
    yield "tuple as name", proto() + text("os") + args(text("system")) + STACK_GLOBAL + inside
    yield (
        "name from a call",
        (proto() + text("os") + call(line_global("builtins", "str"), text("system")) + STACK_GLOBAL + inside),
    )
    yield (
        "names under marks",
        proto() + text("os") + MARK + text("x") + b"1" + text("system") + STACK_GLOBAL + inside,
    )
    yield "negative PUT", b"Vos\np-1\n" + inside


def _structures(command: str) -> Iterator[tuple[str, bytes]]:
    """Yield streams that two readers could read differently, and streams that grow."""
    attack = call(line_global("os", "system"), text(command))
    honest = proto() + EMPTY_DICT + STOP
    yield "second stream", honest + proto() + attack + STOP
    yield "trailing bytes", honest + b"\0"
    yield "trailing BUILD", proto() + attack + STOP + EMPTY_DICT + BUILD
    yield "payload before a broken tail", proto() + attack + b"\xff\xff"
    yield "payload before nothing", proto() + attack
    yield "payload before an empty stack", proto() + attack + POP + POP + STOP
    yield "protocol 9", b"\x80\x09" + attack + STOP
    yield "protocol in the middle", proto() + EMPTY_DICT + POP + proto(2) + attack + STOP
    yield "frame too long", proto() + b"\x95" + b"\xff" * 8 + attack + STOP
    yield "frame too short", proto() + b"\x95" + b"\x03" + b"\0" * 7 + attack + STOP
    yield "frame in a frame", proto() + frame(frame(attack) + STOP)
    yield "odd integer", b"I0x10\n0" + attack + STOP
    yield "integer with underscores", b"I1_0\n0" + attack + STOP
    yield "integer after blanks", b"I  1\n0" + attack + STOP
    yield "long integer", b"L" + b"9" * 5_000 + b"L\n0" + attack + STOP
    yield "huge integer", proto() + b"\x8b\xff\xff\xff\x7f" + attack + STOP
    yield "negative length", proto() + b"T\xff\xff\xff\xff" + attack + STOP
    yield "text without quotes", b"Sos\n0" + attack + STOP
    yield "text without end", b"Vos"
    yield "unknown opcode", proto() + b"\xfe" + attack + STOP
    yield "several values", proto() + NONE + NONE + STOP
    yield "open mark", proto() + MARK + NONE + STOP
    yield "billion marks", proto() + MARK * 5_000 + STOP
    yield "deep stack", proto() + NONE * 250_000 + STOP
    yield "nested tuples", proto() + NONE + (b"2" + TUPLE2) * 60 + b"q\x00" + attack + TUPLE2 + STOP
    yield (
        "a key that holds itself",
        (proto() + EMPTY_DICT + NONE + (b"2" + TUPLE2) * 60 + attack + SETITEM + STOP),
    )
    yield "odd entries", proto() + EMPTY_DICT + MARK + NONE + b"u" + attack + TUPLE2 + STOP


_FOREST = ("sklearn.ensemble._forest", "RandomForestClassifier")
_ARRAY, _RUN = line_global("numpy", "ndarray"), line_global("os", "system")
_DTYPE = call(line_global("numpy", "dtype"), text("O8"), FALSE, TRUE)


def _states(command: str) -> Iterator[tuple[str, bytes]]:
    """Yield listed classes given states that no honest model has."""
    state = mapping(predict=_RUN)
    foreign = mapping(__class__=line_global("os", "_wrap_close"))
    own = mapping(__class__=line_global(*_FOREST))
    odd = EMPTY_DICT + binary(b"__class__") + NONE + SETITEM
    slots = NONE + state + TUPLE2 + BUILD
    inside = args(text(command))
    yield "method in the state", proto() + instance(*_FOREST, state) + STOP
    yield "class in the state", proto() + instance(*_FOREST, foreign) + STOP
    yield "listed class in the state", proto() + instance(*_FOREST, own) + STOP
    yield "__reduce__ in the state", proto() + instance(*_FOREST, mapping(__reduce__=_RUN)) + STOP
    yield "__setstate__ in the state", proto() + instance(*_FOREST, mapping(__setstate__=NONE)) + STOP
    yield "class in bytes in the state", proto() + instance(*_FOREST, odd) + STOP
    yield "slots of a class", proto() + line_global(*_FOREST) + slots + STOP
    yield "slots of an instance", proto() + instance(*_FOREST) + slots + STOP
    yield "state of a class", proto() + line_global(*_FOREST) + mapping(a=NONE) + BUILD + STOP
    yield "state that is a list", proto() + instance(*_FOREST, EMPTY_LIST) + STOP
    yield "built twice", proto() + instance(*_FOREST, mapping()) + mapping(a=NONE) + BUILD + STOP
    yield "filled like a dict", proto() + instance(*_FOREST) + text("a") + NONE + SETITEM + STOP
    yield "filled like a list", proto() + instance(*_FOREST) + NONE + APPEND + STOP
    yield "a function built", proto() + line_global("numpy", "dtype") + state + BUILD + STOP
    yield "state changed later", (
        proto() + EMPTY_DICT + b"q\x00" + POP + instance(*_FOREST, b"h\x00") + POP + b"h\x00"
        + text("__class__") + NONE + SETITEM + STOP
    )  # fmt: skip
    yield "instance called", proto() + instance(*_FOREST) + inside + REDUCE + STOP
    yield "setstate through a call", proto() + stack_global(_FOREST[0], "Tree.__setstate__") + inside + b"R."


def _calls(command: str) -> Iterator[tuple[str, bytes]]:
    """Yield listed callables called as no honest model calls them, and chains that begin harmlessly."""
    inside, forest = args(text(command)), line_global(*_FOREST)
    rebuild, bits = line_global("copyreg", "_reconstructor"), "numpy.random._pickle"
    plain, generator = line_global("builtins", "object"), line_global(bits, "__bit_generator_ctor")
    attribute = call(line_global("operator", "attrgetter"), text("system"))
    partial = call(line_global("functools", "partial"), _RUN, text(command))
    builtins = call(line_global("numpy", "__builtins__"), text("eval"))
    yield "constructor called", proto() + call(forest, number(5)) + STOP
    yield "constructor with __new__", proto() + forest + args(number(5)) + NEWOBJ + STOP
    yield "partial called", proto() + partial + EMPTY_TUPLE + REDUCE + STOP
    yield "dotted name", proto() + stack_global(_FOREST[0], _FOREST[1] + ".fit") + STOP
    yield "module of a listed module", proto() + line_global("sklearn.ensemble", "_forest") + STOP
    yield "submodule of a listed module", proto() + line_global(_FOREST[0], "os") + inside + REDUCE + STOP
    yield "attrgetter chain", proto() + attribute + line_global("os", "path") + TUPLE2 + STOP
    yield "numpy.size then builtins", proto() + line_global("numpy", "size") + POP + builtins + STOP
    yield "another codec", proto() + call(line_global("_codecs", "encode"), text("x"), text("zip")) + STOP
    yield "reconstructed function", proto() + call(rebuild, _RUN, plain, NONE) + STOP
    yield "reconstructed on a class", proto() + call(rebuild, forest, forest, NONE) + STOP
    yield (
        "random state from a function",
        (proto() + call(line_global(bits, "__randomstate_ctor"), text(command), _RUN) + STOP),
    )
    yield "bit generator from a class", proto() + call(generator, forest) + STOP
    yield "no tuple as arguments", proto() + _RUN + EMPTY_LIST + text(command) + APPEND + REDUCE + STOP
    yield "text called", proto() + text("os.system") + inside + REDUCE + STOP
    yield "object by keyword", proto() + forest + EMPTY_TUPLE + mapping(n_estimators=NONE) + b"\x92" + STOP


def _arrays(command: str) -> Iterator[tuple[str, bytes]]:
    """Yield arrays and dtypes that lie about what they hold, and joblib's wrappers of them."""
    rebuild = line_global("numpy._core.multiarray", "_reconstruct")
    scalar = line_global("numpy._core.multiarray", "scalar")
    empty = call(rebuild, _ARRAY, args(number(0)), binary(b"b"))
    own = [number(3), text("|"), NONE, NONE, NONE, number(-1), number(-1), number(63)]
    lying = args(*own[:-1], number(0))
    bare = call(line_global("numpy", "dtype"), text("V8"), FALSE, TRUE)
    inner = call(line_global("numpy", "dtype"), text("f8"), FALSE, TRUE)
    outside = EMPTY_DICT + text("a") + args(inner, number(64)) + SETITEM
    fields = [number(3), text("|"), NONE, args(text("a")), outside, number(8), number(1), number(16)]
    pointers = args(number(1), args(number(1)), _DTYPE, FALSE, binary(b"A" * 8))
    built = _DTYPE + args(*own) + BUILD
    short = args(number(1), args(number(1000)), built, FALSE, EMPTY_LIST + NONE + APPEND)
    shared = call(line_global("numpy", "dtype"), text("O8"), FALSE, FALSE)
    nested = proto() + _wrapper(_ARRAY, args(number(1)), _DTYPE) + proto()
    yield "objects that deny it", proto() + _DTYPE + lying + BUILD + STOP
    yield "field outside its dtype", proto() + bare + args(*fields) + BUILD + STOP
    yield "pointers as bytes", proto() + empty + pointers + BUILD + STOP
    yield "fewer objects than its shape", proto() + empty + short + BUILD + STOP
    yield "shared dtype", proto() + shared + STOP
    yield "array on a foreign class", proto() + call(rebuild, _RUN, args(number(0)), binary(b"b")) + STOP
    yield "array of a great shape", proto() + call(rebuild, _ARRAY, args(number(9)), binary(b"O")) + STOP
    yield "scalar of objects", proto() + call(scalar, _DTYPE, binary(b"A" * 8)) + STOP
    yield "wrapper of a foreign class", proto() + _wrapper(_RUN, EMPTY_TUPLE) + STOP
    yield "wrapper of more than there is", proto() + _wrapper(_ARRAY, args(number(1 << 30)), inner) + STOP
    yield "object array", nested + call(_RUN, text(command)) + STOP + STOP
    yield "object array of no array", nested + NONE + STOP + STOP


def _wrapper(subclass: bytes, shape: bytes, dtype: bytes = NONE) -> bytes:
    """Return joblib's announcement of an array."""
    state = mapping(
        subclass=subclass, shape=shape, order=text("C"), dtype=dtype, allow_mmap=TRUE,
        numpy_array_alignment_bytes=NONE,
    )  # fmt: skip
    return instance("joblib.numpy_pickle", "NumpyArrayWrapper", state)


def _files(command: str) -> Iterator[tuple[str, tuple[str, bytes]]]:
    """Yield attacks in a wrapping, or under another name."""
    attack = proto() + call(line_global("os", "system"), text(command)) + STOP
    for name, pack in PACKERS.items():
        packed = pack(attack)
        yield f"joblib, {name}", ("model.joblib", packed)
        yield f"{name} with a tail", ("model.joblib", packed + attack)
        yield f"{name} cut", ("model.joblib", packed[:-3])
        yield f"{name} twice", ("model.joblib", pack(packed))
    yield "zlib bomb", ("model.joblib", zlib.compress(bytes(5 << 20), 1))
    yield "gzip bomb", ("model.joblib", gzip.compress(bytes(5 << 20), 1))
    yield "lz4 bomb", ("model.joblib", lz4.frame.compress(bytes(5 << 20)))
    yield "xz bomb", ("model.joblib", lzma.compress(bytes(5 << 20), preset=0))
    yield "joblib, lzma", ("model.joblib", lzma.compress(attack, lzma.FORMAT_ALONE))
    yield "pickle as skops", ("model.skops", attack)
    yield "pickle as a bundle", ("model.cadml", attack)
    yield "zip as a pickle", ("model.pkl", write_archive({"data.pkl": attack}))
    yield "pickle in a skops file", ("model.skops", write_archive({"schema.json": b"{}", "0.pkl": attack}))
    yield "pickle in a bundle", ("model.cadml", write_archive({"card.json": b"{}", "model.onnx": attack}))
    yield "no known name", ("model.bin", attack)
    yield "text", ("model.pkl", b"import os\n")
    yield "empty", ("model.pkl", b"")
