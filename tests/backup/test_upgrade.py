"""A database of an earlier schema, made by the cadml of that time, is taken over by this one.

`previous/steps-NNN.tar` is a backup of a small library as that cadml left it, `.json` what its
searches answered. A release that adds steps adds such a pair; none is ever changed.
"""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cadml.backup.restoring import restore
from cadml.config import Settings
from cadml.engine import Engine
from cadml.store import dump
from cadml.store.embedded import EmbeddedServer
from cadml.store.schema import own_step_names
from programs import wait_for
from served import queue_working

PREVIOUS = Path(__file__).parent / "previous"


@pytest.fixture(scope="module")
def fresh_library(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("fresh"), extract_workers=1, metrics_enabled=False)
    with Engine(settings) as engine, psycopg.connect(engine.database.dsn) as connection:
        return laid_out(connection)


@pytest.mark.parametrize("way", ["in place", "from a backup"])
@pytest.mark.parametrize("backup", sorted(PREVIOUS.glob("*.tar")), ids=lambda path: path.stem)
def test_a_library_of_an_earlier_schema_is_taken_over(
    tmp_path: Path, backup: Path, way: str, fresh_library: Any
) -> None:
    expected = json.loads(backup.with_suffix(".json").read_text())
    settings = Settings(data_dir=tmp_path, extract_workers=1, metrics_enabled=False)
    if way == "in place":
        lay_out(backup, tmp_path)
    else:
        restore(settings, backup)
    with Engine(settings) as engine:
        with psycopg.connect(engine.database.dsn) as connection:
            steps = {name for (name,) in connection.execute("SELECT name FROM schema_steps")}
            upgraded = laid_out(connection)
        assert set(own_step_names()) <= steps
        assert upgraded == fresh_library
        assert sorted(row.name for row in engine.parts.find(limit=100).rows) == expected["parts"]
        assert answers(engine, expected["answers"]) == expected["answers"]
        assert engine.features("foreign", "v2").values.tolist() == list(range(12))
        with queue_working(engine):
            wait_for(lambda: engine.ingests.status(expected["waiting_job"]).finished is not None, 60)
        assert engine.ingests.status(expected["waiting_job"]).counts["added"] == 2


def laid_out(connection: psycopg.Connection[Any]) -> dict[str, list[Any]]:
    """Return columns, indexes and triggers of every table, whatever order they were made in."""
    asked = {
        "columns": """SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                             a.attstorage, a.attstattarget
                        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
                       WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
                         AND a.attnum > 0 AND NOT a.attisdropped""",
        "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'",
        "triggers": "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
    }
    return {what: sorted(connection.execute(query).fetchall()) for what, query in asked.items()}


def lay_out(backup: Path, data_dir: Path) -> None:
    """Make the data folder as that cadml left it: its database as it was, its blobs."""
    with tarfile.open(backup) as tar:
        tar.extractall(data_dir / "unpacked", filter="data")
    shutil.move(data_dir / "unpacked" / "blobs", data_dir / "blobs")
    (file,) = (data_dir / "unpacked").glob("*.dump")
    server = EmbeddedServer(data_dir)
    dump.restore(server.start(), file, data_dir)
    with psycopg.connect(server.dsn) as connection:
        steps = {name for (name,) in connection.execute("SELECT name FROM schema_steps")}
    server.stop()
    assert {step for step in steps if step[0].isdigit()} == {
        step for step in own_step_names() if step[:3] <= backup.stem[-3:]
    }


def answers(engine: Engine, asked: dict[str, Any]) -> dict[str, Any]:
    ids = {row.name: row.id for row in engine.parts.find(limit=100).rows}
    found = {}
    for question in asked:
        name, version = question.rsplit(" ", 1)
        hits = engine.search_part(ids[name], 5, version)
        found[question] = [[hit.name, pytest.approx(hit.distance, abs=2e-4)] for hit in hits.neighbours]
    return found
