"""What each opcode does to the abstract machine: one row per byte, the unknown ones refuse."""

from __future__ import annotations

import pickletools
from collections.abc import Callable

from cadml.learning.opcodes.machine import Machine, RefusedError
from cadml.learning.opcodes.stream import StreamError
from cadml.learning.opcodes.values import OPAQUE, Mapping, sequence

Step = Callable[[Machine], object]
_HIGHEST_PROTOCOL = 5
_LISTS, _SETS = frozenset({"list"}), frozenset({"set"})


def _protocol(machine: Machine) -> None:
    if machine.opcode_at != machine.begin:
        raise StreamError("a stream begins inside another")
    if machine.stream.number("<B") > _HIGHEST_PROTOCOL:
        raise StreamError("the protocol is newer than any that is known")


def _stop(machine: Machine) -> None:
    machine.is_over = True
    machine.stream.leave_frame()


def _number(form: str) -> Step:
    return lambda machine: machine.push(machine.stream.number(form))


def _text(form: str, coding: str = "utf-8") -> Step:
    return lambda machine: machine.push_text(machine.stream.text(form, coding))


def _blob(form: str) -> Step:
    def step(machine: Machine) -> None:
        found = machine.stream.blob(form)
        machine.push(found if isinstance(found, bytes) else OPAQUE)

    return step


def _opaque(read: Step) -> Step:
    def step(machine: Machine) -> None:
        read(machine)
        machine.push(OPAQUE)

    return step


def _constant(value: object) -> Step:
    return lambda machine: machine.push(value)


def _refused(what: str) -> Step:
    def step(_: Machine) -> None:
        raise RefusedError("opcode_blocked", what)

    return step


def _unknown(_: Machine) -> None:
    raise StreamError("there is no such opcode")


def _new(machine: Machine) -> None:
    args, maker = machine.stack.pop(), machine.stack.pop()
    machine.make(maker, args, "new")


def _reduce(machine: Machine) -> None:
    args, maker = machine.stack.pop(), machine.stack.pop()
    machine.make(maker, args, "call")


def _stack_global(machine: Machine) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    machine.push(machine.bring(module, name))


def _append(machine: Machine) -> None:
    value = machine.stack.pop()
    machine.extend([value], _LISTS)


def _set_item(machine: Machine) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    machine.set_items([key, value])


_BY_NAME: dict[str, Step] = {
    "PROTO": _protocol,
    "FRAME": lambda machine: machine.stream.begin_frame(),
    "STOP": _stop,
    "NONE": _constant(None),
    "NEWTRUE": _constant(value=True),
    "NEWFALSE": _constant(value=False),
    "INT": lambda machine: machine.push(machine.stream.integer()),
    "LONG": lambda machine: machine.push_long(machine.stream.long()),
    "LONG1": lambda machine: machine.push_long(machine.stream.packed_long("<B")),
    "LONG4": lambda machine: machine.push_long(machine.stream.packed_long("<i")),
    "BININT": _number("<i"),
    "BININT1": _number("<B"),
    "BININT2": _number("<H"),
    "FLOAT": _opaque(lambda machine: machine.stream.real()),
    "BINFLOAT": _opaque(lambda machine: machine.stream.skip(8)),
    "STRING": lambda machine: machine.push_text(machine.stream.quoted()),
    "BINSTRING": _text("<i", "ascii"),
    "SHORT_BINSTRING": _text("<B", "ascii"),
    "UNICODE": lambda machine: machine.push_text(machine.stream.escaped()),
    "SHORT_BINUNICODE": _text("<B"),
    "BINUNICODE": _text("<I"),
    "BINUNICODE8": _text("<Q"),
    "SHORT_BINBYTES": _blob("<B"),
    "BINBYTES": _blob("<I"),
    "BINBYTES8": _blob("<Q"),
    "BYTEARRAY8": _opaque(lambda machine: machine.stream.blob("<Q")),
    "NEXT_BUFFER": _refused("the stream wants a buffer from outside the file"),
    "READONLY_BUFFER": _refused("the stream wants a buffer from outside the file"),
    "EMPTY_TUPLE": lambda machine: machine.push(sequence("tuple", [])),
    "TUPLE1": lambda machine: machine.tuple_of(1),
    "TUPLE2": lambda machine: machine.tuple_of(2),
    "TUPLE3": lambda machine: machine.tuple_of(3),
    "TUPLE": lambda machine: machine.push(sequence("tuple", machine.pop_mark())),
    "EMPTY_LIST": lambda machine: machine.push(sequence("list", [])),
    "LIST": lambda machine: machine.push(sequence("list", machine.pop_mark())),
    "EMPTY_SET": lambda machine: machine.push(sequence("set", [])),
    "FROZENSET": lambda machine: machine.new_frozenset(),
    "EMPTY_DICT": lambda machine: machine.push(Mapping()),
    "DICT": lambda machine: machine.new_dict(),
    "APPEND": _append,
    "APPENDS": lambda machine: machine.extend(machine.pop_mark(), _LISTS),
    "ADDITEMS": lambda machine: machine.extend(machine.pop_mark(), _SETS),
    "SETITEM": _set_item,
    "SETITEMS": lambda machine: machine.set_items(machine.pop_mark()),
    "MARK": lambda machine: machine.mark(),
    "POP": lambda machine: machine.pop(),
    "POP_MARK": lambda machine: machine.pop_mark(),
    "DUP": lambda machine: machine.push(machine.stack[-1]),
    "PUT": lambda machine: machine.put(machine.stream.index()),
    "BINPUT": lambda machine: machine.put(machine.stream.number("<B")),
    "LONG_BINPUT": lambda machine: machine.put(machine.stream.number("<I")),
    "MEMOIZE": lambda machine: machine.put(len(machine.memo)),
    "GET": lambda machine: machine.get(machine.stream.index()),
    "BINGET": lambda machine: machine.get(machine.stream.number("<B")),
    "LONG_BINGET": lambda machine: machine.get(machine.stream.number("<I")),
    "GLOBAL": lambda machine: machine.push(machine.bring(machine.stream.name(), machine.stream.name())),
    "STACK_GLOBAL": _stack_global,
    "INST": lambda machine: machine.inst(),
    "OBJ": lambda machine: machine.obj(),
    "NEWOBJ": _new,
    "NEWOBJ_EX": lambda machine: machine.newobj_ex(),
    "REDUCE": _reduce,
    "BUILD": lambda machine: machine.build(),
    "EXT1": lambda machine: machine.extension("<B"),
    "EXT2": lambda machine: machine.extension("<H"),
    "EXT4": lambda machine: machine.extension("<i"),
    "PERSID": _refused("the stream wants an object by an id from outside the file"),
    "BINPERSID": _refused("the stream wants an object by an id from outside the file"),
}


def _table() -> tuple[tuple[str, Step], ...]:
    """Return the steps by the opcode's byte; every opcode that Python documents has one."""
    rows: list[tuple[str, Step]] = [("other", _unknown)] * 256
    for each in pickletools.opcodes:
        rows[ord(each.code)] = (each.name, _BY_NAME[each.name])
    return tuple(rows)


STEPS = _table()
