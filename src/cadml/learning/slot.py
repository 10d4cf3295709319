"""Where the active model stands: replaced at one instant, closed when the last request has left it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from cadml.learning.artifact import ModelCard
from cadml.learning.predictor import Predictor
from cadml.learning.probation import Probation, Record, Usual


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready to answer, with the record of what it answered."""

    card: ModelCard
    sha256: str
    format: str
    predictor: Predictor
    record: Record = field(default_factory=Record)

    def usual(self) -> Usual:
        """Return what is normal for this model."""
        return self.record.usual(float(self.card.scores.get("abstained", 0.0)))


@dataclass(frozen=True, slots=True)
class Place:
    """What serves: ``level`` 0 is the newest activated model.

    While that is watched, ``probation`` judges it, and the model ``before`` it is there to stand in.
    """

    loaded: Loaded
    level: int
    load_seq: int
    probation: Probation | None = None
    before: Loaded | None = None


class Slot:
    """Holds the active model. Thread-safe; nobody waits for a switch."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._place: Place | None = None
        self._users: dict[int, int] = {}  # id of what is loaded: requests that are in it
        self._kept: dict[int, Loaded] = {}

    @property
    def place(self) -> Place | None:
        """What serves now."""
        with self._lock:
            return self._place

    def holds(self, loaded: Loaded) -> bool:
        """Whether somebody may still predict with it."""
        with self._lock:
            return id(loaded) in self._kept

    @contextmanager
    def use(self) -> Iterator[Place | None]:
        """Yield what serves now; it, and the model before it, stay open until the block ends."""
        with self._lock:
            place = self._place
            held = _models(place)
            for each in held:
                self._users[id(each)] += 1
        try:
            yield place
        finally:
            for each in held:
                self._leave(each)

    def put(self, place: Place | None) -> None:
        """Let ``place`` serve from this instant; what is in no place any more closes when unused."""
        with self._lock:
            former = _models(self._place)
            for each in _models(place):
                self._kept[id(each)] = each
                self._users.setdefault(id(each), 0)
                self._users[id(each)] += 1  # the place itself
            self._place = place
        for each in former:
            self._leave(each)

    def _leave(self, loaded: Loaded) -> None:
        with self._lock:
            self._users[id(loaded)] -= 1
            is_last = not self._users[id(loaded)]
            if is_last:
                del self._users[id(loaded)], self._kept[id(loaded)]
        if is_last:
            loaded.predictor.close()


def _models(place: Place | None) -> list[Loaded]:
    if place is None:
        return []
    return [place.loaded] if place.before is None else [place.loaded, place.before]
