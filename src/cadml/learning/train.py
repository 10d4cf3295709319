"""Labelled vectors become a classifier: validated, compared, calibrated, converted, with its card."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from cadml import __version__
from cadml.errors import InvalidRequest, TooLittleData
from cadml.features.spec import FeatureVersion, Vector
from cadml.learning.artifact import LONGEST_WORD, MOST_CLASSES, Canary, ModelCard, is_word
from cadml.learning.estimators import ESTIMATORS, fitted
from cadml.learning.graph import check_conversion, convert, run
from cadml.learning.validation import (
    LabelledSet,
    Progress,
    Validation,
    confusion,
    labelled_set,
    scores,
    scores_by_class,
    validate,
)
from cadml.learning.vocabulary import DISTRACTORS

FEWEST_FAMILIES = 2  # of a class: with one, nothing could be held out to judge it by
FEWEST_CLASSES = 2


@dataclass(frozen=True, slots=True)
class Example:
    """A labelled part: raw vector ``(N,)``; an empty ``family`` is one of its own."""

    sha256: str
    label: str
    family: str
    vector: Vector


@dataclass(frozen=True, slots=True)
class Trained:
    """A classifier and what is known of it."""

    card: ModelCard
    onnx: bytes


def train(
    name: str,
    model_version: str,
    version: FeatureVersion,
    examples: Sequence[Example],
    progress: Progress = lambda _done, _all: None,
) -> Trained:
    """Return a classifier over raw vectors of ``version``, chosen among all estimators.

    A class needs two families; distractors and bytes that bear two labels are left out, and the
    card says so.

    Raises
    ------
    TooLittleData, InvalidRequest
        As :func:`usable`.
    """
    kept, left_out = usable(examples)
    parts = labelled_set(
        version.scaled(np.stack([example.vector for example in kept])),
        np.array([example.label for example in kept]),
        np.array([family_of(example) for example in kept]),
    )
    validation = validate(parts, progress)
    chosen = validation.chosen
    model = fitted(chosen.estimator, parts.values, parts.codes)
    onnx = convert(model, version, chosen.temperature)
    vectors = np.stack([example.vector for example in kept])
    difference = check_conversion(onnx, model, version, chosen.temperature, vectors)
    card = ModelCard(
        name=name,
        version=model_version,
        feature_version=version.name,
        length=version.length,
        classes=parts.classes,
        abstain_below=chosen.abstain_below,
        training_sha256=training_hash(kept),
        scores=_scores(parts, validation) | {"left_out": left_out, "conversion_difference": difference},
        canaries=_canaries(onnx, parts, vectors),
        made_by=f"cadml {__version__}",
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return Trained(card, onnx)


def usable(examples: Iterable[Example]) -> tuple[list[Example], dict[str, dict[str, int]]]:
    """Return what can be learnt from, in the order of the hashes, and by label what is left out.

    Raises
    ------
    TooLittleData
        Fewer than two classes are left.
    InvalidRequest
        There are more classes, or longer ones, than a model can have.
    """
    by_content: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        by_content[example.sha256].append(example)
    single = [same[0] for _, same in sorted(by_content.items()) if len({each.label for each in same}) == 1]
    families: dict[str, set[str]] = defaultdict(set)
    for example in single:
        families[example.label].add(family_of(example))
    classes = {
        label
        for label, found in families.items()
        if len(found) >= FEWEST_FAMILIES and label not in DISTRACTORS
    }
    kept = [example for example in single if example.label in classes]
    _check_words(classes)
    if len(classes) < FEWEST_CLASSES:
        counts = {label: len(found) for label, found in sorted(families.items())}
        raise TooLittleData(
            f"{len(classes)} of {len(families)} labels can be learnt: training needs {FEWEST_CLASSES} "
            f"classes with {FEWEST_FAMILIES} families each (a part without a family is one of its own)",
            families=counts,
        )
    left_out = {
        label: {"parts": sum(example.label == label for example in single), "families": len(found)}
        for label, found in sorted(families.items())
        if label not in classes
    }
    contradictory = len(by_content) - len(single)
    return kept, left_out | ({"(two labels)": {"parts": contradictory}} if contradictory else {})


def _check_words(classes: Collection[str]) -> None:
    if len(classes) > MOST_CLASSES:
        raise InvalidRequest(f"{len(classes)} classes: a model tells at most {MOST_CLASSES} apart")
    for label in sorted(classes):
        if not is_word(label):
            raise InvalidRequest(
                f"a label is 1 to {LONGEST_WORD} printable characters: {label[:40]!r} is none",
                label=label[:40],
            )


def family_of(example: Example) -> str:
    """Return the example's family; a name that no CSV can hold where it has none."""
    return example.family or f"\0{example.sha256}"


def training_hash(examples: Sequence[Example]) -> str:
    """Return the SHA-256 of hashes, labels and families: the same set gives the same hash."""
    lines = sorted(f"{e.sha256}\t{e.label}\t{e.family}\n" for e in examples)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _scores(parts: LabelledSet, validation: Validation) -> dict[str, Any]:
    procedure = validation.procedure
    estimators: Mapping[str, Any] = {
        name: scores(judged, parts.codes) | {"reason": ESTIMATORS[name].reason}
        for name, judged in validation.estimators.items()
    }
    return scores(procedure, parts.codes) | {
        "estimator": validation.chosen.estimator.name,
        "temperature": validation.chosen.temperature,
        "estimators": estimators,
        "by_class": scores_by_class(procedure, parts.codes, parts.classes),
        "confusion": confusion(procedure, parts.codes, len(parts.classes)).tolist(),
        "parts": len(parts.codes),
        "families": len(set(parts.families.tolist())),
    }


def _canaries(onnx: bytes, parts: LabelledSet, vectors: Vector) -> tuple[Canary, ...]:
    """Return for each class the part of it that the model is surest of, where it is right."""
    probabilities = run(onnx, vectors)
    found = []
    for code, label in enumerate(parts.classes):
        own = np.flatnonzero(parts.codes == code)
        surest = own[int(probabilities[own, code].argmax())]
        if probabilities[surest].argmax() == code:
            found.append(Canary(tuple(map(float, vectors[surest])), label))
    return tuple(found)
