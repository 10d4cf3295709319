"""``cadml drift`` against a real service in a process of its own."""

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
DOCUMENT = {
    "format": "cadml drift baselines 1",
    "baselines": [
        {
            "subject": "material",
            "scope": "",
            "created_at": "2024-05-01T00:00:00Z",
            "counts": {"steel": 90, "brass": 10},
        }
    ],
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served"), 1) as running:
        yield running


@pytest.fixture
def drift(service: Served, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs ``cadml drift …`` in this process, against the service in the other."""
    for name, value in service.environment.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: object, code: int = 0) -> Ran:
        monkeypatch.setattr(sys, "argv", ["cadml", "drift", *map(str, arguments), "--url", service.url])
        returned = run_safely(app)
        printed = capsys.readouterr()
        assert returned == code, printed
        return Ran(arguments, returned, printed.out, printed.err)

    return run


def test_baselines_go_in_and_out_and_are_reset(drift: Any, tmp_path: Path) -> None:
    path, out, picture = tmp_path / "in.json", tmp_path / "out.json", tmp_path / "usual.svg"
    path.write_text(json.dumps(DOCUMENT), encoding="utf-8")
    assert "imported" in drift("import", path).stdout
    assert "1 baselines" in drift("export", out).stdout
    assert json.loads(out.read_text(encoding="utf-8"))["baselines"][0]["counts"] == {"brass": 10, "steel": 90}
    rows = json.loads(drift("baseline", "--svg", picture, "--json").stdout)["baselines"]
    assert rows[0]["stale"]
    assert picture.read_text(encoding="utf-8").startswith("<svg")
    assert "yes" in drift("baseline").stdout
    status = json.loads(drift("status", "--json").stdout)
    assert status["verdict"] == "not enough data"
    shown = drift("status", "--hours", 24, "--count", 50).stdout
    assert "0 of 30" in shown
    assert "0 of 500" in shown
    changed = json.loads(drift("reset", "--subject", "material", "--json").stdout)
    assert changed["changed"] == [{"subject": "material", "scope": ""}]


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["reset", "--from", "recent"], 1, "a baseline needs 100 observations"),
        (["reset", "--from", "chosen"], 2, "ids or filters"),
        (["reset", "--from", "chosen", "--where", "nonsense"], 2, "is no condition"),
        (["reset", "--subject", "colour"], 2, "subject"),
        (["status", "--count", "7"], 2, "count"),
        (["baseline", "--svg", "x.svg", "--subject", "prediction"], 1, "not compared"),
    ],
)
def test_what_cannot_be_says_so_in_one_line(drift: Any, arguments: list[str], code: int, word: str) -> None:
    ran = drift(*arguments, code=code)
    assert word in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_a_file_that_is_no_document_is_wrong_usage(drift: Any, tmp_path: Path) -> None:
    for content in (b"nonsense", b"\xff\xfe", b'{"format": 1}'):
        (tmp_path / "x.json").write_bytes(content)
        assert len(drift("import", tmp_path / "x.json", code=2).stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["status", "baseline", "reset", "export", "import"])
def test_every_command_has_help_with_an_example(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["cadml", "drift", command, "--help"])
    assert run_safely(app) == 0
    assert f"Example: cadml drift {command}" in capsys.readouterr().out
