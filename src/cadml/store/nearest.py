"""The one statement behind every search, in one of two plans.

*Exact*: the filter's own indexes find the candidates and all of them are compared. *Broad*: the
HNSW index yields candidates nearest first until ``k`` of them have passed the filter; should it give
up before (it looks at ``hnsw.max_scan_tuples``), or should a guide prove it wrong
(:mod:`cadml.store.near`), the same statement compares all of them instead, so no plan ever returns
fewer than exist. :mod:`cadml.store.planner` chooses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, LiteralString

from psycopg import sql

from cadml.features.spec import FeatureVersion
from cadml.store.filters import Condition
from cadml.store.near import OPERATORS, column_type, guide_table, near_table


@dataclass(frozen=True, slots=True)
class Asked:
    """What a search is asked for; ``by_id``: for stored entries instead of a given vector.

    ``breadth``: candidates to look at in the index, instead of what was chosen for the version.
    """

    version: FeatureVersion
    k: int
    condition: Condition
    max_distance: float | None
    by_id: bool = False
    breadth: int | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """A query with those of its parameters that are known already.

    ``is_plain``: whatever the values, there is one good way to answer it, so that PostgreSQL plans it
    once for a connection; planning costs as much as comparing a thousand vectors.
    """

    text: bytes
    values: Mapping[str, Any]
    is_plain: bool


BY_ID: LiteralString = """
    SELECT i.no, i.id, e.seq IS NOT NULL AS is_known, n.scaled AS query, ARRAY[e.seq] AS excluded
      FROM unnest(%(ids)s::text[]) WITH ORDINALITY AS i (id, no)
      LEFT JOIN parts e ON e.id = i.id
      LEFT JOIN {near} n ON n.seq = e.seq
"""
GIVEN: LiteralString = """
    SELECT 1 AS no, NULL::text AS id, true AS is_known, %(query)s::{kind} AS query,
           ARRAY(SELECT e.seq FROM parts e WHERE e.id = %(exclude_part)s
                 UNION ALL
                 SELECT e.seq FROM contents o JOIN parts e ON e.content = o.key
                  WHERE o.sha256 = %(exclude_sha256)s) AS excluded
"""
# Plus 0, so that the order is none that the HNSW index offers: it would not be exact.
EXACT: LiteralString = """
    SELECT p.seq, ({scaled} {operator} a.query) + 0 AS distance, true AS is_exact
      FROM {candidates} WHERE {condition} AND p.seq <> ALL (a.excluded) AND a.query IS NOT NULL AND {still}
     ORDER BY 2, 1 LIMIT {k}
"""
# The CASE hides the filter from the planner, which would else weigh the filter's own index here.
BROAD: LiteralString = """
    WITH approximate AS MATERIALIZED (
        SELECT p.seq, p.scaled {operator} a.query AS distance, false AS is_exact
          FROM {near} p WHERE p.seq <> ALL (a.excluded) AND a.query IS NOT NULL
           AND CASE WHEN {condition} THEN true END
         ORDER BY p.scaled {operator} a.query LIMIT {k}
    ), enough AS MATERIALIZED (
        SELECT count(*) >= {k} AND NOT EXISTS (
                   SELECT 1 FROM {guide} g JOIN {near} p ON p.seq = g.seq
                    WHERE g.scaled {operator} a.query < max(approximate.distance)
                      AND p.seq <> ALL (a.excluded || array_agg(approximate.seq)) AND {condition}
               ) AS yes
          FROM approximate
    )
    SELECT * FROM approximate WHERE (SELECT yes FROM enough)
    UNION ALL
    ({exact})
"""
SEARCH: LiteralString = """
WITH asked AS MATERIALIZED ({asked}){few}
SELECT a.id, a.is_known, a.query IS NOT NULL, f.is_exact,
       e.id, e.name, e.part_number, encode(c.sha256, 'hex'), f.distance, e.metadata, c.facts
  FROM asked a
  LEFT JOIN LATERAL ({found}) f ON %(max_distance)s::float8 IS NULL OR f.distance <= %(max_distance)s
  LEFT JOIN parts e ON e.seq = f.seq
  LEFT JOIN contents c ON c.key = e.content
 ORDER BY a.no, f.distance, f.seq
"""
# For many queries with one filter the candidates are found once.
FEW: LiteralString = (
    ", few AS MATERIALIZED (SELECT p.seq, {scaled} AS scaled FROM {candidates} WHERE {condition})"
)


# How many texts are kept; people ask in few forms.
MOST_TEXTS = 1000


def statement(asked: Asked, *, exact: bool) -> Statement:
    """Return the statement that answers ``asked`` in the named plan."""
    form = _Form(
        asked.version.name,
        column_type(asked.version),
        OPERATORS[asked.version.metric],
        asked.k,
        asked.condition.text,
        by_id=asked.by_id,
        joined=asked.condition.needs_parts,
        shared=exact and asked.by_id and not asked.condition.keeps_all,
        exact=exact,
    )
    values = {**asked.condition.values, "max_distance": asked.max_distance}
    return Statement(_text(form), values, is_plain=not asked.condition.needs_parts)


@dataclass(frozen=True, slots=True)
class _Form:
    """What a statement's text depends on."""

    version: str
    kind: str
    operator: LiteralString
    k: int  # part of the text, so that a plan made once knows how few are wanted
    condition: LiteralString
    by_id: bool
    joined: bool
    shared: bool  # whether many queries compare the few that one filter leaves
    exact: bool


@lru_cache(MOST_TEXTS)
def _text(form: _Form) -> bytes:
    pieces: dict[str, sql.Composable] = {
        "near": sql.Identifier(near_table(form.version)),
        "guide": sql.Identifier(guide_table(form.version)),
        "kind": sql.SQL(form.kind),
        "operator": sql.SQL(form.operator),
        "k": sql.Literal(form.k),
        "condition": sql.SQL(form.condition),
        "scaled": sql.SQL("n.scaled" if form.joined else "p.scaled"),
        "still": sql.SQL("true" if form.exact else "NOT (SELECT yes FROM enough)"),
        "few": sql.SQL(""),
    }
    candidates = sql.SQL("{near} n JOIN parts p ON p.seq = n.seq" if form.joined else "{near} p")
    pieces["candidates"] = candidates.format(**pieces)
    pieces["asked"] = sql.SQL(BY_ID if form.by_id else GIVEN).format(**pieces)
    if form.shared:
        pieces["few"] = sql.SQL(FEW).format(**pieces)
        pieces |= {
            "candidates": sql.SQL("few p"),
            "scaled": sql.SQL("p.scaled"),
            "condition": sql.SQL("true"),
        }
    pieces["exact"] = sql.SQL(EXACT).format(**pieces)
    pieces["found"] = pieces["exact"] if form.exact else sql.SQL(BROAD).format(**pieces)
    return sql.SQL(SEARCH).format(**pieces).as_bytes()
