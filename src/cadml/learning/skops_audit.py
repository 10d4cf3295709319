"""A .skops file audited by our own list: its schema may name listed classes, in listed kinds of node.

skops trusts whatever it once reviewed of scikit-learn; here the reviewed list of the pickle scan rules
skops files, too, in every mode.
"""

from __future__ import annotations

import json
import re
from typing import Any

from cadml.errors import MalformedModel
from cadml.learning.archive import read_archive
from cadml.learning.opcodes.allowlist import Allowlist
from cadml.learning.opcodes.names import Pair
from cadml.learning.opcodes.values import is_dunder

SCHEMA = "schema.json"
_PROTOCOL = 2  # of the locked skops; older ones have nodes of their own
_ARRAY_FILE = re.compile(r"[0-9]{1,20}\.npy")
_LARGEST_SCHEMA = 32 << 20  # bytes; a forest of 500 trees writes a fifth of it
_MOST_NODES = 1_000_000
_OWN_KEYS = frozenset({"__class__", "__module__", "__loader__", "__id__", "__reduce__"})
_MARKS = ("__class__", "__module__", "__loader__")
# What skops makes of plain Python and numpy, by the node that makes it.
_PLAIN: dict[str, frozenset[Pair]] = {
    "DictNode": frozenset({("builtins", "dict"), ("sklearn.utils._bunch", "Bunch")}),
    "ListNode": frozenset({("builtins", "list")}),
    "TupleNode": frozenset({("builtins", "tuple")}),
    "SetNode": frozenset({("builtins", "set")}),
    "SliceNode": frozenset({("builtins", "slice")}),
    "BytesNode": frozenset({("builtins", "bytes")}),
    "JsonNode": frozenset({("builtins", "str")}),
    "MaskedArrayNode": frozenset({("numpy.ma", "MaskedArray")}),
    "DTypeNode": frozenset({("numpy", "dtype")}),
    "RandomStateNode": frozenset({("numpy.random.mtrand", "RandomState")}),
    "RandomGeneratorNode": frozenset({("numpy.random._generator", "Generator")}),
    "TreeNode": frozenset({("sklearn.tree._tree", "Tree")}),
}
_NUMBER = re.compile(r"ndarray|bool_?|u?int(8|16|32|64)|float(16|32|64)")


class SkopsViolationError(Exception):
    """The schema names something that no honest model names; ``pair`` is it."""


def audit_skops(data: bytes, most_bytes: int, listed: Allowlist) -> tuple[Pair, ...]:
    """Return every class and function that the file names; nothing is imported.

    Raises
    ------
    MalformedModel
        It is no strict zip file of one schema and arrays.
    SkopsViolationError
        The schema names what is not listed.
    """
    members = read_archive(data, most_bytes)
    strange = [name for name in members if name != SCHEMA and not _ARRAY_FILE.fullmatch(name)]
    if SCHEMA not in members or strange:
        raise MalformedModel(f"a skops file holds {SCHEMA} and arrays, this one also {strange[:3]}")
    if len(members[SCHEMA]) > _LARGEST_SCHEMA:
        raise MalformedModel(f"the schema is larger than {_LARGEST_SCHEMA} bytes")
    try:
        schema = json.loads(members[SCHEMA], object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise MalformedModel(f"the schema cannot be read: {error}") from error
    if not isinstance(schema, dict) or schema.get("protocol") is True or schema.get("protocol") != _PROTOCOL:
        raise SkopsViolationError(f"the schema is not of protocol {_PROTOCOL}")
    return _walk(schema, _Listed(listed))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key stands twice")
    return result


class _Listed:
    """The list, by what a node may be of."""

    def __init__(self, listed: Allowlist) -> None:
        self.known = listed
        called = {
            use.removeprefix("takes:") for uses in listed.values() for use in uses if use.startswith("takes:")
        }
        self.objects = {pair for pair, uses in listed.items() if "new:0" in uses or ".".join(pair) in called}

    def allows(self, loader: str, pair: Pair) -> bool:
        """Tell whether a node of this kind may be of this class."""
        if loader in _PLAIN:
            return pair in _PLAIN[loader]
        uses = self.known.get(pair, frozenset())
        kinds = {
            "NdArrayNode": pair[0] == "numpy" and _NUMBER.fullmatch(pair[1]) is not None,
            "TypeNode": bool(uses) or pair in _TYPES,
            "FunctionNode": uses == {"value"} and pair[0] != "builtins",
            "LossNode": bool(uses) and pair[0] in _LOSSES,
            "ObjectNode": pair in self.objects and pair[0].startswith("sklearn."),
        }
        return kinds.get(loader, False)


_LOSSES = ("sklearn._loss._loss", "sklearn.linear_model._sgd_fast")
_TYPES = frozenset(
    ("builtins", name) for name in ("str", "int", "float", "bool", "tuple", "NoneType", "list")
)


def _walk(schema: dict[str, Any], listed: _Listed) -> tuple[Pair, ...]:
    found: dict[Pair, None] = {}
    pending: list[Any] = [schema]
    count = 0
    while pending:
        each = pending.pop()
        count += 1
        if count > _MOST_NODES:
            raise SkopsViolationError("the schema grows beyond every bound of an honest model")
        if isinstance(each, list):
            pending.extend(each)
        elif isinstance(each, dict):
            _judge(each, listed, found)
            pending.extend(each.values())
    return tuple(found)


def _judge(node: dict[str, Any], listed: _Listed, found: dict[Pair, None]) -> None:
    for key in node:
        if is_dunder(key) and key not in _OWN_KEYS:
            raise SkopsViolationError(f"an attribute {key!r} has a meaning of Python's own")
    marks = [node.get(mark) for mark in _MARKS]
    if not any(mark in node for mark in _MARKS):
        return
    class_, module, loader = marks
    if not isinstance(class_, str) or not isinstance(module, str) or not isinstance(loader, str):
        raise SkopsViolationError("a node does not say what it is")
    found.setdefault((module, class_))
    if not listed.allows(loader, (module, class_)):
        raise SkopsViolationError(
            f"{module}.{class_} as a {loader} is not on the list; a bundle (ONNX) imports nothing"
        )
