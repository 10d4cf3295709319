"""What moving an entry to a feature version means for it, from what it holds alone."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

from cadml.errors import CadmlError, PartNotFound, SourceUnavailable, VersionNotApplicable
from cadml.features.lineage import is_head
from cadml.features.versions import VERSIONS, version
from cadml.store.moves import Holding

Status = Literal["migrated", "downgraded", "skipped", "dry_run", "not_found", "error"]
STATUSES: tuple[Status, ...] = ("migrated", "downgraded", "skipped", "dry_run", "not_found", "error")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one entry, or would; ``reason`` is an error's code in lower case."""

    id: str
    status: Status
    from_version: str | None
    to_version: str
    dimension_before: int | None = None
    dimension_after: int | None = None
    reason: str | None = None
    message: str | None = None
    would: Status | None = None  # what a dry run stands for
    seconds: float = 0.0

    def failed(self, error: CadmlError) -> Outcome:
        """Return the outcome with this error instead."""
        status: Status = "not_found" if isinstance(error, PartNotFound) else "error"
        return replace(
            self, status=status, dimension_after=None, reason=error.code.lower(), message=error.message
        )


def not_found(entry_id: str, target: str) -> Outcome:
    """Return the outcome for an id that nothing has."""
    return Outcome(entry_id, "not_found", None, target).failed(
        PartNotFound(f"no part or vector has the id {entry_id}")
    )


def decide(holding: Holding, target: str) -> Outcome:
    """Return what moving ``holding`` to ``target`` does.

    It moves from the longest version of the target's own line (versions of which one begins with
    the other), else from the latest that it has. Down its line a vector is cut; everything else is
    described again from the stored part.
    """
    origin = _origin(holding, target)
    before = holding.lengths[origin] if origin else None
    planned = Outcome(holding.id, "migrated", origin, target, before, version(target).length)
    if origin == target:
        return replace(planned, status="skipped")
    if origin is not None and is_head(target, origin):
        return replace(planned, status="downgraded")
    if holding.sha256 is None:
        return planned.failed(
            SourceUnavailable(f"{holding.id} was described elsewhere: {target} cannot be made from {origin}")
        )
    if holding.kind not in version(target).kinds:
        return planned.failed(VersionNotApplicable(f"{target} does not describe a {holding.kind}"))
    return planned


def dropped(holding: Holding, target: str) -> list[str]:
    """Return the versions whose vectors go when ``holding`` is cut to ``target``."""
    return [name for name in holding.lengths if is_head(target, name)]


def described_with(target: str, kept: Collection[str], holding: Holding) -> tuple[str, ...]:
    """Return ``target`` and the shorter ones of its line that the library keeps but ``holding`` lacks."""
    heads = [name for name in VERSIONS if is_head(name, target) and name in kept]
    return (*(name for name in heads if name not in holding.lengths), target)


def _origin(holding: Holding, target: str) -> str | None:
    stored = [name for name in VERSIONS if name in holding.lengths]
    line = [n for n in stored if n == target or is_head(n, target) or is_head(target, n)]
    longest = max(line, key=lambda name: version(name).length, default=None)
    return longest or (stored[-1] if stored else None)
