"""The step that brings drift's tables, on a database that was made before it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import psycopg
from store_words import VERSIONS

from cadml.store.baselines import Baselines, Sample
from cadml.store.database import Database


def test_an_older_database_gets_the_tables_at_the_next_start(own_url: str, tmp_path: Path) -> None:
    with psycopg.connect(own_url) as connection:
        connection.execute("DROP TABLE drift_subjects, drift_baselines, drift_observations")
        connection.execute("DELETE FROM schema_steps WHERE name = '005_baselines'")
    with closing(Database.open(own_url, tmp_path, versions=VERSIONS)) as database:
        baselines = Baselines(database)
        vectors = np.arange(12, dtype=np.float32).reshape(4, 3)
        row = baselines.put("feature", "m1", Sample(vectors=vectors), origin="first")
        assert row is not None
        assert (row.number, row.size, row.active) == (1, 4, True)
        np.testing.assert_array_equal(baselines.sample("feature", "m1", 1).vectors, vectors)
        assert baselines.put("feature", "m1", Sample(vectors=vectors), origin="first") is None
        baselines.keep_score("feature", "m1", 1, 0.25)
        assert baselines.scores("feature") == {"m1": 0.25}
        baselines.begin_anew("feature", "m1")
        assert baselines.scores("feature") == {}
        assert baselines.standing("feature", "m1").active is None
        assert [each.active for each in baselines.every()] == [False]
