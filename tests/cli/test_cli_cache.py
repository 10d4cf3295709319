"""``cadml cache`` against a real service in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cadml.bench.service import Served, served
from cadml.cli import app, run_safely

Ran = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served"), 1) as running:
        yield running


@pytest.fixture
def cache(service: Served, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs ``cadml cache …`` in this process, against the service in the other."""
    for name, value in service.environment.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: object, url: str = service.url) -> Ran:
        monkeypatch.setattr(sys, "argv", ["cadml", "cache", *map(str, arguments), "--url", url])
        code = run_safely(app)
        printed = capsys.readouterr()
        return Ran(arguments, code, printed.out, printed.err)

    return run


def answer(ran: Ran) -> Any:
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_settings_are_changed_and_restored(cache: Any) -> None:
    usual = answer(cache("show", "--json"))
    assert usual["capacity"] == 10_000
    changed = answer(cache("apply", "--capacity", 77, "--ttl", 600, "--json"))
    assert (changed["capacity"], changed["ttl"]) == (77, 600)
    refused = cache("apply", "--capacity", 78)
    assert refused.returncode == 1
    assert refused.stderr.startswith("cadml: the last change can be rolled back")
    assert len(refused.stderr.splitlines()) == 1
    assert answer(cache("rollback", "--json"))["capacity"] == 10_000
    assert cache("rollback").returncode == 1
    assert "capacity" in cache("show").stdout


def test_advice_comes_from_evidence_or_bands(cache: Any, tmp_path: Path) -> None:
    picture = tmp_path / "curve.svg"
    shown = cache("tuning", "--svg", picture)
    assert "not enough evidence" in shown.stdout
    assert picture.read_text(encoding="utf-8").startswith("<svg")
    assert answer(cache("tuning", "--json"))["needed"]["references"] > 0
    numbers = ["--hit-rate", 0.32, "--capacity", 1200, "--ttl", 3600, "--window-hours", 6]
    bands = answer(cache("tuning", *numbers, "--json"))
    assert (bands["recommended_capacity"], bands["recommended_ttl"]) == (1800, 3600)
    assert "low hit rate" in cache("tuning", *numbers).stdout


def test_prewarm_says_how_many(cache: Any) -> None:
    assert answer(cache("prewarm", "--json")) == {"loaded": 0, "size": 0, "capacity": 10_000}


@pytest.mark.parametrize(
    ("arguments", "url", "word"),
    [
        (["tuning", "--hit-rate", 1.5, "--capacity", 1, "--ttl", 1], None, "hit_rate must be from 0 to 1"),
        (["apply"], None, "give capacity, ttl or both"),
        (["show"], "http://127.0.0.1:9", "no service answers"),
        (["show"], "nonsense://", "no service answers"),
    ],
)
def test_wrong_usage_says_so_in_one_line(
    cache: Any, arguments: list[object], url: str | None, word: str
) -> None:
    ran = cache(*arguments, url=url) if url else cache(*arguments)
    assert ran.returncode == 2, ran
    assert word in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["show", "tuning", "apply", "rollback", "prewarm"])
def test_every_command_has_help_with_an_example(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["cadml", "cache", command, "--help"])
    assert run_safely(app) == 0
    assert f"Example: cadml cache {command}" in capsys.readouterr().out
