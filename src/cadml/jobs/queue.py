"""The durable queue: procrastinate hands named work to the workers of all machines."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from procrastinate import App, JobContext, PsycopgConnector, SyncPsycopgConnector
from procrastinate.connector import BaseConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job
from procrastinate.retry import BaseRetryStrategy, RetryDecision
from procrastinate.types import JSONValue
from procrastinate.worker import Worker

from cadml.errors import DatabaseUnavailable, ServiceStopping
from cadml.store.database import Database

log = logging.getLogger(__name__)

QUEUE = "ingest"  # what databases call it since there were ingest jobs only; all tasks share it
HEARTBEAT_S = 2.0
STALLED_S = 10.0  # a worker without a heartbeat for so long is dead, and its work is taken over
SWEEP_S = 2.0
LONGEST_PAUSE_S = 60
# Calls that are queued at once, from which on PostgreSQL is told: it knows of new rows after a minute only,
# and until then takes each job with a plan for an empty table (3,000 calls: 1.1 s of CPU for each).
MANY = 100


class PostponedError(Exception):
    """The work has to be tried again later; it is not its own fault, or it has another chance."""


@dataclass(frozen=True, slots=True)
class Task:
    """A kind of work: ``run`` is called with the arguments that were deferred, in a thread of a worker.

    What has been done is recorded by ``run`` itself, in transactions of its own, and a call whose
    work is recorded already returns at once: after a kill it is called again with the same arguments.
    Whatever it raises, it is called again later (:class:`PostponedError` says so without a trace).
    Of work that waits, that of the highest ``priority`` begins first.
    """

    name: str
    run: Callable[..., None]
    priority: int = 0


class _Backoff(BaseRetryStrategy):
    """Work whose end is not recorded comes again after 1, 2, 4, … 60 s, whatever went wrong."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision:  # noqa: ARG002  # its signature
        return RetryDecision(retry_in={"seconds": min(2**job.attempts, LONGEST_PAUSE_S)})


class Origins:
    """Where work came from. These know nothing of it; the engine's know requests and traces."""

    def present(self) -> dict[str, str]:
        """Return what is to be remembered of the present request."""
        return {}

    def resumed(
        self,
        origin: Mapping[str, str],  # noqa: ARG002 - nothing is known here
        task: str,  # noqa: ARG002
        arguments: Mapping[str, Any],  # noqa: ARG002
    ) -> AbstractContextManager[object]:
        """Return a block within which the work is done."""
        return nullcontext()


