"""Whether a version that was built is fit to be searched: what is measured, and what would be too little."""

from __future__ import annotations

from typing import Any

import numpy as np

from cadml.features.versions import version
from cadml.migration.recall import NEIGHBOURS, choose_breadth, search
from cadml.store.database import Database
from cadml.store.migrations import Migration
from cadml.store.parity import parity, sample
from cadml.store.vectors import Found, Vectors

SAMPLE = 100
LEAST_RECALL = 0.95
EXAMPLES = 5  # parts whose old and new neighbours a person is shown


def check(database: Database, vectors: Vectors, migration: Migration) -> tuple[dict[str, Any], list[str]]:
    """Return what was measured of the migration's target, and what is wrong with it."""
    counts = parity(database, migration.id, migration.target, version(migration.target).kinds)
    drawn = sample(database, migration.target, SAMPLE)
    chosen = choose_breadth(vectors, [entry for entry, _ in drawn], migration.target)
    recall = chosen.recall
    wrong = [
        f"{number} {what}"
        for number, what in (
            (counts.missing, "parts are not described"),
            (counts.unplaced, "entries would not be found"),
            (counts.not_finite, "vectors hold a number that is not finite"),
            (counts.wrong_length, "vectors have a wrong length"),
        )
        if number
    ]
    if recall is not None and recall < migration.least_recall:
        wrong.append(f"recall@{NEIGHBOURS} is {recall:.3f}, at least {migration.least_recall:g} is asked for")
    report = {
        "contents": counts.contents,
        "vectors": counts.vectors,
        "missing": counts.missing,
        "unplaced": counts.unplaced,
        "not_finite": counts.not_finite,
        "wrong_length": counts.wrong_length,
        "sample": len(chosen.found),
        f"recall_at_{NEIGHBOURS}": recall,
        "breadth": chosen.breadth,
        "recall_by_breadth": {str(breadth): value for breadth, value in chosen.recalls.items()},
        **_overlap(vectors, dict(drawn), chosen.found, migration.origin),
    }
    return report, wrong


def _overlap(vectors: Vectors, names: dict[str, str], found: dict[str, Found], origin: str) -> dict[str, Any]:
    """Return how much the new neighbours are the old ones; a person judges which are better."""
    before = search(vectors, list(found), origin)
    shares = {}
    for entry, old in before.items():
        was, now = ([n.part_id for n in each.neighbours] for each in (old, found[entry]))
        if was:
            shares[entry] = len(set(was) & set(now)) / len(was)
    examples = [
        {
            "id": entry,
            "name": names[entry],
            "overlap": shares[entry],
            "before": [n.name for n in before[entry].neighbours],
            "after": [n.name for n in found[entry].neighbours],
        }
        for entry in sorted(shares, key=lambda one: shares[one])[:EXAMPLES]
    ]
    mean = float(np.mean(list(shares.values()))) if shares else None
    return {f"overlap_at_{NEIGHBOURS}": mean, "least_alike": examples}
