"""One embedded PostgreSQL for all tests of the store, and an empty database of it for each."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from store_words import VERSIONS

from cadml.store.database import Database
from cadml.store.embedded import EmbeddedServer

NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("store") / ("a folder with spaces and a long name " * 5)
    server = EmbeddedServer(folder)
    yield server.start()
    server.stop()


@pytest.fixture
def bare_url(server_url: str) -> Iterator[str]:
    """A database without anything in it."""
    yield from _database(server_url, "template1")


@pytest.fixture(scope="session")
def template(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE prepared")
    url = make_conninfo(server_url, dbname="prepared")
    Database.open(url, tmp_path_factory.mktemp("unused"), versions=VERSIONS).close()
    return "prepared"


@pytest.fixture
def own_url(server_url: str, template: str) -> Iterator[str]:
    """A database of the test's own, its schema up to date, to be spoiled."""
    yield from _database(server_url, template)


@pytest.fixture(scope="session")
def shared_url(server_url: str, template: str) -> Iterator[str]:
    yield from _database(server_url, template)


@pytest.fixture
def database_url(shared_url: str) -> str:
    """A database, its schema up to date, with nothing in it."""
    with psycopg.connect(shared_url) as connection:
        connection.execute(
            "TRUNCATE contents, parts, reader_failures, ingest_jobs, procrastinate_jobs,"
            " procrastinate_workers RESTART IDENTITY CASCADE"
        )
    return shared_url


@pytest.fixture(scope="module")
def module_url(server_url: str, template: str) -> Iterator[str]:
    """A database for the tests of a module that only read."""
    yield from _database(server_url, template)


@pytest.fixture
def database(database_url: str, tmp_path: Path) -> Iterator[Database]:
    database = Database.open(database_url, tmp_path, versions=VERSIONS)
    yield database
    database.close()


def _database(server_url: str, template: str) -> Iterator[str]:
    name = f"test{next(NUMBERS)}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")  # type: ignore[arg-type]
        yield make_conninfo(server_url, dbname=name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]
