"""``cadml migrate`` on an installation of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trimesh


class Cli:
    def __init__(self, folder: Path) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CADML_")}
        self.environment = kept | {
            "CADML_DATA_DIR": str(folder / "data"),
            "CADML_EXTRACT_WORKERS": "1",
            "CADML_FEATURE_VERSION": "v3",
        }

    def __call__(self, *words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cadml", *map(str, words)],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    def json(self, *words: object) -> dict[str, Any]:
        ran = self("migrate", *words, "--json")
        assert ran.returncode == 0, ran.stderr
        body: dict[str, Any] = json.loads(ran.stdout)
        return body


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    folder = tmp_path_factory.mktemp("cli")
    for number in range(3):
        data = trimesh.creation.box((1, 2, 3 + number)).export(file_type="stl")
        (folder / f"{number}.stl").write_bytes(data)
    cli = Cli(folder)
    assert cli("ingest", folder).returncode == 0
    del cli.environment["CADML_FEATURE_VERSION"]  # it says what a new library begins with
    return cli


@pytest.mark.slow
def test_a_library_is_moved_by_command(cli: Cli) -> None:
    assert cli.json("status")["migration"] is None
    plan = cli.json("v4", "--dry-run")
    assert (plan["origin"], plan["target"], plan["can_begin"]) == ("v3", "v4", True)
    assert cli.json("status")["migration"] is None
    ready = cli("migrate", "v4")
    assert ready.returncode == 0, ready.stderr
    assert "v3 to v4: ready" in ready.stdout
    assert "recall_at_10" in ready.stdout
    again = cli("migrate", "v5")
    assert (again.returncode, len(again.stderr.strip().splitlines())) == (1, 1)
    assert "a migration to v4 is ready" in again.stderr
    assert cli.json("activate")["active_version"] == "v4"
    assert cli.json("rollback")["active_version"] == "v3"
    assert cli.json("activate")["migration"]["state"] == "active"
    retired = cli.json("retire")
    assert (retired["migration"]["state"], retired["versions"]["v3"]) == ("retired", "absent")


def test_wrong_usage_says_so_in_one_line(cli: Cli) -> None:
    for words, code in ((("v99",), 2), (("status", "--dry-run"), 2), (("d1",), 2), ((), 2)):
        ran = cli("migrate", *words)
        assert (ran.returncode, len(ran.stderr.strip().splitlines())) == (code, 1), ran.stderr
