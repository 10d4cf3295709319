"""How good a trained classifier will be: nested cross-validation in which no family is on both sides.

Outer folds judge, inner folds choose (estimator, temperature, threshold), so nothing that was
chosen has seen what it is judged by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support

from cadml.learning.calibration import Probabilities, calibrated, fit_temperature, fit_threshold
from cadml.learning.estimators import ESTIMATORS, Codes, Estimator, Values, estimates
from cadml.learning.folds import Names, folds

OUTER_FOLDS = 5
INNER_FOLDS = 3
ABSTAINED = -1

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """P parts: scaled ``values (P, N)``, class numbers ``codes (P,)`` into ``classes``, families ``(P,)``."""

    values: Values
    codes: Codes
    families: Names
    classes: tuple[str, ...]

    @property
    def labels(self) -> Names:
        """The label of each part, ``(P,)``."""
        return np.asarray(self.classes)[self.codes]

    def at(self, rows: NDArray[np.intp]) -> LabelledSet:
        """Return the parts at ``rows``."""
        return LabelledSet(self.values[rows], self.codes[rows], self.families[rows], self.classes)


@dataclass(frozen=True, slots=True)
class Judged:
    """Held-out answers for P parts: ``(P, K)`` as served, and which of them were given."""

    probabilities: Probabilities
    answered: NDArray[np.bool_]

    def take(self, rows: NDArray[np.intp], raw: Probabilities, chosen: Chosen) -> None:
        """Fill in the answers for the parts at ``rows``, from raw probabilities ``(Q, K)``."""
        self.probabilities[rows] = calibrated(raw, chosen.temperature)
        self.answered[rows] = self.probabilities[rows].max(axis=1) >= chosen.abstain_below

    @property
    def best(self) -> Codes:
        """The most probable class of each part, ``(P,)``."""
        return np.asarray(self.probabilities.argmax(axis=1))


@dataclass(frozen=True, slots=True)
class Chosen:
    """What held-out answers of one estimator say; ``error`` is the standard error of its macro-F1."""

    estimator: Estimator
    temperature: float
    abstain_below: float
    macro_f1: float
    error: float


@dataclass(frozen=True, slots=True)
class Validation:
    """The procedure's own held-out answers, each estimator's, and what to train on all parts with."""

    chosen: Chosen
    procedure: Judged
    estimators: Mapping[str, Judged]


def labelled_set(values: Values, labels: Names, families: Names) -> LabelledSet:
    """Return scaled ``values (P, N)`` with their labels ``(P,)``; classes are in alphabetical order."""
    classes, codes = np.unique(labels, return_inverse=True)
    return LabelledSet(values, codes.astype(np.intp), families, tuple(classes.tolist()))


def held_out(parts: LabelledSet, most: int) -> dict[str, Probabilities]:
    """Return each estimator's raw ``(P, K)``, every part's by a model that saw nothing of its family."""
    found = {name: np.zeros((len(parts.codes), len(parts.classes))) for name in ESTIMATORS}
    for train, test in folds(parts.labels, parts.families, most):
        estimated = estimates(parts.values[train], parts.codes[train], parts.values[test], len(parts.classes))
        for name, table in estimated.items():
            found[name][test] = table
    return found


def judge(estimator: Estimator, raw: Probabilities, codes: Codes) -> Chosen:
    """Return temperature and threshold fitted to held-out ``raw (P, K)``, and the macro-F1 reached."""
    temperature = fit_temperature(raw, codes)
    served = calibrated(raw, temperature)
    best = served.argmax(axis=1)
    threshold = fit_threshold(served.max(axis=1), best == codes)
    by_class = f1_score(codes, best, labels=sorted(set(codes.tolist())), average=None, zero_division=0)
    error = float(by_class.std() / np.sqrt(len(by_class)))
    return Chosen(estimator, temperature, threshold, float(by_class.mean()), error)


def validate(parts: LabelledSet, progress: Progress = lambda _done, _all: None) -> Validation:
    """Return held-out answers for all parts by the whole procedure, and its final choice."""
    shape = (len(parts.codes), len(parts.classes))
    raw = {name: np.zeros(shape) for name in ESTIMATORS}
    served = {name: _unanswered(shape) for name in ESTIMATORS}
    procedure = _unanswered(shape)
    splits = folds(parts.labels, parts.families, OUTER_FOLDS)
    for number, (train, test) in enumerate(splits):
        seen = parts.at(train)
        inner = {
            name: judge(ESTIMATORS[name], table, seen.codes)
            for name, table in held_out(seen, INNER_FOLDS).items()
        }
        outer = estimates(seen.values, seen.codes, parts.values[test], shape[1])
        for name, chosen in inner.items():
            raw[name][test] = outer[name]
            served[name].take(test, outer[name], chosen)
        best = _best(inner.values())
        procedure.take(test, outer[best.estimator.name], best)
        progress(number + 1, len(splits))
    final = _best(judge(ESTIMATORS[name], table, parts.codes) for name, table in raw.items())
    return Validation(final, procedure, served)


def _unanswered(shape: tuple[int, int]) -> Judged:
    return Judged(np.zeros(shape), np.zeros(shape[0], dtype=bool))


def _best(choices: Iterable[Chosen]) -> Chosen:
    """Return the first that serves of those within one standard error of the highest macro-F1.

    With a few families per class the highest is often a matter of luck (the rule of one standard
    error is from Breiman et al., 1984); the table of estimators begins with the steadiest.
    """
    tried = [chosen for chosen in choices if chosen.estimator.serves]
    highest = max(tried, key=lambda chosen: chosen.macro_f1)
    return next(chosen for chosen in tried if chosen.macro_f1 >= highest.macro_f1 - highest.error)


def scores(judged: Judged, codes: Codes) -> dict[str, Any]:
    """Return accuracy and macro-F1, over all answers and over those given, and the share abstained.

    ``macro_f1_answered`` counts an abstention as no answer: it costs recall, not precision.
    """
    right, given = judged.best == codes, judged.answered
    abstaining = np.where(given, judged.best, ABSTAINED)
    return {
        "accuracy": float(accuracy_score(codes, judged.best)),
        "macro_f1": _macro_f1(codes, judged.best),
        "abstained": float(1 - given.mean()),
        "accuracy_answered": float(right[given].mean()) if given.any() else None,
        "macro_f1_answered": _macro_f1(codes, abstaining),
    }


def scores_by_class(judged: Judged, codes: Codes, classes: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """Return precision, recall, F1 and number of parts of each class, without abstention."""
    columns = precision_recall_fscore_support(
        codes, judged.best, labels=range(len(classes)), zero_division=0.0
    )
    names = ("precision", "recall", "f1", "parts")
    return {
        label: dict(zip(names, map(float, row), strict=True))
        for label, row in zip(classes, zip(*columns, strict=True), strict=True)
    }


def confusion(judged: Judged, codes: Codes, classes: int) -> NDArray[np.int64]:
    """Return ``(classes, classes + 1)``: rows as they are, columns as answered, the last abstained."""
    table = np.zeros((classes, classes + 1), dtype=np.int64)
    np.add.at(table, (codes, np.where(judged.answered, judged.best, classes)), 1)
    return table


def _macro_f1(codes: Codes, answers: Codes) -> float:
    return float(
        f1_score(codes, answers, labels=sorted(set(codes.tolist())), average="macro", zero_division=0)
    )
