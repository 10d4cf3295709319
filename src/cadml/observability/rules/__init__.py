"""Prometheus rules: what is computed ahead, and what somebody is told of."""

from __future__ import annotations

from collections.abc import Mapping

from cadml.observability.promql import EXTERNAL, Series, exported, judge
from cadml.observability.rules import cache, drift, extraction, migration, models, objectives, service
from cadml.observability.rules.model import Group, rule_file

FILES: dict[str, tuple[Group, ...]] = {
    "cadml.yml": (
        *objectives.GROUPS,
        service.SERVICE,
        extraction.EXTRACTION,
        cache.CACHE,
        drift.DRIFT,
        models.MODELS,
        migration.MIGRATION,
    ),
    "node.yml": (service.NODE,),
}


def rules_text(name: str) -> str:
    """Return the text of rule file ``name``.

    Raises
    ------
    QueryError
        A rule does not fit what is exported.
    """
    known: dict[str, Series] = {**exported(), **EXTERNAL}
    for group in FILES[name]:
        for rule in group.rules:
            known |= recorded(rule.document(), known)
    return rule_file(FILES[name])


def recorded(rule: Mapping[str, object], known: Mapping[str, Series]) -> dict[str, Series]:
    """Judge one rule as it stands in a rule file; return the series that it records, if it does.

    Raises
    ------
    QueryError
        It does not fit the series in ``known``.
    """
    shape = judge(str(rule["expr"]), known)
    if "record" not in rule:
        return {}
    return {str(rule["record"]): Series("value", shape.labels or frozenset(), {})}
