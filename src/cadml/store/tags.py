"""What can be filtered and sorted by: the facts of a content and the metadata of an entry."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, LiteralString

from cadml.errors import InvalidRequest
from cadml.geometry.facts import FACTS

ENTRY_FIELDS: dict[str, type] = {"name": str, "part_number": str}
# The JSON type of every name that a filter may use without its being metadata.
TYPED: dict[str, type] = {name: fact.type for name, fact in FACTS.items()} | ENTRY_FIELDS
RESERVED = TYPED.keys()

# Facts with an index for ranges and sorting: tags holds each of them, null where the part has none
# (sql/001_library.sql).
INDEXED: tuple[LiteralString, ...] = (
    "width",
    "height",
    "depth",
    "diagonal",
    "area",
    "volume",
    "solids",
    "faces",
    "triangles",
    "entities",
)

MOST_KEYS = 100
LONGEST_KEY = 100
LONGEST_TEXT = 2000
LEAST_INTEGER, MOST_INTEGER = -(1 << 63), (1 << 63) - 1


def check_metadata(metadata: Mapping[str, Any], *, removals: bool = False) -> None:
    """Refuse metadata that could not be stored and filtered; None values only as ``removals``.

    Raises
    ------
    InvalidRequest
        A key is reserved, empty or too long; a value is no plain, finite JSON scalar.
    """
    if len(metadata) > MOST_KEYS:
        raise InvalidRequest(
            f"metadata has {len(metadata)} keys; {MOST_KEYS} are allowed", keys=len(metadata)
        )
    for key, value in metadata.items():
        if key in RESERVED:
            raise InvalidRequest(f"{key} is a field of cadml's own and cannot be a metadata key", key=key)
        check_text(key, "a metadata key", LONGEST_KEY)
        if value is None and removals:
            continue
        check_scalar(key, value)


def check_scalar(key: str, value: Any) -> None:
    """Refuse a value that is no text, finite number or truth value, or that JSON readers cannot keep.

    Raises
    ------
    InvalidRequest
        It is something else.
    """
    if isinstance(value, str):
        check_text(value, key, LONGEST_TEXT, empty=True)
    elif not isinstance(value, int | float):
        raise InvalidRequest(f"{key} must be a text, a number or a truth value", key=key)
    elif isinstance(value, int) and not LEAST_INTEGER <= value <= MOST_INTEGER:
        raise InvalidRequest(f"{key} is an integer of more than 64 bits", key=key)
    elif not math.isfinite(value):
        raise InvalidRequest(f"{key} must be a finite number", key=key)


def check_text(text: Any, what: str, longest: int, *, empty: bool = False) -> None:
    """Refuse a text that is too long or that PostgreSQL cannot hold.

    Raises
    ------
    InvalidRequest
        It is no text, empty, too long, or holds a NUL or half a surrogate pair.
    """
    if not isinstance(text, str) or not (text or empty):
        raise InvalidRequest(f"{what} must be a text that is not empty")
    if len(text) > longest:
        raise InvalidRequest(f"{what} is longer than {longest} characters", length=len(text))
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidRequest(f"{what} holds a character that cannot be stored")
