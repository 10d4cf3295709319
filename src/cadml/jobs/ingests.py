"""Ingest jobs: one queued call per file."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import NoReturn

from cadml.errors import (
    BlobUnavailable,
    CadmlError,
    DatabaseUnavailable,
    ExtractionOutOfMemory,
    ExtractionTimeout,
    InternalError,
    ReaderCrashed,
    ServiceStopping,
)
from cadml.jobs.queue import PostponedError, Queue, Task
from cadml.store import ingest
from cadml.store.database import Database
from cadml.store.ingest import IngestItem, JobStatus
from cadml.store.parts import NewEntry, Parts

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 20  # an item begun so often takes its workers down, or its file is lost; then it has failed


class Ingests:
    """Ingest jobs of one database; ``work`` adds one item's file to the library.

    ``work`` either returns, having made the item final in the transaction that stores the part
    (:meth:`Parts.add` with ``item``), or raises a :class:`CadmlError`.
    """

    def __init__(self, database: Database, queue: Queue, work: Callable[[IngestItem], None]) -> None:
        self._database = database
        self._queue = queue
        self._work = work
        self._parts = Parts(database)
        queue.add(Task("ingest", self._run))

    def submit(self, items: Sequence[tuple[str, NewEntry]]) -> str:
        """Queue the files whose blobs ``source/<sha256>`` exist as one durable job; return its id.

        Raises
        ------
        InvalidRequest
            An entry cannot be stored; nothing is queued.
        """
        with self._database.connection() as connection:
            job_id = ingest.create(connection, items)
            self._queue.defer(
                connection, "ingest", [{"job": job_id, "seq": seq} for seq in range(len(items))]
            )
        return job_id

    def status(self, job_id: str) -> JobStatus:
        """Return how far the job is.

        Raises
        ------
        JobNotFound
            There is none with this id.
        """
        return ingest.status(self._database, job_id)

    def cancel(self, job_id: str) -> JobStatus:
        """Cancel what has not begun (what runs is finished) and return how far the job is.

        Raises
        ------
        JobNotFound
            There is none with this id.
        """
        ingest.cancel(self._database, job_id)
        return self.status(job_id)

    def depths(self) -> dict[str, int]:
        """Return how many items of all jobs are queued, running and failed."""
        return ingest.depths(self._database)

    def _run(self, job: str, seq: int) -> None:
        with self._database.connection() as connection:
            item = ingest.begin(connection, job, seq)
        if item is None:
            return
        if item.attempts > MOST_ATTEMPTS:
            self._fail(item, InternalError.code, f"begun {MOST_ATTEMPTS} times, the file never ended")
        else:
            self._attempt(item)

    def _attempt(self, item: IngestItem) -> None:
        try:
            self._work(item)
        except (DatabaseUnavailable, ServiceStopping) as error:  # the file has no part in either
            self._postpone(item, error, counts=False)
        except BlobUnavailable as error:
            if item.attempts < MOST_ATTEMPTS:
                self._postpone(item, error)
            self._fail(item, error.code, error.message)
        except (ReaderCrashed, ExtractionTimeout, ExtractionOutOfMemory) as error:
            if not self._parts.quarantined(item.sha256):
                self._postpone(item, error)
            self._fail(item, error.code, error.message)
        except CadmlError as error:
            self._fail(item, error.code, error.message)
        except Exception:  # a defect must end the item, not the worker; its trace goes to the log
            log.exception("item %s of job %s failed by a defect", item.seq, item.job_id)
            self._fail(item, InternalError.code, InternalError.meaning)

    def _postpone(self, item: IngestItem, error: CadmlError, *, counts: bool = True) -> NoReturn:
        with self._database.connection() as connection:
            ingest.postpone(connection, item, counts=counts)
        raise PostponedError(error.message) from error

    def _fail(self, item: IngestItem, code: str, message: str) -> None:
        with self._database.connection() as connection:
            ingest.fail(connection, item, code, message)
