"""One installation, opened: database, blobs, worker processes, metrics, and whether they do well."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Self

import structlog

from cadml import extraction
from cadml.config import Settings, wants_traces
from cadml.errors import CadmlError, ConfigurationError, DatabaseUnavailable
from cadml.features.versions import VERSIONS
from cadml.geometry.isolate import Workers
from cadml.observability.metrics import Metrics, Reading
from cadml.observability.traces import Traces
from cadml.store.blobs import Blobs
from cadml.store.database import Database
from cadml.store.parts import Parts
from cadml.store.vectors import Vectors
from cadml.store.versions import Versions

log = structlog.get_logger("cadml")


class Opened:
    """Thread-safe; close it when done.

    Raises
    ------
    ConfigurationError
        A setting does not fit.
    DatabaseUnavailable, BlobUnavailable
        The library cannot be reached.
    """

    def __init__(self, settings: Settings) -> None:
        check_feature_version(settings.feature_version)
        self.settings = settings
        self.metrics = Metrics(enabled=settings.metrics_enabled)
        self.traces = Traces(enabled=wants_traces())
        self._grace: threading.Timer | None = None
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        self.blobs = Blobs(settings.blobs_url or str(settings.data_dir / "blobs"))
        self.database = Database.open(settings.database_url, settings.data_dir, POOL)
        self.parts = Parts(self.database)
        self.vectors = Vectors(self.database)
        self.versions = Versions(self.database, settings.feature_version)
        if (
            self.versions.active != settings.feature_version
            and "feature_version" in settings.model_fields_set
        ):
            log.warning(
                "CADML_FEATURE_VERSION does not change a library that exists; cadml migrate does",
                setting=settings.feature_version,
                active=self.versions.active,
            )
        self.workers = Workers(
            settings.extract_workers,
            settings.extract_timeout_s,
            settings.extract_memory_mb,
            on_failure=lambda reason: self.metrics.count("extraction_worker_failures_total", reason=reason),
            warm=extraction.warm_up,
        )
        self.metrics.read("database_up", lambda: float(self.database.is_up()))
        self.metrics.read("extraction_workers", lambda: _by_label(self.workers.states()))
        self.metrics.read("vector_store_vectors", lambda: when_up(self.vectors.counts))

    def wind_down(self) -> None:
        """Let what runs end within ``stop_grace_s``; then its worker processes are ended.

        A request gets ``ServiceStopping`` then, and an item of the queue is put back.
        """
        if self._grace is None:
            self._grace = threading.Timer(self.settings.stop_grace_s, self.workers.close)
            self._grace.daemon = True
            self._grace.start()

    def close(self) -> None:
        """Stop the worker processes, leave the database, send the last spans."""
        if self._grace is not None:
            self._grace.cancel()
        self.workers.close()
        self.database.close()
        self.traces.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def checks(self) -> dict[str, str]:
        """Return, for each thing that the service needs, ``ok`` or what is wrong with it."""
        return {
            "database": state_of(self.parts.count),
            "blobs": state_of(lambda: self.blobs.exists(f"source/{'0' * 64}")),
            "extraction workers": "ok" if sum(self.workers.states().values()) else "none runs",
        }

    def vector_states(self) -> dict[str, dict[str, Any]]:
        """Return count, length and metric of each feature version."""
        counts = self.vectors.counts()
        return {
            name: {"vectors": counts.get(name, 0), "length": row.length, "metric": str(row.metric)}
            for name, row in VERSIONS.items()
        }


POOL = 16  # connections: as many searches at once as two cores can ever use, and room for the queue


def state_of(ask: Callable[[], object]) -> str:
    """Return ``ok``, the trouble that ``ask`` names, or the error that it raises."""
    try:
        found = ask()
    except CadmlError as error:
        return error.message
    return found if isinstance(found, str) else "ok"


def when_up(ask: Callable[[], dict[str, int]]) -> Reading:
    """Return a gauge's values by label; none while the database cannot tell them."""
    try:
        return _by_label(ask())
    except DatabaseUnavailable:
        return {}


def _by_label(counts: dict[str, int]) -> dict[tuple[str, ...], float]:
    return {(label,): float(count) for label, count in counts.items()}


def check_feature_version(name: str) -> None:
    """Let a library begin with the feature version called ``name`` only if there is one.

    Raises
    ------
    ConfigurationError
        There is none.
    """
    if name not in VERSIONS:
        raise ConfigurationError(
            f"CADML_FEATURE_VERSION: {name!r} is none of {', '.join(VERSIONS)}", name="CADML_FEATURE_VERSION"
        )
