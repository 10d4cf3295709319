"""The metrics contract: the table in its literal form, every row moved by a real action."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

metrics_module = pytest.importorskip("cadml.observability.metrics")
if not metrics_module.AVAILABLE:
    pytest.skip("metrics are disabled: prometheus_client is not installed", allow_module_level=True)

import httpx  # noqa: E402
import trimesh  # noqa: E402
from prometheus_client.parser import text_string_to_metric_families  # noqa: E402

from cadml.config import Settings  # noqa: E402
from cadml.engine import Engine, Options  # noqa: E402
from cadml.engine.baselining import Chosen  # noqa: E402
from cadml.engine.judging import Judge  # noqa: E402
from cadml.errors import CadmlError, ReaderCrashed  # noqa: E402
from cadml.features.versions import VERSIONS  # noqa: E402
from cadml.learning.verdict import MODES  # noqa: E402
from cadml.observability.table import METRICS, _row  # noqa: E402
from cadml.store.observations import Observation  # noqa: E402
from cadml.store.parts import NewEntry  # noqa: E402
from made_models import bundle, keep, trust  # noqa: E402
from programs import installed  # noqa: E402
from served import need_program, queue_working, serving  # noqa: E402

if not Settings.load().metrics_enabled:
    pytest.skip("metrics are disabled: CADML_METRICS_ENABLED is false", allow_module_level=True)

SECONDS = [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 10, 30, 120]
QUERY = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5]
ENDPOINTS = {"health", "ready", "vectors", "features_cache", "model"}
REQUEST = [0.005, 0.025, 0.1, 0.5, 2.5, 10]
MOST_SERIES = 2000
UNIT = [0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1]
CALL = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5]
# Nothing to say of a model while there is none.
ABSENT_AT_START = {"classification_model_info"}
# name: (type, {label: values, or None where too many to repeat here}, buckets)
CONTRACT: dict[str, tuple[str, dict[str, Any], list[float]]] = {
    "analysis_requests_total": ("counter", {"status": {"success", "error"}}, []),
    "analysis_errors_total": ("counter", {"stage": None, "code": None}, []),
    "analysis_error_code_total": ("counter", {"code": None}, []),
    "analysis_rejections_total": ("counter", {"reason": None}, []),
    "analysis_stage_duration_seconds": (
        "histogram",
        {"stage": {"receive", "read", "describe", "classify", "store", "search"}},
        SECONDS,
    ),
    "analysis_feature_vector_dimension": ("histogram", {}, [7, 12, 22, 24, 64, 128, 256, 512]),
    "parse_stage_latency_seconds": ("histogram", {"format": None}, SECONDS),
    "signature_validation_fail_total": ("counter", {"format": None}, []),
    "format_validation_fail_total": ("counter", {"format": None, "reason": None}, []),
    "extraction_worker_failures_total": ("counter", {"reason": {"crash", "timeout", "memory"}}, []),
    "extraction_workers": ("gauge", {"state": {"idle", "busy"}}, []),
    "extraction_queue_depth": ("gauge", {"state": {"queued", "running", "failed"}}, []),
    "database_up": ("gauge", {}, []),
    "model_opcode_mode": ("gauge", {}, []),
    "model_opcode_scans_total": ("counter", {}, []),
    "model_opcode_blocked_total": ("counter", {"opcode": None}, []),
    "model_opcode_audit_total": ("counter", {"opcode": None}, []),
    "model_opcode_whitelist_violations_total": ("counter", {"opcode": None}, []),
    "model_security_fail_total": (
        "counter",
        {
            "reason": {
                "magic_number_invalid",
                "size_exceeded",
                "hash_mismatch",
                "opcode_blocked",
                "opcode_whitelist_violation",
                "opcode_scan_error",
            }
        },
        [],
    ),
    "model_interface_validation_fail_total": (
        "counter",
        {
            "reason": {
                "missing_required_methods",
                "invalid_signature",
                "large_attribute_graph",
                "suspicious_methods_found",
                "wrong_input_dimension",
                "wrong_classes",
            }
        },
        [],
    ),
    "model_reload_total": (
        "counter",
        {
            "status": {
                "success",
                "not_found",
                "version_mismatch",
                "size_exceeded",
                "hash_mismatch",
                "magic_invalid",
                "opcode_blocked",
                "opcode_scan_error",
                "interface_invalid",
                "canary_failed",
                "score_too_low",
                "load_error",
            }
        },
        [],
    ),
    "model_rollback_total": ("counter", {"level": {"1", "2", "3"}}, []),
    "model_rollback_level": ("gauge", {}, []),
    "model_snapshots_available": ("gauge", {}, []),
    "model_health_checks_total": ("counter", {"status": {"ok", "absent", "rollback"}}, []),
    "model_load_seq": ("gauge", {}, []),
    "classification_model_info": ("gauge", {"version": None, "format": None}, []),
    "classification_model_inference_seconds": ("histogram", {}, CALL),
    "classification_latency_seconds": ("histogram", {}, CALL),
    "classification_prediction_distribution_total": ("counter", {"label": {"abstained"}}, []),
    "health_requests_total": (
        "counter",
        {"endpoint": ENDPOINTS, "status": {"ok", "unavailable"}},
        [],
    ),
    "health_request_duration_seconds": ("histogram", {"endpoint": ENDPOINTS}, REQUEST),
    "http_requests_total": (
        "counter",
        {"method": None, "route": None, "status": {"2xx", "3xx", "4xx", "5xx"}},
        [],
    ),
    "http_request_duration_seconds": (
        "histogram",
        {"method": None, "route": None, "status": {"2xx"}},
        REQUEST,
    ),
    "v4_surface_count": ("histogram", {}, [0, 1, 5, 10, 20, 50, 100, 200, 500, 1000]),
    "v4_shape_entropy": ("histogram", {}, [0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1]),
    "feature_extraction_latency_seconds": (
        "histogram",
        {"version": set(VERSIONS)},
        [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2],
    ),
    "features_diff_requests_total": ("counter", {"status": {"success", "not_found", "error"}}, []),
    "vector_store_vectors": ("gauge", {"version": set(VERSIONS)}, []),
    "vector_migrate_total": (
        "counter",
        {"status": {"migrated", "downgraded", "skipped", "dry_run", "not_found", "error"}},
        [],
    ),
    "vector_migrate_dimension_delta": (
        "histogram",
        {},
        [-500, -100, -20, -10, -5, -2, -1, 0, 1, 2, 5, 10, 20, 100, 500],
    ),
    "vector_migration_progress_ratio": ("gauge", {"to_version": set(VERSIONS)}, []),
    "vector_query_latency_seconds": ("histogram", {"kind": {"part", "file", "vector"}}, QUERY),
    "vector_query_batch_latency_seconds": (
        "histogram",
        {"batch_size_range": {"small", "medium", "large"}},
        QUERY,
    ),
    "vector_dimension_rejections_total": ("counter", {"reason": {"dimension_mismatch", "not_finite"}}, []),
    "feature_cache_tuning_requests_total": ("counter", {"status": {"ok", "invalid", "error"}}, []),
    "feature_cache_tuning_recommended_capacity": ("gauge", {}, []),
    "feature_cache_tuning_recommended_ttl_seconds": ("gauge", {}, []),
    "feature_cache_hits_total": ("counter", {}, []),
    "feature_cache_miss_total": ("counter", {}, []),
    "feature_cache_evictions_total": ("counter", {}, []),
    "feature_cache_size": ("gauge", {}, []),
    "feature_cache_capacity": ("gauge", {}, []),
    "feature_cache_bytes": ("gauge", {}, []),
    "feature_cache_lookup_seconds": (
        "histogram",
        {},
        [0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01],
    ),
    "feature_cache_prewarm_total": ("counter", {"result": {"loaded", "nothing", "error"}}, []),
    "material_distribution_drift_score": ("histogram", {}, UNIT),
    "classification_prediction_drift_score": ("histogram", {}, UNIT),
    "feature_distribution_drift_score": ("gauge", {"version": set(VERSIONS)}, []),
    "drift_baseline_created_total": ("counter", {"type": {"material", "prediction", "feature"}}, []),
    "drift_baseline_refresh_total": (
        "counter",
        {
            "type": {"material", "prediction", "feature"},
            "trigger": {"stale", "manual", "startup"},
        },
        [],
    ),
    "baseline_material_age_seconds": ("gauge", {}, []),
    "baseline_prediction_age_seconds": ("gauge", {}, []),
}


class Exposition:
    """What one scrape says."""

    def __init__(self, text: str) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(text)}

    def family(self, name: str) -> Any:
        return self.families[name.removesuffix("_total")]

    def total(self, name: str) -> float:
        """Events that a counter or histogram counted, or the value of a gauge, over all labels."""
        kind = CONTRACT[name][0]
        wanted = {"counter": name, "gauge": name, "histogram": f"{name}_count"}[kind]
        return sum(sample.value for sample in self.family(name).samples if sample.name == wanted)


def scrape(client: Any) -> Exposition:
    return Exposition(client.get("/metrics").text)


def series(exposition: Exposition) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    return {
        (sample.name, tuple(sorted(sample.labels.items())))
        for family in exposition.families.values()
        for sample in family.samples
    }


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Any, Exposition]]:
    """A fresh service with its very first scrape."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("metrics"), extract_workers=1, extract_timeout_s=5)
    with Engine(settings) as engine, serving(engine) as client:
        yield engine, client, scrape(client)


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("box") / "box.stl"
    path.write_bytes(trimesh.creation.box((1, 2, 3)).export(file_type="stl"))
    return path


