"""Connections to PostgreSQL, embedded or any, whose schema is brought up to date at start."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

import orjson
import psycopg
from pgvector.psycopg import register_vector
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.json import set_json_loads
from psycopg_pool import ConnectionPool, PoolTimeout

from cadml.errors import DatabaseUnavailable
from cadml.features.spec import FeatureVersion
from cadml.features.versions import VERSIONS
from cadml.store.embedded import EmbeddedServer
from cadml.store.near import CANDIDATES
from cadml.store.schema import bring_up_to_date

log = logging.getLogger(__name__)
T = TypeVar("T")
PATIENCE_S = 15.0  # how long a request waits for a connection before it is told that there is none
# A search looks at this many candidates; the iterative scan goes on until the filter has left enough
# (benchmarks/search.py: recall@10 ≥ 0.99 at 200,000 vectors). They have connections of their own,
# on which a statement is planned once and for all: planning one costs as much as answering it.
SEARCH = {
    "hnsw.ef_search": str(CANDIDATES),
    "hnsw.iterative_scan": "relaxed_order",
    "hnsw.max_scan_tuples": "20000",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
}
SESSION = {"plan_cache_mode": "force_custom_plan", "jit": "off"}


class Database:
    """Pools of connections; thread-safe."""

    def __init__(
        self,
        dsn: str,
        versions: Mapping[str, FeatureVersion],
        server: EmbeddedServer | None = None,
        pool_size: int = 8,
    ) -> None:
        self.versions = versions
        self._server = server
        self._dsn = dsn
        self._pool = self._new_pool("cadml", SESSION, 1, pool_size)
        self._asking = self._new_pool("cadml-search", SEARCH, 0, pool_size)

    @classmethod
    def open(
        cls,
        settings_database_url: str | None,
        data_dir: Path,
        pool_size: int = 8,
        versions: Mapping[str, FeatureVersion] = VERSIONS,
    ) -> Self:
        """Return a database whose schema is up to date: the embedded one where no URL is given.

        Raises
        ------
        DatabaseUnavailable
            PostgreSQL does not answer, is too old, lacks pgvector, or its schema is another's.
        """
        server = None if settings_database_url else EmbeddedServer(data_dir)
        dsn = server.start() if server else str(settings_database_url)
        database = cls(dsn, versions, server, pool_size)
        try:
            with translated(), psycopg.connect(dsn, autocommit=True, connect_timeout=10) as connection:
                bring_up_to_date(connection, versions)
            database._pool.open()
            database._asking.open()
        except BaseException:
            database.close()
            raise
        return database

    @property
    def dsn(self) -> str:
        """How to reach the server; it holds a password where the URL does."""
        return self._dsn

    @property
    def address(self) -> str:
        """Where the server is, without user or password, for people."""
        fields = conninfo_to_dict(self._dsn)
        return f"{fields.get('host', 'localhost')}/{fields.get('dbname', '')}"

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[Any]]:
        """Yield a connection in one transaction: committed at the end, rolled back on an exception.

        Raises
        ------
        DatabaseUnavailable
            PostgreSQL does not answer, also after another try to start the embedded one.
        """
        with self.single() as connection, connection.transaction():
            yield connection

    @contextmanager
    def single(self) -> Iterator[psycopg.Connection[Any]]:
        """Yield a connection for one statement, which is a transaction of its own.

        Raises
        ------
        DatabaseUnavailable
            As for :meth:`connection`.
        """
        with translated():
            connection = self._take()
            try:
                yield connection
            finally:
                self._pool.putconn(connection)

    def ask(self, question: Callable[[psycopg.Connection[Any]], T]) -> T:
        """Return what ``question`` reads through a connection whose statements are planned once.

        It is not looked whether the connection still stands, which would cost a round trip: a question
        that lost its server is asked again on another one.

        Raises
        ------
        DatabaseUnavailable
            As for :meth:`connection`.
        """
        deadline = time.monotonic() + PATIENCE_S
        with translated():
            while True:
                connection = self._asking.getconn(timeout=max(deadline - time.monotonic(), 0.1))
                try:
                    return question(connection)
                except psycopg.OperationalError:
                    if not connection.broken or time.monotonic() > deadline:
                        raise
                finally:
                    self._asking.putconn(connection)

    def is_up(self) -> bool:
        """Whether PostgreSQL answers now."""
        with suppress(DatabaseUnavailable), self.single() as connection:
            connection.execute("SELECT 1")
            return True
        return False

    def close(self) -> None:
        """Give back all connections; the embedded server stops with its last user."""
        self._pool.close()
        self._asking.close()
        if self._server:
            self._server.stop()

    def _new_pool(
        self, name: str, settings: Mapping[str, str], least: int, most: int
    ) -> ConnectionPool[psycopg.Connection[Any]]:
        return ConnectionPool(
            self._conninfo,
            kwargs={"autocommit": True, "prepare_threshold": 0},
            min_size=least,
            max_size=most,
            timeout=PATIENCE_S,
            reconnect_timeout=PATIENCE_S,
            configure=partial(_configure, settings=settings),
            open=False,
            name=name,
        )

    def _take(self) -> psycopg.Connection[Any]:
        """Return a connection that answers; the pool replaces those that do not."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            connection = self._pool.getconn(timeout=max(deadline - time.monotonic(), 0.1))
            try:
                ConnectionPool.check_connection(connection)
            except psycopg.OperationalError:
                self._pool.putconn(connection)
                if time.monotonic() > deadline:
                    raise
            else:
                return connection

    def _conninfo(self) -> str:
        """Return how to connect; asked before each connection, so that a dead embedded server runs again."""
        if self._server:
            self._dsn = self._server.start()
        return self._dsn


@contextmanager
def translated() -> Iterator[None]:
    """Raise what says that PostgreSQL is away as :class:`DatabaseUnavailable`."""
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DatabaseUnavailable(f"PostgreSQL does not answer: {reason}") from error


def _configure(connection: psycopg.Connection[Any], settings: Mapping[str, str]) -> None:
    register_vector(connection)
    set_json_loads(orjson.loads, connection)
    for name, value in settings.items():
        connection.execute("SELECT set_config(%s, %s, false)", (name, value))
