"""A foreign model as ONNX where that changes nothing, so that it can leave its confined process."""

from __future__ import annotations

import numpy as np

from cadml.errors import CadmlError
from cadml.learning.artifact import Canary
from cadml.learning.confined.predictor import ConfinedPredictor, try_onnx
from cadml.learning.onnx_checks import check_onnx
from cadml.learning.onnx_predictor import OnnxPredictor
from cadml.learning.predictor import Predictor

_PROBES = 512
_SCALES = (0.1, 1.0, 10.0, 1000.0)  # of the probes: slots are shares, ratios, millimetres and counts
_CLOSE = 1e-5  # float32 against float64 probabilities


def lightest(model: ConfinedPredictor, canaries: tuple[Canary, ...]) -> Predictor:
    """Return the model as ONNX if it answers the same on every probe, else the model as it is.

    The confined process is ended when it is no longer needed. Probes are the canaries, vectors near
    them and vectors of several scales, from a fixed seed.
    """
    try:
        onnx = model.converted()
        if onnx is None:
            return model
        check_onnx(onnx, model.length, len(model.classes))
        if try_onnx(onnx, model.classes, model.length) is not None:
            return model
        light = OnnxPredictor(onnx, model.classes, model.length)
        probes = _probes(model.length, canaries)
        difference = np.abs(light.probabilities(probes) - model.probabilities(probes))
    except CadmlError:  # no conversion, or none that may run here: the model serves from where it is
        return model
    if difference.max() > _CLOSE:
        light.close()
        return model
    model.close()
    return light


def _probes(length: int, canaries: tuple[Canary, ...]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    random = np.random.default_rng(20)
    parts = [random.normal(size=(_PROBES, length)) * scale for scale in _SCALES]
    if canaries:
        known = np.array([canary.vector for canary in canaries])
        near = known[random.integers(len(known), size=_PROBES)]
        parts += [known, near * (1 + 0.1 * random.normal(size=near.shape))]
    return np.concatenate(parts).astype(np.float32)