def test_every_row_is_there_with_its_type_labels_and_buckets(installation: Any) -> None:
    _, _, first = installation
    for name, (kind, labels, buckets) in CONTRACT.items():
        family = first.family(name)
        assert family.type == kind, name
        if name in ABSENT_AT_START:
            assert not family.samples, name
            continue
        assert family.samples, f"{name} has no series at the start"
        for label, values in labels.items():
            found = {sample.labels[label] for sample in family.samples}
            assert found, name
            if values is not None:
                assert found == values, name
        assert {key for sample in family.samples for key in sample.labels} - {"le"} == set(labels), name
        if buckets:
            bounds = {float(s.labels["le"]) for s in family.samples if s.name.endswith("_bucket")}
            assert sorted(bounds) == [*map(float, buckets), float("inf")], name


def test_nothing_is_exported_that_is_no_row(installation: Any) -> None:
    _, client, _ = installation
    rows = {name.removesuffix("_total") for name in CONTRACT}
    assert set(scrape(client).families) == rows
    assert set(METRICS) == set(CONTRACT)


def test_every_counter_starts_at_zero(installation: Any) -> None:
    _, _, first = installation
    for name, (kind, _, _) in CONTRACT.items():
        if kind != "gauge" and not name.startswith("http_"):
            assert first.total(name) == 0, name


