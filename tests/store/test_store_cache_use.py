"""Uses of cached vectors in the database, and the step that brings their table."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import psycopg
from store_words import VERSIONS

from cadml.store.cache_use import CacheUse
from cadml.store.database import Database


def test_a_database_of_the_first_step_gets_the_table_at_the_next_start(
    database_url: str, tmp_path: Path
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("DROP TABLE cache_use")
        connection.execute("DROP FUNCTION halved")
        connection.execute("DELETE FROM schema_steps WHERE name = '002_cache_use'")
    with closing(Database.open(database_url, tmp_path, versions=VERSIONS)) as database:
        uses = CacheUse(database)
        uses.add([])
        uses.add([("ab" * 32, "m1", "build", 3)])  # of content that is gone
        assert list(uses.most_used(10)) == []
