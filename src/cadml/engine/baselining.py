"""Baselines by hand: made anew, of what came lately or of chosen parts, exported and imported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cadml.drift.document import Portable, read, write
from cadml.drift.verdict import SUBJECTS, Subject
from cadml.engine.comparing import EVER, Pair, sample_of
from cadml.engine.drift import Drift
from cadml.errors import Conflict, InvalidRequest, NotEnoughData
from cadml.store.baselines import BaselineRow, Sample
from cadml.store.filters import Filters
from cadml.store.parts import PartRow, Parts
from cadml.store.predictions import Predictions

FEWEST = 100  # observations that a baseline made by hand needs
MOST_CHOSEN = 1000
PAGE = 200

Source = Literal["next", "recent", "chosen"]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Parts of the library that stand for what is normal: by id, or all that pass ``filters``."""

    ids: Sequence[str] = ()
    filters: Filters | None = None


class Baselining:
    """Changes the baselines of ``drift`` on a person's word."""

    def __init__(self, drift: Drift, parts: Parts, predictions: Predictions) -> None:
        self._drift, self._parts, self._predictions = drift, parts, predictions

    def reset(self, subject: Subject | None, source: Source, chosen: Chosen) -> list[Pair]:
        """Begin anew with the next observations, the recent ones, or those of chosen parts.

        Without ``subject`` all are renewed that have enough; returns which were.

        Raises
        ------
        InvalidRequest, PartNotFound
            The choice is malformed or names no part.
        NotEnoughData
            There is too little for any of them, or for the one that was asked for.
        """
        if (source == "chosen") != bool(chosen.ids or chosen.filters is not None):
            raise InvalidRequest("ids or filters belong to the source 'chosen', and it needs them")
        self._drift.settle()
        pairs = self._drift.pairs(subject)
        if source == "next":
            for pair in pairs:
                self._drift.baselines.begin_anew(pair.subject, pair.scope)
            return pairs
        rows = list(self._rows(chosen)) if source == "chosen" else None
        samples = {pair: self._recent(pair) if rows is None else self._of(pair, rows) for pair in pairs}
        ready = {pair: found for pair, found in samples.items() if found[0].size >= FEWEST}
        if not ready:
            most = max((sample.size for sample, _ in samples.values()), default=0)
            raise NotEnoughData(f"a baseline needs {FEWEST} observations; there are {most}", size=most)
        for pair, (sample, after) in ready.items():
            self._install(pair, sample, origin=source, after=after)
        return list(ready)

    def _recent(self, pair: Pair) -> tuple[Sample, int]:
        size = self._drift.settings.drift_baseline_size
        seen = self._drift.observations.latest(pair.subject, pair.scope, 0, size, EVER)
        return (sample_of(pair, seen.values) if seen.values else Sample({})), seen.last

    # -- chosen parts ---------------------------------------------------------------------------

    def _rows(self, chosen: Chosen) -> Iterator[PartRow]:
        if chosen.ids:
            yield from (self._parts.get(part_id) for part_id in chosen.ids)
            return
        after, left = None, MOST_CHOSEN
        while left:
            page = self._parts.find(chosen.filters, after=after, limit=min(PAGE, left))
            yield from page.rows
            after, left = page.next, left - len(page.rows)
            if after is None:
                return

    def _of(self, pair: Pair, rows: Sequence[PartRow]) -> tuple[Sample, int]:
        """Return the sample that the parts are; what was observed before stays news to it."""
        values: list[Any] = []
        if pair.subject == "material":
            values = [row.metadata.get("material") for row in rows]
        elif pair.subject == "prediction":
            values = list(self._predictions.labels([row.sha256 for row in rows], pair.scope))
        else:
            for row in rows:
                values.extend(self._parts.content_vectors(row.sha256, [pair.scope]).values())
        return (sample_of(pair, values) if values else Sample({})), 0

    def _install(self, pair: Pair, sample: Sample, **rest: Any) -> BaselineRow:
        active = self._drift.baselines.standing(pair.subject, pair.scope).active
        row = self._drift.install(pair, sample, replaces=active, **rest)
        if row is None:
            raise Conflict("the baseline was changed by someone else just now; look again")
        return row

    # -- export and import ----------------------------------------------------------------------

    def export(self, subject: Subject | None = None) -> dict[str, Any]:
        """Return the baselines in force as one document; :meth:`import_` takes it anywhere."""
        found = []
        for row in self._drift.baselines.every():
            if row.active and subject in {None, row.subject}:
                sample = self._drift.baselines.sample(row.subject, row.scope, row.number)
                found.append(Portable(row.subject, row.scope, row.created_at, sample.counts, sample.vectors))
        return write(found)

    def import_(self, document: Mapping[str, Any]) -> list[BaselineRow]:
        """Put the document's baselines in force, with their age; all that was observed is news to them.

        Raises
        ------
        InvalidRequest, UnknownVersion
            The document is no good; then nothing has changed.
        """
        return [
            self._install(
                Pair(_subject(each.subject), each.scope),
                Sample(each.counts, each.vectors),
                origin="imported",
                after=0,
                created_at=each.created_at,
            )
            for each in read(document)
        ]


def _subject(word: str) -> Subject:
    return next(subject for subject in SUBJECTS if subject == word)
