"""What the tests of the smoke put their faults into."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this checkout to put faults into; what runs is the original."""
    copy = tmp_path / "checkout"
    for name in ("scripts", "src", "deploy", "docs/runbooks"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    (copy / ".venv" / "bin").mkdir(parents=True)
    (copy / ".venv" / "bin" / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (copy / ".venv" / "bin" / "cadml").write_text(f'#!/bin/sh\nexec {sys.executable} -m cadml "$@"\n')
    for program in (copy / ".venv" / "bin").iterdir():
        program.chmod(0o755)
    return copy