def test_promtool_finds_nothing_to_say(installation: Any) -> None:
    promtool = need_program("promtool")
    _, client, _ = installation
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=client.get("/metrics").content, capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


def refused(action: Any, *arguments: Any, **named: Any) -> str:
    with pytest.raises(CadmlError) as caught:
        action(*arguments, **named)
    return caught.value.code


def test_every_row_is_moved_by_a_real_action(installation: Any, box: Path, tmp_path: Path) -> None:
    engine, client, first = installation
    part = engine.analyze(box, NewEntry("box.stl"), Options()).part
    again = engine.analyze(box, NewEntry("box.stl"), Options())
    assert part is not None
    assert not again.added
    png = tmp_path / "picture.step"
    png.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))
    assert refused(engine.analyze, png, NewEntry(png.name), Options()) == "MISLABELLED_FILE"
    bad = tmp_path / "bad.stl"
    bad.write_bytes(b"solid a\nfacet normal 0 0 1\nouter loop\n")
    assert refused(engine.analyze, bad, NewEntry(bad.name), Options()) in {"TRUNCATED_FILE", "MALFORMED_FILE"}
    with pytest.raises(ReaderCrashed):
        engine.workers.run(_die)
    engine.search_part(part.id, 3)
    engine.search_vector("v1", np.zeros(7).tolist(), 3)
    engine.similar_batch([part.id], 3)
    assert engine.diff(part.id, part.id, "v1")
    assert refused(engine.search_vector, "v1", [1.0], 3) == "DIMENSION_MISMATCH"
    engine.migrations.migrate([part.id], "v3")
    with queue_working(engine):
        engine.migrations.library.run("v4")
        while engine.migrations.library.records.all()[0].state != "ready":
            time.sleep(0.05)
    engine.submit([(box, NewEntry("queued.stl"))])
    for _ in range(2):
        engine.features(part.id, "v1")
    engine.apply_cache(1, None)  # all but the last vector leave
    assert client.post("/api/v1/features/cache/prewarm").json()["loaded"] == 0
    asked = {"hit_rate": 0.32, "capacity": 1200, "ttl": 3600, "window_hours": 6}
    assert client.post("/api/v1/features/cache/tuning", json=asked).status_code == 200
    for path in ("/health", "/ready", "/api/v1/health/vectors", "/api/v1/health/features/cache"):
        assert client.get(path).status_code == 200
    use_models(engine, client, box)
    drift(engine)
    now = scrape(client)
    for name, (kind, _, _) in CONTRACT.items():
        before = 0.0 if kind == "gauge" else first.total(name)
        assert now.total(name) > before, f"nothing moved {name}"


