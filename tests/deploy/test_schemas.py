"""What lies below deploy/ against the schemas of those who read it, and that each check refuses a fault."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import check_jsonschema
import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner

from served import need_program

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose.yaml"
WORKFLOW = ROOT / ".github" / "workflows" / "docker-staging-smoke.yml"
MANIFESTS = DEPLOY / "kubernetes" / "cadml.yaml"
OLDEST_KUBERNETES = "1.27"
"""The manifests use nothing younger; 1.27 is the first with all that they use in its final form."""
PROMETHEUS = DEPLOY / "prometheus"
PROVISIONING = DEPLOY / "grafana" / "provisioning"


def against(schema: str, path: Path) -> tuple[int, str]:
    """Return exit code and output of check-jsonschema, without a process of its own."""
    ran = CliRunner().invoke(check_jsonschema.main, ["--builtin-schema", f"vendor.{schema}", str(path)])
    return ran.exit_code, ran.output


def changed(path: Path, old: str, new: str, folder: Path) -> Path:
    """Return a copy of the file at ``path`` with a fault."""
    text = path.read_text()
    assert old in text
    copy = folder / path.name
    copy.write_text(text.replace(old, new, 1))
    return copy


@pytest.mark.parametrize(("schema", "path"), [("compose-spec", COMPOSE), ("github-workflows", WORKFLOW)])
def test_what_compose_and_github_read_fits_their_schemas(schema: str, path: Path) -> None:
    assert against(schema, path) == (0, "ok -- validation done\n")


@pytest.mark.parametrize(
    ("schema", "path", "old", "new"),
    [
        ("compose-spec", COMPOSE, "read_only: true", "read_onyl: true"),
        ("compose-spec", COMPOSE, "cap_drop: [ALL]", "cap_drop: ALL"),
        ("github-workflows", WORKFLOW, "runs-on:", "run-on:"),
    ],
)
def test_a_fault_in_them_is_refused(schema: str, path: Path, old: str, new: str, tmp_path: Path) -> None:
    code, said = against(schema, changed(path, old, new, tmp_path))
    assert code == 1
    assert new.split(":", maxsplit=1)[0] in said


def validate(text: str, version: str) -> int:
    """Validate each object as the API server's own schema says; return how many there are."""
    objects: list[dict[str, Any]] = list(yaml.safe_load_all(text))
    for each in objects:
        kubernetes_validate.validate(each, version, strict=True)
    return len(objects)


@pytest.mark.parametrize("version", [OLDEST_KUBERNETES, kubernetes_validate.latest_version()])
def test_the_manifests_fit_the_schemas_of_kubernetes(version: str) -> None:
    assert validate(MANIFESTS.read_text(), version) == 8


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("containerPort: 8000", "containerPort: http", "'http' is not of type 'integer'"),
        ("readinessProbe:", "readynessProbe:", "'readynessProbe' was unexpected"),
        ("minReplicas: 1\n  maxReplicas: 10", "minReplicas: 1", "'maxReplicas' is a required property"),
    ],
)
def test_a_fault_in_a_manifest_is_refused(old: str, new: str, named: str, tmp_path: Path) -> None:
    broken = changed(MANIFESTS, old, new, tmp_path)
    with pytest.raises(kubernetes_validate.ValidationError) as refused:
        validate(broken.read_text(), kubernetes_validate.latest_version())
    assert named in refused.value.message


def prometheus_checks(folder: Path) -> subprocess.CompletedProcess[str]:
    words = [need_program("promtool"), "check", "config", str(folder / "prometheus.yml")]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_prometheus_takes_its_configuration_and_rules() -> None:
    ran = prometheus_checks(PROMETHEUS)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"SUCCESS: {len(list((PROMETHEUS / 'rules').iterdir()))} rule files found" in ran.stdout


@pytest.mark.parametrize(
    ("name", "old", "new", "named"),
    [
        ("prometheus.yml", "scrape_interval", "scrape_intervall", "field scrape_intervall not found"),
        ("rules/cadml.yml", "expr: ", "expr: sum(", "could not parse expression"),
    ],
)
def test_a_fault_in_them_is_refused_by_promtool(
    name: str, old: str, new: str, named: str, tmp_path: Path
) -> None:
    folder = tmp_path / "prometheus"
    shutil.copytree(PROMETHEUS, folder)
    changed(folder / name, old, new, (folder / name).parent)
    ran = prometheus_checks(folder)
    assert ran.returncode == 1
    assert named in ran.stdout + ran.stderr


def provisioned() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return Grafana's one datasource and its one provider of dashboards."""
    (source,) = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards" / "cadml.yaml").read_text())["providers"]
    return source, provider


def test_grafana_finds_prometheus_and_the_dashboards() -> None:
    """Both files name what the stack has: a service with its port, and the folder that is mounted."""
    source, provider = provisioned()
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    address = urlsplit(source["url"])
    assert address.hostname in services
    assert services[address.hostname]["ports"][0].endswith(f":{address.port}")
    mounts = [mount.split(":") for mount in services["grafana"]["volumes"]]
    held = {target: from_ for from_, target, *_ in mounts}
    assert (DEPLOY / held["/etc/grafana/provisioning"]).resolve() == PROVISIONING
    boards = (DEPLOY / held[provider["options"]["path"]]).resolve()
    assert len(list(boards.glob("*.json"))) == 9
