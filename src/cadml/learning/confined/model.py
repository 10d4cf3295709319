"""One foreign model inside its confined process; each ``do_`` method answers one request."""

from __future__ import annotations

from typing import Any

import numpy as np
import skl2onnx
import sklearn.ensemble
import sklearn.linear_model
import sklearn.neighbors
import sklearn.neural_network  # noqa: F401
import skops.io

from cadml.learning.confined.interface import UnfitError, check
from cadml.learning.opcodes import rules_of
from cadml.learning.opcodes.loader import load

Reply = tuple[dict[str, Any], list[bytes]]
_FINE: dict[str, Any] = {"ok": True}


class Model:
    """Holds nothing until it is told to load."""

    def __init__(self) -> None:
        self._model: Any = None
        self._length = 0

    def do_load(self, head: dict[str, Any], data: bytes) -> Reply:
        """Construct the object and answer its classes."""
        if head["format"] == "skops":
            self._model = skops.io.loads(data, trusted=head["trusted"])
        else:
            self._model = load(data, rules_of(head["mode"]))
        self._length = head["length"]
        try:
            classes = check(self._model, self._length)
        except UnfitError as error:
            status = "interface_invalid" if error.reason else "load_error"
            return {"ok": False, "status": status, "interface": error.reason, "message": str(error)}, []
        return {**_FINE, "classes": classes}, []

    def do_predict(self, head: dict[str, Any], vectors: bytes) -> Reply:
        """Answer probabilities as float64 for float32 vectors."""
        rows = np.frombuffer(vectors, dtype=np.float32).reshape(head["rows"], self._length)
        answer = np.asarray(self._model.predict_proba(rows), dtype=np.float64)
        return {**_FINE, "shape": answer.shape}, [np.ascontiguousarray(answer).tobytes()]

    def do_convert(self, head: dict[str, Any]) -> Reply:  # noqa: ARG002 - every request has a head
        """Answer the model as an ONNX graph."""
        graph = skl2onnx.to_onnx(
            self._model, np.zeros((1, self._length), np.float32), options={"zipmap": False}
        )
        return _FINE, [graph.SerializeToString()]
