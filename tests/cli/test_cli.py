"""The command line as its users run it: real processes, real files, real exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trimesh

from cadml.cli import app, run_safely
from cadml.config import Settings

COMMANDS = (
    "serve",
    "worker",
    "ingest",
    "describe",
    "similar",
    "migrate",
    "train",
    "evaluate",
    "bench",
    "settings",
    "doctor",
)


class Cli:
    """Runs ``cadml`` on an installation of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CADML_")}
        self.environment = kept | {"CADML_DATA_DIR": str(folder / "data dir"), "CADML_EXTRACT_WORKERS": "1"}

    def command(self, *arguments: object) -> list[str]:
        return [sys.executable, "-m", "cadml", *map(str, arguments)]

    def __call__(self, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            env=self.environment | environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def json(self, *arguments: object) -> Any:
        ran = self(*arguments, "--json")
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    folder = tmp_path_factory.mktemp("cli")
    (folder / "parts" / "more").mkdir(parents=True)
    for name, size in {"box": (10, 20, 30), "longer": (10, 20, 33), "more/plate": (2, 40, 60)}.items():
        (folder / "parts" / f"{name}.stl").write_bytes(trimesh.creation.box(size).export(file_type="stl"))
    (folder / "parts" / "broken.stl").write_text("solid a\nfacet normal x\n")
    (folder / "parts" / "read.me").write_text("not CAD")
    (folder / "labels.csv").write_text(
        "path,label,family\nparts/box.stl,block,b1\nparts/longer.stl,block,b2\n"
    )
    return Cli(folder)


def one_line(ran: subprocess.CompletedProcess[str], code: int) -> str:
    assert ran.returncode == code, (ran.stdout, ran.stderr)
    assert ran.stdout == ""
    lines = ran.stderr.splitlines()
    assert len(lines) == 1, ran.stderr
    assert lines[0].startswith("cadml: ")
    return lines[0]


Serve = Callable[..., "Served"]
Inside = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def inside(cli: Cli, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Inside:
    """Runs a command in this process, where nothing but quickness depends on a process of its own."""
    for name in [name for name in os.environ if name.startswith("CADML_")]:
        monkeypatch.delenv(name)
    for name, value in cli.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(cli.folder)

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["cadml", *map(str, arguments)])
        code = run_safely(app)
        printed = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, printed.out, printed.err)

    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(inside: Inside, command: str) -> None:
    ran = inside(command, "--help")
    assert ran.returncode == 0
    assert f"Example: cadml {command}" in ran.stdout or f"cadml {command}" in ran.stdout.split("Example:")[1]


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["describe"],
        ["describe", "no-such-file.step"],
        ["describe", "parts/box.stl", "--nope"],
        ["similar", "x", "-k", "0"],
        ["similar", "x", "--where", "nonsense"],
        ["bench", "nothing"],
        ["serve", "--port", "99999"],
        ["ingest", "no-such-folder"],
        ["evaluate", "no-such.csv"],
        ["keys", "add", "two words", "--file", "keys"],
    ],
)
def test_wrong_usage_says_so_in_one_line(inside: Inside, arguments: list[str]) -> None:
    one_line(inside(*arguments), 2)


def test_an_unknown_setting_stops_with_its_name(cli: Cli) -> None:
    assert "CADML_EXTRACT_WORKER" in one_line(cli("settings", CADML_EXTRACT_WORKER="1"), 2)
    assert "CADML_PORT" in one_line(cli("settings", CADML_PORT="many"), 2)


def test_settings_lists_every_one_with_help(inside: Inside) -> None:
    rows = json.loads(inside("settings", "--json").stdout)
    assert [row["name"] for row in rows] == [f"CADML_{name.upper()}" for name in Settings.model_fields]
    assert all(row["help"] for row in rows)
    assert {row["name"]: row["value"] for row in rows}["CADML_EXTRACT_WORKERS"] == 1


