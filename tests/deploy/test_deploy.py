"""The files below deploy/ and the workflow: whole, closed by default, and naming only what is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from cadml.config import PREFIX, Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
OBJECTS: list[dict[str, Any]] = list(yaml.safe_load_all((DEPLOY / "kubernetes" / "cadml.yaml").read_text()))
SETTINGS = {PREFIX + name.upper() for name in Settings.model_fields}


def objects(kind: str) -> list[dict[str, Any]]:
    return [each for each in OBJECTS if each["kind"] == kind]


def test_the_stack_listens_on_loopback_only() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert len(ports) == 3
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_no_password_has_a_default() -> None:
    secrets = re.findall(r"\$\{(\w*(?:PASSWORD|KEYS)\w*)([^}]*)\}", (DEPLOY / "compose.yaml").read_text())
    assert {name for name, _ in secrets} == {"POSTGRES_PASSWORD", "GRAFANA_PASSWORD", "CADML_KEYS_FILE"}
    assert [name for name, rest in secrets if not rest.startswith(":?")] == []
    assert ".env" in (ROOT / ".gitignore").read_text().split()  # where Compose reads them from


def test_cadml_s_containers_are_confined() -> None:
    for name in ("service", "worker"):
        service = COMPOSE["services"][name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["mem_limit"]
        assert int(service["stop_grace_period"].removesuffix("s")) > Settings().stop_grace_s


def test_every_mounted_file_is_there() -> None:
    for service in COMPOSE["services"].values():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert not source.startswith(".") or (DEPLOY / source).exists(), source
            assert source.startswith((".", "/")) or source in COMPOSE["volumes"], source


def test_only_settings_of_cadml_are_set() -> None:
    (config,) = objects("ConfigMap")
    for stated in (COMPOSE["services"]["service"]["environment"], config["data"]):
        assert set(stated) <= SETTINGS


def test_every_deployment_is_confined_limited_and_stops_gracefully() -> None:
    assert {each["metadata"]["name"] for each in objects("Deployment")} == {"cadml", "cadml-worker"}
    for deployment in objects("Deployment"):
        template = deployment["spec"]["template"]
        assert deployment["spec"]["selector"]["matchLabels"] == template["metadata"]["labels"]
        pod = template["spec"]
        assert pod["terminationGracePeriodSeconds"] > Settings().stop_grace_s
        assert pod["securityContext"]["runAsNonRoot"] is True
        (container,) = pod["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["resources"]["limits"]["memory"]
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        names = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == names


def test_the_service_is_probed_and_reached() -> None:
    (deployment,) = [each for each in objects("Deployment") if each["metadata"]["name"] == "cadml"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    probes = {
        name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")
    }
    assert probes == {"startup": "/health", "liveness": "/health", "readiness": "/ready"}
    (service,) = objects("Service")
    (budget,) = objects("PodDisruptionBudget")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"] == budget["spec"]["selector"]["matchLabels"] == labels
    assert service["spec"]["ports"][0]["targetPort"] in {port["name"] for port in container["ports"]}
    assert budget["spec"]["minAvailable"] < deployment["spec"]["replicas"]


def test_workers_follow_the_queue() -> None:
    (scaler,) = objects("HorizontalPodAutoscaler")
    assert scaler["spec"]["scaleTargetRef"]["name"] == "cadml-worker"
    metric = scaler["spec"]["metrics"][0]["external"]["metric"]
    assert metric == {"name": "extraction_queue_depth", "selector": {"matchLabels": {"state": "queued"}}}


def test_the_image_has_a_user_a_check_and_no_compiler() -> None:
    text = (DEPLOY / "image" / "Dockerfile").read_text()
    final = text[text.rindex("FROM ") :]
    assert "--require-hashes" in text
    assert re.search(r"^USER 10001", final, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK", final, re.MULTILINE)
    assert re.search(r"gcc|g\+\+|build-essential|\bmake\b", final) is None


def test_the_workflow_pins_actions_by_commit_and_keeps_artifacts() -> None:
    text = (ROOT / ".github" / "workflows" / "docker-staging-smoke.yml").read_text()
    used = re.findall(r"uses: (\S+)", text)
    assert len(used) == 2
    assert [each for each in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", each)] == []
    flow = yaml.safe_load(text)
    assert set(flow[True]) == {"workflow_dispatch", "pull_request", "push"}  # YAML reads `on` as true
    assert flow["permissions"] == {"contents": "read"}
