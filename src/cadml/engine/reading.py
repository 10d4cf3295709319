"""The first half of every request that brings a file: receive, look up, read and describe."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from cadml import extraction
from cadml.engine.tuning import Tuning
from cadml.errors import (
    CadmlError,
    FileError,
    FileTooLarge,
    InternalError,
    QuarantinedFile,
    UndefinedFeature,
    VersionNotApplicable,
)
from cadml.extraction import Extraction
from cadml.features import lineage
from cadml.features.versions import version
from cadml.geometry.formats import Format, recognise
from cadml.geometry.part import Kind
from cadml.observability.table import READER_REFUSALS, REJECTIONS

log = structlog.get_logger("cadml.reading")

KILLERS = frozenset({"READER_CRASHED", "EXTRACTION_TIMEOUT", "EXTRACTION_OUT_OF_MEMORY"})


@dataclass(frozen=True, slots=True)
class Content:
    """What is known of some bytes; ``part_bytes`` only where they were read just now."""

    sha256: str
    size: int
    format: str
    kind: Kind
    facts: dict[str, Any]
    findings: list[dict[str, str]]
    vectors: dict[str, NDArray[np.float32]]
    described: frozenset[str]  # the versions, also those that have no value for it
    part_bytes: bytes | None = None

    def vector(self, name: str) -> NDArray[np.float32]:
        """Return the raw vector ``(N,)`` of version ``name``.

        Raises
        ------
        UndefinedFeature
            The version has no value for this part.
        """
        if name not in self.vectors:
            why = next(
                (f["message"] for f in self.findings if f["where"] == name), f"{name} is undefined here"
            )
            raise UndefinedFeature(why, version=name)
        return self.vectors[name]


class Reading(Tuning):
    """Reads files, each stage timed and each request counted once."""

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count a request once, as success or with the stage and code of its error."""
        try:
            yield
        except Exception as error:  # counted and raised again: each failed request has a stage and a code
            kind = type(error) if isinstance(error, CadmlError) else InternalError
            self.metrics.count("analysis_requests_total", status="error")
            self.metrics.count("analysis_errors_total", stage=kind.stage, code=kind.code)
            self.metrics.count("analysis_error_code_total", code=kind.code)
            raise
        self.metrics.count("analysis_requests_total", status="success")

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one stage of an analysis, and make it a span where traces are exported."""
        with self.metrics.timed("analysis_stage_duration_seconds", stage=name), self.traces.span(name):
            yield

    def receive(self, path: Path, filename: str, sha256: str | None = None) -> tuple[str, Format]:
        """Return the file's SHA-256 and its format, or refuse it before any reader sees it.

        Raises
        ------
        FileError
            The file is too large, of no known format, mislabelled, or quarantined.
        """
        with self.stage("receive"), self._counted_refusal():
            row = self._recognise(path, filename)
            sha256 = sha256 or sha256_of(path)
            if self.parts.quarantined(sha256):
                raise QuarantinedFile(
                    "this file stopped a reader twice and is not tried again", sha256=sha256
                )
            return sha256, row

    def _recognise(self, path: Path, filename: str) -> Format:
        size = path.stat().st_size
        if size > self.settings.max_upload_mb << 20:
            raise FileTooLarge(f"the file exceeds {self.settings.max_upload_mb} MiB", bytes=size)
        try:
            return recognise(path, filename)
        except FileError as error:
            if error.code == "MISLABELLED_FILE":
                self.metrics.count("signature_validation_fail_total", format=error.context["format"])
            raise

    @contextmanager
    def _counted_refusal(self) -> Iterator[None]:
        try:
            yield
        except FileError as error:
            if error.code.lower() in REJECTIONS:
                self.metrics.count("analysis_rejections_total", reason=error.code.lower())
            raise

    def content(self, path: Path, sha256: str, row: Format) -> Content:
        """Return what the bytes at ``path`` are: from the database if known, else read and described.

        Raises
        ------
        FileError
            The file cannot become a part.
        """
        if known := self._known(sha256):
            return known
        read = self._extract(path, sha256, row)
        self._observe(read)
        return Content(
            sha256=sha256,
            size=path.stat().st_size,
            format=read.format,
            kind=Kind(read.kind),
            facts=read.facts,
            findings=read.findings,
            vectors=read.vectors,
            described=frozenset(read.describing),
            part_bytes=read.part_bytes,
        )

    def _known(self, sha256: str) -> Content | None:
        row = self.parts.content(sha256)
        if row is None:
            return None
        vectors = self.vectors_of_content(sha256, row.versions)
        if vectors.keys() != set(row.versions):  # removed since, or a version retired
            return self._known(sha256)
        undefined = {f["where"] for f in row.findings if f["code"] == UndefinedFeature.code}
        described = undefined | set(row.versions)
        return Content(
            sha256,
            row.bytes,
            row.format,
            Kind(row.kind),
            row.facts,
            row.findings,
            vectors,
            frozenset(described),
        )

    def _extract(self, path: Path, sha256: str, row: Format) -> Extraction:
        begin = time.time()
        try:
            described = self.versions.now().described
            read = self.workers.run(extraction.extract, str(path), row.name, described)
        except CadmlError as error:
            self.traces.past("read", begin, time.time(), error=error.code, format=row.name)
            if error.code in KILLERS:
                self.parts.record_failure(sha256, error.code)
                log.warning("a file ended its worker", code=error.code, format=row.name, sha256=sha256)
            if error.code.lower() in READER_REFUSALS:
                self.metrics.count("format_validation_fail_total", format=row.name, reason=error.code.lower())
            raise
        self._trace(read)
        log.debug("file read", format=row.name, sha256=sha256, seconds=round(read.seconds["total"], 6))
        return read

    def _trace(self, read: Extraction) -> None:
        """Make spans of what a worker process did just now; it sends its times back, not spans."""
        end = time.time() - read.seconds["encode"]
        begin = end - read.seconds["describe"]
        self.traces.past("read", begin - read.seconds["reader"], begin, format=read.format)
        self.traces.past("describe", begin, end, versions=len(read.vectors))

    def _observe(self, read: Extraction) -> None:
        reading, describing = read.seconds["reader"], read.seconds["describe"]
        self.metrics.observe("parse_stage_latency_seconds", reading, format=read.format)
        self.metrics.observe("analysis_stage_duration_seconds", reading, stage="read")
        self.metrics.observe("analysis_stage_duration_seconds", describing, stage="describe")
        for name, seconds in read.describing.items():
            self.metrics.observe("feature_extraction_latency_seconds", seconds, version=name)
        if "v4" in read.vectors:
            slots = [slot.name for slot in version("v4").slots]
            values = dict(zip(slots, read.vectors["v4"].tolist(), strict=True))
            self.metrics.observe("v4_surface_count", values["surface_count"])
            self.metrics.observe("v4_shape_entropy", values["shape_entropy"])

    def search_version(self, kind: Kind, asked: str | None) -> str:
        """Return the version that a part of this ``kind`` is searched with.

        Raises
        ------
        UnknownVersion, VersionNotApplicable, VersionNotKept
            The version that was asked for does not exist, does not describe this kind, or the library
            does not keep it.
        """
        if asked is not None:
            if kind not in version(asked).kinds:
                raise VersionNotApplicable(f"{asked} does not describe a {kind}", version=asked, kind=kind)
            return self.versions.searchable(asked)
        now = self.versions.now()
        return lineage.search_version(kind, now.active, now.kept)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of the file's bytes, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
