"""Who may import what: the contracts of pyproject.toml, and what they cannot say."""

from __future__ import annotations

import grimp
import pytest
from importlinter import api as contracts

from cadml.geometry.formats import FORMATS
from tests_support import ROOT, source_files

# Only these may import the package; whoever needs more has a design question to answer first.
ALLOWED = {
    "OCP": ("cadml.geometry.kernel", "cadml.geometry.brep", "cadml.geometry.samples"),
    "trimesh": ("cadml.geometry", "cadml.features"),
    "ezdxf": ("cadml.geometry.drawing", "cadml.geometry.unfold", "cadml.geometry.samples"),
    "psycopg": ("cadml.store", "cadml.jobs"),
    "pickle": ("cadml.learning.opcodes", "cadml.learning.guard"),
    "cadml.config": ("cadml.engine", "cadml.api", "cadml.cli", "cadml.doctor", "cadml.bench", "cadml.backup"),
    "cadml.observability": ("cadml.observability", "cadml.engine", "cadml.api", "cadml.cli"),
}
# The environment is read by config alone; these only pass it on to a process that they start.
ENVIRONMENT = {"cadml.config", "cadml.bench.service", "cadml.store.keeper", "cadml.store.installation"}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("cadml", include_external_packages=True, cache_dir=None)


def test_the_contracts_of_pyproject_hold(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert contracts.use_cases.lint_imports(config_filename="pyproject.toml", cache_dir=None)


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_is_imported_only_where_it_may_be(graph, package):
    importers = graph.find_modules_that_directly_import(package) if package in graph.modules else set()
    strangers = [name for name in importers if not name.startswith(ALLOWED[package])]
    assert strangers == []


def test_every_module_is_reached_from_the_command_line_or_the_api(graph):
    # A row of FORMATS names its reader, which is imported in the worker process.
    readers = {row.reader.partition(":")[0] for row in FORMATS.values()}
    roots = {"cadml.cli", "cadml.__main__", "cadml.api.app", *readers}
    reached = set(roots)
    for root in roots:
        reached |= graph.find_upstream_modules(root)
    # Whoever imports a.b.c has imported a and a.b too.
    reached |= {name.rpartition(".")[0] for name in reached} | {"cadml"}
    own = {name for name in graph.modules if name == "cadml" or name.startswith("cadml.")}
    assert sorted(own - reached) == []


def test_only_config_reads_the_environment():
    readers = {
        module
        for module, text in source_files()
        if any(word in text for word in ("os.environ", "getenv", "environb"))
    }
    assert sorted(readers - ENVIRONMENT) == []
