"""Bodies of ``/vectors/migrate``: what goes in and what comes out."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, Len
from pydantic import AliasChoices, Field, FiniteFloat

from cadml.api.schemas import MOST_IDS, Identity, Reply, Request

Version = Annotated[str, Field(min_length=1, max_length=40, description="Feature version.")]
Share = Annotated[FiniteFloat, Ge(0), Le(1)]
Status = Literal["migrated", "downgraded", "skipped", "dry_run", "not_found", "error"]
State = Literal["planned", "building", "checking", "ready", "active", "retired", "failed", "cancelled"]


class Move(Request):
    """Parts and registered vectors that should go to another feature version."""

    ids: Annotated[list[Identity], Len(1, MOST_IDS)] = Field(
        validation_alias=AliasChoices("ids", "items"), description="Of parts or registered vectors."
    )
    to_version: Version
    dry_run: bool = Field(default=False, description="Say what would be done, and change nothing.")


class Run(Request):
    """A migration of the whole library."""

    to_version: Version
    most_failed: Share = Field(0.01, description="Share of parts that may fail; with more it is refused.")
    least_recall: Share = Field(0.95, description="Recall@10 that searches must reach.")


class MoveItem(Reply):
    """What became of one id, or would."""

    id: str
    status: Status
    would: Literal["migrated", "downgraded"] | None = Field(description="What a dry run stands for.")
    from_version: str | None
    to_version: str
    dimension_before: int | None
    dimension_after: int | None
    reason: str | None = Field(description="An error's code in lower case, such as source_unavailable.")
    message: str | None


class MoveReply(Reply):
    """What became of each id, in their order."""

    to_version: str
    dry_run: bool
    counts: dict[Status, int]
    items: list[MoveItem]


class PreviewReply(Reply):
    """What moving every entry would do."""

    to_version: str
    dimension_after: int
    total: int
    by_status: dict[Status, int]
    by_reason: dict[str, int]
    by_from_version: dict[str, int]
    by_dimension_delta: dict[str, int]
    examples: list[MoveItem]


class PendingReply(Reply):
    """Entries that lack a version, page by page."""

    to_version: str
    total: int
    items: list[MoveItem]
    next: str | None = Field(description="Give this as `after` to get the next page; null on the last.")


class PlanReply(Reply):
    """What a migration of the library takes."""

    origin: str
    target: str
    state_of_target: Literal["absent", "building", "kept"]
    can_begin: bool
    obstacle: str | None
    parts_to_describe: int
    parts_described_already: int
    parts_without_source: int
    parts_not_described_by_it: int
    chunks: int
    workers: int = Field(description="Extraction processes of this service.")
    parts_per_second_per_worker: float | None
    seconds: float | None = Field(description="With this service's workers; null where nothing was measured.")
    seconds_source: str
    bytes: int = Field(description="Of the database, about.")
    origin_can_be_retired: bool


class MigrationReply(Reply):
    """One migration of the library."""

    id: str
    origin: str
    target: str
    state: State
    reason: str | None
    total: int
    done: int
    failed: int
    progress: float
    parts_per_second: float | None = Field(description="All workers, in the last minute.")
    parts_per_second_per_worker: float | None
    seconds_left: float | None
    most_failed: float
    least_recall: float
    checks: dict[str, Any] | None
    created_at: datetime
    changed_at: datetime
    activated_at: datetime | None


class FailureReply(Reply):
    """A part that could not be described."""

    id: str | None
    name: str | None
    reason: str
    message: str


class StatusReply(Reply):
    """How far the open migration is, or the last one."""

    active_version: str
    versions: dict[str, Literal["absent", "building", "kept"]]
    migration: MigrationReply | None
    failures: list[FailureReply]
    earlier: list[MigrationReply]


class Totals(Reply):
    """Counts and what follows from them; a rate of nothing is null."""

    by_status: dict[Status, int]
    changed: int
    success_rate: float | None
    error_rate: float | None
    mean_dimension_delta: float | None
    parts_per_second_per_worker: float | None


class SummaryReply(Totals):
    """What became of everything that was to be moved, and what the library holds."""

    active_version: str
    versions: dict[str, Literal["absent", "building", "kept"]]
    entries: int
    entries_by_version: dict[str, int]
    by_target: dict[str, int]
    by_reason: dict[str, int]
    migrations: dict[State, int]


class Span(Totals):
    """What happened in one span of time."""

    at: datetime


class TrendsReply(Totals):
    """What happened lately."""

    window_hours: float
    span_s: float
    changed_per_hour: float
    spans: list[Span]
