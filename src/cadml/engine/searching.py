"""What looks alike: searches by file, by stored part, by raw vector, and many at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cadml import extraction
from cadml.cache.feature_cache import CacheKey
from cadml.engine.reading import Content, Reading
from cadml.errors import (
    CadmlError,
    DimensionMismatch,
    InvalidRequest,
    NotFound,
    PartNotFound,
    VectorNotFound,
    VersionNotKept,
)
from cadml.features.spec import FeatureVector
from cadml.features.versions import VERSIONS, version
from cadml.geometry.part import Kind
from cadml.store.vectors import Found

BATCH_SIZES = ((5, "small"), (20, "medium"))


class Searching(Reading):
    """Searches, each timed by what it was asked with. ``rest``: filters, max_distance, exact."""

    def search_file(
        self, path: Path, filename: str, k: int, name: str | None = None, **rest: Any
    ) -> tuple[Found, Content]:
        """Return what lies nearest to a file, and what that is; its own bytes count as found.

        It is not stored by asking.
        """
        with self.request():
            content = self.content(path, *self.receive(path, filename))
            return self.neighbours(content, self.search_version(content.kind, name), k, **rest), content

    def neighbours(self, content: Content, name: str, k: int, **rest: Any) -> Found:
        """Return what lies nearest to ``content`` under version ``name``."""
        values = content.vector(name)
        self.metrics.observe("analysis_feature_vector_dimension", len(values))
        with self.stage("search"), self.metrics.timed("vector_query_latency_seconds", kind="file"):
            return self.vectors.search(name, values, k, **rest)

    def search_vector(self, name: str, values: Sequence[float], k: int, **rest: Any) -> Found:
        """Return what lies nearest to a raw vector of feature version ``name``."""
        array = self.checked(name, values)
        self.versions.searchable(name)
        with self.metrics.timed("vector_query_latency_seconds", kind="vector"):
            return self.vectors.search(name, array, k, **rest)

    def search_part(self, part_id: str, k: int, name: str | None = None, **rest: Any) -> Found:
        """Return what lies nearest to a stored part, itself left out."""
        with self.metrics.timed("vector_query_latency_seconds", kind="part"):
            usual = self.versions.searchable(name) if name else self.versions.active
            if name is None and Kind.DRAWING in version(usual).kinds:
                usual = self.version_of(part_id)
            try:
                return self.vectors.search_part(part_id, usual, k, **rest)
            except VectorNotFound:
                # Only now it matters what kind of part it is: nearly always one query is enough.
                own = usual if name is not None else self.version_of(part_id)
                if own == usual:
                    raise
            return self.vectors.search_part(part_id, own, k, **rest)

    def similar_batch(
        self, ids: Sequence[str], k: int, name: str | None = None, **rest: Any
    ) -> dict[str, Found | CadmlError]:
        """Return the neighbours of each stored part, or why there are none."""
        size = next((label for most, label in BATCH_SIZES if len(ids) <= most), "large")
        with self.metrics.timed("vector_query_batch_latency_seconds", batch_size_range=size):
            if name is not None:
                return self.vectors.search_many(ids, self.versions.searchable(name), k, **rest)
            found = self.vectors.search_many(ids, self.versions.active, k, **rest)
            others = [part_id for part_id, each in found.items() if isinstance(each, VectorNotFound)]
            return found | self._similar_elsewhere(others, k, **rest)

    def _similar_elsewhere(self, ids: Sequence[str], k: int, **rest: Any) -> dict[str, Found | CadmlError]:
        """Return the neighbours of parts that the active version does not describe: one query per kind."""
        found: dict[str, Found | CadmlError] = {}
        members: dict[str, list[str]] = {}
        for part_id, kind in self.parts.kinds(ids).items():
            members.setdefault(kind, []).append(part_id)
        for kind, of_kind in members.items():
            try:
                name = self.search_version(Kind(kind), None)
            except VersionNotKept as error:
                found |= dict.fromkeys(of_kind, error)
            else:
                found |= self.vectors.search_many(of_kind, name, k, **rest)
        return found | {part_id: self._similar(part_id, k, **rest) for part_id in ids if part_id not in found}

    def _similar(self, part_id: str, k: int, **rest: Any) -> Found | CadmlError:
        """Return the neighbours of a vector that was described elsewhere, in its own version."""
        try:
            return self.vectors.search_part(part_id, self.version_of(part_id), k, **rest)
        except CadmlError as error:
            return error

    def register(
        self, vector_id: str, name: str, values: Sequence[float], metadata: Mapping[str, Any] | None = None
    ) -> None:
        """Store a vector that was described elsewhere; searches find it from then on."""
        self.vectors.register(vector_id, name, self.checked(name, values), metadata)

    def checked(self, name: str, values: Sequence[float]) -> NDArray[np.float32]:
        """Return raw values as a vector of version ``name``: right length, all finite."""
        row = version(name)
        if len(values) != row.length:
            self.metrics.count("vector_dimension_rejections_total", reason="dimension_mismatch")
            raise DimensionMismatch(
                f"{name} has {row.length} slots, the vector has {len(values)}",
                version=name,
                expected=row.length,
                given=len(values),
            )
        with np.errstate(over="ignore"):  # too large for single precision is refused just below
            array = np.asarray(values, dtype=np.float32)
        if not np.isfinite(array).all():
            self.metrics.count("vector_dimension_rejections_total", reason="not_finite")
            raise InvalidRequest("a vector holds finite numbers only (in single precision)", version=name)
        return array

    # -- what the numbers are --------------------------------------------------------------------

    def version_of(self, part_id: str) -> str:
        """Return the version that a stored part or vector is searched with unless asked otherwise."""
        try:
            return self.search_version(Kind(self.parts.get(part_id).kind), None)
        except PartNotFound as missing:
            try:
                registered = self.vectors.foreign(part_id).vectors
            except VectorNotFound:
                raise missing from None
            now = self.versions.now()
            if now.active in registered:
                return now.active
            searchable = [name for name in VERSIONS if name in registered and name in now.kept]
            return searchable[-1] if searchable else max(registered, key=list(VERSIONS).index)

    def features(self, part_id: str, name: str | None = None) -> FeatureVector:
        """Return a stored part's vector of version ``name``, or of the one it is searched with."""
        if name is not None:
            version(name)  # refused before the part is looked for
        sha256, kind = self.vectors.content_of(part_id)
        if name is None:
            name = self.version_of(part_id) if kind is None else self.search_version(Kind(kind), None)
        try:
            values = self.vector_of_part(part_id, sha256, name)
        except VectorNotFound:
            # What the library does not keep is described on the spot; what it keeps has no value here.
            if sha256 is None or name in self.versions.now().kept:
                raise
            values = self._described_now(sha256, name)
        return FeatureVector(name, values)

    def _described_now(self, sha256: str, name: str) -> NDArray[np.float32]:
        part_bytes = self.blobs.get_bytes(f"part/{sha256}")
        values = self.workers.run(extraction.describe_again, part_bytes, (name,)).vector(name)
        self.cache.put(CacheKey(sha256, name, self.build), values)
        return values

    def diff(self, id_a: str, id_b: str, name: str) -> list[dict[str, Any]]:
        """Return slot by slot how two parts differ, the largest share of the distance first."""
        try:
            slots = self._diff(id_a, id_b, name)
        except CadmlError as error:
            status = "not_found" if isinstance(error, NotFound) else "error"
            self.metrics.count("features_diff_requests_total", status=status)
            raise
        self.metrics.count("features_diff_requests_total", status="success")
        return slots

    def _diff(self, id_a: str, id_b: str, name: str) -> list[dict[str, Any]]:
        row = version(name)
        a, b = (self.features(part_id, name).values for part_id in (id_a, id_b))
        weights = np.abs(row.scaled(b).astype(np.float64) - row.scaled(a))
        total = float(weights.sum())
        slots = [
            {
                "slot": slot.name,
                "unit": slot.unit,
                "a": float(x),
                "b": float(y),
                "difference": float(y) - float(x),
                "share": float(w) / total if total else 0.0,
            }
            for slot, x, y, w in zip(row.slots, a, b, weights, strict=True)
        ]
        return sorted(slots, key=lambda slot: -slot["share"])
