"""What is wrong with this installation: checks, each with what it found and what to do."""

from __future__ import annotations

import errno
import importlib
import re
import resource
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cadml.api.auth import check_address, load
from cadml.api.server import listening
from cadml.config import Settings
from cadml.engine.opened import check_feature_version
from cadml.errors import CadmlError, ConfigurationError, InvalidRequest
from cadml.migration.care import examine_indexes, tune_searches
from cadml.store.blobs import Blobs
from cadml.store.database import Database
from cadml.store.parts import Parts

LEAST_FREE_BYTES = 1 << 30  # one large assembly with its stored part
LEAST_OPEN_FILES = 256  # connections, worker pipes and spooled uploads of one service
SEARCHES = 20  # of each index, for its recall
TUNING_SEARCHES = 100  # what an activation rests on as well
SAMPLE = 200  # contents whose blobs are looked at
LIBRARIES = ("OCP", "trimesh", "ezdxf", "embreex", "PIL", "psycopg", "pgvector", "procrastinate", "orjson")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool
    detail: str


def examine(settings: Settings) -> list[Check]:
    """Return every check; one that fails does not keep the others from being made."""
    checks = [*_libraries(), _open_files(), _data_folder(settings)]
    checks += [_tried("feature version", lambda: _feature_version(settings))]
    checks += [_tried("address", lambda: _address(settings))]
    try:
        database = Database.open(settings.database_url, settings.data_dir, pool_size=2)
    except CadmlError as error:
        return [*checks, Check("database", ok=False, detail=error.message)]
    try:
        checks += [_tried("database", lambda: _server(database))]
        checks += [_tried("search indexes", lambda: _indexes(database))]
        checks += [_tried("blob store", lambda: _blobs(settings, database))]
        checks += [_tried("queue", lambda: _queue(database))]
        checks += [_tried("quarantine", lambda: _quarantine(database))]
    finally:
        database.close()
    return checks


def tune(settings: Settings) -> list[str]:
    """Choose from measured recall how far searches look through each index; return what was chosen."""
    database = Database.open(settings.database_url, settings.data_dir, pool_size=2)
    try:
        chosen = tune_searches(database, TUNING_SEARCHES)
    finally:
        database.close()
    return [f"{name}: breadth {c.breadth}, recall@10 {c.recall:.3f}" for name, c in chosen.items()]


def let_off(settings: Settings, sha256: str) -> None:
    """Forget that the file with this hash stopped readers: the next upload of it is tried again.

    Raises
    ------
    InvalidRequest
        ``sha256`` is no such hash.
    """
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise InvalidRequest("a SHA-256 has 64 hexadecimal digits")
    database = Database.open(settings.database_url, settings.data_dir, pool_size=2)
    try:
        Parts(database).pardon(sha256)
    finally:
        database.close()


def _tried(name: str, look: Callable[[], tuple[bool, str]]) -> Check:
    try:
        ok, detail = look()
    except CadmlError as error:
        return Check(name, ok=False, detail=error.message)
    return Check(name, ok, detail)


def _libraries() -> Iterator[Check]:
    missing = []
    for name in LIBRARIES:
        try:
            importlib.import_module(name)
        except ImportError as error:
            missing.append(f"{name} ({error})")
    found = (
        "missing: " + ", ".join(missing) + "; install cadml again" if missing else f"{len(LIBRARIES)} found"
    )
    yield Check("libraries", not missing, found)


def _open_files() -> Check:
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    enough = allowed == resource.RLIM_INFINITY or allowed >= LEAST_OPEN_FILES
    return Check("open files", enough, f"{allowed} allowed, {LEAST_OPEN_FILES} needed (ulimit -n)")


def _feature_version(settings: Settings) -> tuple[bool, str]:
    check_feature_version(settings.feature_version)
    return True, settings.feature_version


def _address(settings: Settings) -> tuple[bool, str]:
    check_address(settings.host, settings.api_keys_file)
    keys = len(load(settings.api_keys_file)) if settings.api_keys_file else "no"
    state = "free"
    try:
        listening(settings.host, settings.port).close()
    except ConfigurationError as error:
        if not (isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EADDRINUSE):
            raise
        state = "something listens there (a running cadml?)"
    return True, f"{settings.host}:{settings.port}, {keys} keys; {state}"


def _data_folder(settings: Settings) -> Check:
    folder = settings.data_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".probe"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        return Check("data folder", ok=False, detail=f"{folder} cannot be written: {error.strerror}")
    free = shutil.disk_usage(folder).free
    return Check(
        "data folder", free >= LEAST_FREE_BYTES, f"{folder}, {free / 2**30:.1f} GiB free, 1 GiB needed"
    )


def _server(database: Database) -> tuple[bool, str]:
    with database.connection() as connection:
        row = connection.execute(
            "SELECT current_setting('server_version'),"
            " (SELECT extversion FROM pg_extension WHERE extname = 'vector'),"
            " pg_size_pretty(pg_database_size(current_database())), (SELECT count(*) FROM parts)"
        ).fetchone()
    assert row is not None
    return True, f"PostgreSQL {row[0]}, pgvector {row[1]}, {row[2]}, {row[3]} entries at {database.address}"


def _indexes(database: Database) -> tuple[bool, str]:
    lines, good = [], True
    for care in examine_indexes(database, SEARCHES):
        line = f"{care.version}: {care.state.rows} rows, {care.state.dead} dead"
        if care.state.index_bytes is not None:
            line += f", index {care.state.index_bytes / 2**20:.1f} MiB, breadth {care.state.breadth}"
        if care.recall is not None:
            line += f", recall@10 {care.recall:.3f} over {care.sampled} searches"
        good = good and care.advice is None
        lines.append(line + (f" ({care.advice})" if care.advice else ""))
    return good, "; ".join(lines) or "no version is kept yet"


def _blobs(settings: Settings, database: Database) -> tuple[bool, str]:
    blobs = Blobs(settings.blobs_url or str(settings.data_dir / "blobs"))
    with database.connection() as connection:
        rows = connection.execute(
            "SELECT encode(sha256, 'hex') FROM contents WHERE sha256 IS NOT NULL ORDER BY random() LIMIT %s",
            (SAMPLE,),
        ).fetchall()
    lacking = [sha for (sha,) in rows if not (blobs.exists(f"source/{sha}") and blobs.exists(f"part/{sha}"))]
    if lacking:
        return (
            False,
            f"{len(lacking)} of {len(rows)} sampled contents lack a file, such as {lacking[0]}",
        )
    return True, f"{len(rows)} sampled contents have their files"


def _queue(database: Database) -> tuple[bool, str]:
    with database.connection() as connection:
        counts = dict(
            connection.execute("SELECT state, count(*) FROM ingest_items GROUP BY state").fetchall()
        )
    waiting = counts.get("queued", 0) + counts.get("running", 0)
    detail = f"{waiting} items waiting or running" + (
        "; `cadml worker` or `cadml serve` works on them" if waiting else ""
    )
    return True, detail


def _quarantine(database: Database) -> tuple[bool, str]:
    with database.connection() as connection:
        row = connection.execute(
            "SELECT count(*), min(encode(sha256, 'hex')) FROM"
            " (SELECT sha256 FROM reader_failures GROUP BY sha256 HAVING count(*) > 1) q"
        ).fetchone()
    assert row is not None
    such = f", such as {row[1]} (cadml doctor --pardon lets one be tried again)" if row[0] else ""
    return True, f"{row[0]} files stopped a reader twice and are refused{such}"
