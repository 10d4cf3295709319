"""Say whether every panel and rule below deploy/ names only what cadml exports, in valid PromQL.

Reads the checked-in dashboards (JSON) and rules (YAML) and the metric table. Checked are names,
labels, label values, types (a rate is of counters, a quantile of buckets), the labels that legends
and messages show, and that each alert's runbook is there. Exit 0 only when all is right.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from cadml.api.app import asked
from cadml.observability.generated import GRAFANA, PROMETHEUS
from cadml.observability.promql import EXTERNAL, QueryError, Series, exported, judge
from cadml.observability.rules import recorded
from cadml.observability.table import ANSWERED, ROUTE_STATUS, UNMATCHED

ROOT = Path(__file__).parents[1]
LEGEND_LABEL = re.compile(r"\{\{\s*(\w+)\s*\}\}")
MESSAGE_LABEL = re.compile(r"\$labels\.(\w+)")
VARIABLE = re.compile(r"label_values\((.+),\s*(\w+)\)")


def known_series() -> dict[str, Series]:
    """Return every series that a panel or rule may name, with the routes of the application."""
    methods, routes = (frozenset(column) for column in zip(*asked(), UNMATCHED, strict=True))
    known = dict(exported())
    for name, series in known.items():
        if name.startswith("http_request"):
            answers = ROUTE_STATUS if name == "http_requests_total" else (ANSWERED,)
            values = {"method": methods, "route": routes, "status": frozenset(answers)}
            known[name] = replace(series, values={**series.values, **values})
    return {**known, **EXTERNAL}


def rule_problems(text: str, known: dict[str, Series]) -> Iterator[str]:
    """Yield what is wrong with a rule file; add the series that it records to ``known``."""
    rules = [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    if not rules:
        yield "holds no rule"
    for rule in rules:
        name = rule.get("alert") or rule.get("record")
        try:
            known |= recorded(rule, known)
            shape = judge(rule["expr"], known)
        except QueryError as error:
            yield f"{name}: {error}"
            continue
        told = rule.get("annotations", {})
        for label in MESSAGE_LABEL.findall(" ".join(told.values())):
            if label not in (shape.labels or ()):
                yield f"{name}: its message shows the label {label}, which the expression does not keep"
        if "alert" in rule and not (ROOT / told.get("runbook", "none")).is_file():
            yield f"{name}: there is no runbook {told.get('runbook', '')}"


def dashboard_problems(text: str, known: Mapping[str, Series]) -> Iterator[str]:
    """Yield what is wrong with a dashboard."""
    board = json.loads(text)
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    if not panels:
        yield "holds no panel"
    for panel in panels:
        targets = panel.get("targets", [])
        if not targets:
            yield f"{panel['title']!r}: asks for nothing"
        for target in targets:
            for problem in _target_problems(target, known):
                yield f"{panel['title']!r}: {problem}"
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            for problem in _variable_problems(variable["query"], known):
                yield f"variable {variable['name']}: {problem}"


def _target_problems(target: Mapping[str, Any], known: Mapping[str, Series]) -> Iterator[str]:
    try:
        shape = judge(target["expr"], known)
    except QueryError as error:
        yield f"{error} — {target['expr']}"
        return
    for label in LEGEND_LABEL.findall(target.get("legendFormat", "")):
        if label not in (shape.labels or ()):
            yield f"its legend shows the label {label}, which the query does not keep — {target['expr']}"


def _variable_problems(query: str, known: Mapping[str, Series]) -> Iterator[str]:
    match = VARIABLE.fullmatch(query)
    if match is None:
        yield f"{query} is no label_values(series, label)"
        return
    try:
        shape = judge(match[1], known)
    except QueryError as error:
        yield f"{error} — {query}"
        return
    if match[2] not in (shape.labels or ()):
        yield f"the series has no label {match[2]} — {query}"


def problems(deploy: Path) -> Iterator[str]:
    """Yield everything that is wrong with the dashboards and rules below ``deploy``."""
    known = known_series()
    rules = sorted((deploy / PROMETHEUS).glob("*.y*ml"))
    boards = sorted((deploy / GRAFANA).glob("*.json"))
    for what, paths in (("rule file", rules), ("dashboard", boards)):
        if not paths:
            yield f"{deploy}: there is no {what}"
    for path in (*rules, *boards):
        text = path.read_text(encoding="utf-8")
        judged = rule_problems(text, known) if path in rules else dashboard_problems(text, known)
        try:
            for problem in judged:
                yield f"{path}: {problem}"
        except (yaml.YAMLError, json.JSONDecodeError, KeyError, TypeError) as error:
            yield f"{path}: no such file as Prometheus or Grafana read: {type(error).__name__}: {error}"


def main() -> int:
    """Print each problem on a line of standard error; return 0 only where there is none."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("deploy", nargs="?", type=Path, default=ROOT / "deploy", help="default: deploy/")
    deploy = parser.parse_args().deploy
    found = list(problems(deploy))
    for problem in found:
        print(problem, file=sys.stderr)
    if not found:
        print(f"every panel and rule below {deploy} fits what cadml exports")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
