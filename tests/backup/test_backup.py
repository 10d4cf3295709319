"""Backup and restore of a library in use: rows, blobs and search answers are the same afterwards."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from cadml.backup.making import make
from cadml.backup.restoring import restore
from cadml.cli import app, run_safely
from cadml.config import Settings
from cadml.engine import Engine, Options
from cadml.errors import BackupFailed, InvalidRequest
from cadml.store.blobs import Blobs
from cadml.store.embedded import EmbeddedServer
from cadml.store.parts import NewEntry
from programs import prism, wait_for
from served import queue_working

PARTS = 8  # and one vector without a file


def settings(folder: Path, **more: Any) -> Settings:
    return Settings(data_dir=folder, extract_workers=1, metrics_enabled=False, **more)


def fill(engine: Engine, folder: Path) -> None:
    """Leave a library with parts, pictures, a foreign vector, an item that failed and two that wait."""
    for number in range(PARTS):
        path = folder / f"part-{number}.stl"
        path.write_bytes(prism(3 + number, 5 + number, 4))
        engine.analyze(path, NewEntry(path.name, f"P-{number}", {"material": "POM"}), Options(similar=0))
    engine.view(engine.parts.find(limit=1).rows[0], "png")
    engine.register("foreign", "v2", np.arange(12.0).tolist(), {"site": "far away"})
    bad = folder / "bad.stl"
    bad.write_bytes(b"solid x\nfacet normal 0 0 1\nouter loop\nvertex z 0 0\n")
    engine.submit([(bad, NewEntry("bad.stl"))])


def queue_two(engine: Engine, folder: Path) -> str:
    waiting = []
    for number in range(2):
        path = folder / f"waiting-{number}.stl"
        path.write_bytes(prism(20 + number, 7, 4))
        waiting.append((path, NewEntry(path.name)))
    return engine.submit(waiting).job_id


def rows_of(dsn: str) -> dict[str, list[Any]]:
    """Return every row of every table, as text (the queue's own liveness apart)."""
    with psycopg.connect(dsn) as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE relkind = 'r' AND nspname = 'public' ORDER BY relname"
        ).fetchall()
        return {
            table: sorted(str(row) for row in connection.execute(f"SELECT t::text FROM {table} t"))  # type: ignore[arg-type]
            for (table,) in tables
            if table != "procrastinate_workers"
        }


def blobs_of(url: str) -> dict[str, bytes]:
    blobs = Blobs(url)
    return {key: blobs.get_bytes(key) for key in blobs.every_key() if not key.startswith("view/")}


def answers(engine: Engine) -> dict[str, Any]:
    """Return what each part's search finds under each version that describes it."""
    found: dict[str, Any] = {}
    for row in engine.parts.find(limit=100).rows:
        for version in ("v2", "v4", "v5"):
            hits = engine.search_part(row.id, 5, version)
            found[f"{row.name} {version}"] = [
                (hit.part_id, round(hit.distance, 5)) for hit in hits.neighbours
            ]
    return found


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, str, dict[str, Any]]]:
    """A library that stays open, a job of it that waits, and what its searches answer."""
    folder = tmp_path_factory.mktemp("library with a space")
    (folder / "files").mkdir()
    with Engine(settings(folder / "data")) as engine:
        fill(engine, folder / "files")
        with queue_working(engine):
            wait_for(lambda: engine.ingests.depths()["failed"] == 1, 60)
        job = queue_two(engine, folder / "files")
        yield engine, job, answers(engine)


def assert_same(library: Any, restored: Settings) -> None:
    engine, job, expected = library
    with Engine(restored) as other:
        assert rows_of(other.database.dsn) == rows_of(engine.database.dsn)
        urls = [s.blobs_url or str(s.data_dir / "blobs") for s in (restored, engine.settings)]
        assert blobs_of(urls[0]) == blobs_of(urls[1])
        assert answers(other) == expected
        with queue_working(other):  # what waited is worked on where it was restored
            wait_for(lambda: other.ingests.status(job).finished is not None, 60)
        assert other.ingests.status(job).counts["added"] == 2


def test_a_tar_file_brings_everything_back(library: Any, tmp_path: Path) -> None:
    made = make(library[0].settings, tmp_path / "backup.tar")
    assert made.counts["parts"] == PARTS + 1
    assert made.lacking == []
    where = settings(tmp_path / "new")
    restore(where, tmp_path / "backup.tar")
    assert_same(library, where)


def test_a_folder_brings_everything_back_to_a_server_with_a_password(library: Any, tmp_path: Path) -> None:
    make(library[0].settings, tmp_path / "backup")
    server = EmbeddedServer(tmp_path / "server")
    admin = server.start()
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("CREATE DATABASE library")
    # This server asks for none; the programs must get along with one all the same.
    url = make_conninfo(admin, dbname="library", password="a:b\\c")
    where = settings(tmp_path / "new", database_url=url, blobs_url=str(tmp_path / "elsewhere"))
    restore(where, tmp_path / "backup")
    assert_same(library, where)
    again = make(where, tmp_path / "again.tar")
    assert again.counts["parts"] == PARTS + 3
    server.stop()


def test_a_backup_of_a_changing_library_is_of_one_moment(tmp_path: Path) -> None:
    with Engine(settings(tmp_path / "data")) as engine:
        stop = threading.Event()
        changing = threading.Thread(target=change, args=(engine, tmp_path, stop))
        changing.start()
        try:
            wait_for(lambda: engine.parts.count() > 5, 60)
            made = make(engine.settings, tmp_path / "backup.tar")
        finally:
            stop.set()
            changing.join()
    assert made.lacking == []
    where = settings(tmp_path / "new")
    restore(where, tmp_path / "backup.tar")
    with Engine(where) as other:
        rows = other.parts.find(limit=1000).rows
        assert len(rows) == made.counts["parts"]
        for row in rows:
            assert other.blobs.get_bytes(f"source/{row.sha256}")
            assert other.blobs.get_bytes(f"part/{row.sha256}")
            assert other.features(row.id).values.size
            assert other.search_part(row.id, 3).neighbours or len(rows) == 1


