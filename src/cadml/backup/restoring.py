"""Bring a backup back into an empty database and its blob store, each piece checked by its hash."""

from __future__ import annotations

import csv
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from cadml.backup.chest import CHUNK, MANIFEST, Found, reading
from cadml.backup.making import FORMAT, place
from cadml.config import Settings
from cadml.errors import BackupFailed, InvalidRequest
from cadml.store import dump
from cadml.store.blobs import Blobs
from cadml.store.database import Database
from cadml.store.schema import own_step_names


def restore(settings: Settings, source: Path) -> dict[str, Any]:
    """Fill the empty database and the blob store of ``settings`` from ``source``; return its manifest.

    Blobs come first and the database last, in one transaction: killed half-way, the database is
    still empty and the same call goes on. An older backup's schema is brought up to date.

    Raises
    ------
    InvalidRequest
        There is no backup, it is of a newer cadml, or the database is not empty.
    BackupFailed
        The backup is damaged, or PostgreSQL does not take it.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with (
        reading(source) as found,
        dump.reached(settings.database_url, settings.data_dir) as dsn,
        tempfile.TemporaryDirectory(prefix="cadml-restore-") as folder,
    ):
        manifest = _manifest(found, source)
        if not dump.is_empty(dsn):
            raise InvalidRequest(
                "the database is not empty; a backup is restored into a new one (see docs/runbooks)"
            )
        database = _checked(found, manifest["database"], Path(folder) / "database.dump")
        listed = _checked(found, manifest["list"], Path(folder) / "blobs.csv")
        _bring_blobs(found, listed, Blobs(settings.blobs_url or str(settings.data_dir / "blobs")))
        dump.restore(dsn, database, settings.data_dir)
        Database.open(settings.database_url, settings.data_dir, pool_size=2).close()
        if dump.counts(dsn) != manifest["counts"]:
            raise BackupFailed("the restored database does not hold what the backup's list says")
    return manifest


def _manifest(found: Found, source: Path) -> dict[str, Any]:
    with found.open(MANIFEST) as file:
        try:
            manifest: dict[str, Any] = json.loads(file.read())
        except ValueError as error:
            raise BackupFailed(f"the manifest of {source} is damaged") from error
    ours = set(own_step_names())
    newer = [step for step in manifest["steps"] if step[0].isdigit() and step not in ours]
    if manifest["format"] != FORMAT or newer:
        raise InvalidRequest(
            f"this backup was made by a newer cadml ({manifest['cadml']}); restore it with that or a later"
        )
    return manifest


def _checked(found: Found, stated: dict[str, str], target: Path) -> Path:
    """Copy a file out of the backup, and see that it is whole."""
    with found.open(stated["name"]) as source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy, CHUNK)
        if source.sha256 != stated["sha256"]:
            raise BackupFailed(f"{stated['name']} is damaged: its SHA-256 is not the stated one")
    return target


def _bring_blobs(found: Found, listed: Path, blobs: Blobs) -> None:
    with listed.open(encoding="utf-8", newline="") as table:
        for key, _, digest in csv.reader(table):
            if blobs.exists(key):  # by an earlier call; a blob is there whole or not at all
                continue
            with found.open(place(key)) as source:
                blobs.put_stream(key, source)
                if source.sha256 != digest:
                    blobs.delete(key)
                    raise BackupFailed(f"{key} is damaged: its SHA-256 is not the stated one", key=key)
