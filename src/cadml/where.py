"""Filters as people type them: ``material=steel``, ``volume=10..100``, ``project=a,b``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cadml.errors import InvalidRequest
from cadml.geometry.facts import FACTS

RANGE = ".."


def parse_where(conditions: Iterable[str]) -> dict[str, Any]:
    """Return the filters that ``key=value`` texts state; all of them must hold.

    A range ``low..high`` may leave one end open; commas separate choices. Facts have a type of
    their own; of metadata, what looks like a number or ``true``/``false`` is one, and quotes make it a text:
    ``revision="7"``.

    Raises
    ------
    InvalidRequest
        A condition has no ``=``, or its key is used twice.
    """
    filters: dict[str, Any] = {}
    for condition in conditions:
        key, equals, value = condition.partition("=")
        key = key.strip()
        if not equals or not key:
            raise InvalidRequest(
                f"{condition[:100]!r} is no condition; write key=value, key=low..high or key=a,b"
            )
        if key in filters:
            raise InvalidRequest(f"{key[:100]} is given twice; write key=low..high or key=a,b", key=key[:100])
        filters[key] = _condition(key, value.strip())
    return filters


def _condition(key: str, text: str) -> Any:
    if RANGE in text and '"' not in text:
        low, _, high = text.partition(RANGE)
        bounds = {"gte": low, "lte": high}
        found = {name: _value(key, bound.strip()) for name, bound in bounds.items() if bound.strip()}
        if not found:
            raise InvalidRequest(f"{key[:100]}: a range needs at least one end", key=key[:100])
        return found
    if "," in text and '"' not in text:
        return {"in": [_value(key, piece.strip()) for piece in text.split(",")]}
    return _value(key, text)


def _value(key: str, text: str) -> Any:
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return text[1:-1]
    if key in FACTS and FACTS[key].type is str:
        return text
    if text in {"true", "false"}:
        return text == "true"
    try:
        return int(text) if text.lstrip("+-").isdecimal() and len(text) < 16 else float(text)
    except ValueError:
        return text
