"""One ONNX graph inside its confined process, to see there what it costs."""

from __future__ import annotations

from typing import Any

import numpy as np

from cadml.learning.onnx_predictor import OnnxPredictor


class Graph:
    """Keeps nothing."""

    def do_try(self, head: dict[str, Any], onnx: bytes) -> tuple[dict[str, Any], list[bytes]]:
        """Load a graph and run it on some rows."""
        predictor = OnnxPredictor(onnx, tuple(head["classes"]), head["length"])
        predictor.probabilities(np.zeros((head["rows"], head["length"]), np.float32))
        return {"ok": True}, []
