"""Single entries and lists of them: decide, describe or cut, store, say what became of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from cadml.errors import CadmlError, DatabaseUnavailable, ServiceStopping
from cadml.extraction import Description
from cadml.features.versions import version
from cadml.migration.decision import Outcome, decide, described_with, dropped, not_found
from cadml.store.blobs import Blobs
from cadml.store.history import Event
from cadml.store.moves import Holding, Moves
from cadml.store.versions import Versions

Describe = Callable[[bytes, tuple[str, ...]], Description]  # in a process that can be killed


class Items:
    """Moves entries of one library; ``describe`` runs in a worker process, ``width`` of them at once."""

    def __init__(
        self, moves: Moves, blobs: Blobs, versions: Versions, describe: Describe, width: int
    ) -> None:
        self._moves = moves
        self._blobs = blobs
        self._versions = versions
        self._describe = describe
        self._width = width

    def migrate(self, ids: Sequence[str], target: str, *, dry_run: bool = False) -> list[Outcome]:
        """Return what became of each entry, in the order of the ids, each once.

        Entries of the same file share its vectors: they are moved once, and have one outcome.

        Raises
        ------
        UnknownVersion
            ``target`` does not exist.
        """
        version(target)
        holdings = self._moves.holdings(ids)
        contents = {holding.content: holding for holding in holdings.values()}
        move = partial(self._one, target=target, dry_run=dry_run)
        with ThreadPoolExecutor(self._width, "migrate") as pool:
            became = dict(zip(contents, pool.map(move, contents.values()), strict=True))

        def outcome(entry_id: str) -> Outcome:
            if entry_id not in holdings:
                return not_found(entry_id, target)
            shared = became[holdings[entry_id].content]
            return shared if shared.id == entry_id else replace(shared, id=entry_id, seconds=0.0)

        return [outcome(entry_id) for entry_id in dict.fromkeys(ids)]

    def _one(self, holding: Holding, target: str, *, dry_run: bool) -> Outcome:
        planned = decide(holding, target)
        if planned.status not in {"migrated", "downgraded"}:
            return planned
        if dry_run:
            return replace(planned, status="dry_run", would=planned.status)
        outcome = self._move(holding, planned)
        if outcome.status != "not_found":
            return outcome
        now = self._moves.holdings([holding.id])  # gone, or somebody else moved it meanwhile
        return self._one(now[holding.id], target, dry_run=dry_run) if now else outcome

    def _move(self, holding: Holding, planned: Outcome) -> Outcome:
        seconds = 0.0
        try:
            if planned.status == "downgraded" and planned.from_version is not None:
                gone = dropped(holding, planned.to_version)
                self._moves.cut(holding, planned.from_version, planned.to_version, gone)
            else:
                seconds = self._describe_again(holding, planned.to_version)
        except (DatabaseUnavailable, ServiceStopping):
            raise
        except CadmlError as error:
            planned = planned.failed(error)
        return replace(planned, seconds=seconds)

    def _describe_again(self, holding: Holding, target: str) -> float:
        names = described_with(target, self._versions.now().kept, holding)
        described = self._describe(self._blobs.get_bytes(f"part/{holding.sha256}"), names)
        self._moves.give(holding, described.vectors, described.findings)
        described.vector(target)  # raises where the version has no value for this part
        return described.seconds


def events(outcomes: Sequence[Outcome]) -> list[Event]:
    """Return what happened as counts, one event for each kind of outcome."""
    kinds: Counter[tuple[str | None, str, str, str | None, int | None, int | None]] = Counter()
    seconds: Counter[tuple[str | None, str, str, str | None, int | None, int | None]] = Counter()
    for o in outcomes:
        key = (o.from_version, o.to_version, o.status, o.reason, o.dimension_before, o.dimension_after)
        kinds[key] += 1
        seconds[key] += o.seconds  # type: ignore[assignment]  # a Counter adds floats as well
    return [Event(*key[:4], number, *key[4:], seconds=float(seconds[key])) for key, number in kinds.items()]
