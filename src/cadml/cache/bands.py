"""Cache tuning by fixed bands: the contract's table, deterministic and free of state.

Rounding is that of Python's ``round``: exact halves go to the even neighbour (3 × 1.5 → 4,
5 × 1.5 → 8), computed in whole numbers, so no digit is lost for large capacities.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from cadml.errors import InvalidRequest

# Beyond 2⁵³ neither a JSON number nor a gauge is exact; 1.5 × this is still below it.
LARGEST = 10**15
SHORTEST_TTL = 60  # seconds; shrinking stops here
FIELDS = frozenset({"hit_rate", "capacity", "ttl", "ttl_seconds", "window_hours"})


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What the bands recommend. ``experimental``: bands are a rule of thumb, not evidence."""

    recommended_capacity: int
    recommended_ttl: int
    confidence: float
    reasoning: tuple[str, ...]
    experimental: bool = True


def recommend(
    hit_rate: object = None, capacity: object = None, ttl: object = None, window_hours: object = 24
) -> Recommendation:
    """Return the capacity and ttl (s) that the contract's table gives.

    Raises
    ------
    InvalidRequest
        A value is missing, not a number, or out of range.
    """
    rate = _number("hit_rate", hit_rate)
    if not 0 <= rate <= 1:
        raise _invalid("hit_rate", "must be from 0 to 1", hit_rate)
    entries = _whole("capacity", capacity)
    seconds = _whole("ttl", ttl)
    hours = _number("window_hours", window_hours)
    if hours <= 0:
        raise _invalid("window_hours", "must be greater than 0", window_hours)
    if rate < 0.4:
        larger = max(_times(entries, Fraction(3, 2)), entries + 1)
        why = f"low hit rate ({rate:g} < 0.4): a larger cache keeps entries until they are used again"
        return Recommendation(larger, seconds, 0.75, (why, f"capacity {entries} → {larger}, ttl unchanged"))
    if rate < 0.7:
        return _moderate(rate, entries, seconds, hours)
    if rate <= 0.85:
        why = f"hit rate {rate:g} is in the target band (0.7 to 0.85): leave capacity and ttl as they are"
        return Recommendation(entries, seconds, 0.55, (why,))
    smaller = max(_times(entries, Fraction(4, 5)), 1)
    why = f"high hit rate ({rate:g} > 0.85): a smaller cache may serve as well and frees memory"
    return Recommendation(smaller, seconds, 0.70, (why, f"capacity {entries} → {smaller}, ttl unchanged"))


def recommend_for(fields: Mapping[str, object]) -> Recommendation:
    """Return the recommendation for a request's fields; ``ttl`` may be called ``ttl_seconds``.

    Raises
    ------
    InvalidRequest
        A field is unknown, missing, given twice with different values, or invalid.
    """
    unknown = sorted(str(name) for name in fields if name not in FIELDS)
    if unknown:
        raise InvalidRequest(f"{unknown[0]} is no field of this request", field=unknown[0])
    ttl = fields.get("ttl", fields.get("ttl_seconds"))
    if "ttl" in fields and "ttl_seconds" in fields and fields["ttl"] != fields["ttl_seconds"]:
        raise _invalid("ttl", "and ttl_seconds are the same field and must not differ", ttl)
    return recommend(fields.get("hit_rate"), fields.get("capacity"), ttl, fields.get("window_hours", 24))


def _moderate(rate: float, entries: int, seconds: int, hours: float) -> Recommendation:
    if hours <= 1:
        factor, span = Fraction(1, 2), "≤ 1 h"
    elif hours <= 6:
        factor, span = Fraction(4, 5), "≤ 6 h"
    elif hours >= 24:
        factor, span = Fraction(6, 5), "≥ 24 h"
    else:
        factor, span = Fraction(1), "between 6 h and 24 h"
    wanted = _times(seconds, factor)
    if factor < 1:
        wanted = min(seconds, max(wanted, SHORTEST_TTL))
    why = f"moderate hit rate ({rate:g} in 0.4 to 0.7): capacity stays, the ttl follows the window"
    what = f"window {span}: ttl {seconds} s → {wanted} s"
    return Recommendation(entries, wanted, 0.60, (why, what))


def _times(value: int, factor: Fraction) -> int:
    return round(value * factor)


def _number(name: str, value: object) -> float:
    if value is None:
        raise InvalidRequest(f"{name} is required", field=name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _invalid(name, "must be a number", value)
    if isinstance(value, int):
        if abs(value) > LARGEST:
            raise _invalid(name, f"must not exceed {LARGEST:,}", value)
    elif not math.isfinite(value):
        raise _invalid(name, "must be a finite number", value)
    return value


def _whole(name: str, value: object) -> int:
    number = _number(name, value)
    if not isinstance(number, int):
        raise _invalid(name, "must be a whole number", value)
    if number < 1:
        raise _invalid(name, "must be greater than 0", value)
    return number


def _invalid(name: str, rule: str, given: object) -> InvalidRequest:
    # CPython refuses to print integers beyond 4,300 digits.
    huge = isinstance(given, int) and abs(given) > LARGEST
    return InvalidRequest(f"{name} {rule}", field=name, given="a huge integer" if huge else repr(given)[:80])
