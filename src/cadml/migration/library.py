"""The whole library from one version to another: a durable job that goes on wherever a kill left it.

planned → building → checking → ready → active → retired. It fails when too much could not be
described or a check says so; what failed can be tried again. Each step is one transaction of
:mod:`cadml.store.migration_steps`, and queues the next with it.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from cadml.errors import (
    BlobUnavailable,
    CadmlError,
    DatabaseUnavailable,
    InternalError,
    InvalidRequest,
    MigrationConflict,
    MigrationNotFound,
    ServiceStopping,
    UndefinedFeature,
)
from cadml.features.lineage import replaces
from cadml.features.versions import version
from cadml.geometry.part import Kind
from cadml.migration.checks import LEAST_RECALL, check
from cadml.migration.decision import Outcome, decide
from cadml.migration.items import Describe, events
from cadml.store import near_index
from cadml.store.backfill import Backfill, Described, Done
from cadml.store.blobs import Blobs
from cadml.store.database import Database
from cadml.store.migration_steps import Defer, Steps
from cadml.store.migrations import Migration, Migrations
from cadml.store.moves import Holding
from cadml.store.vectors import Vectors

log = logging.getLogger(__name__)

MOST_FAILED = 0.01
MOST_ATTEMPTS = 20  # a chunk begun so often takes its workers down; then its parts have failed


class LibraryMigration:
    """Migrations of one library; ``defer`` queues work, ``describe`` runs in a worker process."""

    def __init__(self, database: Database, blobs: Blobs, describe: Describe, defer: Defer) -> None:
        self._database = database
        self._blobs = blobs
        self._describe = describe
        self._defer = defer
        self._steps = Steps(database)
        self._backfill = Backfill(database)
        self._vectors = Vectors(database)
        self.records = Migrations(database)

    # -- what a person asks for ------------------------------------------------------------------

    def run(
        self, target: str, most_failed: float = MOST_FAILED, least_recall: float = LEAST_RECALL
    ) -> Migration:
        """Begin a migration to ``target`` and return it; workers do the rest.

        Raises
        ------
        UnknownVersion, InvalidRequest
            There is no such version, or it describes drawings alone, which have one version anyway.
        MigrationConflict
            Another migration is open, or the library is searched with ``target`` already.
        """
        if Kind.BREP not in version(target).kinds:
            raise InvalidRequest(f"{target} describes no solid parts; drawings are always searched with it")
        return self.records.get(self._steps.plan(target, most_failed, least_recall, self._defer))

    def activate(self) -> Migration:
        """Let searches use what is ready.

        Raises
        ------
        MigrationNotFound, MigrationConflict
            Nothing is open, or it is not ready.
        """
        migration = self._opened()
        self._steps.activate(migration)
        return self.records.get(migration.id)

    def roll_back(self) -> Migration:
        """Let searches use what they used before the last activation.

        Raises
        ------
        MigrationNotFound, MigrationConflict
            Nothing is active by a migration, or another one is open.
        """
        migration = self._active()
        self._steps.roll_back(migration)
        return self.records.get(migration.id)

    def retire(self, used_by_model: tuple[str, str] | None = None) -> Migration:
        """Delete what the last activation replaced; there is no way back.

        ``used_by_model``: the model that serves, and the feature version that it reads.

        Raises
        ------
        MigrationNotFound, MigrationConflict
            Nothing is active by a migration, or the old version is still needed: by parts that the new
            one does not describe, or by the model.
        """
        migration = self._active()
        if used_by_model is not None and used_by_model[1] == migration.origin:
            raise MigrationConflict(
                f"{migration.origin} stays: the model {used_by_model[0]} reads it; train one on"
                f" {migration.target} and activate that first"
            )
        if not replaces(migration.target, migration.origin):
            only = sorted(version(migration.origin).kinds - version(migration.target).kinds - {Kind.DRAWING})
            raise MigrationConflict(
                f"{migration.origin} stays: parts of kind {', '.join(only)} are searched with it,"
                f" since {migration.target} does not describe them"
            )
        self._steps.retire(migration, self._defer)
        return self.records.get(migration.id)

    def cancel(self) -> Migration:
        """Give up the open one.

        Raises
        ------
        MigrationNotFound
            None is open.
        """
        migration = self._opened()
        self._steps.cancel(migration, self._defer)
        return self.records.get(migration.id)

    def retry(self) -> Migration:
        """Try once more what failed.

        Raises
        ------
        MigrationNotFound, MigrationConflict
            None is open, or it is still at work.
        """
        migration = self._opened()
        self._steps.reopen(migration, self._defer)
        return self.records.get(migration.id)

    def is_clearing(self) -> bool:
        """Whether vectors of a version that was let go are still being deleted."""
        return any(not one.is_cleared for one in self.records.all() if one.state in {"retired", "cancelled"})

    def _opened(self) -> Migration:
        migration = self.records.open()
        if migration is None:
            raise MigrationNotFound("no migration is open")
        return migration

    def _active(self) -> Migration:
        active = [one for one in self.records.all() if one.state == "active"]
        if not active:
            raise MigrationNotFound("no migration is active: there is nothing to go back from, or to retire")
        return max(active, key=lambda one: one.activated_at or one.created_at)

    # -- what workers do -------------------------------------------------------------------------

    def advance(self, migration_id: str) -> bool:
        """Take the steps that are due; False: somebody else is taking them, look again later."""
        with self._steps.driving(migration_id) as connection:
            if connection is None:
                return False
            migration = self.records.get(migration_id)
            if migration.state == "planned":
                self._steps.cut_up(migration, version(migration.target).kinds, self._defer)
            elif migration.state == "building" and migration.done == migration.total:
                if self._too_many_failed(migration):
                    return True
                near_index.build(connection, self._database.versions[migration.target])
                if self._steps.move(migration, "checking"):
                    self._check(self.records.get(migration_id))
            elif migration.state == "checking":
                self._check(migration)
            elif migration.state == "retired":
                self._steps.clear(migration.id, migration.origin)
            elif migration.state == "cancelled":
                self._steps.clear(migration.id, migration.target)
        return True

    def _too_many_failed(self, migration: Migration) -> bool:
        if not migration.failed or migration.failed <= migration.most_failed * migration.total:
            return False
        share = migration.failed / migration.total
        reason = (
            f"{migration.failed} of {migration.total} could not be described:"
            f" {share:.1%}, more than the {migration.most_failed:.1%} allowed"
        )
        self._steps.move(migration, "failed", reason=reason)
        return True

    def _check(self, migration: Migration) -> None:
        report, wrong = check(self._database, self._vectors, migration)
        near_index.set_breadth(self._database, migration.target, report["breadth"])
        if wrong:
            self._steps.move(migration, "failed", reason="; ".join(wrong), checks=report)
        else:
            self._steps.move(migration, "ready", checks=report)

    def chunk(self, migration_id: str, seq: int) -> list[Outcome]:
        """Describe one chunk, unless that is done, and return what became of its contents."""
        migration = self.records.get(migration_id)
        chunk = self._backfill.begin(migration, seq, version(migration.target).kinds)
        if chunk is None:
            return []
        tried_out = chunk.attempts > MOST_ATTEMPTS
        pairs = [self._one(holding, migration, tried_out=tried_out) for holding in chunk.holdings]
        outcomes = [outcome for outcome, _ in pairs]
        worked = sum(outcome.seconds for outcome in outcomes)
        done = Done([described for _, described in pairs], events(outcomes), worked)
        return outcomes if self._backfill.finish(migration, chunk, done, self._defer) else []

    def _one(self, holding: Holding, migration: Migration, *, tried_out: bool) -> tuple[Outcome, Described]:
        planned = decide(holding, migration.target)
        described = Described(holding, None, (), "vector_not_found", "its vector was removed meanwhile")
        if migration.target in holding.lengths:
            return replace(planned, status="skipped"), described
        try:
            if planned.status == "error":
                return planned, replace(described, code=planned.reason, message=planned.message)
            if tried_out:
                raise InternalError(f"begun {MOST_ATTEMPTS} times, it never ended")
            if planned.status == "downgraded" and planned.from_version is not None:
                length = version(migration.target).length
                described = replace(
                    described, vector=self._backfill.head(holding, planned.from_version, length)
                )
            else:
                again = self._describe(self._blobs.get_bytes(f"part/{holding.sha256}"), (migration.target,))
                planned = replace(planned, seconds=again.seconds)
                described = replace(described, findings=again.findings)
                described = replace(described, vector=again.vector(migration.target))
        except (DatabaseUnavailable, ServiceStopping):
            raise
        except CadmlError as error:
            if not isinstance(error, UndefinedFeature | BlobUnavailable):
                log.warning("content %s could not be described again: %s", holding.sha256, error.message)
            planned = planned.failed(error)
            described = replace(described, code=error.code.lower(), message=error.message)
        return planned, described
