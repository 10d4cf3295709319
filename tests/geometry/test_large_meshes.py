"""A mesh of a million triangles is described within the limits that a service starts with."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import trimesh

import cad_files as files
from cadml.extraction import extract, warm_up
from cadml.geometry.isolate import Workers

MAJOR, MINOR = 50.0, 18.0
MEMORY_MB = 4096  # CADML_EXTRACT_MEMORY_MB; its time limit of 120 s depends on what else the machine does


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_million_triangles_are_described_in_the_usual_memory(tmp_path: Path) -> None:
    mesh = trimesh.creation.torus(MAJOR, MINOR, major_sections=1000, minor_sections=500)
    assert len(mesh.faces) == 1_000_000
    volume = 2 * math.pi**2 * MAJOR * MINOR**2
    with Workers(1, timeout_s=600, memory_mb=MEMORY_MB, warm=warm_up) as workers:
        for name, write in (("stl", files.stl), ("obj", files.obj)):
            path = tmp_path / "torus"
            path.write_bytes(write(mesh))
            found = workers.run(extract, str(path), name)
            assert found.facts["triangles"] == 1_000_000, name
            assert found.facts["volume"] == pytest.approx(volume, rel=1e-4), name
            assert "v5" in found.vectors, name
