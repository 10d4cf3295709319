from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from cadml.store.embedded import EmbeddedServer

START = """
import sys
from pathlib import Path
from cadml.store.embedded import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]))
print(server.start(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data of somebody" / ("x" * 90)


def pid_of(server: EmbeddedServer) -> int:
    pid = server._installation.postmaster_pid()
    assert pid is not None
    return pid


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def other_process(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", START, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def end(process: subprocess.Popen[str]) -> None:
    with process:  # closes its pipes
        process.kill()


def test_a_long_folder_with_spaces_gets_a_durable_server_without_network(folder: Path) -> None:
    server = EmbeddedServer(folder)
    url = server.start()
    with psycopg.connect(url) as connection:
        for name, value in (("fsync", "on"), ("full_page_writes", "on"), ("listen_addresses", "")):
            assert connection.execute("SELECT current_setting(%s)", (name,)).fetchone() == (value,)
        assert connection.execute("SELECT pg_encoding_to_char(encoding) FROM pg_database").fetchone() == (
            "UTF8",
        )
        place = connection.info.host
    assert Path(place).stat().st_mode & 0o077 == 0
    pid = pid_of(server)
    server.stop()
    wait_until(lambda: not is_alive(pid))


def test_all_users_of_a_folder_share_one_server_and_the_last_one_out_stops_it(folder: Path) -> None:
    first, second = EmbeddedServer(folder), EmbeddedServer(folder)
    assert first.start() == second.start()
    pid = pid_of(first)
    first.stop()
    first.stop()  # leaving twice is leaving once
    assert is_alive(pid)
    with psycopg.connect(second.dsn) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    second.stop()
    wait_until(lambda: not is_alive(pid))


def test_many_starters_at_once_start_one_server(folder: Path) -> None:
    servers = [EmbeddedServer(folder) for _ in range(6)]
    with ThreadPoolExecutor(6) as threads:
        urls = set(threads.map(lambda server: server.start(), servers))
    assert len(urls) == 1
    assert folder.joinpath("postgres.log").read_text().count("starting PostgreSQL") == 1
    for server in servers:
        server.stop()


def test_a_killed_server_is_started_again_with_all_that_was_committed(folder: Path) -> None:
    server = EmbeddedServer(folder)
    url = server.start()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    first = pid_of(server)
    os.kill(first, signal.SIGKILL)
    with psycopg.connect(server.start()) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (7,)
    assert pid_of(server) != first
    server.stop()


def test_a_busy_backend_of_a_killed_server_does_not_prevent_the_restart(folder: Path) -> None:
    server = EmbeddedServer(folder)
    busy = psycopg.connect(server.start(), autocommit=True)
    with ThreadPoolExecutor(1) as threads:
        query = threads.submit(busy.execute, "SELECT count(*) FROM generate_series(1, 100000000000)")
        wait_until(query.running)
        time.sleep(0.3)
        os.kill(pid_of(server), signal.SIGKILL)
        with psycopg.connect(server.start()) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError):
            query.result()
    server.stop()


def test_a_server_outlives_a_killed_user_only_while_it_has_another(folder: Path) -> None:
    process = other_process(folder)
    assert process.stdout is not None
    assert process.stdout.readline()
    server = EmbeddedServer(folder)
    server.start()
    pid = pid_of(server)
    end(process)
    time.sleep(1.2)  # the keeper looks every half second
    assert is_alive(pid)
    server.stop()
    wait_until(lambda: not is_alive(pid))


def test_a_server_ends_when_its_only_user_was_killed(folder: Path) -> None:
    process = other_process(folder)
    assert process.stdout is not None
    process.stdout.readline()
    pid = pid_of(EmbeddedServer(folder))
    end(process)
    wait_until(lambda: not is_alive(pid))
    server = EmbeddedServer(folder)
    with psycopg.connect(server.start()) as connection:  # and the next start finds all in order
        assert connection.execute("SELECT 1").fetchone() == (1,)
    server.stop()


def test_a_stale_note_that_names_a_living_process_does_not_prevent_the_start(folder: Path) -> None:
    server = EmbeddedServer(folder)
    server.start()
    server.stop()
    note = folder / "postgres18" / "postmaster.pid"
    note.write_text(f"{os.getpid()}\n{note.parent}\n1\n5432\n/tmp\n\n1 1\nready\n")
    server.start()
    server.stop()


def test_a_lost_socket_folder_is_made_again(folder: Path) -> None:
    server = EmbeddedServer(folder)
    place = psycopg.conninfo.conninfo_to_dict(server.start())["host"]
    server.stop()
    shutil.rmtree(str(place))
    with psycopg.connect(server.start()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_an_ordinary_user_has_a_server_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "nobody's"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    # May pass closed folders on the way to the interpreter, otherwise an ordinary user.
    words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    words += [
        "--inh-caps=+dac_read_search",
        "--ambient-caps=+dac_read_search",
        sys.executable,
        "-c",
        START,
        str(folder),
    ]
    tmp = tmp_path / "tmp"
    tmp.mkdir(mode=0o777)
    for passed in (tmp, *tmp.parents[:-2]):
        passed.chmod(passed.stat().st_mode | 0o011)
    tmp.chmod(0o777)
    done = subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TMPDIR": str(tmp)},
    )
    assert "port=5432" in done.stdout, done.stderr
    assert (folder / "postgres18").stat().st_uid == 65534
