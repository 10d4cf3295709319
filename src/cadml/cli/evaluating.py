"""What ``cadml evaluate`` does: describe every file of the manifest, without a database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from cadml import extraction
from cadml.config import Settings
from cadml.errors import CadmlError, FileError, NotFound, UndefinedFeature
from cadml.evaluation import Entry, evaluate, read_manifest
from cadml.features.spec import FeatureVersion, Vector
from cadml.features.versions import version as version_named
from cadml.geometry.formats import recognise
from cadml.geometry.isolate import Workers


def evaluate_manifest(
    settings: Settings, manifest: Path, version_name: str, *, quiet: bool
) -> dict[str, Any]:
    """Return the contract's report on ``manifest`` (section 6).

    Raises
    ------
    InvalidRequest
        The manifest cannot be read, or none of its files could be described.
    """
    version = version_named(version_name)
    entries = read_manifest(manifest)
    vectors: dict[Path, Vector] = {}
    unreadable: list[dict[str, str]] = []
    with (
        Workers(settings.extract_workers, settings.extract_timeout_s, settings.extract_memory_mb) as workers,
        ThreadPoolExecutor(settings.extract_workers) as threads,
    ):
        answers = threads.map(lambda entry: _vector(workers, entry, version), entries)
        console = Console(stderr=True)
        for entry, answer in track(
            zip(entries, answers, strict=True), "describing", len(entries), console=console, disable=quiet
        ):
            if isinstance(answer, CadmlError):
                unreadable.append({"path": str(entry.path), "code": answer.code})
            else:
                vectors[entry.path] = answer
    return evaluate(entries, vectors, version, unreadable)


def _vector(workers: Workers, entry: Entry, version: FeatureVersion) -> Vector | CadmlError:
    try:
        row = recognise(entry.path, entry.path.name)
        read = workers.run(extraction.extract, str(entry.path.resolve()), row.name, (version.name,))
    except FileError as error:
        return error
    except OSError as error:
        return NotFound(f"{entry.path}: {error.strerror}")
    if version.name in read.vectors:
        return read.vectors[version.name]
    return UndefinedFeature(f"{version.name} does not describe this file", version=version.name)
