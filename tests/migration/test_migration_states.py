"""Any order of steps, with work done twice and out of turn, keeps what a migration promises."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from boxes import box_bytes
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from cadml import extraction
from cadml.errors import MigrationConflict, MigrationNotFound
from cadml.jobs.queue import Queue, Task
from cadml.migration.library import LibraryMigration
from cadml.store.blobs import Blobs
from cadml.store.contents import NewContent
from cadml.store.database import Database
from cadml.store.migration_steps import OPEN
from cadml.store.parts import NewEntry, Parts
from cadml.store.vectors import Vectors
from cadml.store.versions import Versions

FIRST = "v3"
FOLLOWS = {  # the states that each may be followed by; a step may pass through several
    "planned": {"planned", "building", "cancelled"},
    "building": {"building", "checking", "ready", "failed", "cancelled"},
    "checking": {"checking", "ready", "failed", "cancelled"},
    "ready": {"ready", "active", "building", "cancelled"},
    "failed": {"failed", "building", "cancelled"},
    "active": {"active", "ready", "retired"},
    "retired": {"retired"},
    "cancelled": {"cancelled"},
}
QUIET = settings(
    max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)


@dataclasses.dataclass
class World:
    database: Database
    blobs: Blobs
    made: list[NewContent]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("states")
    database = Database.open(None, folder / "data")
    blobs = Blobs(str(folder / "blobs"))
    made = []
    for number in range(6):
        path = folder / f"{number}.stl"
        path.write_bytes(box_bytes(number))
        read = extraction.extract(str(path), "stl", ())
        sha256 = f"{number:064x}"
        blobs.put_bytes(f"part/{sha256}", read.part_bytes)
        made.append(NewContent(sha256, 1, "stl", read.kind, read.facts, [], {}))
    yield World(database, blobs, made)
    database.close()


def fresh(world: World) -> Versions:
    with world.database.connection() as connection:
        connection.execute(
            "TRUNCATE contents, parts, migrations, migration_events, active_version,"
            " procrastinate_jobs CASCADE"
        )
        connection.execute("UPDATE feature_versions SET state = 'absent'")
    return Versions(world.database, FIRST)


class Machine(RuleBasedStateMachine):
    world: World

    def __init__(self) -> None:
        super().__init__()
        self.versions = fresh(self.world)
        self.parts = Parts(self.world.database)
        self.vectors = Vectors(self.world.database)
        self.queue = Queue(self.world.database)
        self.library = LibraryMigration(
            self.world.database, self.world.blobs, extraction.describe_again, self.queue.defer
        )
        self.queue.add(Task("migration", self.library.advance))
        self.queue.add(Task("migration-chunk", self.library.chunk))
        self.before: dict[str, str] = {}

    # -- what happens beside it ----------------------------------------------------------

    @rule(number=st.integers(0, 5))
    def add(self, number: int) -> None:
        content = self.world.made[number]
        described = self.versions.refresh().described
        vectors = extraction.describe_again(
            self.world.blobs.get_bytes(f"part/{content.sha256}"), described
        ).vectors
        new = dataclasses.replace(content, vectors=vectors, described=frozenset(described))
        self.parts.add(new, NewEntry(f"box {number}"))

    @rule(number=st.integers(0, 5))
    def remove(self, number: int) -> None:
        for row in self.parts.find().rows:
            if row.sha256 == self.world.made[number].sha256:
                self.parts.delete(row.id)

    @rule(data=st.data(), again=st.booleans())
    def work(self, data: st.DataObject, again: bool) -> None:
        """Do any queued call; ``again``: its worker was killed before it said that it had ended."""
        with self.world.database.connection() as connection:
            jobs = connection.execute("SELECT id, task_name, args FROM procrastinate_jobs").fetchall()
        if not jobs:
            return
        number, name, arguments = data.draw(st.sampled_from(sorted(jobs, key=lambda job: job[0])))
        {"migration": self.library.advance, "migration-chunk": self.library.chunk}[name](
            *(arguments[key] for key in ("migration", "seq") if key in arguments)
        )
        if not again:
            with self.world.database.connection() as connection:
                connection.execute("DELETE FROM procrastinate_jobs WHERE id = %s", (number,))

    # -- what a person does --------------------------------------------------------------

    @rule(wanted=st.sampled_from(("v1", "v2", "v3", "v4")))
    def run(self, wanted: str) -> None:
        refused = self.library.records.open() is not None or self.versions.refresh().active == wanted
        try:
            self.library.run(wanted)
        except MigrationConflict:
            assert refused
        else:
            assert not refused

    @rule(step=st.sampled_from(("activate", "roll_back", "retire", "cancel", "retry")))
    def ask(self, step: str) -> None:
        active = self.versions.refresh().active
        open_ = self.library.records.open()
        try:
            after = getattr(self.library, step)()
        except (MigrationConflict, MigrationNotFound):
            assert self.versions.refresh().active == active
            if open_ is not None and step == "activate":
                assert open_.state != "ready" or open_.origin != active
            return
        expected = {"activate": after.target, "roll_back": after.origin}
        assert self.versions.refresh().active == expected.get(step, active)

    @precondition(lambda self: self.library.records.open() is not None)
    @rule()
    def finish(self) -> None:
        """Let the workers come to rest: then it waits for a person, and nothing is lacking."""
        for _ in range(50):
            with self.world.database.connection() as connection:
                jobs = connection.execute(
                    "DELETE FROM procrastinate_jobs RETURNING task_name, args"
                ).fetchall()
            if not jobs:
                break
            for name, arguments in jobs:
                work = {"migration": self.library.advance, "migration-chunk": self.library.chunk}[name]
                work(*(arguments[key] for key in ("migration", "seq") if key in arguments))
        open_ = self.library.records.open()
        assert open_ is None or open_.state in {"ready", "failed"}
        if open_ is not None:
            assert open_.state == "ready", open_.reason
        self.before = {one.id: one.state for one in self.library.records.all()}

    # -- what always holds ---------------------------------------------------------------

    @invariant()
    def states_follow_their_order(self) -> None:
        records = {one.id: one.state for one in self.library.records.all()}
        for id_, state in records.items():
            assert state in FOLLOWS[self.before.get(id_, "planned")], (self.before.get(id_), state)
        assert sum(state in OPEN for state in records.values()) <= 1
        self.before = records

    @invariant()
    def every_part_is_found_in_every_kept_version(self) -> None:
        now = self.versions.refresh()
        assert now.active in now.kept
        with self.world.database.connection() as connection:
            for name in now.kept - {"d1"}:
                lacking = connection.execute(
                    f"SELECT count(*) FROM parts p WHERE NOT EXISTS (SELECT FROM near_{name} n"  # type: ignore[arg-type]
                    " JOIN vectors v ON v.content = p.content AND v.version = %s WHERE n.seq = p.seq)",
                    (name,),
                ).fetchone()
                assert lacking == (0,), name

    @invariant()
    def a_search_finds_all_by_one_version(self) -> None:
        now = self.versions.now()
        rows = self.parts.find().rows
        if rows:
            found = self.vectors.search_part(rows[0].id, now.active, 10)
            assert (found.version, len(found.neighbours)) == (now.active, len(rows) - 1)


def test_any_order_of_steps(world: World) -> None:
    here = type("Here", (Machine,), {"world": world})
    run_state_machine_as_test(here, settings=QUIET)  # type: ignore[no-untyped-call]
