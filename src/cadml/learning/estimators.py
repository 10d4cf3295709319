"""ESTIMATORS: what is tried when a classifier is trained, each once, with the reason it is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

TREES = 100
MOST_LEAVES = 512  # of one tree: it bounds the file (some 10 MB), and no small set reaches it
SEED = 0

Values = NDArray[np.floating]
Codes = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Estimator:
    """One row: ``make`` returns an unfitted scikit-learn classifier that skl2onnx converts exactly.

    The probabilities of one with ``members`` are the mean of those rows' own. One that does not
    serve is only compared with: its graph would need an operator that the guard refuses.
    """

    name: str
    reason: str
    make: Callable[[], Any]
    members: tuple[str, ...] = ()
    serves: bool = True


ESTIMATORS: dict[str, Estimator] = {}


def _row(row: Estimator) -> None:
    if row.name in ESTIMATORS:
        raise ValueError(f"estimator {row.name} is registered twice")
    ESTIMATORS[row.name] = row


def _extra_trees() -> Any:
    return ExtraTreesClassifier(TREES, class_weight="balanced", max_leaf_nodes=MOST_LEAVES, random_state=SEED)


def _random_forest() -> Any:
    return RandomForestClassifier(
        TREES, class_weight="balanced", max_leaf_nodes=MOST_LEAVES, random_state=SEED
    )


def _logistic() -> Any:
    return LogisticRegression(class_weight="balanced", max_iter=5000)


def _nearest() -> Any:
    return KNeighborsClassifier(5, metric="manhattan")


def _blend() -> Any:
    members = [("extra_trees", _extra_trees()), ("logistic", _logistic())]
    return VotingClassifier(members, voting="soft", flatten_transform=False)  # else skl2onnx has no words


# The steadiest first: of those that score alike the first is taken.
_row(
    Estimator(
        "blend",
        "extra_trees and logistic averaged: they err on different parts",
        _blend,
        members=("extra_trees", "logistic"),
    )
)
_row(Estimator("logistic", "one direction per class over all slots; the least it can memorise", _logistic))
_row(Estimator("extra_trees", "many random cuts; forgiving where families are few", _extra_trees))
_row(Estimator("random_forest", "fewer, better cuts; needs more parts", _random_forest))
_row(
    Estimator(
        "nearest",
        "the classes of the five nearest under the search's own distance",
        _nearest,
        serves=False,
    )
)


def fitted(estimator: Estimator, values: Values, codes: Codes) -> Any:
    """Return a classifier fitted to scaled ``values (P, N)`` and class numbers ``codes (P,)``.

    Where only one class is left to learn from (in a fold of very few families), it always answers
    that one.
    """
    model = estimator.make() if len(set(codes.tolist())) > 1 else DummyClassifier()
    if isinstance(model, KNeighborsClassifier):
        model.set_params(n_neighbors=min(model.n_neighbors, len(codes)))
    return model.fit(values, codes)


def estimates(seen: Values, codes: Codes, asked: Values, classes: int) -> dict[str, NDArray[np.float64]]:
    """Return each estimator's raw probabilities ``(Q, classes)`` for ``asked (Q, N)``.

    Each is fitted to ``seen (P, N)``. A class that was not seen has probability 0.
    """
    found: dict[str, NDArray[np.float64]] = {}
    for name, row in ESTIMATORS.items():
        if not row.members:
            model = fitted(row, seen, codes)
            found[name] = np.zeros((len(asked), classes))
            found[name][:, model.classes_] = model.predict_proba(asked)
    means = {
        name: np.mean([found[member] for member in row.members], axis=0)
        for name, row in ESTIMATORS.items()
        if row.members
    }
    return {name: means[name] if name in means else found[name] for name in ESTIMATORS}
