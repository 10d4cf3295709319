"""Each security check of a model file, in the contract's order, over real files."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression

import made_models
from cadml.errors import MalformedModel
from cadml.learning.archive import write_archive
from cadml.learning.artifact import Canary, ModelCard, read_bundle, write_bundle
from cadml.learning.guard import Expected, Guard
from model_service import ModelService, model_service
from scraped import growing

LENGTH, CLASSES = 3, ("bolt", "nut")
RNG = np.random.default_rng(5)
X = RNG.normal(size=(40, LENGTH)).astype(np.float32)
Y = np.where(X[:, 0] > 0, "nut", "bolt")
MODEL = LogisticRegression().fit(X, Y)
GRAPH = to_onnx(MODEL, X[:1], options={"zipmap": False})
GUARD = Guard("whitelist", 1 << 20)
EXPECTED = Expected(LENGTH)


def card(**changes) -> ModelCard:
    facts = {
        "name": "demo", "version": "1", "feature_version": "v1", "length": LENGTH, "classes": CLASSES,
        "abstain_below": 0.5, "training_sha256": "0" * 64, "scores": {"macro_f1": 0.8},
        "canaries": (Canary((2.0, 0.0, 0.0), "nut"), Canary((-2.0, 0.0, 0.0), "bolt")),
    }  # fmt: skip
    return ModelCard(**(facts | changes))


def bundle(graph=GRAPH, **changes) -> bytes:
    return write_bundle(card(**changes), graph.SerializeToString())


def graph_of(*nodes, **rest) -> onnx.ModelProto:
    """A graph of these nodes between the expected ends."""
    ends = (
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, LENGTH])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, len(CLASSES)])],
    )
    made = helper.make_graph(list(nodes), "g", *ends, rest.pop("initializer", []))
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 21)], ir_version=10, **rest)


def test_a_bundle_is_accepted_and_answers_as_its_estimator():
    data = bundle()
    verdict, predictor = GUARD.admit(data, "a.cadml", trusted=True, expected=EXPECTED, floor=0.8)
    assert (verdict.status, verdict.format, verdict.scanned) == ("success", "bundle", False)
    assert np.allclose(predictor.probabilities(X), MODEL.predict_proba(X), atol=1e-6)
    predictor.close()
    assert read_bundle(data) == (card(), GRAPH.SerializeToString())


def test_a_large_file_is_refused_before_anything_else():
    verdict = Guard("whitelist", 10).inspect(b"\x80\x04N.........", "a.pkl", trusted=False)
    assert (verdict.status, verdict.security) == ("size_exceeded", "size_exceeded")


def test_a_file_that_nobody_trusts_is_refused_before_it_is_read():
    verdict = GUARD.inspect(b"no pickle at all", "a.pkl", trusted=False)
    assert (verdict.status, verdict.security) == ("hash_mismatch", "hash_mismatch")


@pytest.mark.parametrize("name", ["a.cadml", "a.skops", "a.pkl", "a.pickle", "a.joblib", "a.bin", "a"])
def test_content_and_name_must_agree(name):
    verdict = GUARD.inspect(b"\xff\xfe not what the name says", name, trusted=True)
    assert (verdict.status, verdict.security) == ("magic_invalid", "magic_number_invalid")


@pytest.mark.parametrize("position", ["first", "middle", "end"])
def test_no_byte_of_a_bundle_can_change(position):
    data = bytearray(bundle())
    at = {"first": 14, "middle": len(data) // 2, "end": len(data) - 8}[position]
    data[at] ^= 0xFF
    assert GUARD.inspect(bytes(data), "a.cadml", trusted=True).status == "magic_invalid"


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data + b"tail",
        lambda data: b"head" + data,
        lambda data: data[:-1],
        lambda data: data.replace(b"model.onnx", b"Model.onnx", 1),  # local header only
        lambda data: data[:6] + b"\x01" + data[7:],  # claims to be encrypted
        lambda data: data[:8] + b"\x63" + data[9:],  # an unknown compression
    ],
)
def test_a_zip_file_that_contradicts_itself_is_refused(change):
    assert GUARD.inspect(change(bundle()), "a.cadml", trusted=True).status == "magic_invalid"


def test_a_bundle_holds_two_members():
    members = {"card.json": b"{}", "model.onnx": b"", "extra.py": b"import os"}
    verdict = GUARD.inspect(write_archive(members), "a.cadml", trusted=True)
    assert verdict.status == "magic_invalid"
    assert "extra.py" in verdict.message


@pytest.mark.parametrize(
    "changes",
    [
        {"scores": {"macro_f1": 0.9, "abstained": "lots"}},
        {"scores": {"macro_f1": 0.9, "abstained": None}},
        {"scores": {"macro_f1": True}},
        {"scores": {"macro_f1": 7}},
        {"scores": {"deep": [[[[[[[[[[[]]]]]]]]]]]}},
        {"scores": {"a\0b": 1}},
        {"version": ""},
        {"version": "v" * 201},
        {"version": "a\nb"},
        {"name": "a\0b"},
        {"classes": ("bolt", "")},
        {"classes": [f"class {number}" for number in range(301)], "canaries": ()},
        {"classes": ("bolt", "bolt"), "canaries": ()},
    ],
)
def test_a_card_says_only_what_can_be_kept_counted_and_compared(changes):
    text = json.dumps(asdict(card()) | changes).encode()
    data = write_archive({"card.json": text, "model.onnx": GRAPH.SerializeToString()})
    verdict = GUARD.inspect(data, "a.cadml", trusted=True)
    assert (verdict.status, verdict.security) == ("magic_invalid", "magic_number_invalid")


def test_no_bundle_is_written_that_could_not_be_read():
    with pytest.raises(MalformedModel):
        bundle(classes=("bolt", "two\nlines"), canaries=())


def test_a_bomb_is_not_unpacked():
    data = write_archive({"card.json": b"{}", "model.onnx": bytes(200 << 20)})
    assert len(data) < 1 << 20
    assert "unpacks to more" in GUARD.inspect(data, "a.cadml", trusted=True).message


def _external() -> onnx.ModelProto:
    constant = helper.make_tensor("W", TensorProto.FLOAT, [LENGTH, 2], [0.0] * LENGTH * 2)
    constant.external_data.add(key="location", value="/etc/passwd")
    constant.ClearField("float_data")
    constant.data_location = TensorProto.EXTERNAL
    return graph_of(helper.make_node("MatMul", ["X", "W"], ["probabilities"]), initializer=[constant])


def _loop() -> onnx.ModelProto:
    body = helper.make_graph([], "body", [], [])
    return graph_of(helper.make_node("If", ["X"], ["probabilities"], then_branch=body, else_branch=body))


def _custom() -> onnx.ModelProto:
    model = graph_of(helper.make_node("Evil", ["X"], ["probabilities"], domain="com.evil"))
    model.opset_import.append(helper.make_opsetid("com.evil", 1))
    return model


def _grown() -> onnx.ModelProto:
    return graph_of(
        helper.make_node("Cast", ["X"], ["n"], to=TensorProto.INT64),
        helper.make_node("Reshape", ["n", "flat"], ["m"]),
        helper.make_node("ConstantOfShape", ["m"], ["probabilities"]),
        initializer=[helper.make_tensor("flat", TensorProto.INT64, [1], [-1])],
    )


@pytest.mark.parametrize("make", [_external, _loop, _custom, _grown])
def test_a_graph_may_hold_only_what_a_classifier_needs(make):
    verdict = GUARD.inspect(bundle(make()), "a.cadml", trusted=True)
    assert (verdict.status, verdict.format) == ("load_error", "bundle")


def test_a_graph_that_doubles_itself_dies_elsewhere():
    nodes, last = [], "X"
    for step in range(40):
        nodes.append(helper.make_node("Concat", [last, last], [f"a{step}"], axis=0))
        last = f"a{step}"
    nodes.append(helper.make_node("Softmax", [last], ["probabilities"], axis=1))
    verdict, predictor = GUARD.admit(
        bundle(graph_of(*nodes)), "a.cadml", trusted=True, expected=EXPECTED, floor=None
    )
    assert (verdict.status, predictor) == ("load_error", None)


@pytest.mark.parametrize(
    ("changes", "expected", "floor", "status", "interface"),
    [
        ({}, Expected(4), None, "interface_invalid", "wrong_input_dimension"),
        ({}, Expected(3, ("bolt", "gear")), None, "interface_invalid", "wrong_classes"),
        ({"canaries": (Canary((2.0, 0.0, 0.0), "bolt"),)}, EXPECTED, None, "canary_failed", None),
        ({}, Expected(3, None, (Canary((-2.0, 0.0, 0.0), "nut"),)), None, "canary_failed", None),
        ({}, EXPECTED, 0.81, "score_too_low", None),
        ({"scores": {}}, EXPECTED, 0.1, "score_too_low", None),
    ],
)
def test_a_model_that_does_not_fit_is_refused(changes, expected, floor, status, interface):
    verdict, predictor = GUARD.admit(
        bundle(**changes), "a.cadml", trusted=True, expected=expected, floor=floor
    )
    assert (verdict.status, verdict.interface, predictor) == (status, interface, None)


def test_without_a_floor_a_worse_model_may_serve():
    verdict, predictor = GUARD.admit(
        bundle(scores={"macro_f1": 0.01}), "a.cadml", trusted=True, expected=EXPECTED, floor=None
    )
    assert verdict.accepted
    predictor.close()


def test_a_pickle_that_is_no_model_is_refused_by_its_interface():
    verdict, predictor = GUARD.admit(
        pickle.dumps({"predict": 1}), "a.pkl", trusted=True, expected=EXPECTED, floor=None
    )
    assert (verdict.status, verdict.interface) == ("interface_invalid", "missing_required_methods")
    assert predictor is None


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelService]:
    with model_service(tmp_path_factory.mktemp("security"), model_max_mb=1) as opened:
        opened.activate("safe-1")
        yield opened


def bomb(card: bytes = b"{}") -> bytes:
    """Return a small file that grows beyond what a bundle may hold; trust is by its hash."""
    return write_archive({"card.json": card, "model.onnx": bytes(900_000)})


SIZE = (413, "MODEL_SIZE_EXCEEDED", "size_exceeded")
HASH = (403, "MODEL_HASH_MISMATCH", "hash_mismatch")


@pytest.mark.parametrize(
    ("name", "data", "trusted", "answer"),
    [
        ("big.cadml", bytes((1 << 20) + 1), True, SIZE),
        ("big and strange.cadml", bytes((1 << 20) + 1), False, SIZE),
        ("strange.cadml", made_models.bundle("strange"), False, HASH),
        ("strange bomb.cadml", bomb(b"[]"), False, HASH),
        ("bomb.cadml", bomb(), True, (415, "MODEL_MAGIC_INVALID", "magic_number_invalid")),
        ("ext.pkl", b"\x80\x02\x82\x01.", True, (403, "MODEL_OPCODE_BLOCKED", "opcode_blocked")),
        ("os.pkl", b"cos\nsystem\n.", True, (403, "MODEL_OPCODE_BLOCKED", "opcode_whitelist_violation")),
        ("cut.pkl", b"\x80\x04K", True, (422, "MODEL_OPCODE_SCAN_ERROR", "opcode_scan_error")),
    ],
)
def test_the_service_refuses_counts_once_and_serves_on(
    service: ModelService, name: str, data: bytes, trusted: bool, answer: tuple[int, str, str]
) -> None:
    status, code, reason = answer
    given = {"path": service.put(name, data, trusted=trusted), "expected_version": "another"}
    with growing(service.scrape, "model_security_fail_total", {reason: 1}):
        refused = service.reload(**given, force=True)  # force overrides no security check
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert service.classify()["model"] == "safe-1"


def test_a_stranger_is_told_nothing_of_what_a_file_holds(service: ModelService) -> None:
    """Nobody trusts it, so it is not even read for its version."""
    path = service.put("unknown.cadml", made_models.bundle("secret-7"), trusted=False)
    refused = service.reload(path=path, expected_version="another-1")
    assert refused.json()["code"] == "MODEL_HASH_MISMATCH"
    assert "secret-7" not in refused.text
