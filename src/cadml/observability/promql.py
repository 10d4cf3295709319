"""Judge a PromQL expression against the exported series: names, labels, label values, types.

A real parser reads the expression; what it cannot know is judged here: whether a name is exported,
whether a label and its value can occur, whether a counter is only ever seen through its rate, and
whether a quantile is taken of buckets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import promql_parser as parser

from cadml.observability.table import METRICS

Kind = Literal["counter", "gauge", "bucket", "value"]

TARGET_LABELS = frozenset({"job", "instance"})  # Prometheus gives them to every series it scrapes
# What Grafana puts in for its variables; the values only have to parse.
VARIABLES = {"$__rate_interval": "5m", "$__range": "1h", "$__interval": "1m"}
OF_COUNTERS = frozenset({"rate", "irate", "increase", "resets"})
OF_GAUGES = frozenset({"delta", "idelta", "deriv", "predict_linear", "changes"})


@dataclass(frozen=True, slots=True)
class Series:
    """A series that can be asked for; ``values`` holds what a label can say where that is closed."""

    kind: Kind
    labels: frozenset[str]
    values: Mapping[str, frozenset[str]]
    external: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """What an expression yields; ``labels`` is None for a number, ``quantiles``: a rate of buckets."""

    kind: Kind
    labels: frozenset[str] | None
    quantiles: bool = False


class QueryError(ValueError):
    """An expression does not fit what is exported; the sentence says how."""


@cache
def exported() -> dict[str, Series]:
    """Return every series of the metric table by the name that Prometheus stores it under."""
    known = {}
    for row in METRICS.values():
        labels = frozenset(row.labels)
        closed = {
            label: frozenset(values[place] for values in row.series)
            for place, label in enumerate(row.labels)
            if row.series
        }
        if row.kind == "histogram":
            bounds = frozenset({*map(str, row.buckets), "+Inf"})
            known[f"{row.name}_bucket"] = Series("bucket", labels | {"le"}, closed | {"le": bounds})
            for part in ("sum", "count"):
                known[f"{row.name}_{part}"] = Series("counter", labels, closed)
        else:
            known[row.name] = Series(row.kind, labels, closed)
    known["app_metrics_disabled"] = Series("gauge", frozenset(), {})  # the one that stands for all others
    return known


# What Prometheus and node_exporter export under their own names.
EXTERNAL = {
    "up": Series("gauge", frozenset(), {}, external=True),
    "ALERTS": Series("gauge", frozenset({"alertname", "alertstate", "severity"}), {}, external=True),
    **{
        f"node_filesystem_{what}_bytes": Series(
            "gauge", frozenset({"device", "fstype", "mountpoint"}), {}, external=True
        )
        for what in ("avail", "size")
    },
}


def judge(expression: str, known: Mapping[str, Series]) -> Shape:
    """Return what ``expression`` yields.

    Raises
    ------
    QueryError
        It is no PromQL, or does not fit the series in ``known``.
    """
    text = expression
    for name, value in VARIABLES.items():
        text = text.replace(name, value)
    try:
        tree = parser.parse(text)
    except ValueError as error:
        raise QueryError(f"no PromQL: {error}") from error
    shape = _Judge(known).shape(tree)
    if shape.kind in {"counter", "bucket"}:
        raise QueryError("a counter says nothing by itself; ask for its rate or increase")
    return shape


class _Judge:
    """Walks one expression from its leaves up."""

    def __init__(self, known: Mapping[str, Series]) -> None:
        self._known = known

    def shape(self, node: Any) -> Shape:
        ask: Callable[[Any], Shape] | None = getattr(self, f"_of_{type(node).__name__}", None)
        if ask is None:
            raise QueryError(f"{type(node).__name__} is not used here")
        return ask(node)

    def _of_NumberLiteral(self, _: Any) -> Shape:  # noqa: N802 - the parser's name of the node
        return Shape("value", None)

    def _of_ParenExpr(self, node: Any) -> Shape:  # noqa: N802
        return self.shape(node.expr)

    def _of_UnaryExpr(self, node: Any) -> Shape:  # noqa: N802
        return self.shape(node.expr)

    def _of_VectorSelector(self, node: Any) -> Shape:  # noqa: N802
        series = self._known.get(node.name or "")
        if series is None:
            raise QueryError(f"nothing exports {node.name or 'a series without a name'}")
        labels = series.labels | TARGET_LABELS
        for matcher in node.matchers.matchers:
            if matcher.name not in labels:
                raise QueryError(f"{node.name} has no label {matcher.name}")
            if matcher.name in series.values:
                _check_value(node.name, matcher, series.values[matcher.name])
        return Shape(series.kind, labels)

    def _of_MatrixSelector(self, node: Any) -> Shape:  # noqa: N802
        return self.shape(node.vector_selector)

    def _of_SubqueryExpr(self, node: Any) -> Shape:  # noqa: N802
        return self.shape(node.expr)

    def _of_Call(self, node: Any) -> Shape:  # noqa: N802
        name = node.func.name
        shapes = [self.shape(argument) for argument in node.args]
        if not shapes:  # time(), vector-less
            return Shape("value", None)
        inner = next((shape for shape in shapes if shape.labels is not None), shapes[-1])
        if name == "histogram_quantile":
            if not inner.quantiles:
                raise QueryError("histogram_quantile is of the rate of buckets, with le among its labels")
            return Shape("value", inner.labels - {"le"} if inner.labels else None)
        if name in OF_COUNTERS:
            if inner.kind not in {"counter", "bucket"}:
                raise QueryError(f"{name} is of counters, and this is a {inner.kind}")
            return Shape("value", inner.labels, quantiles=inner.kind == "bucket")
        if inner.kind in {"counter", "bucket"} and name not in {"absent", "absent_over_time"}:
            raise QueryError(f"{name} is not of counters; ask for a rate or an increase first")
        if name in OF_GAUGES and inner.kind != "gauge":
            raise QueryError(f"{name} is of gauges, and this is a {inner.kind}")
        return Shape("gauge" if inner.kind == "gauge" else "value", inner.labels, inner.quantiles)

    def _of_AggregateExpr(self, node: Any) -> Shape:  # noqa: N802
        inner = self.shape(node.expr)
        if inner.labels is None:
            raise QueryError("an aggregation of a number")
        if inner.kind in {"counter", "bucket"}:
            raise QueryError("a sum of counters; take the rate or the increase first")
        labels: frozenset[str] = frozenset()
        if str(node.op) in {"topk", "bottomk"}:
            labels = inner.labels
        elif node.modifier is not None:
            named = self._named(node.modifier.labels, inner.labels)
            without = node.modifier.type == parser.AggModifierType.Without
            labels = inner.labels - named if without else named
        return Shape(inner.kind, labels, inner.quantiles and "le" in labels)

    def _of_BinaryExpr(self, node: Any) -> Shape:  # noqa: N802
        left, right = self.shape(node.lhs), self.shape(node.rhs)
        for side in (left, right):
            if side.kind in {"counter", "bucket"}:
                raise QueryError("a counter in an operation; take its rate or increase first")
        if left.labels is None or right.labels is None:
            one = left if right.labels is None else right
            return Shape(one.kind, one.labels, one.quantiles)
        return Shape(left.kind, self._joined(node, left.labels, right.labels), left.quantiles)

    def _joined(self, node: Any, left: frozenset[str], right: frozenset[str]) -> frozenset[str]:
        """Return the labels of an operation on two vectors that can match at all."""
        matching = node.modifier.matching if node.modifier else None
        if matching is None:
            if left != right and str(node.op) != "or":
                raise QueryError(
                    f"the sides never match: one has {_list(left - right)}, the other {_list(right - left)}"
                )
            return left
        on = matching.type == parser.LabelModifierType.Include
        shared = self._named(matching.labels, left & right) if on else left - set(matching.labels)
        if str(node.op) in {"and", "unless", "or"} or "Many" in str(node.modifier.card):
            return left
        return shared

    def _named(self, labels: Iterable[str], there: frozenset[str]) -> frozenset[str]:
        strange = [label for label in labels if label not in there]
        if strange:
            raise QueryError(f"there is no label {', '.join(strange)} to group or match by")
        return frozenset(labels)


def _check_value(name: str, matcher: Any, closed: frozenset[str]) -> None:
    """Refuse a matcher that no value, or in an alternation some value, of a closed label can meet."""
    exact = matcher.op in (parser.MatchOp.Equal, parser.MatchOp.NotEqual)
    pattern = str(matcher.value)
    wanted = [pattern] if exact or not re.fullmatch(r"[\w.+|-]+", pattern) else pattern.split("|")
    for each in wanted:
        if each.startswith("$"):
            continue
        found = each in closed if exact else any(re.fullmatch(each, value) for value in closed)
        if not found:
            raise QueryError(f"{name} never has {matcher.name}={each!r}; it has {_list(closed)}")


def _list(words: Iterable[str]) -> str:
    shown = sorted(words)
    return ", ".join(shown[:12]) + (" …" if len(shown) > 12 else "") if shown else "none"
