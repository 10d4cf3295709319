"""The rules that are checked in: promtool reads them, each alert fires and stays silent as it should."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from alert_cases import ALSO_FIRES, CASES, STEP

from cadml.observability.generated import PROMETHEUS
from cadml.observability.rules import FILES
from cadml.observability.rules.model import Alert
from served import need_program

ROOT = Path(__file__).parents[2]

RULES = sorted((ROOT / "deploy" / PROMETHEUS).glob("*.yml"))
ALERTS = {
    rule.name: rule
    for groups in FILES.values()
    for group in groups
    for rule in group.rules
    if isinstance(rule, Alert)
}


def promtool(*words):
    return subprocess.run(
        [need_program("promtool"), *map(str, words)], capture_output=True, text=True, check=False
    )


def test_promtool_accepts_the_rules():
    assert [path.name for path in RULES] == sorted(FILES)
    checked = promtool("check", "rules", *RULES)
    assert checked.returncode == 0, checked.stderr
    assert "FAILED" not in checked.stdout


def test_every_alert_has_what_somebody_woken_by_it_needs():
    for path in RULES:
        groups = yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in (rule for group in groups for rule in group["rules"] if "alert" in rule):
            assert rule["labels"]["severity"] in {"critical", "warning", "info"}, rule
            assert rule["for"], rule
            assert rule["annotations"]["summary"], rule
            page = (ROOT / rule["annotations"]["runbook"]).read_text(encoding="utf-8")
            assert page.startswith(f"# {rule['alert']}\n")
            for part in ("**Means.**", "**Look at", "**Do"):
                assert part in page, (rule["alert"], part)


def test_every_runbook_has_its_alert_and_the_list_names_it():
    pages = {path.stem for path in (ROOT / "docs" / "runbooks").glob("Cadml*.md")}
    assert pages == set(ALERTS)
    index = (ROOT / "docs" / "runbooks" / "README.md").read_text(encoding="utf-8")
    assert [name for name in pages if f"({name}.md)" not in index] == []


def test_every_alert_is_tested():
    assert set(CASES) == set(ALERTS)
    assert all(len(cases) > 1 for cases in CASES.values())


def unit_test(name, number, case):
    fires = number == 0 or (name, number) in ALSO_FIRES
    expected = [{"labels": "{}", "value": 1}] if fires else []
    return {
        "name": f"{name} {number}",
        "interval": STEP.get(name, "1m"),
        "input_series": [{"series": series, "values": values} for series, values in case.series.items()],
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="{name}", alertstate="firing"}})',
                "eval_time": case.at,
                "exp_samples": expected,
            }
        ],
    }


@pytest.mark.parametrize("name", ALERTS)
def test_it_fires_and_stays_silent(name, tmp_path):
    tests = {
        "rule_files": [str(path) for path in RULES],
        "evaluation_interval": STEP.get(name, "1m"),
        "tests": [unit_test(name, number, case) for number, case in enumerate(CASES[name])],
    }
    path = tmp_path / "test.yml"
    path.write_text(json.dumps(tests), encoding="utf-8")  # JSON is YAML too
    ran = promtool("test", "rules", path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
