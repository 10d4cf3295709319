"""The measures measure what they say."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cadml import bench
from cadml.bench import api, extract, search
from cadml.config import Settings
from cadml.errors import InvalidRequest


@pytest.fixture
def step_files(shared_cad):
    return sorted((shared_cad / "mfcad").glob("*.step"))[:4]


def test_rows_are_flat_and_keep_every_number():
    report = {"files": 3, "share": {"ours": 0.1, "deep": {"x": 1}}, "refused": ["a", "b"]}
    assert list(bench.rows(report)) == [
        ("files", 3), ("share: ours", 0.1), ("share: deep: x", 1), ("refused", 2)
    ]  # fmt: skip


def test_extraction_is_counted_and_shared_out(step_files, tmp_path):
    broken = tmp_path / "broken.step"
    broken.write_bytes(step_files[0].read_bytes()[:3000])
    report = extract.run([*step_files, broken], workers=2)
    json.dumps(report)
    assert report["files"] == 5
    assert [refusal["path"] for refusal in report["refused"]] == [str(broken)]
    assert report["share"]["kernel"] + report["share"]["ours"] == pytest.approx(1)
    assert 0 < report["share"]["kernel"] < 1
    # The kernel's steps cannot have taken longer than two processes had.
    kernel = sum(report["seconds_by_step"][step] for step in extract.KERNEL_STEPS)
    assert kernel < 2 * report["described"]["seconds"]
    assert report["peak_mb"]["worker"] > 50  # the kernel alone needs that


def test_meshes_have_no_kernel_floor(tmp_path):
    (tmp_path / "a.txt").write_text("no CAD")
    with pytest.raises(InvalidRequest, match="exact geometry"):
        bench.run("extract", Settings.load(extract_workers=1), tmp_path)


def test_an_empty_folder_is_told(tmp_path):
    with pytest.raises(InvalidRequest, match="no file"):
        bench.run("extract", Settings.load(), tmp_path)


def test_searches_find_all_there_is_in_a_small_library(tmp_path):
    report = search.run(tmp_path, Settings.load().feature_version, count=400)
    for share in search.SHARES:
        assert report[share]["recall_at_10"] > 0.99
        assert 0 < report[share]["p50_ms"] <= report[share]["p95_ms"]
    assert report["ingest_per_s"] > 1


def test_a_service_ends_with_the_process_that_started_it(tmp_path):
    program = f"""
import time
from pathlib import Path
from cadml.bench.service import served
with served(Path({str(tmp_path / "data")!r}), 1) as service:
    print(service.pid, flush=True)
    time.sleep(600)
"""
    starter = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    with starter:
        pid = int(starter.stdout.readline())
        starter.kill()
    stat = Path(f"/proc/{pid}/stat")
    for _ in range(600):
        try:
            state = stat.read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return
        if state == "Z":  # dead, and only not yet buried
            return
        time.sleep(0.1)
    pytest.fail("the service outlived its starter")


@pytest.mark.slow
def test_the_interface_is_measured_from_processes_of_their_own(step_files, tmp_path, monkeypatch):
    monkeypatch.setattr(api, "SECONDS", 0.5)
    report = api.run(tmp_path, step_files, workers=1)
    assert report["parts"] == 4
    assert report["similar"]["per_s"] > 1
    assert report["peak_mb"]["service"] > 30
