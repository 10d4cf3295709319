"""What ``cadml ingest`` does: find the files, hand them to the durable queue, work it, report."""

from __future__ import annotations

import csv
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cadml import log
from cadml.config import Settings
from cadml.engine import Engine
from cadml.errors import InvalidRequest
from cadml.geometry.formats import FORMATS, REFUSED, extension_of
from cadml.store.ingest import JobStatus
from cadml.store.parts import NewEntry

LABEL_COLUMNS = ("label", "family", "part_number", "material", "project")
LOOK_S = 0.2  # between two looks at a job's progress
OPEN = ("queued", "running")


def ingest_paths(
    settings: Settings, paths: list[str], labels: Path | None, *, recursive: bool, quiet: bool
) -> dict[str, Any]:
    """Return what became of each file under ``paths``.

    Raises
    ------
    InvalidRequest
        A path names nothing, or the CSV lacks its column ``path``.
    """
    log.configure(settings.log_format, settings.log_level)
    found = [place for path in paths for place in places(path, recursive=recursive)]
    known = read_labels(labels) if labels else {}
    with Engine(settings) as engine, _progress(quiet=quiet) as progress:
        keeping = progress.add_task("keeping", total=len(found))
        submission = engine.submit(_entries(found, known, lambda: progress.advance(keeping)))
        status = _work(engine, submission.job_id, progress)
    failures = [{"name": f.name, "code": f.code, "message": f.message} for f in status.failures]
    counts = {**status.counts, "failed": status.counts.get("failed", 0) + len(submission.refused)}
    return {
        "job": submission.job_id,
        "files": len(found),
        "counts": {state: counts.get(state, 0) for state in ("added", "known", "failed", "cancelled")},
        "failures": [*submission.refused, *failures],
    }


def _work(engine: Engine, job_id: str, progress: Progress) -> JobStatus:
    """Work the queue in here, beside whoever else does, until the job is done."""
    stop = threading.Event()
    queue = threading.Thread(target=engine.run_queue, args=(stop,), name="queue")
    queue.start()
    status = engine.ingests.status(job_id)
    reading = progress.add_task("reading", total=sum(status.counts.values()))
    try:
        while status.state in OPEN:
            progress.update(reading, completed=sum(n for s, n in status.counts.items() if s not in OPEN))
            if not queue.is_alive():
                raise InvalidRequest("the queue stopped; the log above says why. Run the same command again")
            time.sleep(LOOK_S)
            status = engine.ingests.status(job_id)
        progress.update(reading, completed=sum(status.counts.values()))
    finally:
        stop.set()
        queue.join()
    return status


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress:
        yield progress


# -- which files -----------------------------------------------------------------------------------


def places(path: str, *, recursive: bool) -> list[str]:
    """Return the files that ``path`` stands for: itself, a folder's CAD files, or a glob's matches.

    Raises
    ------
    InvalidRequest
        It stands for none.
    """
    files, root = fsspec.core.url_to_fs(str(Path(path).expanduser()) if path.startswith("~") else path)
    if files.isdir(root):
        listed = files.find(root, maxdepth=None if recursive else 1)
        found = [place for place in listed if extension_of(place) in _LOOKED_FOR]
    elif files.exists(root):
        found = [root]
    else:
        found = [place for place in files.glob(root) if not files.isdir(place)]
    if not found:
        raise InvalidRequest(
            f"{path}: no CAD file is there{'' if recursive else ' (--recursive looks into subfolders)'}"
        )
    return [files.unstrip_protocol(place) for place in sorted(found)]


# In a folder, a closed CAD format is worth a word; a read-me file is not.
_LOOKED_FOR = frozenset(REFUSED) | {extension for row in FORMATS.values() for extension in row.extensions}


def _entries(
    found: list[str], labels: dict[str, dict[str, str]], advance: Any
) -> Iterator[tuple[Path, NewEntry]]:
    for place in found:
        files, path = fsspec.core.url_to_fs(place)
        metadata: dict[str, Any] = dict(labels.get(_label_key(place), {}))
        entry = NewEntry(PurePosixPath(path).name, metadata.pop("part_number", None), metadata)
        if place.startswith("file://"):
            yield Path(path), entry
        else:
            with tempfile.TemporaryDirectory(prefix="cadml-") as folder:
                copy = Path(folder, "source")
                files.get_file(path, str(copy))
                yield copy, entry
        advance()


def read_labels(table: Path) -> dict[str, dict[str, str]]:
    """Return each labelled file's metadata by its place; paths are relative to the CSV.

    Raises
    ------
    InvalidRequest
        The CSV cannot be read, or has no column ``path``.
    """
    try:
        with table.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidRequest(f"{table} cannot be read as CSV: {error}") from error
    if rows and "path" not in rows[0]:
        raise InvalidRequest(f"{table} has no column path")
    folder = table.resolve().parent
    return {
        _label_key(f"file://{folder / row['path']}"): {c: row[c] for c in LABEL_COLUMNS if row.get(c)}
        for row in rows
        if row["path"]
    }


def _label_key(place: str) -> str:
    files, path = fsspec.core.url_to_fs(place)
    return os.path.realpath(path) if place.startswith("file://") else str(files.unstrip_protocol(path))