def use_models(engine: Engine, client: Any, box: Path) -> None:
    """Activate three models, classify, refuse some files, go back one level."""
    for number in (1, 2, 3):
        keep(engine, bundle(f"m-{number}"), f"m-{number}")
        answer = client.post("/api/v1/model/reload", json={"version": f"m-{number}"})
        assert answer.status_code == 200, answer.text
    answer = client.post("/api/v1/analyze", files={"file": ("box.stl", box.read_bytes())}).json()
    assert answer["classification"]["model"] == "m-3"
    folder = engine.settings.data_dir / "models"
    folder.mkdir()
    (folder / "wrong.cadml").write_bytes(bundle("wrong", feature_version="v2"))
    assert client.post("/api/v1/model/reload", json={"path": "wrong.cadml"}).status_code == 403
    trust(engine, bundle("wrong", feature_version="v2"))
    assert client.post("/api/v1/model/reload", json={"path": "wrong.cadml"}).status_code == 422
    trust(engine, HOSTILE)
    for mode in MODES:  # of one setting each; an engine has one
        settings = engine.settings.model_copy(update={"model_opcode_mode": mode})
        judge = Judge(settings, engine.metrics, engine.models.store, engine.blobs)
        refused(judge.admit, HOSTILE, "hostile.pkl")
    assert client.get("/api/v1/health/model").status_code == 200
    assert client.post("/api/v1/model/rollback", json={}).status_code == 200


def drift(engine: Engine) -> None:
    """Let enough parts come in for baselines, renew those by hand, and then let another kind come."""
    v5 = VERSIONS[engine.settings.feature_version]
    numbers = np.random.default_rng(1)

    def come(material: str, label: str, mean: float) -> None:
        for _ in range(engine.settings.drift_baseline_size):
            raw = (v5.offset + numbers.normal(mean, size=v5.length) / v5.scale).astype(np.float32)
            engine.drift.observe(Observation(material, v5.name, raw, "bolts 1", label))
        assert engine.drift._recorder.flush(60)
        engine.drift.care()

    come("steel", "bolt", 0.0)
    assert engine.baselining.reset(None, "recent", Chosen())
    come("brass", "nut", 3.0)


HOSTILE = b"cos\nsystem\n(S'true'\ntR."


def _die() -> None:
    import os

    os.abort()


