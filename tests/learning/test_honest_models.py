"""Honest scikit-learn models of every kind: accepted in every form, and the same after loading."""

from __future__ import annotations

import io
import pickle
import warnings

import joblib
import numpy as np
import pytest
import skops.io
from honest import ESTIMATORS, LENGTH, X

from cadml.learning.guard import Expected, Guard
from cadml.learning.opcodes.containers import unpack

GUARD = Guard("whitelist", 50 << 20)
FORMS = [
    *(f"protocol {number}" for number in range(6)),
    "joblib",
    *(f"joblib {method}" for method in ("zlib", "gzip", "bz2", "xz", "lzma", "lz4")),
]


def saved(model, form: str) -> tuple[str, bytes]:
    kind, _, detail = form.partition(" ")
    if kind == "protocol":
        return "model.pkl", pickle.dumps(model, int(detail))
    target = io.BytesIO()
    joblib.dump(model, target, compress=(detail, 3) if detail else 0)
    return "model.joblib", target.getvalue()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_form_of_it_passes_the_scan(name, model):
    for form in FORMS:
        filename, data = saved(model(name), form)
        modes = ("whitelist", "blocklist") if form.startswith("protocol") else ("whitelist",)
        for mode in modes:  # unpacked, joblib's streams are those of a protocol
            verdict = Guard(mode, 50 << 20).inspect(data, filename, trusted=True)
            assert verdict.accepted, (form, mode, verdict)
            assert verdict.scanned
            assert verdict.imports


@pytest.mark.parametrize("name", ESTIMATORS)
def test_it_predicts_the_same_from_its_confined_process(name, model, confined):
    original = model(name)
    for form in ("protocol 0", "protocol 2", "protocol 5", "joblib", "joblib gzip", "joblib lz4"):
        filename, data = saved(original, form)
        assert GUARD.inspect(data, filename, trusted=True).accepted
        head, _ = confined.ask(
            "load", unpack(data, 50 << 20), seconds=60, format="pickle", mode="whitelist", length=LENGTH
        )
        if not hasattr(original, "predict_proba"):
            assert head["interface"] == "missing_required_methods"
            continue
        assert head["ok"], head
        assert head["classes"] == [str(each) for each in original.classes_]
        _, (answer,) = confined.ask("predict", X.tobytes(), seconds=60, rows=len(X))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = original.predict_proba(X)
        assert np.array_equal(np.frombuffer(answer).reshape(len(X), -1), expected), form


def test_there_are_kinds_enough():
    assert len(ESTIMATORS) >= 20


@pytest.mark.parametrize("name", ESTIMATORS)
def test_skops_files_of_it_pass_the_audit(name, model):
    verdict = GUARD.inspect(skops.io.dumps(model(name)), "model.skops", trusted=True)
    assert verdict.accepted, verdict


@pytest.mark.parametrize(
    ("name", "form", "serves"),
    [
        ("forest", "protocol 5", "OnnxPredictor"),
        ("scaled", "skops", "OnnxPredictor"),
        ("hist_boosting", "joblib xz", "ConfinedPredictor"),
    ],
)
def test_it_serves_as_a_graph_where_that_changes_nothing(name, form, serves, model):
    original = model(name)
    filename, data = ("m.skops", skops.io.dumps(original)) if form == "skops" else saved(original, form)
    verdict, predictor = GUARD.admit(
        data, filename, trusted=True, expected=Expected(LENGTH, tuple(original.classes_)), floor=None
    )
    assert verdict.accepted, verdict
    assert type(predictor).__name__ == serves
    assert np.allclose(predictor.probabilities(X), original.predict_proba(X), atol=1e-5)
    assert predictor.classes == tuple(original.classes_)
    assert predictor.length == LENGTH
    predictor.close()