class Queue:
    """The work of one database. Tasks are added before the first is deferred or worked on.

    ``origins`` say what to remember of the request that asks for work, and take it up again round
    the work itself, which may happen elsewhere and much later.
    """

    def __init__(self, database: Database, origins: Origins | None = None) -> None:
        self._database = database
        self._origins = origins or Origins()
        self._tasks: dict[str, Task] = {}
        self._active: set[int | None] = set()  # ids of what threads of this process are working on
        self._defer = App(connector=SyncPsycopgConnector())  # never opened: it writes through our connections

    def add(self, task: Task) -> None:
        """Let this process's worker do ``task``; every process that works the queue must know it."""
        if task.name in self._tasks:
            raise ValueError(f"task {task.name} is added twice")
        self._tasks[task.name] = task

    def defer(
        self,
        connection: psycopg.Connection[Any],
        name: str,
        calls: Sequence[Mapping[str, JSONValue]],
        *,
        after_s: float = 0,
    ) -> None:
        """Queue one call of the task per mapping of arguments, in the caller's transaction."""
        task = self._tasks[name]
        origin = self._origins.present()
        known: dict[str, JSONValue] = {"origin": dict(origin)} if origin else {}
        when = datetime.now(UTC) + timedelta(seconds=after_s) if after_s else None
        jobs = [
            Job(
                id=None,
                queue=QUEUE,
                priority=task.priority,
                lock=None,
                queueing_lock=None,
                task_name=name,
                task_kwargs={**arguments, **known},
                scheduled_at=when,
            )
            for arguments in calls
        ]
        if jobs:
            self._defer.job_manager.batch_defer_jobs(jobs, connection=connection)
        if len(jobs) >= MANY:
            connection.execute("ANALYZE procrastinate_jobs")

    def run_worker(self, concurrency: int, stop: threading.Event) -> None:
        """Do what is queued, ``concurrency`` at a time, until ``stop`` is set and what began has ended.

        Work of workers that died is taken over. While the database is away it waits.
        """
        asyncio.run(self._serve(concurrency, stop))

    def _app(self, connector: BaseConnector) -> App:
        app = App(connector=connector)
        for task in self._tasks.values():
            app.task(name=task.name, queue=QUEUE, retry=_Backoff(), pass_context=True)(self._runner(task))
        return app

    def _runner(self, task: Task) -> Callable[..., None]:
        def run(context: JobContext, origin: dict[str, str] | None = None, **arguments: Any) -> None:
            """Do one job; runs in a thread of the worker."""
            self._active.add(context.job.id)
            try:
                with self._origins.resumed(origin or {}, task.name, arguments):
                    task.run(**arguments)
            except (DatabaseUnavailable, ServiceStopping) as error:
                raise PostponedError(error.message) from error
            finally:
                self._active.discard(context.job.id)

        return run

    async def _serve(self, concurrency: int, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                await self._session(concurrency, stop)
            except (ConnectorException, psycopg.OperationalError) as error:
                log.warning("the queue's worker lost the database and begins again: %s", error)
            if not stop.is_set():
                await asyncio.sleep(1)
                await asyncio.to_thread(self._database.is_up)  # starts a dead embedded server again

    async def _session(self, concurrency: int, stop: threading.Event) -> None:
        """Run one procrastinate worker until ``stop`` is set or the database is lost."""
        connector = PsycopgConnector(conninfo=self._database.dsn, min_size=1, max_size=concurrency + 3)
        app = self._app(connector)
        async with app.open_async():
            worker = Worker(
                app,
                queues=[QUEUE],
                concurrency=concurrency,
                delete_jobs="always",  # what became of it stands in our own tables
                install_signal_handlers=False,
                fetch_job_polling_interval=SWEEP_S,
                update_heartbeat_interval=HEARTBEAT_S,
                stalled_worker_timeout=10 * STALLED_S,
            )
            running = asyncio.create_task(worker.run())  # type: ignore[no-untyped-call]  # procrastinate's
            sweeping = asyncio.create_task(self._sweep_now_and_then(app, worker))
            try:
                while not running.done():
                    await asyncio.wait({running}, timeout=0.1)
                    if stop.is_set():  # told again and again: once, before it has begun, would be forgotten
                        worker.stop()  # type: ignore[no-untyped-call]  # likewise
                await running
            finally:
                sweeping.cancel()

    async def _sweep_now_and_then(self, app: App, worker: Worker) -> None:
        suspects: set[int | None] = set()
        while True:
            with suppress(ConnectorException):  # the worker itself notices and says so
                suspects = await self._sweep(app, worker, suspects)
            await asyncio.sleep(SWEEP_S)

    async def _sweep(self, app: App, worker: Worker, suspects: set[int | None]) -> set[int | None]:
        """Queue again what nobody works on: that of dead workers, and our own whose end was not recorded.

        Our own must look abandoned twice (``suspects``: the ids of last time, the result: those of
        this time), since what begins or ends at this moment looks so once.
        """
        manager = app.job_manager
        stalled = {
            job.id: job
            for job in await manager.get_stalled_jobs(queue=QUEUE, seconds_since_heartbeat=STALLED_S)
        }
        own = await manager.list_jobs_async(queue=QUEUE, status="doing", worker_id=worker.worker_id)
        idle = {job.id: job for job in own if worker.worker_id and job.id not in self._active}
        lost = {key: job for key, job in idle.items() if key in suspects}
        for job in (stalled | lost).values():
            log.warning("%s %s is taken over from a worker that died", job.task_name, job.task_kwargs)
            with suppress(ConnectorException):  # another worker took it over first
                await manager.retry_job(job, retry_at=datetime.now(UTC))
        return set(idle)
