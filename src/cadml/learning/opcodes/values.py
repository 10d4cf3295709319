"""What lies on the stack of the abstract pickle machine: as much of each value as a rule needs.

Short texts, numbers, booleans, None and a few bytes stand for themselves. Nothing here is ever
hashed or compared by content, so a value that holds itself many times over costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

KEPT = 24  # items of a container that are looked at; more do not occur where a rule looks
HEAVIEST = 10_000  # values that one key may hold
LONGEST_INTEGER = 64  # bits; sizes and flags, which rules ask about, have fewer
LONGEST_TEXT = 256  # characters; no module, name or attribute that a rule names is longer

# A value is one of the classes below, a short str, an int, a bool, None or a few bytes.
Value = Any


class Opaque:
    """A value that no rule asks about: a float, a long text or integer, many bytes."""

    __slots__ = ()


OPAQUE = Opaque()


@dataclass(slots=True, eq=False)
class Global:
    """What an import brings: a class or a function."""

    module: str
    name: str

    @property
    def pair(self) -> tuple[str, str]:
        """The exact (module, name)."""
        return self.module, self.name

    def __str__(self) -> str:
        return readable(f"{self.module}.{self.name}")


@dataclass(slots=True, eq=False)
class Made:
    """What a class or function has made; ``state`` is what BUILD gave it."""

    origin: Global
    args: Value
    is_built: bool = False
    state: Value = None


@dataclass(slots=True, eq=False)
class Sequence:
    """A tuple, list, set or frozenset: its first items, and how many it has."""

    kind: Literal["tuple", "list", "set", "frozenset"]
    items: list[Value] = field(default_factory=list)
    count: int = 0
    weight: int = 1  # values that hashing it would visit, each as often as it is held; see HEAVIEST

    def extend(self, items: list[Value]) -> None:
        """Add items at the end."""
        self.count += len(items)
        room = KEPT - len(self.items)
        if room > 0:
            self.items.extend(items[:room])


@dataclass(slots=True, eq=False)
class Mapping:
    """A dict: its first entries under short texts, and whether a key can be no plain attribute's name."""

    entries: dict[str, Value] = field(default_factory=dict)
    count: int = 0
    has_odd_key: bool = False  # no text, a long one, or one of Python's own names
    is_frozen: bool = False  # something checked refers to it, so it must not change any more

    def put(self, key: Value, value: Value) -> None:
        """Set an entry; a repeated key counts twice."""
        self.count += 1
        if not isinstance(key, str) or is_dunder(key):
            self.has_odd_key = True
        if isinstance(key, str) and (key in self.entries or len(self.entries) < KEPT):
            self.entries[key] = value


def readable(text: str) -> str:
    """Return a text from a file so that it can be shown, logged and sent."""
    return text[:LONGEST_TEXT].encode("ascii", "backslashreplace").decode("ascii")


def is_dunder(name: str) -> bool:
    """Tell whether Python gives the name a meaning of its own."""
    return name.startswith("__") and name.endswith("__")


def sequence(kind: Literal["tuple", "list", "set", "frozenset"], items: list[Value]) -> Sequence:
    """Return a sequence of the items."""
    weight = 1 + sum(each.weight if isinstance(each, Sequence) else 1 for each in items)
    return Sequence(kind, items[:KEPT], len(items), min(weight, HEAVIEST + 1))


def is_light(key: Value) -> bool:
    """Tell whether hashing a key ends soon: a tuple of itself, forty times over, would take for ever."""
    return not isinstance(key, Sequence) or key.weight <= HEAVIEST
