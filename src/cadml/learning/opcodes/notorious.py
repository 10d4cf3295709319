"""What runs, loads, fetches or reaches through: the blocklist, and what the guard's own test calls.

The words stand in ``notorious.json``: ``packages`` whose import from a model file is an attack whatever
the name, ``names`` that are an attack in whatever package they stand, and ``reaches``: what runs its
first argument or a command inside it, or reaches what does.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from cadml.learning.opcodes.names import ARRAY_WRAPPER, Pair

_WORDS: dict[str, Any] = json.loads(
    (files("cadml.learning.opcodes") / "notorious.json").read_text(encoding="utf-8")
)
PACKAGES: frozenset[str] = frozenset(" ".join(_WORDS["packages"]).split())
NAMES: frozenset[str] = frozenset(" ".join(_WORDS["names"]).split())
REACHES: tuple[Pair, ...] = tuple(
    (module, name) for module, names in _WORDS["reaches"].items() for name in names.split()
)
_PLAIN = "bool bytearray bytes complex dict float frozenset int list object range set slice str tuple"
_RANDOM = "__bit_generator_ctor __generator_ctor __randomstate_ctor"
# What pickles of honest models need of the packages above.
HARMLESS: frozenset[Pair] = frozenset(
    {
        ARRAY_WRAPPER,
        *(("builtins", name) for name in _PLAIN.split()),
        *(("numpy.random._pickle", name) for name in _RANDOM.split()),
    }
)
