"""The only composer: receive, read, describe, classify, store, search. The only one that times and counts."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from cadml.config import Settings
from cadml.engine.baselining import Baselining
from cadml.engine.classifying import NOT_ASKED, Classified, Classifying, catch_up, kept
from cadml.engine.drift import Drift
from cadml.engine.library import VIEW_NAMES, Library
from cadml.engine.migrations import Migrations
from cadml.engine.models import Models
from cadml.engine.opened import state_of, when_up
from cadml.engine.origin import Origins
from cadml.engine.reading import Content
from cadml.engine.training import Training
from cadml.errors import CadmlError, VectorNotFound
from cadml.geometry.part import Kind
from cadml.jobs.ingests import Ingests
from cadml.jobs.queue import Queue
from cadml.store.ingest import IngestItem
from cadml.store.observations import Observation
from cadml.store.parts import NewEntry, PartRow, check_entry
from cadml.store.predictions import Predictions
from cadml.store.vectors import Found

log = structlog.get_logger("cadml.engine")

__all__ = ["NOT_ASKED", "VIEW_NAMES", "Analysis", "Classified", "Engine", "Options", "Submission"]


@dataclass(frozen=True, slots=True)
class Options:
    """What one analysis is asked to do beyond reading; ``similar``: how many look-alikes."""

    store: bool = True
    similar: int = 10
    version: str | None = None
    classify: bool = True


@dataclass(frozen=True, slots=True)
class Analysis:
    """The answer to one file; ``part`` is None unless it was stored, ``added`` tells whether it is new."""

    content: Content
    version: str
    part: PartRow | None
    added: bool
    neighbours: Found | None
    classified: Classified


@dataclass(frozen=True, slots=True)
class Submission:
    """A durable job, and the files that were refused before they reached it."""

    job_id: str
    queued: int
    refused: list[dict[str, str]] = field(default_factory=list)


class Engine(Library):
    """One installation. Thread-safe; close it when done."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.queue = Queue(self.database, Origins(self.traces))
        self.ingests = Ingests(self.database, self.queue, self.ingest_item)
        self.migrations = Migrations(self, self.queue, self._used_by_model)
        self.models = Models(self, partial(catch_up, self.queue))
        self.training = Training(self.database, self.blobs, self.versions)
        self.classifying = Classifying(self.models, self.metrics, self.database, self.queue)
        self.metrics.read("extraction_queue_depth", lambda: when_up(self.ingests.depths))
        self.drift = Drift(self.database, self.metrics, settings, self._searched)
        self.baselining = Baselining(self.drift, self.parts, Predictions(self.database))

    def close(self) -> None:
        """Write down what was observed, and close the rest."""
        self.models.close()
        self.drift.close()
        self.migrations.close()
        super().close()

    def _used_by_model(self) -> tuple[str, str] | None:
        """Return version and feature version of the model that serves, if any does."""
        place = self.models.serving.place()
        return (place.loaded.card.version, place.loaded.card.feature_version) if place else None

    def analyze(self, path: Path, entry: NewEntry, options: Options) -> Analysis:
        """Return what the file at ``path``, called ``entry.name``, is, and what it resembles."""
        with self.request():
            check_entry(entry)
            content = self.content(path, *self.receive(path, entry.name))
            searched = self.search_version(content.kind, options.version)
            classified = self.classify(content.vectors) if options.classify or options.store else NOT_ASKED
            part, added = None, False
            if options.store:
                part, added = self.store(path, content, entry, kept(classified))
            self._note(content, entry, classified)
            itself = part.id if part else None
            found = None
            if options.similar and searched in content.vectors:  # undefined there: a finding says so
                found = self.neighbours(content, searched, options.similar, exclude_part=itself)
        answer = classified if options.classify else NOT_ASKED
        return Analysis(content, searched, part, added, found, answer)

    def classify(self, vectors: Mapping[str, NDArray[np.float32]]) -> Classified:
        """Return the class of a part with these raw vectors, by the model that serves."""
        with self.stage("classify"):
            return self.classifying.classify(vectors)

    def classify_part(self, part_id: str) -> Classified:
        """Return the class of a stored part by the model that serves."""
        place = self.models.serving.place()
        if place is None:
            return self.classify({})
        name = place.loaded.card.feature_version
        try:
            return self.classify({name: self.features(part_id, name).values})
        except VectorNotFound:
            return self.classify({})

    def classify_vector(self, name: str, values: Sequence[float]) -> Classified:
        """Return the class of a raw vector of feature version ``name``."""
        return self.classify({name: self.checked(name, values)})

    def submit(self, files: Iterable[tuple[Path, NewEntry]]) -> Submission:
        """Keep the files' bytes and queue them as one durable job; refuse at once what no reader takes."""
        items, refused = [], []
        for path, entry in files:
            try:
                check_entry(entry)
                sha256, _ = self.receive(path, entry.name)
            except CadmlError as error:
                refused.append({"name": entry.name, "code": error.code, "message": error.message})
                continue
            self.blobs.put_file(f"source/{sha256}", path)
            items.append((sha256, entry))
        job_id = self.ingests.submit(items)
        log.info("job queued", job=job_id, queued=len(items), refused=len(refused))
        return Submission(job_id, len(items), refused)

    def ingest_item(self, item: IngestItem) -> None:
        """Add one queued file to the library; the item becomes final in the part's own transaction."""
        with _logged(), self.request(), self.blobs.local_path(f"source/{item.sha256}") as path:
            content = self.content(path, *self.receive(path, item.name, item.sha256))
            entry = NewEntry(item.name, item.part_number, item.metadata)
            classified = self.classify(content.vectors)
            self.store(path, content, entry, kept(classified), (item.job_id, item.seq))
            self._note(content, entry, classified)

    def checks(self) -> dict[str, str]:
        """Return, for each thing that the service needs, ``ok`` or what is wrong with it."""
        return super().checks() | {"model": state_of(self.models.serving.check)}

    def _searched(self) -> tuple[str, ...]:
        """Return the versions that parts of each kind are searched with now."""
        return tuple(dict.fromkeys(self.search_version(kind, None) for kind in Kind))

    def _note(self, content: Content, entry: NewEntry, classified: Classified) -> None:
        """Let drift see what came in."""
        name = self.search_version(content.kind, None)
        raw = content.vectors.get(name)
        material = entry.metadata.get("material")
        answer = classified.prediction
        self.drift.observe(
            Observation(
                material=None if material is None else str(material),
                version=name if raw is not None else "",
                raw=raw,
                model=answer.model_version if answer else None,
                label=answer.label if answer else None,
            )
        )

    def run_queue(self, stop: threading.Event) -> None:
        """Work on queued files, one per worker process at a time, until ``stop`` is set."""
        self.queue.run_worker(self.settings.extract_workers, stop)


@contextmanager
def _logged() -> Iterator[None]:
    """Log how an item of the queue ended: by its code, since an error's sentence may quote the file."""
    try:
        yield
    except CadmlError as error:
        log.info("item not added", code=error.code, stage=error.stage)
        raise
    log.debug("item added")