def test_settings_hide_a_password(cli: Cli) -> None:
    ran = cli("settings", CADML_DATABASE_URL="postgresql://me:secret@host/db")
    assert "secret" not in ran.stdout
    assert "postgresql://me:" in ran.stdout


def test_describe_tells_a_box_without_a_database(cli: Cli, tmp_path: Path) -> None:
    alone = Cli(tmp_path)
    body = alone.json("describe", cli.folder / "parts" / "box.stl", "--version", "v1")
    assert body["geometry"]["volume"] == pytest.approx(6000, rel=1e-6)
    assert body["features"]["length"] == len(body["features"]["values"]) == 7
    assert not (tmp_path / "data dir").exists()
    shown = alone("describe", cli.folder / "parts" / "box.stl")
    assert re.search(r"volume +6000 +mm³", shown.stdout)


def test_describe_refuses_a_bad_file_in_one_line(inside: Inside) -> None:
    one_line(inside("describe", "parts/broken.stl"), 1)


def test_ingest_adds_once_and_similar_finds(cli: Cli, inside: Inside) -> None:
    def answer(*arguments: object) -> Any:
        ran = inside(*arguments, "--json")
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    first = cli.json("ingest", "parts", "--labels", "labels.csv")
    assert first["files"] == 3
    assert (first["counts"]["added"], first["counts"]["failed"]) == (2, 1)
    assert [failure["name"] for failure in first["failures"]] == ["broken.stl"]
    again = answer("ingest", "parts/*.stl", "parts", "--recursive")
    assert (again["counts"]["added"], again["counts"]["known"]) == (1, 4)
    found = answer("similar", "parts/box.stl", "-k", "2")
    assert [n["name"] for n in found["neighbours"]] == ["box.stl", "longer.stl"]
    assert found["neighbours"][0]["metadata"] == {"label": "block", "family": "b1"}
    blocks = ("--where", "depth=31..40", "--where", "triangles=12")  # other tests put balls into this library
    by_id = answer("similar", found["neighbours"][0]["id"], "-k", "5", *blocks)
    assert [n["name"] for n in by_id["neighbours"]] == ["longer.stl"]
    assert "longer.stl" in inside("similar", "parts/box.stl").stdout
    assert "no part has the id" in one_line(inside("similar", "nobody"), 1)
    assert all(check["ok"] for check in answer("doctor"))
    bad = inside("ingest", "parts/broken.stl")
    assert bad.returncode == 1
    assert "broken.stl" in bad.stdout


def test_doctor_names_a_lost_file(cli: Cli, inside: Inside) -> None:
    (cli.folder / "ball.stl").write_bytes(trimesh.creation.icosphere(radius=7).export(file_type="stl"))
    assert inside("ingest", "ball.stl").returncode == 0
    lost = next(path for path in (cli.folder / "data dir" / "blobs" / "part").rglob("*") if path.is_file())
    away = lost.rename(lost.with_suffix(".away"))
    try:
        ran = inside("doctor", "--json")
        assert ran.returncode == 1
        bad = [check for check in json.loads(ran.stdout) if not check["ok"]]
        assert [check["check"] for check in bad] == ["blob store"]
        assert lost.name in bad[0]["detail"]
    finally:
        away.rename(lost)


def test_evaluate_reports_what_the_contract_names(cli: Cli) -> None:
    rows = ["path,label,family"]
    for label, (x, y, z) in {"cube": (10, 10, 10), "rod": (2, 2, 60)}.items():
        for number in range(3):
            name = f"{label}{number}.stl"
            shape = trimesh.creation.box((x + number, y, z))
            (cli.folder / name).write_bytes(shape.export(file_type="stl"))
            rows.append(f"{name},{label},{label}{number}")
    rows.append("parts/broken.stl,cube,broken")
    (cli.folder / "set.csv").write_text("\n".join(rows))
    report = cli.json("evaluate", "set.csv", "--version", "v2")
    assert report["queries"] == 6
    assert report["classes"] == 2
    assert report["retrieval"]["macro"]["nearest_neighbour"] == 1
    assert [Path(row["path"]).name for row in report["unreadable"]] == ["broken.stl"]


