"""What ``cadml train`` does: collect labelled vectors, train, and tell how good the result is."""

from __future__ import annotations

import getpass
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress, TaskID, track

from cadml import log
from cadml.config import Settings
from cadml.engine import Engine
from cadml.errors import CadmlError, FileError, NotFound, TooLittleData
from cadml.evaluation import Entry, read_manifest

if TYPE_CHECKING:
    from cadml.learning.train import Example


def train_classifier(
    settings: Settings, labels: Path | None, name: str, asked: str | None, *, quiet: bool
) -> dict[str, Any]:
    """Return the report of a classifier trained from the CSV, or from the library's metadata without one.

    Raises
    ------
    InvalidRequest, UnknownVersion, VersionNotKept
        The CSV, the name or the feature version cannot be used.
    TooLittleData
        There are too few classes or families.
    """
    log.configure(settings.log_format, settings.log_level)
    entries = read_manifest(labels) if labels else []
    console = Console(stderr=True)
    with Engine(settings) as engine:
        version_name = engine.training.check(name, asked)
        unreadable: list[dict[str, str]] = []
        if labels:
            examples = _described(engine, entries, version_name, unreadable, console, quiet=quiet)
        else:
            examples = engine.training.from_library(version_name)
        with Progress(console=console, disable=quiet) as progress:
            told = partial(_told, progress, progress.add_task("comparing estimators", total=None))
            try:
                kept = engine.training.train(name, version_name, examples, getpass.getuser(), told)
            except TooLittleData as error:
                raise _with_unreadable(error, unreadable) from error
    return {
        "version": kept.card.version,
        "sha256": kept.sha256,
        "bytes": kept.bytes,
        "feature_version": version_name,
        "classes": list(kept.card.classes),
        "abstain_below": kept.card.abstain_below,
        "training_sha256": kept.card.training_sha256,
        "canaries": len(kept.card.canaries),
        "scores": kept.card.scores,
        "unreadable": unreadable,
    }


def _told(progress: Progress, task: TaskID, done: int, of: int) -> None:
    progress.update(task, completed=done, total=of)


def _with_unreadable(error: TooLittleData, unreadable: list[dict[str, str]]) -> TooLittleData:
    """Return the error that also says which files are missing from what could be learnt."""
    if not unreadable:
        return error
    first = unreadable[0]
    return TooLittleData(
        f"{error.message}; {len(unreadable)} of the files could not be used, such as {first['path']}: "
        f"{first['code']}",
        **error.context,
    )


def _described(
    engine: Engine,
    entries: list[Entry],
    version_name: str,
    unreadable: list[dict[str, str]],
    console: Console,
    *,
    quiet: bool,
) -> list[Example]:
    """Return the manifest's parts as examples; what the library knows is not read again."""
    first = {entry.same_as: entry for entry in reversed(entries)}  # of duplicates the first row counts
    wanted = [entry for entry in entries if first[entry.same_as] is entry]
    found: list[Example] = []
    with ThreadPoolExecutor(engine.settings.extract_workers) as threads:
        answers = threads.map(lambda entry: _example(engine, entry, version_name), wanted)
        for entry, answer in track(
            zip(wanted, answers, strict=True), "describing", len(wanted), console=console, disable=quiet
        ):
            if isinstance(answer, CadmlError):
                unreadable.append({"path": str(entry.path), "code": answer.code})
            else:
                found.append(answer)
    return found


def _example(engine: Engine, entry: Entry, version_name: str) -> Example | CadmlError:
    from cadml.learning.train import Example  # noqa: PLC0415 - loads scikit-learn

    try:
        content = engine.content(entry.path, *engine.receive(entry.path, entry.path.name))
        vector = content.vector(version_name)
    except OSError as error:
        return NotFound(f"{entry.path}: {error.strerror}")
    except FileError as error:
        return error
    except CadmlError as error:
        if error.stage != "describe":
            raise
        return error
    family = "" if entry.family.startswith("\0") else entry.family
    return Example(content.sha256, entry.label, family, vector)
