"""Closed-form solids as triangles, made from formulas: no file, no kernel."""

from __future__ import annotations

import numpy as np

from cadml.geometry.part import BoundingBox, Drawing, Kind, Part, Tessellation, frozen


def mesh(vertices, triangles) -> Part:
    vertices = np.asarray(vertices, dtype=np.float64)
    shape = Tessellation(frozen(vertices), frozen(np.asarray(triangles, dtype=np.int32)))
    return Part(Kind.MESH, "stl", "mm", 1.0, BoundingBox.of(vertices), tessellation=shape)


def moved(part: Part, rotation=None, shift=(0.0, 0.0, 0.0), scale=1.0) -> Part:
    rotation = np.eye(3) if rotation is None else rotation
    shape = part.tessellation
    triangles = shape.triangles if np.linalg.det(rotation) > 0 else shape.triangles[:, ::-1]
    return mesh(shape.vertices @ rotation.T * scale + np.asarray(shift), triangles)


def rotation(seed: int) -> np.ndarray:
    turned, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return turned * np.sign(np.linalg.det(turned))


def turned(profile, sides: int, start: float = 0.0, *, closed: bool = False) -> Part:
    """Revolve ``profile [(r, z)…]``, r > 0, about z; an open profile is closed by its ends' discs."""
    angle = start + 2 * np.pi * np.arange(sides) / sides
    rings = [np.stack([r * np.cos(angle), r * np.sin(angle), np.full(sides, z)], axis=1) for r, z in profile]
    vertices = np.concatenate(rings)
    here, there = np.arange(sides), (np.arange(sides) + 1) % sides
    triangles = []
    count = len(profile)
    for ring in range(count if closed else count - 1):
        low, high = ring * sides, (ring + 1) % count * sides
        triangles += [np.stack([low + here, low + there, high + there], axis=1)]
        triangles += [np.stack([low + here, high + there, high + here], axis=1)]
    if not closed:
        for ring, flip in ((0, True), (count - 1, False)):
            centre = len(vertices)
            vertices = np.concatenate([vertices, [[0.0, 0.0, profile[ring][1]]]])
            fan = np.stack([ring * sides + here, ring * sides + there, np.full(sides, centre)], axis=1)
            triangles += [fan[:, ::-1] if flip else fan]
    return mesh(vertices, np.concatenate(triangles))


def box(x: float, y: float, z: float) -> Part:
    corners = np.array([[i, j, k] for i in (0, x) for j in (0, y) for k in (0, z)], dtype=float)
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    return mesh(corners, [t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))])


def cylinder(radius: float, height: float, sides: int = 48) -> Part:
    return turned([(radius, 0.0), (radius, height)], sides)


def ring(inner: float, outer: float, height: float, sides: int = 48) -> Part:
    return turned([(inner, 0.0), (outer, 0.0), (outer, height), (inner, height)], sides, closed=True)


def torus(radius: float, section: float, sides: int = 48, around: int = 24) -> Part:
    turn = 2 * np.pi * np.arange(around) / around
    profile = [(radius + section * np.cos(t), section * np.sin(t)) for t in turn]
    return turned(profile, sides, closed=True)


def hexagon_nut(width: float, bore: float, height: float) -> Part:
    nut = ring(bore, width, height, 48)
    vertices = nut.tessellation.vertices.copy()
    outer = np.hypot(vertices[:, 0], vertices[:, 1]) > (bore + width) / 2
    angle = np.arctan2(vertices[outer, 1], vertices[outer, 0])
    within = (angle + np.pi / 6) % (np.pi / 3) - np.pi / 6
    vertices[outer, :2] /= np.cos(within)[:, None]
    return mesh(vertices, nut.tessellation.triangles)


SOLIDS = {
    "box": box(10, 20, 35),
    "plate": box(60, 40, 2),
    "cube": box(10, 10, 10),
    "shaft": cylinder(5, 60),
    "disc": cylinder(30, 4),
    "ring": ring(5, 10, 2),
    "torus": torus(20, 4),
    "nut": hexagon_nut(9, 5, 8),
    "cone": turned([(20, 0), (6, 25)], 48),
}


def drawing(lines, kinds=None, layers=("0",), surfaces=0) -> Part:
    """One entity per chain of points in ``lines``."""
    segments, owner = [], []
    for index, line in enumerate(lines):
        chain = np.asarray(line, dtype=float)
        segments += [np.stack([chain[:-1], chain[1:]], axis=1)]
        owner += [index] * (len(chain) - 1)
    segments = np.concatenate(segments)
    sheet = Drawing(
        entity_kind=tuple(kinds or ["LWPOLYLINE"] * len(lines)),
        entity_layer=frozen(np.zeros(len(lines), dtype=np.int32)),
        layers=tuple(layers),
        segments=frozen(segments),
        segment_entity=frozen(np.array(owner, dtype=np.int32)),
        segment_tolerance=0.01,
        texts=(),
        dimensions=frozen(np.zeros(0)),
        surface_entities=surfaces,
    )
    return Part(Kind.DRAWING, "dxf", "mm", 1.0, BoundingBox.of(segments.reshape(-1, 2)), drawing=sheet)


def circle(x: float, y: float, radius: float, sides: int = 64):
    angle = 2 * np.pi * np.arange(sides + 1) / sides
    return np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=1)


DRAWINGS = {
    "plate": drawing(
        [[(0, 0), (80, 0), (80, 50), (0, 50), (0, 0)], circle(20, 25, 6), circle(60, 25, 6)],
        ["LWPOLYLINE", "CIRCLE", "CIRCLE"],
    ),
    "grid": drawing(
        [[(0, y), (90, y)] for y in range(0, 50, 10)] + [[(x, 0), (x, 40)] for x in range(0, 100, 10)],
        ["LINE"] * 15,
        ("0", "grid"),
    ),
    "triangle": drawing([[(0, 0), (30, 0), (10, 25), (0, 0)]]),
}