def change(engine: Engine, folder: Path, stop: threading.Event) -> None:
    """Add three parts and remove one, again and again."""
    number = 0
    while not stop.is_set():
        path = folder / "changing.stl"
        path.write_bytes(prism(3 + number % 40, 5 + number / 8, 4))
        part = engine.analyze(path, NewEntry(f"{number}.stl"), Options(similar=0)).part
        assert part is not None
        if number % 3 == 2:
            engine.delete(part.id)
        number += 1


def test_a_folder_takes_only_what_is_new_and_forgets_what_is_gone(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    with Engine(settings(tmp_path / "data")) as engine:
        fill(engine, tmp_path / "files")
        make(engine.settings, tmp_path / "backup")
        first = {path: path.stat().st_mtime_ns for path in (tmp_path / "backup" / "blobs").rglob("*")}
        row = engine.parts.find(limit=1).rows[0]
        engine.delete(row.id)
        queue_two(engine, tmp_path / "files")
        made = make(engine.settings, tmp_path / "backup")
        second = {path: path.stat().st_mtime_ns for path in (tmp_path / "backup" / "blobs").rglob("*")}
    files = {path for path in second if path.is_file()}
    assert {second[path] for path in files & first.keys()} == {first[path] for path in files & first.keys()}
    assert [path for path in files if row.sha256 in path.name] == []
    assert len(files) == made.blobs
    assert len(list((tmp_path / "backup").glob("*.dump"))) == 1
    restore(settings(tmp_path / "new"), tmp_path / "backup")


@pytest.mark.parametrize("piece", ["*.dump", "blobs-*.csv", "blobs/source/*/*", "blobs/part/*/*"])
def test_a_damaged_backup_is_refused_and_the_database_stays_empty(
    library: Any, tmp_path: Path, piece: str
) -> None:
    make(library[0].settings, tmp_path / "backup")
    (victim, *_) = sorted((tmp_path / "backup").glob(piece))
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(content)
    where = settings(tmp_path / "new")
    with pytest.raises(BackupFailed, match="damaged"):
        restore(where, tmp_path / "backup")
    content[len(content) // 2] ^= 1
    victim.write_bytes(content)  # mended, the same call goes on where it stopped
    assert restore(where, tmp_path / "backup")["counts"]["parts"] == PARTS + 1


def test_a_library_is_never_overwritten(library: Any, tmp_path: Path) -> None:
    make(library[0].settings, tmp_path / "backup.tar")
    with pytest.raises(InvalidRequest, match="not empty"):
        restore(library[0].settings, tmp_path / "backup.tar")
    with pytest.raises(InvalidRequest, match="there already"):
        make(library[0].settings, tmp_path / "backup.tar")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    with pytest.raises(InvalidRequest, match="other things"):
        make(library[0].settings, tmp_path / "other")


def test_what_is_no_backup_or_of_a_newer_cadml_is_refused(library: Any, tmp_path: Path) -> None:
    (tmp_path / "text.tar").write_text("not a tar file, for sure")
    with pytest.raises(InvalidRequest, match="no backup"):
        restore(settings(tmp_path / "new"), tmp_path / "text.tar")
    make(library[0].settings, tmp_path / "backup")
    manifest = tmp_path / "backup" / "manifest.json"
    told = json.loads(manifest.read_text())
    told["steps"].append("999_later")
    manifest.write_text(json.dumps(told))
    with pytest.raises(InvalidRequest, match="newer cadml"):
        restore(settings(tmp_path / "new"), tmp_path / "backup")


def test_an_empty_data_folder_has_nothing_to_back_up(tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match="no library"):
        make(settings(tmp_path / "data"), tmp_path / "backup.tar")
    assert list(tmp_path.glob("backup*")) == []


def test_the_commands_say_what_they_did_and_what_is_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with Engine(settings(tmp_path / "data")) as engine:
        path = tmp_path / "one.stl"
        path.write_bytes(prism(5, 4, 3))
        part = engine.analyze(path, NewEntry("one.stl"), Options(similar=0)).part
        assert part is not None
    capsys.readouterr()
    monkeypatch.setenv("CADML_DATA_DIR", str(tmp_path / "data"))
    assert cadml(monkeypatch, "backup", str(tmp_path / "backup.tar"), "--json") == 0
    assert json.loads(capsys.readouterr().out)["counts"]["parts"] == 1
    monkeypatch.setenv("CADML_DATA_DIR", str(tmp_path / "new"))
    assert cadml(monkeypatch, "restore", str(tmp_path / "backup.tar")) == 0
    assert capsys.readouterr().out.startswith("1 parts, 2 files")
    assert cadml(monkeypatch, "restore", str(tmp_path / "backup.tar")) == 2
    assert "not empty" in capsys.readouterr().err
    Blobs(str(tmp_path / "new" / "blobs")).delete(f"part/{part.sha256}")
    assert cadml(monkeypatch, "backup", str(tmp_path / "second.tar")) == 1
    assert f"lost 1 files, such as part/{part.sha256}" in capsys.readouterr().err
    assert (tmp_path / "second.tar").exists()


def cadml(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["cadml", *words])
    return run_safely(app)
