"""A private PostgreSQL with pgvector in the data folder, from the binaries of a wheel.

All cadml processes on one data folder share one server. Three lock files hold this together
(kernel locks, so that a killed process leaves nothing behind):

``users``
    Shared by every process that uses the server; :mod:`cadml.store.keeper` stops the server
    once it can have this lock alone.
``start``
    Held while somebody looks whether a server runs and starts one.
``alive``
    Inherited by every process of the server: locked means that a server, or a remainder of
    one, still runs on the folder.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import psycopg
from psycopg.conninfo import make_conninfo

from cadml.errors import DatabaseUnavailable
from cadml.store import keeper
from cadml.store.installation import Installation

START_TIMEOUT_S = 120.0  # includes replaying the log after a crash
STOP_TIMEOUT_S = 60.0
REMAINDER_TIMEOUT_S = 3.0  # what a dead postmaster's children get to notice its end
PORT = 5432  # names the socket file; nothing listens on the network


class EmbeddedServer:
    """One process's use of the data folder's server; thread-safe."""

    def __init__(self, data_dir: Path) -> None:
        data_dir = data_dir.expanduser().resolve()
        data_dir.mkdir(parents=True, exist_ok=True)
        self._installation = Installation(data_dir)
        self._locks = data_dir / "locks"
        self._locks.mkdir(exist_ok=True)
        self._users: IO[str] | None = None
        self._mutex = threading.Lock()

    @property
    def dsn(self) -> str:
        """How to reach the server while it runs."""
        return make_conninfo(
            host=str(self._installation.socket_dir),
            port=PORT,
            user="cadml",
            dbname="postgres",
            connect_timeout=10,
        )

    def start(self) -> str:
        """Return the DSN of a server that answers: adopted, restarted or newly started.

        Raises
        ------
        DatabaseUnavailable
            The server does not start; the message quotes its last log line.
        """
        with self._mutex:
            self._join()
            with self._held("start"):
                if not self._answers():
                    self._launch()
            return self.dsn

    def stop(self) -> None:
        """Leave; the last one out stops the server."""
        with self._mutex:
            if self._users is None:
                return
            users, self._users = self._users, None
            with users:
                try:
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return  # others stay; should they be leaving at this moment, the keeper stops the server
                self._stop_server()

    def _join(self) -> None:
        if self._users is None:
            users = (self._locks / "users").open("a")
            fcntl.flock(users, fcntl.LOCK_SH)  # waits while a server is being stopped
            self._users = users

    @contextmanager
    def _held(self, name: str) -> Iterator[IO[str]]:
        with (self._locks / name).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield lock

    def _answers(self) -> bool:
        """Whether a server takes connections; waits for one that is still recovering."""
        if self._installation.socket_dir is None:
            return False
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                psycopg.connect(self.dsn).close()
            except psycopg.OperationalError as error:
                starting = "starting up" in str(error) or "recovery" in str(error)
                if not starting or time.monotonic() > deadline:
                    return False
                time.sleep(0.05)
            else:
                return True

    def _launch(self) -> None:
        with (self._locks / "alive").open("a") as alive:
            self._claim(alive)
            self._installation.prepare()
            with self._installation.log.open("a") as log:
                subprocess.run(  # noqa: S603  # our own interpreter and script
                    [
                        *(sys.executable, "-I", "-S", keeper.__file__),
                        *(
                            str(self._locks / "users"),
                            str(alive.fileno()),
                            *self._installation.server_command(PORT),
                        ),
                    ],
                    cwd="/",
                    env=self._installation.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=[alive.fileno()],
                    start_new_session=True,  # Ctrl-C in a terminal must not reach the server
                    check=True,
                )
        self._await_ready()

    def _claim(self, alive: IO[str]) -> None:
        """Lock ``alive``, which no remainder of an older server may hold."""
        patience = time.monotonic() + REMAINDER_TIMEOUT_S
        deadline = patience + STOP_TIMEOUT_S
        while not _try_lock(alive):
            if time.monotonic() > deadline:
                raise DatabaseUnavailable("an older PostgreSQL on this data folder does not end")
            if time.monotonic() > patience:
                holders = list(_holders(self._locks / "alive"))
                if self._installation.postmaster_pid() in holders:
                    raise DatabaseUnavailable("the embedded PostgreSQL runs, but takes no connection now")
                # A busy backend does not notice that its postmaster was killed; recovery is safe without it.
                for pid in holders:
                    _signal(pid, signal.SIGKILL)
            time.sleep(0.05)

    def _await_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._answers():
                return
            with (self._locks / "alive").open("a") as alive:
                if _try_lock(alive):
                    break
            time.sleep(0.02)
        raise DatabaseUnavailable(
            f"the embedded PostgreSQL did not start: {self._installation.last_words()}",
            log=str(self._installation.log),
        )

    def _stop_server(self) -> None:
        deadline = time.monotonic() + STOP_TIMEOUT_S
        with (self._locks / "alive").open("a") as alive:
            if _try_lock(alive):
                return  # it was dead already
            pid = self._installation.postmaster_pid()
            if pid is not None:  # the note outlives a killed postmaster
                _signal(pid, signal.SIGINT)
            while not _try_lock(alive):
                if time.monotonic() > deadline:
                    raise DatabaseUnavailable("the embedded PostgreSQL does not stop")
                time.sleep(0.02)


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it ended meanwhile
        os.kill(pid, number)


def _holders(path: Path) -> Iterator[int]:
    """Yield the ids of other processes that have ``path`` open."""
    wanted = path.stat()
    for entry in Path("/proc").glob("[0-9]*"):
        if entry.name == str(os.getpid()):
            continue
        with suppress(OSError):  # it ended meanwhile, or belongs to somebody else
            if any(_is(fd, wanted) for fd in (entry / "fd").iterdir()):
                yield int(entry.name)


def _is(fd: Path, wanted: os.stat_result) -> bool:
    """Whether an open file of a process, a link in /proc, is the one that is wanted."""
    try:
        found = fd.stat()
    except OSError:
        return False  # it was closed meanwhile
    return (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino)
