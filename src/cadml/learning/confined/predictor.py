"""A model that stays in its confined process and answers from there."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cadml.errors import DimensionMismatch, MalformedModel, ModelProcessFailed
from cadml.learning.confined.process import ConfinedProcess
from cadml.learning.onnx_predictor import distributions

MEMORY_MB = 4_096  # address space; the packages alone map about 1.5 GiB of it
GRAPH_MEMORY_MB = 1_536  # for a graph on trial, which later may cost the service as much
LOAD_SECONDS = 60.0
PREDICT_SECONDS = 30.0
CONVERT_SECONDS = 60.0


class ConfinedPredictor:
    """A :class:`~cadml.learning.predictor.Predictor`; a process that dies is replaced at the next call."""

    def __init__(self, request: dict[str, Any], data: bytes) -> None:
        """Load ``data`` as ``request`` says (format, mode, length, trusted).

        Raises
        ------
        RefusalError
            The model cannot be constructed or cannot serve.
        ModelProcessFailed
            It killed its process, or took too long.
        """
        self._request = request
        self._data = data
        self._lock = threading.Lock()
        self._is_closed = False
        self._process, self._classes = self._load()

    @property
    def classes(self) -> tuple[str, ...]:
        """The K labels, in the order of the probabilities."""
        return self._classes

    @property
    def length(self) -> int:
        """Slots of a vector, N."""
        return int(self._request["length"])

    def probabilities(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return ``(M, K)`` for raw vectors ``(M, N)``; each row sums to 1.

        Raises
        ------
        DimensionMismatch
            The vectors have another length.
        MalformedModel
            What the model answers is no distribution.
        ModelProcessFailed
            The process died or took too long; the next call has another.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.length:
            raise DimensionMismatch(f"the model takes vectors of {self.length} slots")
        rows = np.ascontiguousarray(vectors, dtype=np.float32)
        head, blobs = self._living().ask("predict", rows.tobytes(), seconds=PREDICT_SECONDS, rows=len(rows))
        if not head.get("ok") or len(blobs) != 1:
            raise MalformedModel(f"the model cannot predict: {head.get('message')}")
        if len(blobs[0]) != len(rows) * len(self._classes) * 8:
            raise MalformedModel("the model answers another number of probabilities than it has classes")
        raw = np.frombuffer(blobs[0], dtype=np.float64).reshape(len(rows), len(self._classes))
        return distributions(raw, len(rows), len(self._classes))

    def converted(self) -> bytes | None:
        """Return the model as an ONNX graph, None where there is no conversion; not checked yet."""
        head, blobs = self._living().ask("convert", seconds=CONVERT_SECONDS)
        return blobs[0] if head.get("ok") and blobs else None

    def close(self) -> None:
        """End the process; predicting afterwards is an error."""
        with self._lock:
            self._is_closed = True
            self._process.close()

    def _living(self) -> ConfinedProcess:
        with self._lock:
            if self._is_closed:
                raise ModelProcessFailed("the model has been closed")
            if not self._process.is_alive:
                self._process, classes = self._load()
                if classes != self._classes:
                    raise MalformedModel("the model has other classes than when it was judged")
            return self._process

    def _load(self) -> tuple[ConfinedProcess, tuple[str, ...]]:
        process = ConfinedProcess(MEMORY_MB)
        head, _ = process.ask("load", self._data, seconds=LOAD_SECONDS, **self._request)
        if not head.get("ok"):
            process.close()
            raise RefusalError(head)
        classes = head.get("classes")
        if not isinstance(classes, list) or len(classes) < 2:
            process.close()
            raise MalformedModel("the model's process answers without classes")
        return process, tuple(map(str, classes))


class RefusalError(Exception):
    """The confined process has constructed nothing that can serve; ``head`` says why."""

    def __init__(self, head: dict[str, Any]) -> None:
        super().__init__(str(head.get("message")))
        self.head = head


def try_onnx(onnx: bytes, classes: tuple[str, ...], length: int) -> str | None:
    """Run a checked graph in a throw-away process first; return why it may not come nearer, or None."""
    process = ConfinedProcess(GRAPH_MEMORY_MB, guest="graph")
    try:
        head, _ = process.ask("try", onnx, seconds=LOAD_SECONDS, classes=classes, length=length, rows=1_000)
    except ModelProcessFailed as error:
        return error.message
    finally:
        process.close()
    return None if head.get("ok") else str(head.get("message"))
