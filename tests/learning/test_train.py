"""Training on sets whose answers are known: what is learnt, what is refused, what the card says."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from cadml.errors import InvalidRequest, TooLittleData
from cadml.features.versions import VERSIONS
from cadml.learning.artifact import read_bundle, write_bundle
from cadml.learning.calibration import calibrated, fit_temperature, fit_threshold
from cadml.learning.estimators import ESTIMATORS, fitted
from cadml.learning.folds import folds
from cadml.learning.graph import TOLERANCE, check_conversion, convert, run
from cadml.learning.train import Example, Trained, train, training_hash, usable

VERSION = VERSIONS["v1"]


def examples(counts: dict[str, int], per_family: int = 2) -> list[Example]:
    """Parts of classes that differ in their number of entities, ``per_family`` in each family."""
    random = np.random.default_rng(3)
    found = []
    for place, (label, count) in enumerate(counts.items()):
        for number in range(count):
            vector = random.uniform(1, 50, size=7).astype(np.float32)
            vector[0] = 4 * 5**place + random.integers(2)
            family = f"{label}-{number // per_family}"
            sha256 = hashlib.sha256(f"{label} {number}".encode()).hexdigest()
            found.append(Example(sha256, label, family, vector))
    return found


@pytest.fixture(scope="module")
def trained() -> Trained:
    """A set of 40 to 2: the smallest class that can be judged has two parts of two families."""
    parts = examples({"box": 40, "tube": 12}) + [
        replace(each, label="rare", family="") for each in examples({"x": 1, "y": 1, "rare": 2})[2:]
    ]
    return train("made", "made-1", VERSION, [*parts, *examples({"lonely": 2})])


def test_separable_classes_are_learnt_also_the_one_with_two_examples(trained: Trained) -> None:
    card = trained.card
    assert card.classes == ("box", "rare", "tube")
    assert card.scores["macro_f1"] > 0.75
    assert card.scores["by_class"]["rare"]["parts"] == 2
    assert card.scores["by_class"]["rare"]["recall"] > 0
    assert set(card.scores["estimators"]) == set(ESTIMATORS)
    assert card.scores["estimator"] in ESTIMATORS
    assert np.sum(card.scores["confusion"]) == card.scores["parts"] == 54


def test_a_class_of_one_family_is_left_out_and_named(trained: Trained) -> None:
    assert trained.card.scores["left_out"] == {"lonely": {"parts": 2, "families": 1}}


def test_the_graph_answers_its_canaries_and_sums_to_one(trained: Trained) -> None:
    card, onnx = read_bundle(write_bundle(trained.card, trained.onnx))
    assert {canary.label for canary in card.canaries} == set(card.classes)
    answers = run(onnx, np.array([canary.vector for canary in card.canaries], dtype=np.float32))
    assert [card.classes[code] for code in answers.argmax(axis=1)] == [c.label for c in card.canaries]
    assert answers.sum(axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", [name for name, row in ESTIMATORS.items() if row.serves])
@pytest.mark.parametrize("version", ["v1", "v4", "v5", "d1"])
def test_conversion_changes_no_answer(name: str, version: str) -> None:
    row = VERSIONS[version]
    random = np.random.default_rng(1)
    vectors = (row.offset + random.normal(size=(80, row.length)) / row.scale).astype(np.float32)
    codes = np.arange(80) % 3
    vectors[:, 1] += 2 * codes / row.scale[1]
    model = fitted(ESTIMATORS[name], row.scaled(vectors), codes)
    assert check_conversion(convert(model, row, 0.6), model, row, 0.6, vectors) < TOLERANCE


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ([], "0 of 0 labels"),
        (examples({"box": 20}), "1 of 1 labels"),
        (examples({"box": 20, "tube": 2}), "1 of 2 labels"),
        (examples({"box": 20, "other": 20, "printed_part": 20}), "1 of 3 labels"),
    ],
)
def test_too_little_data_is_refused_with_the_counts(parts: list[Example], why: str) -> None:
    with pytest.raises(TooLittleData, match=why):
        train("made", "made-1", VERSION, parts)


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        ([f"class {number}" for number in range(301)], "301 classes: a model tells at most 300 apart"),
        (["box", "x" * 201], "a label is 1 to 200 printable characters: 'xxxx"),
        (["box", "two\nlines"], r"printable characters: 'two\\nlines' is none"),
    ],
)
def test_labels_that_no_model_can_have_are_refused_before_the_work(labels: list[str], why: str) -> None:
    parts = examples({"box": 4})
    given = [
        replace(each, sha256=f"{each.sha256} {label}", label=label) for label in labels for each in parts
    ]
    with pytest.raises(InvalidRequest, match=why):
        usable(given)


def test_bytes_count_once_and_not_at_all_with_two_labels() -> None:
    parts = examples({"box": 8, "tube": 8})
    again = replace(parts[0], family="elsewhere")
    contradicting = replace(parts[-1], label="box")
    kept, left_out = usable([*parts, again, contradicting])
    assert len(kept) == 15
    assert left_out == {"(two labels)": {"parts": 1}}


def test_the_training_hash_knows_the_set_and_not_its_order() -> None:
    parts = examples({"box": 4, "tube": 4})
    assert training_hash(parts) == training_hash(parts[::-1])
    assert training_hash(parts) != training_hash([*parts[:-1], replace(parts[-1], label="box")])


def test_no_family_is_on_both_sides() -> None:
    labels = np.array(["a"] * 12 + ["b"] * 8)
    families = np.array([f"a{k % 3}" for k in range(12)] + [f"b{k % 4}" for k in range(8)])
    splits = folds(labels, families, 5)
    for learn, test in splits:
        assert not set(families[learn]) & set(families[test])
    assert sorted(np.concatenate([test for _, test in splits])) == list(range(20))


def test_a_temperature_takes_back_overconfidence_and_keeps_the_order() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(2, size=4000)
    honest = np.where(random.random(4000) < 0.75, truth, 1 - truth)  # right in three of four
    sharp = np.where(np.arange(2) == honest[:, None], 0.99, 0.01)
    temperature = fit_temperature(sharp, truth)
    served = calibrated(sharp, temperature)
    assert served.max(axis=1) == pytest.approx(0.75, abs=0.03)
    assert (served.argmax(axis=1) == sharp.argmax(axis=1)).all()


def test_the_threshold_is_where_answers_stop_being_worth_it() -> None:
    confidence = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    assert fit_threshold(confidence, np.array([True, True, False, True, False, False])) == 0.8
    assert fit_threshold(confidence, np.array([True] * 6)) == 0.4
