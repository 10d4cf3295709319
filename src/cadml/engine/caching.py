"""Stored vectors through the cache: memory first, then the database."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cadml import extraction
from cadml.cache.feature_cache import CacheCounts, CacheKey, FeatureCache
from cadml.cache.reuse import ReuseSample
from cadml.config import Settings
from cadml.engine.opened import Opened
from cadml.store.cache_use import CacheUse

Vector = NDArray[np.float32]

MOST_REMEMBERED = 100_000  # vectors whose uses are written down at once


@dataclass(frozen=True, slots=True)
class Prewarmed:
    """How many vectors came into the cache, and what it holds now."""

    loaded: int
    size: int
    capacity: int


class Caching(Opened):
    """Looks stored vectors up, in memory and then in the database.

    What was just described is not put into the cache: an ingest of a whole library would push out
    what people really ask for.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.build = extraction.build()
        self.reuse = ReuseSample()
        self.cache = FeatureCache(
            settings.feature_cache_capacity,
            settings.feature_cache_ttl_seconds,
            settings.feature_cache_max_mb << 20,
            on_hit=partial(self.metrics.count, "feature_cache_hits_total"),
            on_miss=partial(self.metrics.count, "feature_cache_miss_total"),
            on_evict=partial(self.metrics.add, "feature_cache_evictions_total"),
            on_use=self.reuse.record,
        )
        self._use = CacheUse(self.database)
        self._written: dict[CacheKey, int] = {}
        self._writing = threading.Lock()
        for name in ("size", "capacity", "bytes"):
            self.metrics.read(f"feature_cache_{name}", partial(self._gauge, name))

    def _gauge(self, name: str) -> float:
        return float(getattr(self.cache_counts(), name))

    def cache_counts(self) -> CacheCounts:
        """Return what the cache did and holds; what has passed its ttl is gone."""
        self.cache.expire()
        return self.cache.counts()

    def vector_of_part(self, part_id: str, sha256: str | None, name: str) -> Vector:
        """Return the raw vector ``(N,)`` of an entry, with this content, in version ``name``.

        Raises
        ------
        PartNotFound, VectorNotFound
            There is no such entry, or it has no vector of this version.
        """
        ask = partial(self.parts.vector, part_id, name)
        # A vector described elsewhere has no content that could be its key.
        return ask() if sha256 is None else self._through(CacheKey(sha256, name, self.build), ask)

    def vectors_of_content(self, sha256: str, names: Iterable[str]) -> dict[str, Vector]:
        """Return the content's raw vectors of these versions; those that are stored."""
        found, missing = {}, []
        for name in names:
            values = self._lookup(CacheKey(sha256, name, self.build))
            if values is None:
                missing.append(name)
            else:
                found[name] = values
        if missing:
            stored = self.parts.content_vectors(sha256, missing)
            for name, values in stored.items():
                self.cache.put(CacheKey(sha256, name, self.build), values)
            found |= stored
        return found

    def _through(self, key: CacheKey, ask: Callable[[], Vector]) -> Vector:
        values = self._lookup(key)
        if values is None:
            values = ask()
            self.cache.put(key, values)
        return values

    def _lookup(self, key: CacheKey) -> Vector | None:
        with self.metrics.timed("feature_cache_lookup_seconds"):
            return self.cache.get(key)

    # -- what is used most ----------------------------------------------------------------------

    def prewarm(self) -> Prewarmed:
        """Load the most used vectors from the database, as many as fit; nothing is evicted for them."""
        result = "error"
        try:
            self.write_uses()
            counts = self.cache_counts()
            with closing(self._use.most_used(counts.capacity)) as stored:
                loaded = self.cache.warm(
                    (CacheKey(sha256, name, self.build), raw) for sha256, name, raw in stored
                )
            result = "loaded" if loaded else "nothing"
        finally:
            self.metrics.count("feature_cache_prewarm_total", result=result)
        counts = self.cache_counts()
        return Prewarmed(loaded, counts.size, counts.capacity)

    def write_uses(self) -> None:
        """Write down how often vectors were asked for since the last time."""
        with self._writing:
            now = dict(self.cache.most_used(MOST_REMEMBERED))
            # A key that was evicted and came back counts from one again.
            uses = [
                (*key, count - (before if count >= before else 0))
                for key, count in now.items()
                if count != (before := self._written.get(key, 0))
            ]
            if uses:
                self._use.add(uses)
            self._written = now