def test_a_scrape_is_small_and_quick(installation: Any) -> None:
    engine, client, first = installation
    assert len(series(first)) <= MOST_SERIES
    for path in ("/nowhere", "/health/", "/api/v1/parts/nobody", "/api/v1/parts?limit=no", "/docs"):
        client.get(path)
        client.delete(path)
    begun = {name for name, _ in series(scrape(client)) - series(first)}
    assert begun <= {"classification_model_info", "classification_prediction_distribution_total"}, begun
    seconds = []
    for _ in range(9):
        start = time.thread_time()
        engine.metrics.text()
        seconds.append(time.thread_time() - start)
    assert sorted(seconds)[4] <= 0.05


def test_one_analysis_counts_once(installation: Any, box: Path) -> None:
    engine, client, _ = installation
    before = scrape(client)
    engine.analyze(box, NewEntry("box.stl"), Options())
    refused(engine.analyze, box, NewEntry("box.dwg"), Options())
    after = scrape(client)
    moved = {name: after.total(name) - before.total(name) for name in CONTRACT}
    assert moved["analysis_requests_total"] == 2
    assert moved["analysis_errors_total"] == moved["analysis_error_code_total"] == 1
    assert moved["analysis_rejections_total"] == 1


def test_gauges_tell_the_truth_when_scraped(installation: Any) -> None:
    engine, client, _ = installation
    counts = engine.vectors.counts()
    samples = scrape(client).family("vector_store_vectors").samples
    assert {sample.labels["version"]: sample.value for sample in samples} == counts
    assert scrape(client).total("database_up") == 1
    assert scrape(client).total("extraction_workers") == 1


def test_no_label_holds_a_path_an_id_or_a_name(installation: Any) -> None:
    _, client, _ = installation
    client.get("/api/v1/parts/some-id-that-nobody-has")
    client.get("/secret/path")
    client.request("BREW", "/health")
    text = client.get("/metrics").text
    for word in ("some-id", "secret", "box.stl", "BREW"):
        assert word not in text


def test_disabled_metrics_say_so_and_nothing_else_changes(tmp_path: Path, box: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", extract_workers=1, metrics_enabled=False)
    with Engine(settings) as engine, serving(engine) as client:
        assert client.get("/metrics").text.splitlines()[-1] == "app_metrics_disabled 1"
        assert client.get("/health").json()["runtime"] == {"metrics_enabled": False}
        answer = client.post("/api/v1/analyze", files={"file": ("box.stl", box.read_bytes())})
        assert answer.status_code == 200, answer.text


def test_a_missing_library_disables_metrics() -> None:
    program = (
        "import sys; sys.modules['prometheus_client'] = None\n"
        "from cadml.observability.metrics import Metrics\n"
        "m = Metrics(); m.count('http_requests_total', method='GET', route='/', status='2xx')\n"
        "print(m.enabled, m.text().decode().split()[-2:])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.split("\n")[0] == "False ['app_metrics_disabled', '1']"


@pytest.mark.slow
def test_a_service_without_the_library_does_everything_else(tmp_path: Path, box: Path) -> None:
    hidden = tmp_path / "hidden" / "prometheus_client"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ImportError('not installed')\n")
    tuning = {"hit_rate": 0.32, "capacity": 1200, "ttl": 3600}
    with (
        installed(tmp_path / "data", PYTHONPATH=str(hidden.parent)) as service,
        httpx.Client(base_url=service.url, timeout=120) as client,
    ):
        assert client.get("/health").json()["runtime"] == {"metrics_enabled": False}
        assert client.get("/metrics").text.splitlines()[-1] == "app_metrics_disabled 1"
        stored = client.post("/api/v1/analyze", files={"file": ("box.stl", box.read_bytes())})
        assert stored.status_code == 200, stored.text
        found = client.post("/api/v1/search", json={"part_id": stored.json()["id"], "k": 1})
        assert found.status_code == 200, found.text
        assert client.post("/api/v1/features/cache/tuning", json=tuning).status_code == 200
        for path in ("/ready", "/api/v1/drift", "/api/v1/model", "/api/v1/health/model"):
            assert client.get(path).status_code == 200, path


def test_a_row_is_registered_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        _row("gauge", "database_up", "again")
