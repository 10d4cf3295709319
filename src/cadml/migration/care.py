"""How well the search indexes are: size, dead rows, recall on a sample, and what to do about each."""

from __future__ import annotations

from dataclasses import dataclass

from cadml.migration.checks import LEAST_RECALL
from cadml.migration.recall import GOOD_RECALL, Choice, choose_breadth, measured_recall
from cadml.store import near_index
from cadml.store.database import Database
from cadml.store.migrations import Migrations
from cadml.store.near import near_table
from cadml.store.near_index import IndexState
from cadml.store.parity import sample
from cadml.store.vectors import Vectors

MOST_DEAD = 0.2  # share of rows: beyond it every search reads many that it throws away
FEW_DEAD = 1000  # in a small table autovacuum does not even begin


@dataclass(frozen=True, slots=True)
class Care:
    """A kept version's index; ``recall`` is None where nothing was searched, ``advice`` where all is well."""

    version: str
    state: IndexState
    sampled: int
    recall: float | None
    advice: str | None


def examine_indexes(database: Database, sample: int) -> list[Care]:
    """Return how well the index of each version that the library keeps is, by ``sample`` searches each."""
    vectors = Vectors(database)
    kept = Migrations(database).kept()
    found = []
    for name, state in near_index.states(database).items():
        if name not in kept:
            continue
        sampled, recall = (
            (0, None) if state.index_bytes is None else measured_recall(database, vectors, name, sample)
        )
        found.append(Care(name, state, sampled, recall, _advice(name, state, recall)))
    return found


def tune_searches(database: Database, size: int) -> dict[str, Choice]:
    """Choose anew how far searches look through each index, by ``size`` searches of each breadth.

    An index that is missing is built, and one whose recall is good at no breadth is built anew, while
    others search.
    """
    vectors = Vectors(database)
    kept = Migrations(database).kept()
    chosen = {}
    for name, state in near_index.states(database).items():
        if name not in kept or not (state.expected or state.index_bytes):
            continue
        ids = [entry for entry, _ in sample(database, name, size)]
        if state.index_bytes is None:
            with database.single() as connection:
                near_index.build(connection, database.versions[name])
        choice = choose_breadth(vectors, ids, name)
        if choice.recall is not None and choice.recall < GOOD_RECALL:
            with database.single() as connection:
                near_index.rebuild(connection, database.versions[name])
            choice = choose_breadth(vectors, ids, name)
        if choice.recall is not None:
            chosen[name] = choice
            near_index.set_breadth(database, name, choice.breadth)
    return chosen


def _advice(name: str, state: IndexState, recall: float | None) -> str | None:
    if state.expected and state.index_bytes is None:
        return "no valid index, so searches compare everything: `cadml doctor --tune-searches` builds it"
    if recall is not None and recall < LEAST_RECALL:
        return "recall is low: `cadml doctor --tune-searches` looks further, or builds the index anew"
    if state.dead > FEW_DEAD and state.dead_share > MOST_DEAD:
        return f"{state.dead_share:.0%} of its rows are dead: `VACUUM ANALYZE {near_table(name)}`"
    return None
