"""The house's habits, held by reading the source itself."""

from __future__ import annotations

import ast
import re
import tomllib

import pytest

from tests_support import ROOT, source_files, tracked

LONGEST_MODULE, USUAL_MODULE, LONGEST_FUNCTION = 350, 250, 40
SHARE_OF_LONG_MODULES = 0.15

# `except Exception` or wider, with the reason that a reader would accept.
BROAD: dict[str, str] = {
    "cadml.engine.reading": "counts whatever went wrong with a request, and passes it on",
    "cadml.geometry.worker": "whatever a reader raises crosses to the service as a typed error",
    "cadml.learning.confined.inside": "whatever a foreign model raises crosses to the service as an answer",
    "cadml.store.database": "closes the database before it passes the error on",
    "cadml.engine.recorder": "one observation that cannot be kept must not end the keeping of all others",
    "cadml.engine.serving": "a defect must not end the following of switches; its trace goes to the log",
    "cadml.engine.drift": "a defect must not end the watch for good; its trace goes to the log",
    "cadml.jobs.ingests": "an item's failure is its own and is recorded",
    "cadml.observability.traces": "names the error on the span of what failed, and passes it on",
    "cadml.api.edge": "a defect becomes a problem document with its request id, and a log line",
}
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b|raise NotImplemented" + "Error")
# Built from pieces, so that this file does not hold them.
REGISTRY = re.compile("|".join(re.escape(a + b) for a, b in [
    ("pypi", ".org"), ("pythonhosted", ".org"), ("registry.npm", "js"), ("deb.deb", "ian.org"),
    ("proxy.go", "lang"), ("docker", ".io"), ("index", "-url ="), ("artifact", "ory"),
]))  # fmt: skip
REQUIREMENT = re.compile(r"[a-z0-9-]+(\[[a-z0-9,-]+\])?==[0-9][A-Za-z0-9.+!]*( ; [^/\\]+)? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")


def test_modules_are_small():
    sizes = {name: text.count("\n") for name, text in source_files()}
    assert {name: size for name, size in sizes.items() if size > LONGEST_MODULE} == {}
    long = sorted(name for name, size in sizes.items() if size > USUAL_MODULE)
    assert len(long) <= SHARE_OF_LONG_MODULES * len(sizes), long


def test_functions_are_short():
    long = {}
    for module, text in source_files():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = node.end_lineno - node.body[_first_statement(node)].lineno + 1
                if size > LONGEST_FUNCTION:
                    long[f"{module}.{node.name}"] = size
    assert long == {}


def _first_statement(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Index of the statement after the docstring, which does not count."""
    return int(ast.get_docstring(node) is not None and len(node.body) > 1)


def test_broad_excepts_have_a_reason():
    broad = set()
    for module, text in source_files():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ExceptHandler) and _is_broad(node.type):
                broad.add(module)
    assert sorted(broad - set(BROAD)) == []


def _is_broad(caught: ast.expr | None) -> bool:
    return caught is None or (isinstance(caught, ast.Name) and caught.id in {"Exception", "BaseException"})


def test_nothing_is_left_unfinished():
    found = {
        str(path.relative_to(ROOT)): match.group()
        for path in tracked()
        if (match := UNFINISHED.search(path.read_text(encoding="utf-8", errors="replace")))
        and path.name != "LICENSE"
    }
    assert found == {}


def test_no_file_names_a_registry():
    found = {
        str(path.relative_to(ROOT)): match.group()
        for path in tracked()
        if (match := REGISTRY.search(path.read_text(encoding="utf-8", errors="replace")))
    }
    assert found == {}


def test_the_lock_holds_names_versions_and_hashes_only():
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not REQUIREMENT.fullmatch(line) and not HASH.fullmatch(line)] == []


def test_the_lock_holds_every_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    locked = {
        line.partition("==")[0].partition("[")[0]
        for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    names = {re.split(r"[\[<>=!~; ]", each)[0].lower().replace("_", "-") for each in wanted}
    assert names - locked == set()


@pytest.mark.parametrize(
    "path", ["README.md", "CHANGELOG.md", "LICENSE", ".ci/run", "docs/tutorial.md", "docs/glossary.md"]
)
def test_the_paper_is_there(path):
    assert (ROOT / path).stat().st_size > 500
