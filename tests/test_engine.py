"""The engine on real files: known content, quarantine, blobs that agree with rows, many at once."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

from cadml import doctor
from cadml.api import auth
from cadml.config import Settings
from cadml.engine import Engine, Options
from cadml.errors import ConfigurationError, ExtractionTimeout, InvalidRequest, PartNotFound, QuarantinedFile
from cadml.features.versions import VERSIONS
from cadml.geometry.part import Kind
from cadml.store.parts import NewEntry
from served import queue_working


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("engine with a space")
    with Engine(Settings(data_dir=folder, extract_workers=2)) as opened:
        yield opened


def box(folder: Path, *size: float) -> Path:
    path = folder / ("x".join(map(str, size)) + ".stl")
    path.write_bytes(trimesh.creation.box(size).export(file_type="stl"))
    return path


def add(engine: Engine, path: Path, number: str | None = None) -> str:
    part = engine.analyze(path, NewEntry(path.name, number), Options(similar=0)).part
    assert part is not None
    return part.id


def blobs_of(engine: Engine, sha256: str) -> set[str]:
    keys = ("source/", "part/")
    views = {f"view/{sha256}/{name}" for name in ("thumbnail.png", "preview.glb")}
    return {key for key in {f"{kind}{sha256}" for kind in keys} | views if engine.blobs.exists(key)}


def reads(engine: Engine) -> float:
    """How many files the workers have read since the start."""
    text = engine.metrics.text().decode()
    lines = [line for line in text.splitlines() if line.startswith("parse_stage_latency_seconds_count")]
    return sum(float(line.split()[-1]) for line in lines)


def test_known_bytes_are_not_read_again(engine: Engine, tmp_path: Path) -> None:
    path = box(tmp_path, 3, 5, 7)
    first = engine.analyze(path, NewEntry("first.stl"), Options())
    before = reads(engine)
    second = engine.analyze(path, NewEntry("second.stl"), Options())
    assert reads(engine) == before
    assert second.added
    assert second.content.facts == first.content.facts
    for name, values in first.content.vectors.items():
        np.testing.assert_array_equal(second.content.vectors[name], values)


def test_a_part_has_every_version_that_applies(engine: Engine, tmp_path: Path) -> None:
    content = engine.analyze(box(tmp_path, 4, 5, 6), NewEntry("a.stl"), Options(store=False)).content
    assert set(content.vectors) == {row.name for row in VERSIONS.values() if Kind.MESH in row.kinds}
    assert engine.parts.content(content.sha256) is None


def test_the_last_entry_takes_its_files_with_it(engine: Engine, tmp_path: Path) -> None:
    path = box(tmp_path, 2, 3, 9)
    one, other = add(engine, path, "one"), add(engine, path, "other")
    row = engine.parts.get(one)
    engine.view(row, "png")
    assert len(blobs_of(engine, row.sha256)) == 3
    engine.delete(one)
    assert len(blobs_of(engine, row.sha256)) == 3
    engine.delete(other)
    assert blobs_of(engine, row.sha256) == set()
    with pytest.raises(PartNotFound):
        engine.delete(other)


def test_adding_and_removing_one_content_at_once_leaves_no_half(engine: Engine, tmp_path: Path) -> None:
    path = box(tmp_path, 8, 1, 1)

    def churn(number: int) -> None:
        for turn in range(4):
            engine.delete(add(engine, path, f"{number}-{turn}"))

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(churn, range(3)))
    survivor = engine.parts.get(add(engine, path, "survivor"))
    assert blobs_of(engine, survivor.sha256) >= {f"source/{survivor.sha256}", f"part/{survivor.sha256}"}
    assert engine.search_part(survivor.id, 1).requested == 1


def test_a_file_that_stops_a_reader_twice_is_refused_at_once_until_pardoned(
    engine: Engine, tmp_path: Path
) -> None:
    triangles = np.zeros(1_000_000, dtype=[("n", "<f4", 3), ("v", "<f4", (3, 3)), ("a", "<u2")])
    triangles["v"] = np.random.default_rng(1).random((len(triangles), 3, 3))
    path = tmp_path / "slow.stl"
    path.write_bytes(bytes(80) + np.uint32(len(triangles)).tobytes() + triangles.tobytes())
    hasty = Settings(data_dir=engine.settings.data_dir, extract_workers=1, extract_timeout_s=1)
    with Engine(hasty) as impatient:
        for _ in range(2):
            with pytest.raises(ExtractionTimeout):
                add(impatient, path)
        with pytest.raises(QuarantinedFile) as caught:
            add(impatient, path)
        assert reads(impatient) == 0
        sha256 = caught.value.context["sha256"]
        assert sha256 in next(c.detail for c in doctor.examine(hasty) if c.name == "quarantine")
        doctor.let_off(hasty, sha256)
        with pytest.raises(ExtractionTimeout):
            add(impatient, path)
        with pytest.raises(InvalidRequest):
            doctor.let_off(hasty, "abc")


def test_the_doctor_sees_what_would_not_start(engine: Engine) -> None:
    def ill(**settings: Any) -> list[tuple[str, str]]:
        checks = doctor.examine(Settings(data_dir=engine.settings.data_dir, **settings))
        return [(check.name, check.detail) for check in checks if not check.ok]

    assert ill(port=0) == []
    ((name, why),) = ill(feature_version="v9", port=0)
    assert (name, "'v9' is none of v1, " in why) == ("feature version", True)
    ((name, why),) = ill(host="0.0.0.0")
    assert (name, "cadml keys add" in why) == ("address", True)
    keys = engine.settings.data_dir / "keys"
    assert [name for name, _ in ill(host="0.0.0.0", api_keys_file=keys)] == ["address"]
    auth.add(keys, "anna", "reader")
    assert ill(host="0.0.0.0", port=0, api_keys_file=keys) == []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert ill(port=taken.getsockname()[1]) == []  # it may be the service that is asked about
    for host in ("no such host", "203.0.113.1"):  # a documentation address, which no machine has
        ((name, why),) = ill(host=host, api_keys_file=keys)
        assert (name, "cannot listen" in why) == ("address", True)


def test_a_submission_refuses_at_once_what_no_reader_takes(engine: Engine, tmp_path: Path) -> None:
    good, closed = box(tmp_path, 5, 5, 1), tmp_path / "a.dwg"
    closed.write_bytes(b"AC1027")
    done = engine.submit([(good, NewEntry(good.name)), (closed, NewEntry(closed.name))])
    assert done.queued == 1
    assert [refusal["code"] for refusal in done.refused] == ["PROPRIETARY_FORMAT"]
    with queue_working(engine):
        while engine.ingests.status(done.job_id).state != "finished":
            time.sleep(0.05)
    assert engine.ingests.status(done.job_id).counts["added"] == 1


def test_an_unknown_active_version_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="CADML_FEATURE_VERSION"):
        Engine(Settings(data_dir=tmp_path, feature_version="v99"))
