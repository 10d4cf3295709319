"""The pickle machine run on abstract values: every import and call is seen, none is made.

A pickle has no branches, so one run sees everything that any unpickler could do with it, as long
as both read the same bytes alike: :mod:`cadml.learning.opcodes.stream` refuses what they might not.
The order of opcodes, stack and memo is that of ``pickle._Unpickler``, which later loads the stream.
"""

from __future__ import annotations

import copyreg
import sys
from collections.abc import Callable
from collections.abc import Sequence as Sequence_
from typing import Literal, Protocol

from cadml.learning.opcodes.arrays import wrapped_bytes
from cadml.learning.opcodes.findings import Finding, Scan
from cadml.learning.opcodes.names import (
    ARRAY,
    ARRAY_OF_BUFFER,
    ARRAY_WRAPPER,
    EMPTY_ARRAY,
    RECONSTRUCTOR,
    canonical,
)
from cadml.learning.opcodes.stream import Stream, StreamError
from cadml.learning.opcodes.values import (
    LONGEST_INTEGER,
    LONGEST_TEXT,
    OPAQUE,
    Global,
    Made,
    Mapping,
    Sequence,
    Value,
    is_light,
    readable,
    sequence,
)
from cadml.learning.verdict import SecurityReason

# Bounds of growth: a forest of 1,000 trees is a tenth of each; hostile streams end here.
MOST_OPCODES = 2_000_000
MOST_DEEP = 200_000  # values on the stack at once; picklers put 1,000 and the depth of nesting
MOST_IMPORTS = 1_000  # that are told; all are judged
MOST_MARKS = 1_000
MOST_TEXT = 32 << 20  # bytes of short texts, which rules ask about; honest ones are remembered, not repeated
MOST_NESTED = 1  # object arrays in a joblib file are streams of their own, without any inside


class Rules(Protocol):
    """What may be done; each returns why not, or None."""

    reason: SecurityReason  # of what these rules refuse

    def imported(self, found: Global) -> str | None:
        """Judge an import."""

    def made(self, maker: Value, args: Value, how: Literal["new", "call"]) -> str | None:
        """Judge ``maker.__new__(maker, *args)`` or ``maker(*args)``."""

    def built(self, target: Made, state: Value) -> str | None:
        """Judge BUILD of an instance that had none yet."""

    def filled(self, target: Made, how: Literal["items", "append"]) -> str | None:
        """Judge putting items into an instance that is no plain container."""


Steps = Sequence_[tuple[str, Callable[["Machine"], object]]]  # by the opcode's byte


