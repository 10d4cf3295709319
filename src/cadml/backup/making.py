"""Make a backup of a library in use.

The database is dumped as of one snapshot. Blobs never change, but one may be deleted between the
snapshot and its copy. So blobs are copied before the snapshot and once more after it, and where
one that the snapshot needs came and went in between, the turn is taken again. Nothing is locked.
"""

from __future__ import annotations

import csv
import io
import json
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from cadml import __version__
from cadml.backup.chest import Chest, writing
from cadml.config import Settings
from cadml.errors import BlobUnavailable
from cadml.store import dump
from cadml.store.blobs import Blobs

FORMAT = 1
BLOBS = "blobs.csv"
TURNS = 5  # a library that changes faster than it can be copied
DERIVED = "view/"  # pictures are made again when somebody asks for them


@dataclass(frozen=True, slots=True)
class Made:
    """What a backup holds; ``lacking``: blobs that the library itself has lost."""

    made: str
    cadml: str
    steps: list[str]
    counts: dict[str, int]
    blobs: int
    bytes: int
    lacking: list[str]


def make(settings: Settings, target: Path) -> Made:
    """Write the library to ``target``, a folder or a new ``.tar``, and return what it holds.

    Raises
    ------
    InvalidRequest
        There is something else at ``target``.
    BackupFailed, DatabaseUnavailable, BlobUnavailable
        It could not be made.
    """
    data_dir = settings.data_dir
    blobs = Blobs(settings.blobs_url or str(data_dir / "blobs"))
    with (
        dump.reached(settings.database_url, data_dir) as dsn,
        writing(target) as chest,
        tempfile.TemporaryDirectory(prefix="cadml-backup-") as folder,
    ):
        file = Path(folder) / "database.dump"
        copied: dict[str, tuple[int, str]] = {}
        for _ in range(TURNS):
            _copy(blobs, chest, copied)
            made = datetime.now(UTC)
            with dump.snapshot(dsn) as seen:
                dump.dump(dsn, seen.id, file, data_dir)
            _copy(blobs, chest, copied)
            lacking = sorted(seen.blobs - copied.keys())
            if not lacking:
                break
        kept = {key: copied[key] for key in copied}
        report = Made(
            made=made.isoformat(),
            cadml=__version__,
            steps=seen.steps,
            counts=seen.counts,
            blobs=len(kept),
            bytes=sum(size for size, _ in kept.values()),
            lacking=lacking,
        )
        _finish(chest, file, kept, report)
    return report


def _copy(blobs: Blobs, chest: Chest, copied: dict[str, tuple[int, str]]) -> None:
    """Copy every blob that is not copied yet."""
    for key in blobs.every_key():
        if key in copied or key.startswith(DERIVED):
            continue
        try:
            with blobs.open(key) as source:
                copied[key] = chest.put(place(key), source)
        except BlobUnavailable:
            if blobs.exists(key):
                raise
            # deleted since it was listed: whether it is needed, the snapshot tells


def place(key: str) -> str:
    """Return the name of a blob in a backup."""
    kind, sha256, *rest = key.split("/")
    return "/".join(["blobs", kind, sha256[:2], sha256, *rest])


def _finish(chest: Chest, file: Path, kept: dict[str, tuple[int, str]], report: Made) -> None:
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows(
        (key, size, digest) for key, (size, digest) in kept.items()
    )
    listed = table.getvalue().encode()
    stamp = datetime.fromisoformat(report.made).strftime("%Y%m%dT%H%M%S.%fZ")  # never that of another backup
    names = {"dump": f"database-{stamp}.dump", "list": f"blobs-{stamp}.csv"}
    with file.open("rb") as source:
        _, dump_digest = chest.put(names["dump"], source)
    _, list_digest = chest.put(names["list"], io.BytesIO(listed))
    manifest = {
        "format": FORMAT,
        **asdict(report),
        "database": {"name": names["dump"], "sha256": dump_digest},
        "list": {"name": names["list"], "sha256": list_digest},
    }
    chest.finish(json.dumps(manifest, indent=2).encode(), {*names.values(), *(place(key) for key in kept)})
