"""An ONNX file read as data: only plain graphs of listed operators, whole in one file, may run.

An operator is listed when :mod:`skl2onnx` writes it for a classifier of this house and it can
neither run another graph, nor read a file, nor make much from little out of an attribute.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx
from google.protobuf.message import DecodeError

from cadml.errors import MalformedModel

PLAIN, TREES = "", "ai.onnx.ml"
_OPSETS = {PLAIN: range(11, 27), TREES: range(1, 6)}  # what the locked runtime reads
_IR_VERSIONS = range(6, 14)
_MOST_NODES = 5_000
_MOST_SLOTS = 4_096
OPERATORS: dict[str, frozenset[str]] = {
    PLAIN: frozenset({
        "Abs", "Add", "And", "ArgMax", "ArgMin", "Cast", "Ceil", "Clip", "Concat", "Constant",
        "ConstantOfShape", "Div", "Equal", "Erf", "Exp", "Flatten", "Floor", "Gather", "Gemm", "Greater",
        "GreaterOrEqual", "Identity", "IsNaN", "Less", "LessOrEqual", "Log", "LogSoftmax", "MatMul",
        "Max", "Mean", "Min", "Mul", "Neg", "Not", "Or", "Pow", "Reciprocal", "ReduceL1", "ReduceL2",
        "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum",
        "ReduceSumSquare", "Relu", "Reshape", "Shape", "Sigmoid", "Sign", "Slice", "Softmax", "Sqrt",
        "Squeeze", "Sub", "Sum", "Tanh", "Transpose", "Unsqueeze", "Where", "Xor",
    }),
    TREES: frozenset({
        "ArrayFeatureExtractor", "Binarizer", "Imputer", "LabelEncoder", "LinearClassifier",
        "LinearRegressor", "Normalizer", "SVMClassifier", "SVMRegressor", "Scaler", "TreeEnsemble",
        "TreeEnsembleClassifier", "TreeEnsembleRegressor",
    }),
}  # fmt: skip

_SHAPE_ARITHMETIC = frozenset({
    "Add", "Cast", "Concat", "Gather", "Identity", "Mul", "ReduceProd", "Reshape", "Slice", "Squeeze",
    "Unsqueeze",
})  # fmt: skip


def check_onnx(data: bytes, length: int, classes: int) -> None:
    """Refuse the ONNX file ``data`` unless it turns ``(M, length)`` float32 into ``(M, classes)``.

    Raises
    ------
    MalformedModel
        Says what the file holds that it must not hold, or lacks.
    """
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise MalformedModel(f"this is no ONNX file: {error}") from error
    if model.ir_version not in _IR_VERSIONS:
        raise MalformedModel(f"ONNX format {model.ir_version} is not read here")
    if model.functions or model.training_info:
        raise MalformedModel("the model brings functions or training steps of its own")
    _check_opsets(model.opset_import)
    _check_nodes(model.graph.node)
    if model.graph.sparse_initializer or model.graph.quantization_annotation:
        raise MalformedModel("the graph holds sparse or quantised constants")
    for tensor in _tensors(model.graph):
        if tensor.data_location != onnx.TensorProto.DEFAULT or tensor.external_data:
            raise MalformedModel(f"the constant {tensor.name!r} lies in another file")
    _check_growth(model.graph)
    _check_ends(model.graph, length, classes)


def _check_opsets(imports: Iterable[onnx.OperatorSetIdProto]) -> None:
    for each in imports:
        domain = PLAIN if each.domain == "ai.onnx" else each.domain
        if domain not in _OPSETS:
            raise MalformedModel(f"the operator domain {each.domain!r} is not served")
        if each.version not in _OPSETS[domain]:
            raise MalformedModel(f"version {each.version} of the operators {domain!r} is not served")


def _check_nodes(nodes: Iterable[onnx.NodeProto]) -> None:
    for count, node in enumerate(nodes):
        if count >= _MOST_NODES:
            raise MalformedModel(f"the graph has more than {_MOST_NODES} nodes")
        domain = PLAIN if node.domain == "ai.onnx" else node.domain
        if node.op_type not in OPERATORS.get(domain, ()):
            raise MalformedModel(f"the operator {domain or 'ai.onnx'}:{node.op_type} is not served")
        for attribute in node.attribute:
            if attribute.HasField("g") or attribute.graphs or attribute.ref_attr_name:
                raise MalformedModel(f"the node {node.op_type} carries a graph of its own")
            if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
                raise MalformedModel(f"the node {node.op_type} carries a sparse constant")


def _check_growth(graph: onnx.GraphProto) -> None:
    """Nothing may become as large as a number in a vector says: shapes follow from shapes and constants."""
    known = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "ConstantOfShape" and not known.issuperset(node.input):
            raise MalformedModel("the size of a constant depends on a vector's numbers")
        if node.op_type in {"Shape", "Constant"} or (
            node.op_type in _SHAPE_ARITHMETIC and known.issuperset(filter(None, node.input))
        ):
            known.update(node.output)


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _check_ends(graph: onnx.GraphProto, length: int, classes: int) -> None:
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [each for each in graph.input if each.name not in constants]
    if len(inputs) != 1 or not _is_matrix(inputs[0], length, most=_MOST_SLOTS):
        raise MalformedModel(f"the model does not take one float32 matrix of {length} columns")
    outputs = [each for each in graph.output if each.name == "probabilities"]
    if len(outputs) != 1 or not _is_matrix(outputs[0], classes, most=None):
        raise MalformedModel(f"the model has no float32 output 'probabilities' of {classes} columns")


def _is_matrix(value: onnx.ValueInfoProto, columns: int, most: int | None) -> bool:
    """Tell whether a value is float32, of two dimensions, the second ``columns`` (or left open)."""
    tensor = value.type.tensor_type
    if tensor.elem_type != onnx.TensorProto.FLOAT or len(tensor.shape.dim) != 2:
        return False
    second = tensor.shape.dim[1]
    if not second.HasField("dim_value"):
        return most is None
    return bool(second.dim_value == columns and (most is None or columns <= most))
