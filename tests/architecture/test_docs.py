"""The reference is what the code says: pages are generated, and none is stale."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys

from cadml.api.app import every_route
from cadml.config import PREFIX, Settings
from cadml.errors import every_error
from cadml.observability.table import METRICS
from tests_support import ROOT

REFERENCE = ROOT / "docs" / "reference"


def test_the_reference_is_fresh():
    run = subprocess.run(
        [sys.executable, "scripts/reference.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, f"run `make docs`\n{run.stderr}"


def test_every_setting_error_route_and_metric_is_in_the_reference():
    text = "\n".join(path.read_text(encoding="utf-8") for path in REFERENCE.glob("*.md"))
    names = [PREFIX + name.upper() for name in Settings.model_fields]
    names += [kind.code for kind in every_error()]
    names += [route.path for route in every_route() if route.include_in_schema]
    names += list(METRICS)
    assert [name for name in names if f"`{name}`" not in text] == []


def test_links_between_pages_lead_somewhere():
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert broken == []


def test_a_setting_in_the_prose_exists():
    known = {PREFIX + name.upper() for name in Settings.model_fields} | {"CADML_TEST_STRICT"}
    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]:
        mentioned = set(re.findall(r"CADML_[A-Z_]+[A-Z]", page.read_text(encoding="utf-8")))
        assert mentioned - known == set(), page


def test_the_demo_can_be_loaded():
    spec = importlib.util.spec_from_file_location("demo", ROOT / "scripts" / "demo.py")
    demo = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(demo)
    assert callable(demo.main)
