"""Bent sheet metal and pipes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

from OCP.BRepBuilderAPI import BRepBuilderAPI_MakeEdge, BRepBuilderAPI_MakeFace, BRepBuilderAPI_MakeWire
from OCP.BRepFilletAPI import BRepFilletAPI_MakeFillet
from OCP.BRepOffsetAPI import BRepOffsetAPI_MakePipe
from OCP.GC import GC_MakeArcOfCircle
from OCP.gp import gp_Ax2, gp_Circ, gp_Dir, gp_Pnt
from OCP.TopoDS import TopoDS_Face, TopoDS_Shape

from cadml.geometry.samples.recipe import Recipe
from cadml.geometry.samples.solids import (
    Point,
    X,
    Y,
    Z,
    cut,
    cylinder,
    fused,
    polygon,
    prism,
    rotated,
    straight_edges,
    turned,
)

# outside diameter and wall of steel pipe (EN 10220)
PIPES: tuple[tuple[float, float], ...] = ((21.3, 2.6), (33.7, 3.2), (60.3, 3.6), (88.9, 4.0))


def recipes() -> Iterator[Recipe]:
    """Yield every sheet-metal part and pipe of the library."""
    for a, n, t in ((20.0, 60.0, 1.5), (30.0, 100.0, 2.0), (50.0, 150.0, 3.0), (80.0, 240.0, 4.0)):
        size = f"{a:g}x{n:g}x{t:g}"
        angle = [(a, 0.0), (0.0, 0.0), (0.0, a)]
        channel = [(0.0, a), (0.0, 0.0), (a, 0.0), (a, a)]
        yield Recipe("sheet_metal", "angle", size, "DC01", partial(sheet, angle, n, t))
        yield Recipe("sheet_metal", "channel", size, "DC01", partial(sheet, channel, n, t))
    for a, n, t in ((30.0, 80.0, 1.5), (40.0, 120.0, 2.0), (60.0, 200.0, 3.0)):
        hat = [(-0.6 * a, 0.0), (0.0, 0.0), (0.0, 0.7 * a), (a, 0.7 * a), (a, 0.0), (1.6 * a, 0.0)]
        yield Recipe("sheet_metal", "hat", f"{a:g}x{n:g}x{t:g}", "1.4301", partial(sheet, hat, n, t))
    for d, wall in PIPES:
        yield Recipe("pipe", "straight", f"{d:g}x{wall:g}", "P235GH", partial(pipe, d, wall, 5 * d))
        yield Recipe("elbow", "90", f"{d:g}x{wall:g}", "P235GH", partial(elbow, d, wall, math.pi / 2))
    for d, wall in PIPES[:3]:
        yield Recipe("elbow", "45", f"{d:g}x{wall:g}", "P235GH", partial(elbow, d, wall, math.pi / 4))
        yield Recipe("tee", "equal", f"{d:g}x{wall:g}", "P235GH", partial(tee, d, wall))


def sheet(path: list[Point], length: float, thick: float) -> TopoDS_Shape:
    """Return sheet bent along ``path`` with inner radii of its thickness, and holes in the first leg."""
    body = rotated(prism(polygon(offset(path, thick)), length), math.pi / 2, X)
    body = _bent(body, path, thick)
    (x0, z0), (x1, z1) = path[0], path[1]
    x, z = x0 + 0.4 * (x1 - x0), z0 + 0.4 * (z1 - z0)
    hole, reach = 0.12 * math.hypot(x1 - x0, z1 - z0), 3 * thick
    tools = []
    for y in (-0.2 * length, -0.8 * length):
        if abs(z1 - z0) < 1e-9:  # a level leg
            tools.append(cylinder(hole, 2 * reach, (x, y, z - reach), Z))
        else:
            tools.append(cylinder(hole, 2 * reach, (x - reach, y, z), X))
    return cut(body, *tools)


def offset(path: list[Point], thick: float) -> list[Point]:
    """Return the outline of a band of ``thick`` to the left of ``path``, whose corners are right angles."""
    inner = []
    for index, (x, z) in enumerate(path):
        before = _direction(path[index - 1], path[index]) if index else _direction(path[0], path[1])
        after = _direction(path[index], path[index + 1]) if index + 1 < len(path) else before
        left = [(-d[1], d[0]) for d in (before, after)]
        dx = thick * (left[0][0] if left[0] == left[1] else left[0][0] + left[1][0])
        dz = thick * (left[0][1] if left[0] == left[1] else left[0][1] + left[1][1])
        inner.append((x + dx, z + dz))
    return [*path, *reversed(inner)]


def _bent(body: TopoDS_Shape, path: list[Point], thick: float) -> TopoDS_Shape:
    """Return ``body`` with every bend rounded: ``thick`` inside, twice that outside."""
    corners = offset(path, thick)
    count = len(path)
    operation = BRepFilletAPI_MakeFillet(body)
    for edge, (x, _, z) in straight_edges(body, Y):
        for index in range(1, count - 1):
            before, after = _direction(path[index - 1], path[index]), _direction(path[index], path[index + 1])
            turn = before[0] * after[1] - before[1] * after[0]  # + to the left, where the sheet lies
            for (cx, cz), is_path in ((corners[index], True), (corners[2 * count - 1 - index], False)):
                if math.hypot(x - cx, z - cz) < 1e-6 * (1 + thick):
                    operation.Add(2.0 * thick if (turn > 0) == is_path else thick, edge)
    return operation.Shape()


def pipe(d: float, wall: float, length: float) -> TopoDS_Shape:
    """Return a straight pipe with bevelled ends."""
    inner, outer, edge = d / 2 - wall, d / 2, 0.4 * wall
    profile = [
        (inner, 0.0),
        (outer - edge, 0.0),
        (outer, edge),
        (outer, length - edge),
        (outer - edge, length),
    ]
    return turned([*profile, (inner, length)])


def elbow(d: float, wall: float, angle: float) -> TopoDS_Shape:
    """Return a pipe elbow of 1.5 diameters (EN 10253) with short straight ends."""
    bend, tail = 1.5 * d, 0.25 * d
    solid = [_bow(d / 2, bend, angle, tail), _bow(d / 2 - wall, bend, angle, tail + 1.0)]
    return cut(solid[0], solid[1])


def tee(d: float, wall: float) -> TopoDS_Shape:
    """Return an equal tee."""
    run = cylinder(d / 2, 3 * d, (-1.5 * d, 0.0, 0.0), X)
    branch = cylinder(d / 2, 1.4 * d)
    inner = d / 2 - wall
    return cut(
        fused(run, branch),
        cylinder(inner, 3 * d + 2, (-1.5 * d - 1, 0.0, 0.0), X),
        cylinder(inner, 1.4 * d + 1),
    )


def _bow(radius: float, bend: float, angle: float, tail: float) -> TopoDS_Shape:
    """Return a solid rod bent by ``angle`` round the y axis, with straight tails at both ends."""
    middle, stop = angle / 2, angle
    points = [gp_Pnt(bend * (1 - math.cos(a)), 0.0, bend * math.sin(a)) for a in (0.0, middle, stop)]
    arc = BRepBuilderAPI_MakeEdge(GC_MakeArcOfCircle(*points).Value()).Edge()
    spine = BRepBuilderAPI_MakeWire(arc).Wire()
    swept = BRepOffsetAPI_MakePipe(spine, _disc(radius)).Shape()
    end = (points[2].X(), 0.0, points[2].Z())
    out = (math.sin(stop), 0.0, math.cos(stop))
    return fused(swept, cylinder(radius, tail, (0.0, 0.0, -tail)), cylinder(radius, tail, end, out))


def _disc(radius: float) -> TopoDS_Face:
    edge = BRepBuilderAPI_MakeEdge(gp_Circ(gp_Ax2(gp_Pnt(0, 0, 0), gp_Dir(0, 0, 1)), radius)).Edge()
    return BRepBuilderAPI_MakeFace(BRepBuilderAPI_MakeWire(edge).Wire()).Face()


def _direction(start: Point, stop: Point) -> Point:
    length = math.hypot(stop[0] - start[0], stop[1] - start[1])
    return (stop[0] - start[0]) / length, (stop[1] - start[1]) / length
