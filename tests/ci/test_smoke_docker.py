"""The smoke of the stack: what it asks of Docker, and that it takes down whatever it brought up.

Docker itself is a stand-in here: it notes each call, and brings up a plain process instead of the stack.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from smoke_run import Run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

DOCKER = """#!/bin/bash
here=$(dirname "$0")
printf '%s\\n' "$*" >>"$here/calls"
printf '%s\\n' "$POSTGRES_PASSWORD" "$GRAFANA_PASSWORD" >"$here/passwords"
broken() { [ "$BROKEN" = "$1" ] && echo "first line" && echo "$1 went wrong" >&2; }
case " $* " in
  *" version "*) ! broken version ;;
  *" build "*) ! broken build ;;
  *" up "*)
    broken up && exit 1
    [ "$BROKEN" = silent ] && exit 0
    TMPDIR=$here CADML_API_KEYS_FILE=$CADML_KEYS_FILE CADML_DATA_DIR=$here/data CADML_LOG_FORMAT=json \
      env -u CADML_KEYS_FILE -u CADML_PUBLISHED_PORT -u CADML_IMAGE \
      .venv/bin/cadml serve --port "$CADML_PUBLISHED_PORT" --workers 1 >"$here/log" 2>&1 </dev/null &
    echo $! >"$here/pid" ;;
  *" logs "*) cat "$here/log" ;;
  *" down "*)
    [ -e "$here/pid" ] || exit 0
    kill "$(<"$here/pid")"
    tail --pid="$(<"$here/pid")" -f /dev/null ;;
esac
"""
STACK = "compose -f deploy/compose.yaml -p cadml-smoke"
DOWN = [f"{STACK} logs --no-color", f"{STACK} down --volumes --remove-orphans --timeout 60"]


class Docker:
    """A stand-in for the program, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "docker").write_text(DOCKER)
        (folder / "docker").chmod(0o755)
        (folder / "log").write_text("what the containers said\n")

    def smoke(self, checkout: Path, **settings: str) -> Run:
        path = f"{self.folder}:/usr/local/bin:/usr/bin:/bin"
        return Run(checkout, self.folder, SMOKE_TARGET="docker", PATH=path, **settings)

    def calls(self) -> list[str]:
        found = (self.folder / "calls").read_text().splitlines()
        assert found[0] == "compose version"
        return found[1:]


@pytest.fixture
def docker(tmp_path: Path) -> Docker:
    return Docker(tmp_path / "docker")


def test_the_stack_is_built_brought_up_checked_and_taken_down(checkout: Path, docker: Docker) -> None:
    run = docker.smoke(checkout, SKIP_BUILD="", SMOKE_BASE="our-own-base")
    assert run.code == 0, run.out + run.err
    assert "smoke: docker is well" in run.out
    build = f"{STACK} build --build-arg BASE=our-own-base"
    assert docker.calls() == [build, f"{STACK} up -d --no-build", *DOWN]
    assert '"event"' in (run.artifacts / "service.log").read_text()
    kept = "".join(path.read_text(errors="replace") for path in run.artifacts.iterdir())
    passwords = (docker.folder / "passwords").read_text().split()
    assert len(set(passwords)) == 2
    assert [word for word in passwords if len(word) < 20 or word in kept] == []
    run.assert_clean()


@pytest.mark.parametrize(
    ("broken", "said", "calls"),
    [
        ("version", "smoke: build: there is no docker with compose here", []),
        ("build", "smoke: build: build went wrong", [f"{STACK} build", *DOWN]),
        ("up", "smoke: up: up went wrong", [f"{STACK} build", f"{STACK} up -d --no-build", *DOWN]),
        ("silent", "smoke: health: http", [f"{STACK} build", f"{STACK} up -d --no-build", *DOWN]),
    ],
)
def test_what_goes_wrong_is_told_and_taken_down(
    checkout: Path, docker: Docker, broken: str, said: str, calls: list[str]
) -> None:
    run = docker.smoke(checkout, SKIP_BUILD="", PATIENCE="2", BROKEN=broken)
    assert run.code == 1
    assert run.err.splitlines()[-1].startswith(said)
    assert docker.calls() == calls
    kept = run.artifacts / "service.log"
    assert not calls or kept.read_text() == "what the containers said\n"
    run.assert_clean()


def test_an_image_that_was_built_before_is_taken_as_it_is(checkout: Path, docker: Docker) -> None:
    run = docker.smoke(checkout, SKIP_BUILD="1", PATIENCE="2", BROKEN="silent")
    assert run.code == 1
    assert docker.calls() == [f"{STACK} up -d --no-build", *DOWN]
