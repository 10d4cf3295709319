"""A fitted scikit-learn classifier becomes one ONNX graph: raw vectors in, calibrated probabilities out.

The feature version's scaling stands in front of the estimator and the temperature behind it, so that
whoever serves the graph needs neither scikit-learn nor cadml's tables.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType

from cadml.errors import InternalError
from cadml.features.spec import FeatureVersion, Squash, Vector
from cadml.learning.calibration import FLOOR, Probabilities, calibrated

INPUT, OUTPUT = "vectors", "probabilities"
RAW = "estimated"  # probabilities before the temperature
OPSETS = {"": 18, "ai.onnx.ml": 3}
IR_VERSION = 8  # the one of those operator sets
TOLERANCE = 1e-3  # single against double precision; probabilities are shown with two digits


def convert(model: Any, version: FeatureVersion, temperature: float) -> bytes:
    """Return the graph: ``vectors (M, N) float32``, raw, to ``probabilities (M, K) float32``."""
    core = to_onnx(
        model,
        initial_types=[("scaled", FloatTensorType([None, version.length]))],
        options={id(model): {"zipmap": False}},
        target_opset=OPSETS,
    ).graph
    raw = core.output[1].name  # after the label
    for node in core.node:
        node.output[:] = [RAW if name == raw else name for name in node.output]
    nodes = _needed([*_scaling(version), *core.node, *_temperature()])
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [None, version.length])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [None, len(model.classes_)])],
        _used([*core.initializer, *_constants(version, temperature)], nodes),
    )
    opsets = [helper.make_opsetid(*pair) for pair in OPSETS.items()]
    built = helper.make_model(graph, producer_name="cadml", opset_imports=opsets, ir_version=IR_VERSION)
    onnx.checker.check_model(built)
    return bytes(built.SerializeToString())


def check_conversion(
    graph: bytes, model: Any, version: FeatureVersion, temperature: float, vectors: Vector
) -> float:
    """Return the largest difference of any probability for raw ``vectors (P, N)``.

    Raises
    ------
    InternalError
        The graph answers otherwise than the classifier that it was made from.
    """
    expected: Probabilities = calibrated(model.predict_proba(version.scaled(vectors)), temperature)
    found = run(graph, vectors)
    worst = float(np.abs(found - expected).max())
    if worst > TOLERANCE:
        raise InternalError(f"the converted classifier differs by {worst:.2g} in a probability", worst=worst)
    return worst


def run(graph: bytes, vectors: Vector) -> NDArray[np.float32]:
    """Return what the graph answers, ``(P, K)``."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run([OUTPUT], {INPUT: np.asarray(vectors, dtype=np.float32)})[0])


def _scaling(version: FeatureVersion) -> list[Any]:
    """Return ``version.scaled`` as operators; the differences are taken in double precision."""
    steps = [
        ("Cast", [INPUT], "exact", {"to": TensorProto.DOUBLE}),
        ("Sub", ["exact", "offset"], "centred", {}),
        ("Mul", ["centred", "scale"], "spread", {}),
    ]
    if version.squash is Squash.ASINH:
        # sign(x) · ln(|x| + √(x² + 1)): the runtime's own Asinh knows single precision only.
        steps += [
            ("Abs", ["spread"], "size", {}),
            ("Mul", ["spread", "spread"], "square", {}),
            ("Add", ["square", "unit"], "above", {}),
            ("Sqrt", ["above"], "root", {}),
            ("Add", ["size", "root"], "sum", {}),
            ("Log", ["sum"], "logarithm", {}),
            ("Sign", ["spread"], "sign", {}),
            ("Mul", ["sign", "logarithm"], "hyperbolic", {}),
            ("Cast", ["hyperbolic"], "squashed", {"to": TensorProto.FLOAT}),
        ]
    else:
        # The normal distribution function is (1 + erf(x / √2)) / 2; √2 is in the constant "scale".
        steps += [
            ("Cast", ["spread"], "single", {"to": TensorProto.FLOAT}),
            ("Erf", ["single"], "error", {}),
            ("Add", ["error", "one"], "twice", {}),
            ("Mul", ["twice", "half"], "squashed", {}),
        ]
    steps += [("Mul", ["squashed", "weight"], "scaled", {})]
    return [helper.make_node(op, given, [result], **named) for op, given, result, named in steps]


def _temperature() -> list[Any]:
    """Return :func:`cadml.learning.calibration.calibrated` as operators: powers that sum to 1."""
    steps = [
        ("Max", [RAW, "floor"], "floored", {}),
        ("Log", ["floored"], "logarithms", {}),
        ("Mul", ["logarithms", "coldness"], "tempered", {}),
        ("Softmax", ["tempered"], OUTPUT, {"axis": 1}),
    ]
    return [helper.make_node(op, given, [result], **named) for op, given, result, named in steps]


def _constants(version: FeatureVersion, temperature: float) -> list[Any]:
    narrower = np.sqrt(2) if version.squash is Squash.NORMAL else 1.0
    values = {
        "offset": version.offset,
        "scale": version.scale / narrower,
        "weight": version.weight.astype(np.float32),
        "unit": np.float64(1),
        "one": np.float32(1),
        "half": np.float32(0.5),
        "floor": np.float32(FLOOR),
        "coldness": np.float32(1 / temperature),
    }
    return [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()]


def _needed(nodes: list[Any]) -> list[Any]:
    """Return the nodes that the output rests on, in order: those that only name the label go."""
    wanted, kept = {OUTPUT}, []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            kept.append(node)
    return kept[::-1]


def _used(constants: Iterable[Any], nodes: list[Any]) -> list[Any]:
    inputs = {name for node in nodes for name in node.input}
    return [constant for constant in constants if constant.name in inputs]
