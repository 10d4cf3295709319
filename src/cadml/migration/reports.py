"""What a person reads about migrations: what one would do, what is left, what happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from cadml.features.lineage import replaces
from cadml.features.versions import version
from cadml.migration.decision import STATUSES, Outcome, decide
from cadml.store.history import History, Tally
from cadml.store.migration_steps import CHUNK
from cadml.store.migrations import Migration, Migrations
from cadml.store.moves import Holding, Moves
from cadml.store.versions import Versions

CHANGED = ("migrated", "downgraded")
SPANS_S = (60.0, 900.0, 3600.0, 21_600.0, 86_400.0, 604_800.0)
MOST_SPANS = 60  # points of a trend
BYTES_PER_LINK = 2 * 16 * 6  # pgvector stores 2 m links of 6 bytes for each vector on the lowest level


class Reports:
    """Reports on one library; they change nothing."""

    def __init__(self, moves: Moves, history: History, records: Migrations, versions: Versions) -> None:
        self._moves = moves
        self._history = history
        self._records = records
        self._versions = versions

    def preview(self, target: str, limit: int) -> dict[str, Any]:
        """Return what moving every entry to ``target`` would do, in counts and for some examples."""
        length = version(target).length
        counts: Counter[str] = Counter(dict.fromkeys(STATUSES, 0))
        reasons: Counter[str] = Counter()
        origins: Counter[str] = Counter()
        deltas: Counter[int] = Counter()
        for kind, has_file, names, number in self._moves.census():
            lengths = {name: version(name).length for name in names}
            outcome = decide(Holding("", 0, "" if has_file else None, kind, lengths), target)
            counts[outcome.status] += number
            origins[outcome.from_version or "none"] += number
            if outcome.reason:
                reasons[outcome.reason] += number
            if outcome.status in CHANGED and outcome.dimension_before is not None:
                deltas[length - outcome.dimension_before] += number
        lacking, _ = self._moves.lacking(target, version(target).kinds, None, limit)
        return {
            "to_version": target,
            "dimension_after": length,
            "total": sum(counts.values()),
            "by_status": dict(counts),
            "by_reason": dict(reasons),
            "by_from_version": dict(origins),
            "by_dimension_delta": {str(delta): number for delta, number in sorted(deltas.items())},
            "examples": [decide(holding, target) for holding in lacking],
        }

    def pending(self, target: str, after: str | None, limit: int) -> dict[str, Any]:
        """Return the entries that lack ``target`` though it is for them, page by page."""
        lacking, total = self._moves.lacking(target, version(target).kinds, after, limit)
        outcomes = [decide(holding, target) for holding in lacking]
        last = lacking[-1].id if len(lacking) == limit else None
        return {"to_version": target, "total": total, "items": outcomes, "next": last}

    def plan(self, target: str, workers: int) -> dict[str, Any]:
        """Return what migrating the library to ``target`` takes, and whether it can begin."""
        now = self._versions.refresh()
        row = version(target)
        seen = self.preview(target, 0)
        to_do = seen["by_status"]["migrated"] + seen["by_status"]["downgraded"]
        speed = self._history.speed(target)
        obstacle = self._obstacle(target, now.active)
        per_vector = 4 * row.length + 2 * row.length + BYTES_PER_LINK
        return {
            "origin": now.active,
            "target": target,
            "state_of_target": now.states[target],
            "can_begin": obstacle is None,
            "obstacle": obstacle,
            "parts_to_describe": to_do,
            "parts_described_already": seen["by_status"]["skipped"],
            "parts_without_source": seen["by_reason"].get("source_unavailable", 0),
            "parts_not_described_by_it": seen["by_reason"].get("version_not_applicable", 0),
            "chunks": -(-to_do // CHUNK),
            "workers": workers,
            "parts_per_second_per_worker": speed,
            "seconds": to_do / (speed * workers) if speed else None,
            "seconds_source": "measured" if speed else "never measured here: migrate some parts first",
            "bytes": to_do * per_vector,
            "origin_can_be_retired": replaces(target, now.active),
        }

    def _obstacle(self, target: str, active: str) -> str | None:
        if target == active:
            return f"the library is searched with {target} already"
        open_ = self._records.open()
        return f"a migration to {open_.target} is {open_.state}" if open_ else None

    def status(self) -> dict[str, Any]:
        """Return how far the open migration is, or the last one."""
        now, all_ = self._versions.refresh(), self._records.all()
        latest = all_[0] if all_ else None
        failed = self._records.failures(latest.id) if latest else []
        return {
            "active_version": now.active,
            "versions": dict(now.states),
            "migration": latest and as_json(latest),
            "failures": [
                {"id": f.entry, "name": f.name, "reason": f.code, "message": f.message} for f in failed
            ],
            "earlier": [as_json(one) for one in all_[1:20]],
        }

    def summary(self) -> dict[str, Any]:
        """Return what became of everything that was ever to be moved, and what the library holds."""
        tallies = self._history.tallies(None, SPANS_S[-1])
        now = self._versions.refresh()
        stored: Counter[str] = Counter()
        entries = 0
        for _, _, names, number in self._moves.census():
            entries += number
            stored.update(dict.fromkeys(names, number))
        return {
            "active_version": now.active,
            "versions": dict(now.states),
            "entries": entries,
            "entries_by_version": dict(sorted(stored.items())),
            **totals(tallies),
            "by_target": _sums(tallies, "target"),
            "by_reason": _sums([t for t in tallies if t.reason], "reason"),
            "migrations": dict(Counter(one.state for one in self._records.all())),
        }

    def trends(self, hours: float) -> dict[str, Any]:
        """Return rates, speed and mean change of length in the last ``hours``, all from what happened."""
        span = next((s for s in SPANS_S if hours * 3600 / s <= MOST_SPANS), SPANS_S[-1])
        tallies = self._history.tallies(hours, span)
        spans = [
            {"at": at, **totals([t for t in tallies if t.at == at])} for at in sorted({t.at for t in tallies})
        ]
        overall = totals(tallies)
        velocity = overall["changed"] / hours
        return {
            "window_hours": hours,
            "span_s": span,
            **overall,
            "changed_per_hour": velocity,
            "spans": spans,
        }


def totals(tallies: Sequence[Tally]) -> dict[str, Any]:
    """Return counts by status and what follows from them; a rate of nothing is None, not 0 or 1."""
    counts = dict.fromkeys(STATUSES, 0) | _sums(tallies, "status")
    changed = sum(counts[status] for status in CHANGED)
    tried = changed + counts["error"] + counts["not_found"]
    moved = [t for t in tallies if t.status in CHANGED]
    known = [t for t in moved if t.delta is not None]
    described = [t for t in moved if t.seconds > 0]  # cutting a vector takes no worker's time
    seconds = sum(t.seconds for t in described)
    items = sum(t.items for t in known)
    return {
        "by_status": counts,
        "changed": changed,
        "success_rate": changed / tried if tried else None,
        "error_rate": counts["error"] / tried if tried else None,
        "mean_dimension_delta": sum(t.items * (t.delta or 0.0) for t in known) / items if items else None,
        "parts_per_second_per_worker": sum(t.items for t in described) / seconds if seconds else None,
    }


def _sums(tallies: Sequence[Tally], what: str) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for tally in tallies:
        sums[getattr(tally, what)] += tally.items
    return dict(sums)


def as_json(migration: Migration) -> dict[str, Any]:
    """Return a migration for people and programs: progress, speed and time left."""
    at_work = migration.state == "building" and migration.done < migration.total
    left = migration.total - migration.done
    return {
        "id": migration.id,
        "origin": migration.origin,
        "target": migration.target,
        "state": migration.state,
        "reason": migration.reason,
        "total": migration.total,
        "done": migration.done,
        "failed": migration.failed,
        "progress": migration.progress,
        "parts_per_second": migration.rate if at_work else None,
        "parts_per_second_per_worker": migration.done / migration.seconds if migration.seconds else None,
        "seconds_left": left / migration.rate if at_work and migration.rate else None,
        "most_failed": migration.most_failed,
        "least_recall": migration.least_recall,
        "checks": migration.checks,
        "created_at": migration.created_at,
        "changed_at": migration.changed_at,
        "activated_at": migration.activated_at,
    }


def counted(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Return how many outcomes have each status."""
    counts: dict[str, int] = dict.fromkeys(STATUSES, 0)
    return counts | Counter(outcome.status for outcome in outcomes)


def example(outcome: Outcome) -> dict[str, Any]:
    """Return one item's outcome as JSON."""
    return {
        "id": outcome.id,
        "status": outcome.status,
        "would": outcome.would,
        "from_version": outcome.from_version,
        "to_version": outcome.to_version,
        "dimension_before": outcome.dimension_before,
        "dimension_after": outcome.dimension_after,
        "reason": outcome.reason,
        "message": outcome.message,
    }