class RefusedError(Exception):
    """The scan ends here: what follows cannot be known, or need not."""

    def __init__(self, reason: SecurityReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Machine:
    """One run over one stream; what it finds goes into ``scan``."""

    def __init__(self, stream: Stream, rules: Rules, scan: Scan, steps: Steps, nesting: int = 0) -> None:
        self.stream = stream
        self.rules = rules
        self.scan = scan
        self.steps = steps
        self.nesting = nesting
        self.begin = self.opcode_at = stream.position
        self.opcode_name = "STOP"
        self.stack: list[Value] = []
        self.marked: list[list[Value]] = []
        self.memo: dict[int, Value] = {}
        self.is_over = False

    def run(self) -> Value:
        """Run to STOP and return what is left; after an error, None with the finding in the scan."""
        try:
            while not self.is_over:
                self.opcode_at = self.stream.position
                code = self.stream.opcode()
                name, step = self.steps[code]
                self.opcode_name = name
                step(self)
                self._count()
            return self._result()
        except StreamError as error:
            self.blame("opcode_scan_error", str(error))
        except IndexError:
            self.blame("opcode_scan_error", "the stack is empty")
        except RefusedError as error:
            self.blame(error.reason, str(error))
        return None

    def blame(self, reason: SecurityReason, message: str) -> None:
        """Keep a finding about the present opcode."""
        self.scan.blame(Finding(reason, self.opcode_name, self.opcode_at, message))

    def _count(self) -> None:
        self.scan.opcodes += 1
        if self.scan.opcodes > MOST_OPCODES or len(self.stack) > MOST_DEEP or len(self.marked) > MOST_MARKS:
            raise StreamError("the stream grows beyond every bound of an honest model")

    def _result(self) -> Value:
        value = self.stack.pop()
        if self.stack or self.marked:
            self.blame("opcode_scan_error", "the stream leaves more than one value")
        return value

    # -- stack and memo -------------------------------------------------------------------------

    def push(self, value: Value) -> None:
        """Put a value on the stack."""
        self.stack.append(value)

    def push_text(self, text: str) -> None:
        """Put a text on the stack, or the fact that there is a long one."""
        if len(text) > LONGEST_TEXT:
            self.stack.append(OPAQUE)
            return
        self.scan.text += sys.getsizeof(text)
        if self.scan.text > MOST_TEXT:
            raise StreamError("the stream holds more texts than any honest model")
        self.stack.append(text)

    def push_long(self, number: int) -> None:
        """Put an integer on the stack, or the fact that there is one too long for any rule."""
        self.stack.append(number if number.bit_length() <= LONGEST_INTEGER else OPAQUE)

    def pop_mark(self) -> list[Value]:
        """Return what lies above the last mark."""
        if not self.marked:
            raise StreamError("no mark is set")
        items, self.stack = self.stack, self.marked.pop()
        return items

    def mark(self) -> None:
        """Set a mark."""
        self.marked.append(self.stack)
        self.stack = []

    def pop(self) -> None:
        """Drop the top value, or the mark if none lies above it."""
        if self.stack:
            del self.stack[-1]
        else:
            self.pop_mark()

    def put(self, index: int) -> None:
        """Remember the top value."""
        # Python's C machine makes room for every place below, so a far one is a bomb there.
        if not 0 <= index <= MOST_OPCODES:
            raise StreamError("a place in the memo is out of range")
        self.memo[index] = self.stack[-1]

    def get(self, index: int) -> None:
        """Push what was remembered."""
        if index not in self.memo:
            raise StreamError(f"nothing is remembered at {index}")
        self.stack.append(self.memo[index])

    # -- containers -----------------------------------------------------------------------------

    def tuple_of(self, count: int) -> None:
        """Replace the top ``count`` values by a tuple."""
        if len(self.stack) < count:
            raise IndexError
        items = self.stack[-count:]
        self.stack[-count:] = [sequence("tuple", items)]

    def extend(self, items: list[Value], kinds: frozenset[str]) -> None:
        """Add items to the container of one of these kinds on top."""
        target = self.stack[-1]
        if "set" in kinds:
            self.check_keys(items)
        if isinstance(target, Sequence) and target.kind in kinds:
            target.extend(items)
        elif isinstance(target, Made):
            self.obey(self.rules.filled(target, "append"))
        else:
            raise StreamError("items are added to what holds none")

    def set_items(self, items: list[Value]) -> None:
        """Set entries of the mapping on top."""
        if len(items) % 2:
            raise StreamError("a key has no value")
        self.check_keys(items[::2])
        target = self.stack[-1]
        if isinstance(target, Made):
            self.obey(self.rules.filled(target, "items"))
        elif not isinstance(target, Mapping):
            raise StreamError("entries are set in what has none")
        elif target.is_frozen:
            raise StreamError("a state changes after it was used")
        else:
            for key, value in zip(items[::2], items[1::2], strict=True):
                target.put(key, value)

    def check_keys(self, keys: list[Value]) -> None:
        """Refuse keys whose hash takes for ever."""
        if not all(map(is_light, keys)):
            raise StreamError("a key holds too much")

    def new_frozenset(self) -> None:
        """Make a frozenset of what lies above the mark."""
        items = self.pop_mark()
        self.check_keys(items)
        self.stack.append(sequence("frozenset", items))

    def new_dict(self) -> None:
        """Make a dict of what lies above the mark."""
        items = self.pop_mark()
        self.stack.append(Mapping())
        self.set_items(items)

    # -- imports and calls ----------------------------------------------------------------------

    def obey(self, objection: str | None) -> None:
        """Note what the rules object to; the scan goes on, to tell every import."""
        if objection is not None:
            self.blame(self.rules.reason, objection)

    def bring(self, module: Value, name: Value) -> Global:
        """Note an import and return what it brings."""
        if not isinstance(module, str) or not isinstance(name, str):
            raise StreamError("the name of an import is no text")
        if len(self.scan.imports) < MOST_IMPORTS:
            self.scan.imports.setdefault((readable(module), readable(name)))
        found = Global(*canonical((module, name)))
        self.obey(self.rules.imported(found))
        return found

    def make(self, maker: Value, args: Value, how: Literal["new", "call"]) -> None:
        """Push what ``maker`` makes of ``args``."""
        self.obey(self.rules.made(maker, args, how))
        self.stack.append(Made(_product(maker, args), args))

    def inst(self) -> None:
        """Import a class and call it with what lies above the mark."""
        found = self.bring(self.stream.name(), self.stream.name())
        self.make(found, sequence("tuple", self.pop_mark()), "call")

    def obj(self) -> None:
        """Call the first value above the mark with the others."""
        items = self.pop_mark()
        self.make(items[0], sequence("tuple", items[1:]), "call")

    def newobj_ex(self) -> None:
        """Make an instance with keyword arguments, which no honest model has."""
        keywords, args, maker = self.stack.pop(), self.stack.pop(), self.stack.pop()
        if not isinstance(keywords, Mapping) or keywords.count:
            self.blame(self.rules.reason, "an instance is made with keyword arguments")
        self.make(maker, args, "new")

    def build(self) -> None:
        """Give the instance on top its state; an array of joblib brings its raw bytes."""
        state = self.stack.pop()
        target = self.stack[-1]
        if not isinstance(target, Made):
            raise RefusedError(self.rules.reason, "BUILD changes what the stream has not made")
        if target.is_built:
            raise RefusedError(self.rules.reason, "BUILD changes an instance a second time")
        self.obey(self.rules.built(target, state))
        target.is_built, target.state = True, state
        _freeze(state)
        if target.origin.pair == ARRAY_WRAPPER:
            self.stack[-1] = self.read_array(state)

    def extension(self, form: str) -> None:
        """Name what an extension code stands for, and refuse it."""
        code = self.stream.number(form)
        registry: dict[int, tuple[str, str]] = vars(copyreg)["_inverted_registry"]
        meaning = registry.get(code)
        if meaning is not None:
            self.scan.imports.setdefault(meaning)
        raise RefusedError("opcode_blocked", f"extension code {code} stands for {meaning or 'nothing here'}")

    def read_array(self, state: Value) -> Made:
        """Pass the raw bytes, or the nested stream, of the array that joblib's wrapper announces."""
        self.stream.leave_frame()
        self.scan.arrays += 1
        try:
            size, alignment = wrapped_bytes(state)
        except ValueError as error:
            raise StreamError(str(error)) from error
        array = Made(Global(*ARRAY), None, is_built=True)
        if size is None:
            if self.nesting >= MOST_NESTED:
                raise StreamError("streams are nested too deeply")
            nested = Machine(self.stream, self.rules, self.scan, self.steps, self.nesting + 1)
            result = nested.run()
            if not isinstance(result, Made) or result.origin.pair != ARRAY:
                raise StreamError("the nested stream holds no array")
            return array
        if alignment is not None:
            self.stream.skip(self.stream.number("<B"))
        self.stream.skip(size)
        return array


def _freeze(state: Value) -> None:
    """Let nothing change what a rule has judged."""
    if isinstance(state, Mapping):
        state.is_frozen = True
    elif isinstance(state, Sequence) and state.kind == "tuple":
        for item in state.items:
            if isinstance(item, Mapping):
                item.is_frozen = True


def _product(maker: Value, args: Value) -> Global:
    """Return the class of what a call makes, as far as a rule asks."""
    if not isinstance(maker, Global):
        return Global("", "")
    if maker.pair in {EMPTY_ARRAY, ARRAY_OF_BUFFER}:
        return Global(*ARRAY)
    if maker.pair == RECONSTRUCTOR and isinstance(args, Sequence) and args.items:
        first = args.items[0]
        return first if isinstance(first, Global) else Global("", "")
    return maker
