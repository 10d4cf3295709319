from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from store_words import VERSIONS

from cadml.errors import DatabaseUnavailable
from cadml.store.database import Database
from cadml.store.embedded import _holders
from cadml.store.schema import _own_steps

OPEN = """
import sys
from pathlib import Path
from cadml.store.database import Database
Database.open(sys.argv[1], Path(sys.argv[2])).close()
"""


def test_two_processes_may_bring_one_database_up_to_date_at_once(bare_url: str, tmp_path: Path) -> None:
    words = [sys.executable, "-c", OPEN, bare_url, str(tmp_path)]
    both = [subprocess.Popen(words, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [(process.communicate()[1], process.returncode) for process in both] == [("", 0), ("", 0)]
    with psycopg.connect(bare_url) as connection:
        steps = {name for (name,) in connection.execute("SELECT name FROM schema_steps")}
        applied = connection.execute(
            "SELECT to_regclass('parts'), to_regclass('procrastinate_jobs')"
        ).fetchone()
    assert {step.name for step in _own_steps()} | {"procrastinate"} <= steps
    assert applied == ("parts", "procrastinate_jobs")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ("UPDATE schema_steps SET checksum = 'x' WHERE name = '001_library'", "001_library is not the one"),
        ("INSERT INTO schema_steps VALUES ('999_later', 'x')", "made by a newer cadml"),
        ("UPDATE feature_versions SET recipe = 'x' WHERE name = 'm1'", "feature version m1 is not the one"),
        (
            "UPDATE pg_extension SET extversion = '0.8.1' WHERE extname = 'vector'",
            "pgvector 0.8.1 is too old",
        ),
    ],
)
def test_a_database_of_another_release_is_refused(
    own_url: str, tmp_path: Path, spoil: str, message: str
) -> None:
    with psycopg.connect(own_url) as connection:
        connection.execute(spoil)  # type: ignore[arg-type]
    with pytest.raises(DatabaseUnavailable, match=message):
        Database.open(own_url, tmp_path, versions=VERSIONS)


def test_a_released_version_may_not_change_its_scaling(own_url: str, tmp_path: Path) -> None:
    changed = replace(VERSIONS["m1"], weight=VERSIONS["m1"].weight * 2)
    with pytest.raises(DatabaseUnavailable, match="m1"):
        Database.open(own_url, tmp_path, versions={"m1": changed})


def test_a_further_version_is_added_to_a_database_in_use(own_url: str, tmp_path: Path) -> None:
    later = replace(VERSIONS["m1"], name="m9")
    Database.open(own_url, tmp_path, versions={**VERSIONS, "m9": later}).close()
    with psycopg.connect(own_url) as connection:
        row = connection.execute("SELECT count(*) FROM pg_indexes WHERE tablename = 'near_m9'").fetchone()
    assert row == (3,)


def test_an_exception_undoes_the_transaction(database: Database) -> None:
    def fail() -> None:
        with database.connection() as connection:
            connection.execute("INSERT INTO contents DEFAULT VALUES")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.single() as connection:
        assert connection.execute("SELECT count(*) FROM contents").fetchone() == (0,)


def test_no_server_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match="PostgreSQL does not answer") as caught:
        Database.open("postgresql://127.0.0.1:1/nothing", tmp_path, versions={})
    assert "\n" not in caught.value.message


def test_connections_survive_the_death_of_the_embedded_server(tmp_path: Path) -> None:
    def ask(_: int) -> Any:
        # A backend that was just born outlives its postmaster for a moment; what it was asked then is lost.
        deadline = time.monotonic() + 60
        while True:
            try:
                with database.single() as connection:
                    return connection.execute("SELECT 1").fetchone()
            except DatabaseUnavailable:
                if time.monotonic() > deadline:
                    raise

    with closing(Database.open(None, tmp_path, versions={})) as database:
        for _ in range(2):
            for pid in list(_holders(tmp_path / "locks" / "alive")):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with ThreadPoolExecutor(6) as threads:
                assert list(threads.map(ask, range(6))) == [(1,)] * 6
            assert database.is_up()


def test_a_question_that_lost_its_server_is_asked_again(tmp_path: Path) -> None:
    database = Database.open(None, tmp_path, versions={})
    assert database._server is not None
    asked: list[int] = []

    def question(connection: psycopg.Connection[Any]) -> Any:
        asked.append(connection.info.backend_pid)
        if len(asked) == 1:
            os.kill(asked[0], signal.SIGTERM)
        return connection.execute("SELECT pg_sleep(0.2), 1").fetchone()

    assert database.ask(question) == ("", 1)
    assert len(asked) == len(set(asked)) == 2
    pid = database._server._installation.postmaster_pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert database.ask(lambda connection: connection.execute("SELECT 1").fetchone()) == (1,)
    with pytest.raises(psycopg.errors.UndefinedTable):  # the question's own mistake
        database.ask(lambda connection: connection.execute("SELECT 1 FROM nothing"))
    database.close()


def test_a_transaction_that_lost_its_server_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    database = Database.open(None, tmp_path, versions={})
    assert database._server is not None
    pid = database._server._installation.postmaster_pid()
    assert pid is not None

    def lose() -> None:
        with database.connection() as connection:
            connection.execute("INSERT INTO contents DEFAULT VALUES")
            os.kill(pid, signal.SIGKILL)
            while True:
                connection.execute("SELECT pg_sleep(0.05)")

    with pytest.raises(DatabaseUnavailable):
        lose()
    with database.single() as connection:
        assert connection.execute("SELECT count(*) FROM contents").fetchone() == (0,)
    database.close()
