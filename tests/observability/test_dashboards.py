"""The dashboards that are checked in: fresh, complete, and in keeping with Grafana's dashboard linter."""

from __future__ import annotations

import json
import re
from pathlib import Path

import promql_parser
import pytest

from cadml.cli import main
from cadml.observability import generated
from cadml.observability.dashboards import DASHBOARDS
from cadml.observability.promql import VARIABLES
from cadml.observability.table import METRICS

ROOT = Path(__file__).parents[2]

DEPLOY = ROOT / "deploy"
FILES = sorted((DEPLOY / generated.GRAFANA).glob("*.json"))
BOARDS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in FILES}
PANELS = [
    pytest.param(panel, id=f"{name}: {panel['title']}")
    for name, board in BOARDS.items()
    for panel in board["panels"]
    if panel["type"] != "row"
]
TARGETS = [
    pytest.param(target["expr"], id=f"{case.id} {target['refId']}")
    for case in PANELS
    for target in case.values[0]["targets"]
]
# Grafana's own names of units (packages/grafana-data/src/valueFormats), those that we use.
UNITS = {"none", "short", "percentunit", "bytes", "s", "reqps", "ops"}


def run(monkeypatch, capsys, *words):
    monkeypatch.setattr("sys.argv", ["cadml", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        main()
    return stop.value.code, capsys.readouterr()


def selectors(expression):
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    found = []

    def visit(node):
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        if isinstance(node, promql_parser.MatrixSelector):
            found.append(node.vector_selector)

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found


def test_the_files_are_what_the_code_says(monkeypatch, capsys):
    code, said = run(monkeypatch, capsys, "dashboards", "--check", "--to", DEPLOY)
    assert code == 0, said.err


def test_check_finds_what_differs_is_missing_or_too_much_and_writing_mends_it(monkeypatch, capsys, tmp_path):
    assert run(monkeypatch, capsys, "dashboards", "--to", tmp_path)[0] == 0
    assert run(monkeypatch, capsys, "dashboards", "--check", "--to", tmp_path)[0] == 0
    boards, rules = tmp_path / generated.GRAFANA, tmp_path / generated.PROMETHEUS
    (boards / "cadml-cache.json").write_text("{}")
    (boards / "cadml-former.json").write_text("{}")
    (rules / "cadml.yml").unlink()
    code, said = run(monkeypatch, capsys, "dashboards", "--check", "--to", tmp_path)
    assert code == 1
    named = {Path(line.partition(": ")[2]).name for line in said.err.splitlines()}
    assert named == {"cadml-cache.json", "cadml-former.json", "cadml.yml"}
    code, said = run(monkeypatch, capsys, "dashboards", "--json", "--to", tmp_path)
    assert (code, len(json.loads(said.out)["written"])) == (0, 3)
    assert run(monkeypatch, capsys, "dashboards", "--check", "--to", tmp_path)[0] == 0


def test_every_metric_is_on_a_dashboard():
    asked = {node.name for case in TARGETS for node in selectors(case.values[0])}
    stems = {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked} | asked
    assert sorted(set(METRICS) - stems) == []


def test_pages_are_told_apart():
    assert len({board["uid"] for board in BOARDS.values()}) == len(BOARDS) == len(DASHBOARDS)
    assert len({board["title"] for board in BOARDS.values()}) == len(BOARDS)


# -- what Grafana's dashboard linter asks for, rule by rule ---------------------------------------


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_template_rules(board):
    variables = {each["name"]: each for each in board["templating"]["list"]}
    assert list(variables) == ["datasource", "job", "instance", "interval"]
    source = variables["datasource"]
    assert (source["type"], source["query"], source["label"]) == ("datasource", "prometheus", "Data source")
    for name in ("job", "instance"):
        variable = variables[name]
        assert variable["type"] == "query"
        assert variable["datasource"]["uid"] == "${datasource}"
        assert variable["label"] == name.capitalize()
        assert variable["multi"]
        assert variable["includeAll"]
        assert variable["allValue"] == ".+"
        assert variable["refresh"] == 2  # when the shown time changes
        assert re.fullmatch(rf"label_values\(.+, {name}\)", variable["query"])
    assert variables["interval"]["type"] == "interval"


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_the_page_is_described_read_only_and_links_to_the_others(board):
    assert board["description"]
    assert not board["editable"]
    assert board["tags"] == ["cadml"]
    assert board["links"][0]["tags"] == ["cadml"]
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers)
    titles = [panel["title"] for panel in board["panels"]]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_panels_do_not_overlap(board):
    taken = {}
    for panel in board["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        for cell in (
            (x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
        ):
            assert cell not in taken, (panel["title"], taken.get(cell))
            taken[cell] = panel["title"]


@pytest.mark.parametrize("panel", PANELS)
def test_panel_rules(panel):
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["datasource"]["uid"] == "${datasource}"
    shown = panel["fieldConfig"]["defaults"]
    assert shown["unit"] in UNITS
    assert shown["noValue"], "an empty panel must say why it is empty"
    assert panel["interval"] == "$interval"
    references = [target["refId"] for target in panel["targets"]]
    assert references
    assert len(set(references)) == len(references)
    assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])


@pytest.mark.parametrize("expression", TARGETS)
def test_target_rules(expression):
    found = selectors(expression)
    assert found
    for node in found:
        matchers = {matcher.name: (str(matcher.op), matcher.value) for matcher in node.matchers.matchers}
        assert matchers["job"][1] == "$job"
        assert matchers["instance"][1] == "$instance"
        assert all("Re" in matchers[name][0] for name in ("job", "instance"))
    assert set(re.findall(r"i?rate\([^[]+\[([^\]]+)\]", expression)) <= {"$__rate_interval"}
    assert set(re.findall(r"increase\([^[]+\[([^\]]+)\]", expression)) <= {"$__rate_interval", "$__range"}
