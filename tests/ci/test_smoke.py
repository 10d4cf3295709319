"""The staging smoke in process mode: whole, and with a fault put in at each step it has to catch."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from smoke_run import Run, free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]


def test_a_sound_checkout_passes_every_step(checkout: Path, tmp_path: Path) -> None:
    run = Run(checkout, tmp_path, API_KEY="a-key-of-the-caller")
    assert run.code == 0, run.out + run.err
    steps = [line.split()[1] for line in run.out.splitlines() if line.startswith("ok")]
    assert steps == ["health", "ready", "upload", "tuning", "metrics", "dashboards"]
    health = json.loads((run.artifacts / "health.json").read_text())
    assert health["runtime"]["metrics_enabled"] is True
    advice = json.loads((run.artifacts / "cache_tuning.json").read_text())
    told = (advice["recommended_capacity"], advice["recommended_ttl"], advice["confidence"])
    assert told == (1800, 3600, 0.75)
    assert "feature_cache_tuning_requests_total" in (run.artifacts / "metrics.txt").read_text()
    assert (run.artifacts / "service.log").exists()
    kept = "".join(path.read_text(errors="replace") for path in run.artifacts.iterdir() if path.is_file())
    assert "a-key-of-the-caller" not in kept
    run.assert_clean()


def test_a_port_that_is_taken_is_told(checkout: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        run = Run(checkout, tmp_path, API_PORT=str(other.getsockname()[1]))
    assert run.code == 1
    assert "smoke: port: something listens on" in run.err


def test_a_port_where_nothing_listens_is_told(tmp_path: Path) -> None:
    words = [f"http://127.0.0.1:{free_port()}", "--artifacts", str(tmp_path), "--patience", "2"]
    ran = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "ci" / "smoke.py"), *words],
        input="\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert ran.stderr.startswith("smoke: health:")
    assert "no good answer within 2 s: [Errno 111] Connection refused" in ran.stderr


@pytest.mark.parametrize(
    ("setting", "value", "reason"),
    [
        ("CADML_METRICS_ENABLED", "false", "smoke: health: runtime.metrics_enabled is not true"),
        ("CADML_FEATURE_VERSION", "v9", "CADML_FEATURE_VERSION"),  # it does not even start
    ],
)
def test_a_wrong_setting_is_told(
    checkout: Path, tmp_path: Path, setting: str, value: str, reason: str
) -> None:
    run = Run(checkout, tmp_path, **{setting: value, "PATIENCE": "20" if value == "v9" else "120"})
    assert run.code == 1
    assert reason in run.err
    run.assert_clean()


def test_a_stale_build_is_told(checkout: Path, tmp_path: Path) -> None:
    changed = checkout / "src" / "cadml" / "where.py"
    changed.write_text(changed.read_text() + "\n# changed since the build\n")
    run = Run(checkout, tmp_path)
    assert run.code == 1
    assert "smoke: health: stale: version" in run.err
    run.assert_clean()


def test_an_older_version_is_told(checkout: Path, tmp_path: Path) -> None:
    project = checkout / "pyproject.toml"
    project.write_text(project.read_text().replace('\nversion = "', '\nversion = "9.'))
    run = Run(checkout, tmp_path)
    assert run.code == 1
    assert "this checkout is version 9." in run.err


def test_a_dashboard_that_names_an_unknown_series_is_told(checkout: Path, tmp_path: Path) -> None:
    (board, *_) = sorted((checkout / "deploy" / "grafana" / "dashboards").glob("*.json"))
    text = board.read_text()
    known = next(name for name in ("feature_cache_hits_total", "database_up") if name in text)
    board.write_text(text.replace(known, "series_that_nobody_exports_total"))
    run = Run(checkout, tmp_path)
    assert run.code == 1
    assert "smoke: dashboards:" in run.err
    assert "series_that_nobody_exports_total" in run.err
    run.assert_clean()