# -- the service as a process --------------------------------------------------------------------------


class Served:
    """``cadml serve`` on a free port."""

    def __init__(self, cli: Cli, *arguments: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            cli.command("serve", "--port", "0", *arguments),
            env=cli.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        match = re.search(r"http://\S+", line)
        assert match, (line, self.process.stderr.read() if self.process.stderr else "")
        self.url = match[0]

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        _, log = self.process.communicate(timeout=60)
        return self.process.returncode, log


@pytest.fixture
def serve(cli: Cli) -> Iterator[Callable[..., Served]]:
    """Starts services; none survives the test."""
    started: list[Served] = []

    def start(*arguments: str, **environment: str) -> Served:
        started.append(Served(cli, *arguments, **environment))
        return started[-1]

    yield start
    for served in started:
        if served.process.poll() is None:
            served.process.kill()
            served.process.communicate()


def test_serve_answers_and_stops_when_told(serve: Serve) -> None:
    served = serve(CADML_LOG_FORMAT="json")
    answer = httpx.get(served.url + "/ready", timeout=30)
    code, log = served.stop()
    assert answer.status_code == 200, answer.text
    assert code == 0, log
    events = [json.loads(line) for line in log.splitlines()]
    assert events[-1]["event"] == "stopped"


def test_serve_puts_back_what_it_was_working_on(serve: Serve) -> None:
    """Files queued at a service that is told to stop are all in the library after the next start."""
    served = serve()
    files = []
    for number in range(12):
        shape = trimesh.creation.icosphere(subdivisions=3, radius=5 + number)
        files.append(("files", (f"ball{number}.stl", shape.export(file_type="stl"))))
    job = httpx.post(served.url + "/api/v1/jobs/ingest", files=files, timeout=60).json()
    assert served.stop()[0] == 0
    served = serve()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        status = httpx.get(f"{served.url}/api/v1/jobs/{job['id']}", timeout=30).json()
        if status["state"] == "finished":
            break
        time.sleep(0.1)
    served.stop()
    assert status["state"] == "finished", status
    assert status["counts"]["added"] == 12, status


def test_serve_refuses_the_world_without_keys_and_admits_it_with(
    cli: Cli, serve: Serve, tmp_path: Path
) -> None:
    assert "cadml keys add" in one_line(cli("serve", "--host", "0.0.0.0", "--port", "0"), 2)
    keys = tmp_path / "keys"
    key = cli("keys", "add", "ada", "--role", "admin", "--file", keys).stdout.strip()
    assert key not in keys.read_text()
    assert keys.stat().st_mode & 0o077 == 0
    assert "ada" in one_line(cli("keys", "add", "ada", "--file", keys), 2)
    served = serve("--host", "0.0.0.0", CADML_API_KEYS_FILE=str(keys))
    url = served.url.replace("0.0.0.0", "127.0.0.1") + "/api/v1/parts"
    strange, known = (httpx.get(url, headers=one, timeout=60) for one in ({}, {"X-API-Key": key}))
    code, _ = served.stop(signal.SIGINT)
    assert (strange.status_code, known.status_code, code) == (401, 200, 0)


def test_serve_refuses_a_damaged_key_file_and_a_taken_port(cli: Cli, serve: Serve, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("ada admin secret\n")
    assert "line 1" in one_line(cli("serve", "--port", "0", CADML_API_KEYS_FILE=str(keys)), 2)
    served = serve()
    port = served.url.rsplit(":", 1)[1]
    assert "cannot listen" in one_line(cli("serve", "--port", port), 2)
    assert served.stop()[0] == 0


def test_worker_stops_when_told(cli: Cli) -> None:
    command = cli.command("worker")
    with subprocess.Popen(command, env=cli.environment, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        line = worker.stdout.readline()
        worker.send_signal(signal.SIGTERM)
        try:
            assert worker.wait(timeout=60) == 0
        finally:
            worker.kill()
    assert "works the queue" in line
