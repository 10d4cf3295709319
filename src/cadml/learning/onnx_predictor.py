"""An ONNX graph that serves in this process: data, judged by :mod:`cadml.learning.onnx_checks`."""

from __future__ import annotations

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from cadml.errors import DimensionMismatch, MalformedModel

_CLOSE = 1e-3  # a row of float32 probabilities over hundreds of trees sums to 1 this closely
_STATE = onnxruntime.capi.onnxruntime_pybind11_state
# The runtime's exceptions have no common parent but Exception itself.
_RUNTIME_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    _STATE.Fail,
    _STATE.InvalidArgument,
    _STATE.InvalidGraph,
    _STATE.InvalidProtobuf,
    _STATE.NotImplemented,
    _STATE.RuntimeException,
)
_FATAL_ONLY = 4  # the runtime's log level; what goes wrong comes back as an exception


class OnnxPredictor:
    """A :class:`~cadml.learning.predictor.Predictor` in the runtime's own thread-safe session."""

    def __init__(self, onnx: bytes, classes: tuple[str, ...], length: int) -> None:
        options = onnxruntime.SessionOptions()
        # A part is a row: threads of its own would only fight with the service's.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = _FATAL_ONLY
        try:
            self._session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
            self._input = self._session.get_inputs()[0].name
        except _RUNTIME_ERRORS as error:
            raise MalformedModel(f"the runtime cannot load the model: {error}") from error
        self._classes = classes
        self._length = length

    @property
    def classes(self) -> tuple[str, ...]:
        """The K labels, in the order of the probabilities."""
        return self._classes

    @property
    def length(self) -> int:
        """Slots of a vector, N."""
        return self._length

    def probabilities(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return ``(M, K)`` for raw vectors ``(M, N)``; each row sums to 1.

        Raises
        ------
        DimensionMismatch
            The vectors have another length.
        MalformedModel
            What the model answers is no distribution.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self._length:
            raise DimensionMismatch(f"the model takes vectors of {self._length} slots")
        rows = np.ascontiguousarray(vectors, dtype=np.float32)
        try:
            raw = self._session.run(["probabilities"], {self._input: rows})[0]
        except _RUNTIME_ERRORS as error:
            raise MalformedModel(f"the model cannot run: {error}") from error
        return distributions(raw, len(rows), len(self._classes))

    def close(self) -> None:
        """Free the session; predicting afterwards is an error."""
        del self._session


def distributions(raw: NDArray[np.floating], rows: int, classes: int) -> NDArray[np.float64]:
    """Return ``raw`` as ``(rows, classes)`` float64 whose rows sum to 1, or refuse it.

    Raises
    ------
    MalformedModel
        The shape is another, a number is negative or not finite, or a row is far from 1.
    """
    if raw.shape != (rows, classes):
        raise MalformedModel(f"the model answers {raw.shape} where {(rows, classes)} was asked")
    result = raw.astype(np.float64)
    total = result.sum(axis=1, keepdims=True)
    if not np.isfinite(result).all() or (result < -_CLOSE).any() or (np.abs(total - 1) > _CLOSE).any():
        raise MalformedModel("what the model answers is no probability distribution")
    result = result.clip(0.0)
    return np.asarray(result / result.sum(axis=1, keepdims=True))
