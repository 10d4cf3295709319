"""The checks that ask the loaded model itself: interface, canaries, score floor."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cadml.errors import CadmlError
from cadml.learning.artifact import Canary, ModelCard
from cadml.learning.predictor import Predictor
from cadml.learning.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Expected:
    """What the model must be to serve here.

    ``length`` is that of the feature version; ``classes`` (None: any) must be the model's, in any
    order; ``canaries`` are asked on top of those in a bundle's own card; ``card`` is the record
    kept beside a file that has none of its own (pickle, joblib, skops).
    """

    length: int
    classes: tuple[str, ...] | None = None
    canaries: tuple[Canary, ...] = ()
    card: ModelCard | None = None


def judge(
    verdict: Verdict, predictor: Predictor, card: ModelCard | None, expected: Expected, floor: float | None
) -> Verdict:
    """Return ``verdict`` if the model answers as it should, else the first refusal."""
    if predictor.length != expected.length:
        name = card.feature_version if card else "the feature version"
        has = f"has {expected.length}" if expected.length else "is no feature version of this cadml"
        return replace(
            verdict,
            status="interface_invalid",
            interface="wrong_input_dimension",
            message=f"the model takes {predictor.length} slots, {name} {has}",
        )
    if expected.classes is not None and set(predictor.classes) != set(expected.classes):
        return replace(
            verdict,
            status="interface_invalid",
            interface="wrong_classes",
            message="the model's classes are not the expected ones",
        )
    canaries = (card.canaries if card else ()) + expected.canaries
    refusal = _ask(predictor, canaries)
    if refusal is not None:
        return replace(verdict, status="canary_failed", message=refusal)
    score = card.scores.get("macro_f1") if card else None
    if floor is not None and not (isinstance(score, int | float) and score >= floor):
        return replace(
            verdict,
            status="score_too_low",
            message=f"the held-out macro-F1 is {score}, at least {floor:.4f} is asked",
        )
    return verdict


def _ask(predictor: Predictor, canaries: tuple[Canary, ...]) -> str | None:
    """Return why the model fails its canaries, or None; without canaries it must still answer zeros."""
    vectors = [canary.vector for canary in canaries] or [(0.0,) * predictor.length]
    if any(len(vector) != predictor.length for vector in vectors):
        return f"a canary has another length than the model's {predictor.length}"
    try:
        answers = predictor.probabilities(np.array(vectors, dtype=np.float32))
    except CadmlError as error:
        return error.message
    labels = [predictor.classes[best] for best in answers.argmax(axis=1)]
    for index, (canary, label) in enumerate(zip(canaries, labels, strict=False)):
        if label != canary.label:
            return f"canary {index} is a {canary.label!r}, the model says {label!r}"
    return None
