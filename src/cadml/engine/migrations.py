"""Moving vectors between feature versions: single parts, and the library while people search."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from cadml import extraction
from cadml.engine.background import Background
from cadml.engine.opened import Opened
from cadml.errors import DatabaseUnavailable
from cadml.extraction import Description
from cadml.features.versions import VERSIONS
from cadml.geometry.isolate import Workers
from cadml.jobs.queue import PostponedError, Queue, Task
from cadml.migration.care import Care, examine_indexes
from cadml.migration.decision import Outcome
from cadml.migration.items import Items, events
from cadml.migration.library import LibraryMigration
from cadml.migration.reports import Reports
from cadml.observability.metrics import Reading
from cadml.store.history import History
from cadml.store.migrations import Migration
from cadml.store.moves import Moves

SEARCHES, CARE_EVERY_S = 10, 600.0  # whoever watches asks often; measuring recall compares everything


class Migrations:
    """Moves vectors of an opened installation, counts what becomes of each, and reports.

    ``used_by_model`` tells which model serves, and the feature version that it reads.
    """

    def __init__(
        self, here: Opened, queue: Queue, used_by_model: Callable[[], tuple[str, str] | None]
    ) -> None:
        self._here = here
        self._used_by_model = used_by_model
        moves = Moves(here.database)
        self._history = History(here.database)
        self._background = Background(self._processes)
        width = here.settings.extract_workers
        self._items = Items(moves, here.blobs, here.versions, self._describe, width)
        self.library = LibraryMigration(here.database, here.blobs, self._describe_behind, queue.defer)
        self.reports = Reports(moves, self._history, self.library.records, here.versions)
        queue.add(Task("migration", self._advance, priority=1))
        queue.add(Task("migration-chunk", self._chunk, priority=-1))  # files that people add come first
        self._caring = threading.Lock()
        self._care: list[Care] = []
        self._care_until = 0.0
        here.metrics.read("vector_migration_progress_ratio", self._progress)

    def close(self) -> None:
        """End the processes that described in the background."""
        self._background.close()

    def migrate(self, ids: Sequence[str], target: str, *, dry_run: bool = False) -> list[Outcome]:
        """Return what became of each entry, in the order of the ids.

        Raises
        ------
        UnknownVersion
            ``target`` does not exist.
        """
        outcomes = self._items.migrate(ids, target, dry_run=dry_run)
        self._history.add(events(outcomes))
        self._count(outcomes)
        return outcomes

    def index_care(self) -> list[Care]:
        """Return how well the search indexes are, as measured in the last minutes."""
        with self._caring:
            if time.monotonic() > self._care_until:
                self._care = examine_indexes(self._here.database, SEARCHES)
                self._care_until = time.monotonic() + CARE_EVERY_S
            return self._care

    def target(self) -> str:
        """Return the version that vectors are on their way to: the open migration's, or the active one."""
        migration = self.library.records.open()
        return migration.target if migration else self._here.versions.active

    def activate(self) -> Migration:
        """As :meth:`LibraryMigration.activate`; searches here follow at once, elsewhere in a second."""
        migration = self.library.activate()
        self._here.versions.refresh()
        return migration

    def roll_back(self) -> Migration:
        """As :meth:`LibraryMigration.roll_back`."""
        migration = self.library.roll_back()
        self._here.versions.refresh()
        return migration

    def retire(self) -> Migration:
        """As :meth:`LibraryMigration.retire`; refused while the model that serves reads the old version."""
        migration = self.library.retire(self._used_by_model())
        self._here.versions.refresh()
        return migration

    def _advance(self, migration: str) -> None:
        if not self.library.advance(migration):
            raise PostponedError("another worker is taking this step")

    def _chunk(self, migration: str, seq: int) -> None:
        self._count(self.library.chunk(migration, seq))

    def _count(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            self._here.metrics.count("vector_migrate_total", status=outcome.status)
            if outcome.status in {"migrated", "downgraded"} and outcome.dimension_before is not None:
                delta = (outcome.dimension_after or 0) - outcome.dimension_before
                self._here.metrics.observe("vector_migrate_dimension_delta", delta)

    def _progress(self) -> Reading:
        progress: dict[tuple[str, ...], float] = {(name,): 0.0 for name in VERSIONS}
        try:
            for migration in reversed(self.library.records.all()):  # the latest has the last word
                progress[migration.target,] = migration.progress
        except DatabaseUnavailable:
            return {}
        return progress

    def _describe(self, part_bytes: bytes, names: tuple[str, ...]) -> Description:
        return self._here.workers.run(extraction.describe_again, part_bytes, names)

    def _describe_behind(self, part_bytes: bytes, names: tuple[str, ...]) -> Description:
        return self._background.run(extraction.describe_again, part_bytes, names)

    def _processes(self) -> Workers:
        settings, metrics = self._here.settings, self._here.metrics
        return Workers(
            settings.extract_workers,
            settings.extract_timeout_s,
            settings.extract_memory_mb,
            on_failure=lambda reason: metrics.count("extraction_worker_failures_total", reason=reason),
            warm=extraction.step_back,
        )
