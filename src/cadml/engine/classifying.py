"""Vectors become classes through the active model, for requests and for the stored library."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import structlog
from numpy.typing import NDArray

from cadml.engine.models import Models
from cadml.engine.serving import ABSTAINED
from cadml.errors import ModelError
from cadml.jobs.queue import PostponedError, Queue, Task
from cadml.learning.classifier import Prediction, predictions
from cadml.learning.slot import Loaded, Place
from cadml.observability.metrics import Metrics
from cadml.store.database import Database
from cadml.store.predictions import Connection, Predictions, StoredPrediction, put

TASK = "classify"
PRIORITY = -1  # what users wait for comes first
BATCH = 500  # stored contents that one call of the task classifies

log = structlog.get_logger("cadml.models")
Vectors = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Classified:
    """The class of one part, or why there is none."""

    status: Literal["classified", "abstained", "no_model", "not_applicable", "failed", "not_asked"]
    prediction: Prediction | None = None
    error: ModelError | None = None


NOT_ASKED = Classified("not_asked")


class Classifying:
    """Predicts with whatever model serves at that instant; thread-safe."""

    def __init__(self, models: Models, metrics: Metrics, database: Database, queue: Queue) -> None:
        self._models = models
        self._metrics = metrics
        self._database = database
        self._predictions = Predictions(database)
        self._queue = queue
        queue.add(Task(TASK, self._catch_up, PRIORITY))

    def classify(self, vectors: Vectors) -> Classified:
        """Return the class of a part with these raw vectors ``(N,)`` by feature version.

        A model that fails costs the class, not the request: the reply says so.
        """
        if self._models.serving.place() is None:
            return Classified("no_model")
        start = time.perf_counter()
        with self._models.serving.slot.use() as place:
            if place is None:
                return Classified("no_model")
            asked = {name: values[None] for name, values in vectors.items()}
            try:
                answers = self._answers(place, asked)
            except ModelError as error:
                log.exception("classification failed", version=place.loaded.card.version)
                return Classified("failed", error=error)
        if answers is None:
            return Classified("not_applicable")
        self._metrics.observe("classification_latency_seconds", time.perf_counter() - start)
        label = answers[0].label
        # A class that only a former model knows is no series of this one's.
        if label is None or label in place.loaded.card.classes:
            self._metrics.count("classification_prediction_distribution_total", label=label or ABSTAINED)
        return Classified("abstained" if label is None else "classified", answers[0])

    def _answers(self, place: Place, asked: Vectors) -> list[Prediction] | None:
        """Return the answers for raw ``(M, N)`` by feature version; None if the model's is not there.

        While a model is watched, its predecessor stands in for it where it fails.
        """
        try:
            return self._predict(place, place.loaded, asked)
        except ModelError:
            if place.probation is None:
                raise
            self._models.watched(place, place.probation.add_error())
            if place.before is None:
                raise
            return self._predict(place, place.before, asked)

    def _predict(self, place: Place, loaded: Loaded, asked: Vectors) -> list[Prediction] | None:
        values = asked.get(loaded.card.feature_version)
        if values is None:
            return None
        start = time.perf_counter()
        probabilities = loaded.predictor.probabilities(values)
        seconds = time.perf_counter() - start
        self._metrics.observe("classification_model_inference_seconds", seconds)
        answers = predictions(loaded.card, probabilities)
        abstained = sum(answer.label is None for answer in answers)
        loaded.record.add(len(answers), seconds, abstained)
        if place.probation is not None and loaded is place.loaded:
            self._models.watched(place, place.probation.add(len(answers), seconds, abstained))
        return answers

    # -- the stored library -------------------------------------------------------------------------

    def _catch_up(self, model: str, after: int) -> None:
        """Classify the next stored contents that ``model`` has not seen; queue the rest."""
        if self._models.serving.refresh().version != model:
            return  # another model serves by now, and has its own call
        with self._models.serving.slot.use() as place:
            if place is None or place.loaded.card.version != model:
                raise PostponedError(f"model {model} cannot be loaded by this worker")
            card = place.loaded.card
            batch = self._predictions.behind(model, card.feature_version, after, BATCH)
            if not batch:
                return
            asked = {card.feature_version: np.stack([each.vector for each in batch])}
            answers = self._answers(place, asked)
        keys = [each.key for each in batch]
        rows = {key: stored(answer) for key, answer in zip(keys, answers or (), strict=True)}
        with self._database.connection() as connection:
            put(connection, rows)
            self._queue.defer(connection, TASK, [{"model": model, "after": keys[-1]}])


def catch_up(queue: Queue, connection: Connection, version: str) -> None:
    """Queue, in the caller's transaction, that the library be classified by this model."""
    queue.defer(connection, TASK, [{"model": version, "after": 0}])


def kept(classified: Classified) -> StoredPrediction | None:
    """Return what is kept of a part's class, if there is one."""
    return stored(classified.prediction) if classified.prediction else None


def stored(answer: Prediction) -> StoredPrediction:
    """Return what is kept of an answer beside the part."""
    return StoredPrediction(answer.model_version, answer.label, answer.probabilities)
