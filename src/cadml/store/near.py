"""What searches compare: a table ``near_<version>`` with one row per entry that has such a vector.

It is derived from ``vectors`` and ``parts`` and holds what one search needs side by side: the scaled
vector and the entry's tags, because fetching each from its own table costs more than comparing
(200,000 entries, filter that keeps 2,000: 13 ms of CPU with the tags in ``parts`` alone, 6 ms so).

HNSW graphs lose whole clusters: where a family has more members than a node has links, its graph may
not be reachable from outside, whatever ``ef_search``. More links help (benchmarks/index_links.py, 100,000
near-copies of 540 real parts: recall@10 0.968 with ``m`` 16 and ``ef_construction`` 100, 0.993 with 32 and
200). For what they leave, ``near_<version>_guide`` keeps a sample of the vectors close together; a sampled
entry nearer than what the index found proves the answer wrong, and all are compared instead.

Every library keeps the short versions, and few ever search them: they get their HNSW index when
searches come to use them (:func:`cadml.store.near_index.ensure`). Without it all are compared, which
takes 14 ms of CPU for 100,000 entries instead of 0.4 ms; with it each new part takes 1 to 2 ms longer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, LiteralString

import numpy as np
import psycopg
from pgvector import HalfVector, Vector
from psycopg import sql

from cadml.errors import InvalidRequest
from cadml.features.spec import FeatureVersion, Metric

Connection = psycopg.Connection[Any]

# hnsw.ef_search at first, what the index looks at before a filter makes it look further; the default of
# feature_versions.breadth, where a better one is kept (cadml.migration.recall).
CANDIDATES = 100
SHORT = 32  # up to this length a version is compared in single precision
# Which entries are guides: one in a hundred, and fewer and fewer once there are 4,000.
IS_GUIDE: LiteralString = "NEW.seq % greatest(100, NEW.seq / 4000) = 0"
LINKS: LiteralString = "(m = 32, ef_construction = 200)"
HNSW: LiteralString = "ON {near} USING hnsw (scaled {operators}) WITH " + LINKS
TABLES: tuple[LiteralString, ...] = (
    """CREATE TABLE {near} (seq bigint PRIMARY KEY REFERENCES parts (seq) ON DELETE CASCADE,
                            tags jsonb NOT NULL, scaled {type} NOT NULL)""",
    # Inline, so that a comparison reads no second page; long tags move out instead.
    "ALTER TABLE {near} ALTER scaled SET STORAGE PLAIN",
    "CREATE INDEX {by_tags} ON {near} USING gin (tags jsonb_path_ops) WITH (fastupdate = off)",
    # A sample of 100 takes a filter that keeps 1 % for one that keeps 2 % or more one time in four.
    "ALTER TABLE {near} ALTER tags SET STATISTICS 1000",
    "CREATE TABLE {guide} (seq bigint PRIMARY KEY REFERENCES {near} (seq) ON DELETE CASCADE, scaled {type})",
    "ALTER TABLE {guide} ALTER scaled SET STORAGE PLAIN",
    """CREATE TRIGGER keep_guide AFTER INSERT ON {near} FOR EACH ROW WHEN ({is_guide})
       EXECUTE FUNCTION keep_guide()""",
)
OPERATORS: dict[Metric, LiteralString] = {Metric.L1: "<+>", Metric.L2: "<->", Metric.COSINE: "<=>"}


def near_table(version: str) -> str:
    """Return the name of the table that searches of ``version`` look at."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,30}", version):
        raise ValueError(f"{version!r} cannot name a table")
    return f"near_{version}"


def guide_table(version: str) -> str:
    """Return the name of the table with the sample of ``version``."""
    return f"{near_table(version)}_guide"


def is_short(version: FeatureVersion) -> bool:
    """Whether this version is compared in single precision, and indexed only once it is searched."""
    return version.length <= SHORT


def column_type(version: FeatureVersion) -> str:
    """Return pgvector's type of the scaled values, with their number."""
    return f"{_type(version)}({version.length})"


def create(connection: Connection, version: FeatureVersion) -> None:
    """Make the version's tables, and the index of one that is not short."""
    pieces = pieces_of(version)
    for statement in TABLES:
        connection.execute(sql.SQL(statement).format(**pieces))
    if not is_short(version):
        connection.execute(sql.SQL("CREATE INDEX {by_distance} " + HNSW).format(**pieces))


def pieces_of(version: FeatureVersion) -> dict[str, sql.Composable]:
    """Return what the statements about a version's tables and indexes are filled with."""
    return {
        "near": _table(version.name),
        "guide": sql.Identifier(guide_table(version.name)),
        "by_tags": sql.Identifier(f"{near_table(version.name)}_tags"),
        "by_distance": sql.Identifier(f"{near_table(version.name)}_hnsw"),
        "type": sql.SQL(column_type(version)),
        "operators": sql.SQL(f"{_type(version)}_{version.metric.value}_ops"),
        "is_guide": sql.SQL(IS_GUIDE),
    }


def scaled_column(version: FeatureVersion, raw: Any) -> Vector | HalfVector:
    """Return what is compared for ``raw (N,)``, in the type of the version's column.

    Raises
    ------
    DimensionMismatch
        ``raw`` has not the version's length.
    InvalidRequest
        A value is not finite, before or after scaling.
    """
    scaled = version.scaled(np.asarray(raw, dtype=np.float32))
    if not is_short(version):
        with np.errstate(over="ignore"):
            scaled = scaled.astype(np.float16)
    if scaled.ndim != 1 or not np.isfinite(scaled).all():
        raise InvalidRequest(
            f"a vector of {version.name} is out of range or not finite", version=version.name
        )
    return Vector(scaled) if is_short(version) else HalfVector(scaled)


def place(
    connection: Connection, content: int, vectors: Mapping[str, Any], versions: Mapping[str, FeatureVersion]
) -> None:
    """Let searches find every entry of a content by its raw ``vectors``."""
    for name, raw in vectors.items():
        connection.execute(
            sql.SQL(
                "INSERT INTO {} (seq, tags, scaled)"
                " SELECT seq, tags, %s FROM parts WHERE content = %s ON CONFLICT DO NOTHING"
            ).format(_table(name)),
            (scaled_column(versions[name], raw), content),
        )


def retag(connection: Connection, part_id: str, versions: Mapping[str, FeatureVersion]) -> None:
    """Bring the entry's new tags to where filters look."""
    for name in versions:
        connection.execute(
            sql.SQL("UPDATE {} n SET tags = p.tags FROM parts p WHERE p.seq = n.seq AND p.id = %s").format(
                _table(name)
            ),
            (part_id,),
        )


def _table(version: str) -> sql.Identifier:
    return sql.Identifier(near_table(version))


def _type(version: FeatureVersion) -> LiteralString:
    return "vector" if is_short(version) else "halfvec"
