"""Recall of searches through an index against exact ones, and how far they look, chosen from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cadml.store.database import Database
from cadml.store.parity import sample
from cadml.store.vectors import Found, Vectors

NEIGHBOURS = 10
AT_ONCE = 10  # searches in one statement
BREADTHS = (100, 200, 400, 800)  # each costs about twice the one before; pgvector's limit is 1000
GOOD_RECALL = 0.99


@dataclass(frozen=True, slots=True)
class Choice:
    """A breadth, the recall@10 of each that was tried, and what searches with the chosen one found."""

    breadth: int
    recalls: dict[int, float | None]
    found: dict[str, Found]

    @property
    def recall(self) -> float | None:
        """That of the chosen one; None: nothing could be searched."""
        return self.recalls[self.breadth]


def choose_breadth(vectors: Vectors, ids: Sequence[str], name: str) -> Choice:
    """Return the smallest of ``BREADTHS`` whose recall is good; where none is, the smallest of the best."""
    exact = search(vectors, ids, name, exact=True)
    recalls: dict[int, float | None] = {}
    answers = {}
    for breadth in BREADTHS:
        answers[breadth] = search(vectors, ids, name, breadth=breadth)
        recall = recalls[breadth] = recall_at(answers[breadth], exact)
        if recall is None or recall >= GOOD_RECALL:
            break
    best = max(recalls, key=lambda breadth: (recalls[breadth] or 0.0, -breadth))
    return Choice(best, recalls, answers[best])


def measured_recall(database: Database, vectors: Vectors, name: str, size: int) -> tuple[int, float | None]:
    """Return over how many entries recall@10 of searches by version ``name`` was measured, and the recall."""
    ids = [entry for entry, _ in sample(database, name, size)]
    found = search(vectors, ids, name)
    return len(found), recall_at(found, search(vectors, ids, name, exact=True))


def recall_at(found: dict[str, Found], exact: dict[str, Found]) -> float | None:
    """Return the share of the true nearest that searches return; None: nothing could be searched.

    What lies as near as the last true neighbour counts as one: equal parts have no order.
    """
    shares = []
    for entry, true in exact.items():
        if not true.neighbours or entry not in found:
            continue
        farthest = true.neighbours[-1].distance
        near = [n for n in found[entry].neighbours if n.distance <= farthest + 1e-5 * max(1.0, farthest)]
        shares.append(min(1.0, len(near) / len(true.neighbours)))
    return float(np.mean(shares)) if shares else None


def search(
    vectors: Vectors, ids: Sequence[str], name: str, *, exact: bool = False, breadth: int | None = None
) -> dict[str, Found]:
    """Return the neighbours of each entry that has a vector of version ``name``."""
    answers: dict[str, Found] = {}
    for begin in range(0, len(ids), AT_ONCE):
        some = vectors.search_many(
            ids[begin : begin + AT_ONCE], name, NEIGHBOURS, exact=exact, breadth=breadth
        )
        answers |= {entry: found for entry, found in some.items() if isinstance(found, Found)}
    return answers
