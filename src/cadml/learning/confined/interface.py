"""Whether a loaded object is a classifier that can serve, asked inside the confined process."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from sklearn.tree._tree import Tree

from cadml.learning.artifact import MOST_CLASSES
from cadml.learning.verdict import InterfaceReason

_METHODS = ("predict", "predict_proba")
_MOST_OBJECTS = 2_000_000  # a forest of 1,000 trees holds about 20,000
_PLAIN = (str, bytes, int, float, complex, bool, type(None), np.generic)

_OWN_WAYS = (type, np.ufunc, np.ndarray)  # attributes of theirs are numpy's and Python's business


class UnfitError(Exception):
    """The object cannot serve; ``reason`` is the contract's, None for damage inside it."""

    def __init__(self, reason: InterfaceReason | None, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def check(model: Any, length: int) -> tuple[str, ...]:
    """Return the classes of a model that takes ``length`` slots.

    Raises
    ------
    UnfitError
        It lacks a method, hides one, is too large, or takes other vectors.
    """
    _check_graph(model)
    for name in _METHODS:
        method = getattr(model, name, None)
        if not callable(method) or isinstance(model, type):
            raise UnfitError("missing_required_methods", f"the object has no method {name}")
        _check_signature(method, name)
    if getattr(model, "classes_", None) is None:
        raise UnfitError("missing_required_methods", "the object has no classes_: it was never fitted")
    features = getattr(model, "n_features_in_", None)
    if features is not None and features != length:
        raise UnfitError("wrong_input_dimension", f"the model takes {features} slots, not {length}")
    return _classes(model)


def _classes(model: Any) -> tuple[str, ...]:
    raw = np.asarray(model.classes_)
    if raw.ndim != 1 or not 2 <= len(raw) <= MOST_CLASSES:
        raise UnfitError("wrong_classes", f"the model's classes are no list of 2 to {MOST_CLASSES}")
    if not all(isinstance(each, str | int | np.integer | np.bool_) for each in raw.tolist()):
        raise UnfitError("wrong_classes", "fit the model with texts or whole numbers as classes")
    names = tuple(map(str, raw.tolist()))
    if len(set(names)) != len(names):
        raise UnfitError("wrong_classes", "two of the model's classes read the same")
    return names


def _check_signature(method: Any, name: str) -> None:
    try:
        inspect.signature(method).bind(np.zeros((1, 1)))
    except (TypeError, ValueError) as error:
        raise UnfitError("invalid_signature", f"{name} does not take one matrix: {error}") from error


def _check_graph(model: Any) -> None:
    """Walk everything that the object holds: it must be bounded, hide no method, and its trees be trees."""
    pending, seen = [model], {id(model)}
    while pending:
        each = pending.pop()
        if isinstance(each, Tree):
            _check_tree(each.children_left, each.children_right, each.feature, each.n_features)
        own = getattr(each, "__dict__", None)
        if isinstance(own, dict) and not isinstance(each, _OWN_WAYS) and not inspect.isroutine(each):
            _check_methods(each, own)
            if type(each).__name__ == "TreePredictor":
                _check_predictor(each)
        for inner in _inside(each, own):
            if isinstance(inner, _PLAIN) or id(inner) in seen:
                continue
            seen.add(id(inner))
            pending.append(inner)
        if len(seen) > _MOST_OBJECTS:
            raise UnfitError("large_attribute_graph", f"the object holds more than {_MOST_OBJECTS} others")


def _inside(each: Any, own: Any) -> list[Any]:
    if isinstance(each, dict):
        return [*each.keys(), *each.values(), *(own.values() if isinstance(own, dict) else ())]
    if isinstance(each, list | tuple | set | frozenset):
        return list(each)
    if isinstance(each, np.ndarray):
        return each.ravel().tolist() if each.dtype.hasobject else []
    if isinstance(each, type) or inspect.isroutine(each) or inspect.ismodule(each):
        return []
    return list(own.values()) if isinstance(own, dict) else []


def _check_methods(each: Any, own: dict[Any, Any]) -> None:
    for name in own:
        if not isinstance(name, str) or (name.startswith("__") and name.endswith("__")):
            raise UnfitError("suspicious_methods_found", f"a {type(each).__name__} has an attribute {name!r}")
        # A setting may have the name of nothing else; a method replaced in the instance is no setting.
        if callable(inspect.getattr_static(type(each), name, None)):
            raise UnfitError("suspicious_methods_found", f"a {type(each).__name__} replaces its {name}")


def _check_tree(left: Any, right: Any, feature: Any, features: int) -> None:
    """Children come after their parent and inside the tree, so every walk ends at a leaf."""
    nodes = np.arange(len(left))
    inner = left != -1
    for child in (left[inner], right[inner]):
        if (child <= nodes[inner]).any() or (child >= len(left)).any():
            raise UnfitError(None, "a tree's nodes point backwards or outside it")
    if (right[~inner] != -1).any() or (feature[inner] < 0).any() or (feature[inner] >= features).any():
        raise UnfitError(None, "a tree asks for a slot that no vector has")


def _check_predictor(each: Any) -> None:
    nodes = each.nodes
    inner = nodes["is_leaf"] == 0
    places = np.arange(len(nodes))[inner]
    for child in (nodes["left"][inner].astype(int), nodes["right"][inner].astype(int)):
        if (child <= places).any() or (child >= len(nodes)).any():
            raise UnfitError(None, "a tree's nodes point backwards or outside it")
    if (nodes["is_categorical"] != 0).any():
        raise UnfitError(None, "a tree splits by categories, which no vector of numbers has")
