"""A box as a B-rep, from the formula: six planes, twelve right-angled edges."""

from __future__ import annotations

import itertools

import numpy as np

from cadml.geometry.part import BRep, Kind, MassProperties, Part, Tessellation, frozen
from solids import box


def exact_box(x: float, y: float, z: float) -> Part:
    sides = (x, y, z)
    faces = [(axis, end) for axis in range(3) for end in (0, 1)]
    area = [x * y * z / sides[axis] for axis, _ in faces]
    meeting = [(i, j) for i, j in itertools.combinations(range(6), 2) if faces[i][0] != faces[j][0]]
    length = [sides[3 - faces[i][0] - faces[j][0]] for i, j in meeting]
    mesh = box(x, y, z)
    # The triangles of the formula come in pairs: x−, x+, y−, y+, z−, z+.
    shape = Tessellation(mesh.tessellation.vertices, mesh.tessellation.triangles, frozen(np.arange(12) // 2))
    brep = BRep(
        face_surface=frozen(np.zeros(6, dtype=np.int8)),
        face_area=frozen(np.array(area)),
        face_loops=frozen(np.ones(6, dtype=np.int32)),
        face_radius=frozen(np.full(6, np.nan)),
        face_bend=frozen(np.zeros(6, dtype=np.int8)),
        edge_curve=frozen(np.zeros(12, dtype=np.int8)),
        edge_length=frozen(np.array(length)),
        edge_convexity=frozen(np.ones(12, dtype=np.int8)),
        edge_angle=frozen(np.full(12, np.pi / 2)),
        edge_faces=frozen(np.array(meeting, dtype=np.int32)),
        solids=1,
        shells=1,
        wires=6,
        vertices=8,
    )
    inertia = x * y * z / 12 * np.diag([y * y + z * z, x * x + z * z, x * x + y * y])
    mass = MassProperties(sum(area), frozen(np.array(sides) / 2), x * y * z, frozen(inertia))
    return Part(Kind.BREP, "step", "mm", 1.0, mesh.box, mass=mass, brep=brep, tessellation=shape)
