"""scripts/validate_dashboard_metrics.py: silent where all is right, and plain about what is not."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cadml.observability.generated import GRAFANA, PROMETHEUS

ROOT = Path(__file__).parents[2]

SCRIPT = ROOT / "scripts" / "validate_dashboard_metrics.py"


def test_what_is_checked_in_is_sound():
    run = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert "fits what cadml exports" in run.stdout


@pytest.fixture
def validate(monkeypatch, capsys):
    """Run the script in this process: return its exit code, and what it prints on both streams."""
    spec = importlib.util.spec_from_file_location("validate_dashboard_metrics", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)

    def run(folder):
        monkeypatch.setattr("sys.argv", [str(SCRIPT), str(folder)])
        return script.main(), capsys.readouterr()

    return run


@pytest.fixture
def deploy(tmp_path):
    for kind in (GRAFANA, PROMETHEUS):
        shutil.copytree(ROOT / "deploy" / kind, tmp_path / kind)
    return tmp_path


def test_every_fault_is_told_in_one_run(validate, deploy):
    path = deploy / GRAFANA / "cadml-cache.json"
    board = json.loads(path.read_text(encoding="utf-8"))
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    panels[0]["targets"][0]["expr"] = "feature_cache_hit_ratio"
    panels[1]["targets"][0]["expr"] = "rate(feature_cache_hits_total[5m]"
    panels[2]["targets"][0]["legendFormat"] = "{{version}}"
    panels[3]["targets"] = []
    board["templating"]["list"][1]["query"] = "label_values(cadml_up, job)"
    path.write_text(json.dumps(board), encoding="utf-8")
    (deploy / GRAFANA / "broken.json").write_text("{")
    rules = deploy / PROMETHEUS / "cadml.yml"
    text = rules.read_text(encoding="utf-8")
    text = text.replace("expr: database_up{", "expr: databases_up{", 1)
    text = text.replace("$labels.reason", "$labels.cause").replace(
        "runbooks/CadmlDown.md", "runbooks/Down.md"
    )
    rules.write_text(text.replace('route=~"/api/v1/.+"', 'route=~"/api/v2/.+"', 1), encoding="utf-8")
    code, said = validate(deploy)
    assert (code, said.out) == (1, "")
    for words in (
        f"{panels[0]['title']!r}: nothing exports feature_cache_hit_ratio",
        f"{panels[1]['title']!r}: no PromQL",
        "its legend shows the label version",
        f"{panels[3]['title']!r}: asks for nothing",
        "variable job: nothing exports cadml_up",
        "broken.json: no such file",
        "CadmlDatabaseDown: nothing exports databases_up",
        "its message shows the label cause",
        "there is no runbook docs/runbooks/Down.md",
        "http_requests_total never has route='/api/v2/.+'",
    ):
        assert words in said.err, words


def test_nothing_to_validate_is_a_fault(validate, tmp_path):
    code, said = validate(tmp_path)
    assert code == 1
    assert "there is no dashboard" in said.err
    assert "there is no rule file" in said.err
