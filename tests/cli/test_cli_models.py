"""``cadml model`` and ``cadml train`` as real processes on an installation of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from made_models import bundle

HOSTILE = b"cos\nsystem\n(S'true'\ntR."


class Cli:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CADML_")}
        self.environment = kept | {"CADML_DATA_DIR": str(folder / "data"), "CADML_EXTRACT_WORKERS": "1"}

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cadml", *arguments],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

    def json(self, *arguments: str) -> Any:
        ran = self(*arguments, "--json")
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    folder = tmp_path_factory.mktemp("cli-models")
    for number in (1, 2):
        (folder / f"m{number}.cadml").write_bytes(bundle(f"m-{number}"))
    (folder / "attack.pkl").write_bytes(HOSTILE)
    return Cli(folder)


def test_scan_says_what_would_happen_by_its_exit_code(cli: Cli) -> None:
    good, bad = cli("model", "scan", "m1.cadml", "--json"), cli("model", "scan", "attack.pkl", "--json")
    assert (good.returncode, json.loads(good.stdout)["status"]) == (0, "success")
    assert bad.returncode == 1
    report = json.loads(bad.stdout)
    assert (report["status"], report["opcode"], report["position"]) == ("opcode_blocked", "GLOBAL", 0)
    assert cli("model", "scan", "absent.pkl").returncode == 2


@pytest.mark.slow
def test_trust_activate_roll_back_and_the_history_of_it(cli: Cli) -> None:
    refused = cli("model", "activate", "m1.cadml")
    assert refused.returncode == 1
    assert "trusted" in refused.stderr.splitlines()[-1]
    assert cli("model", "rollback").returncode == 1  # nothing to go back to
    for number in (1, 2):
        cli.json("model", "trust", f"m{number}.cadml", "--why", "made for a test")
        assert cli.json("model", "activate", f"m{number}.cadml")["version"] == f"m-{number}"
    assert cli.json("model", "rollback", "--why", "a test") == {
        "status": "success",
        "version": "m-1",
        "level": 1,
    }
    listed = cli.json("model", "list")
    assert (listed["line"], listed["level"], listed["load_seq"]) == (["m-2", "m-1"], 1, 2)
    happened = [event["what"] for event in listed["events"]]
    assert happened == ["rolled_back", "activated", "trusted", "activated", "trusted", "refused"]
    assert all(event["who"] and event["why"] for event in listed["events"])
    assert cli.json("model", "show", "m-2")["classes"] == ["box", "round"]
    assert "macro_f1" in cli("model", "show", "m-2").stdout  # a card that `cadml train` did not write


def test_training_refuses_too_little_data_in_one_line(cli: Cli) -> None:
    ran = cli("train")
    assert ran.returncode == 1
    assert "training needs 2 classes" in ran.stderr.splitlines()[-1]
    assert cli("train", "--labels", "absent.csv").returncode == 2


def test_training_says_which_files_it_lacks(cli: Cli, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("path,label,family\ngone.step,box,a\naway.step,box,b\n")
    ran = cli("train", "--labels", str(labels))
    assert ran.returncode == 1
    told = ran.stderr.splitlines()[-1]
    assert f"2 of the files could not be used, such as {tmp_path / 'gone.step'}: NOT_FOUND" in told


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--name", "a/b"), 2, "no name for a model"),
        (("--version", "v9"), 2, "no feature version 'v9'"),
        (("--version", "v6"), 1, "cadml migrate v6"),  # new parts are not described in it
    ],
)
def test_training_says_before_any_work_what_cannot_be(
    cli: Cli, words: tuple[str, ...], code: int, told: str
) -> None:
    ran = cli("train", *words)
    assert (ran.returncode, ran.stdout) == (code, "")
    assert told in ran.stderr.splitlines()[-1]
    assert "comparing" not in ran.stderr
