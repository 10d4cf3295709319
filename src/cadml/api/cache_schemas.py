"""What goes into and comes out of the routes of the feature cache."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Le
from pydantic import Field, StrictInt

from cadml.api.schemas import Reply, Request


class TuningQuery(Request):
    """What the bands judge: the hit rate seen, and the settings it was seen with."""

    hit_rate: Annotated[float, Ge(0), Le(1)]
    capacity: Annotated[int, Ge(1)]
    ttl: Annotated[int, Ge(1)] = Field(description="Seconds; may be called ttl_seconds.")
    window_hours: float = Field(24, gt=0, description="Hours that the hit rate was seen for.")


class TuningReply(Reply):
    """What the bands recommend: a rule of thumb, not evidence."""

    recommended_capacity: int
    recommended_ttl: int
    confidence: float
    reasoning: list[str]
    experimental: bool


class CurvePoint(Reply):
    """The hit ratio expected at one capacity."""

    capacity: int
    hit_ratio: float


class AdviceReply(Reply):
    """What the observed re-use says; recommendations are null while there is not enough evidence."""

    status: Literal["ok", "not enough evidence"]
    reasoning: list[str]
    references: int = Field(description="Lookups watched.")
    needed: dict[str, int] = Field(description="What is missing for an answer, or for the ttl.")
    observed_seconds: float
    curve: list[CurvePoint]
    error: float | None = Field(description="Bound of the curve's hit ratios, 95 %.")
    best_hit_ratio: float | None
    recommended_capacity: int | None = Field(
        description="The smallest capacity within one point of the best reachable hit ratio."
    )
    recommended_ttl: int | None = Field(description="Seconds; null where the time watched is too short.")
    recommended_bytes: int | None
    expected_hit_ratio: float | None = Field(description="At the recommended capacity.")
    expected_now: float | None = Field(description="At the present capacity.")
    capacity: int
    ttl: int
    bytes: int
    hit_ratio: float | None


class CacheChange(Request):
    """Settings of the feature cache; what is absent stays."""

    capacity: StrictInt | None = Field(None, description="Entries.")
    ttl: StrictInt | None = Field(None, description="Seconds.")


class CacheSettings(Reply):
    """What tuning changes."""

    capacity: int
    ttl: int


class CacheReply(Reply):
    """What the feature cache holds and did since the start."""

    capacity: int
    ttl: int = Field(description="Seconds without use after which a vector leaves.")
    max_bytes: int
    size: int
    bytes: int
    hits: int
    misses: int
    evictions: int
    hit_ratio: float | None
    entry_bytes: float = Field(description="Mean memory of one entry.")
    automatic: bool = Field(description="Whether it tunes itself.")
    build: str = Field(description="The software that reads files here; part of every key.")
    rollback: CacheSettings | None = Field(description="What a rollback would restore now.")
    rollback_seconds_left: float


class PrewarmReply(Reply):
    """How many vectors were loaded from the database."""

    loaded: int
    size: int
    capacity: int


class CacheHealth(Reply):
    """Whether the feature cache and the database behind it answer."""

    status: Literal["ok", "unavailable"]
    second_tier: Literal["ok", "unavailable"] = Field(description="The database.")
    size: int
    capacity: int
    bytes: int
    max_bytes: int
    hit_ratio: float | None
