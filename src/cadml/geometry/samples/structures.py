"""Brackets, flanges, housings and plates."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

from OCP.TopoDS import TopoDS_Shape

from cadml.geometry.samples.recipe import Recipe
from cadml.geometry.samples.solids import (
    X,
    Y,
    Z,
    box,
    cut,
    cylinder,
    filleted,
    fused,
    holes,
    moved,
    polygon,
    prism,
    ring_of,
    rotated,
    turned,
)

# nominal: outside diameter, bolt circle, bolts, hole, thickness, pipe (EN 1092-1, PN 16)
FLANGES: dict[int, tuple[float, float, int, float, float, float]] = {
    15: (95.0, 65.0, 4, 14.0, 16.0, 21.3),
    25: (115.0, 85.0, 4, 14.0, 18.0, 33.7),
    50: (165.0, 125.0, 4, 18.0, 18.0, 60.3),
    80: (200.0, 160.0, 8, 18.0, 20.0, 88.9),
    150: (285.0, 240.0, 8, 22.0, 22.0, 168.3),
}


def recipes() -> Iterator[Recipe]:
    """Yield every structural part of the library."""
    for side, width, thick in ((40.0, 30.0, 4.0), (60.0, 40.0, 5.0), (80.0, 60.0, 8.0), (120.0, 80.0, 10.0)):
        size = f"{side:g}x{width:g}x{thick:g}"
        yield Recipe("bracket", "angle", size, "S235", partial(bracket, side, width, thick))
        yield Recipe("bracket", "gusset", size, "AlSi10Mg", partial(gusset, side, width, thick))
    for d in (20.0, 30.0, 50.0):
        yield Recipe("bracket", "bearing-block", f"{d:g}", "cast iron", partial(bearing_block, d))
    for nominal in (15, 25, 50, 80, 150):
        yield Recipe("flange", "slip-on", f"DN{nominal}", "P250GH", partial(slip_on, nominal))
        yield Recipe("flange", "weld-neck", f"DN{nominal}", "P250GH", partial(weld_neck, nominal))
    for nominal in (25, 50, 80):
        yield Recipe("flange", "blind", f"DN{nominal}", "1.4404", partial(blind, nominal))
    for a, b, h in ((60.0, 40.0, 25.0), (90.0, 60.0, 35.0), (120.0, 80.0, 40.0), (160.0, 100.0, 60.0)):
        size = f"{a:g}x{b:g}x{h:g}"
        yield Recipe("housing", "bosses", size, "ABS", partial(enclosure, a, b, h))
        yield Recipe("housing", "round", f"{a:g}", "AlSi10Mg", partial(round_housing, a, h))
    for a, b in ((60.0, 40.0), (100.0, 60.0), (150.0, 100.0), (200.0, 80.0)):
        size = f"{a:g}x{b:g}"
        yield Recipe("plate", "grid", size, "AlMg3", partial(grid_plate, a, b))
        yield Recipe("plate", "slotted", size, "S235", partial(slotted_plate, a, b))
    for d in (60.0, 100.0, 160.0):
        yield Recipe("plate", "bolt-circle", f"{d:g}", "AlMg3", partial(bolt_circle, d))


def bracket(side: float, width: float, thick: float) -> TopoDS_Shape:
    """Return an angle bracket with two holes in each leg and a rounded inner corner."""
    r, hole = thick, 0.09 * width + 1.2
    outline = [(0.0, 0.0), (side, 0.0), (side, thick), (thick, thick), (thick, side), (0.0, side)]
    body = rotated(prism(polygon(outline), width), math.pi / 2, X)
    corner = cut(
        box((r, width, r), (thick, -width, thick)),
        cylinder(r, width + 2.0, (thick + r, 1.0, thick + r), (0.0, -1.0, 0.0)),
    )
    body = fused(body, corner)
    places = [(0.45 * side, -0.5 * width), (0.8 * side, -0.5 * width)]
    flat = holes(places, hole, thick)
    upright = [cylinder(hole, thick + 2.0, (-1.0, y, z), X) for z, y in places]
    return cut(body, *flat, *upright)


def gusset(side: float, width: float, thick: float) -> TopoDS_Shape:
    """Return a cast angle with a rib in the middle and one big hole in each leg."""
    outline = [(0.0, 0.0), (side, 0.0), (side, thick), (thick, thick), (thick, side), (0.0, side)]
    body = rotated(prism(polygon(outline), width), math.pi / 2, X)
    rib = rotated(prism([(0.0, 0.0), (0.85 * side, 0.0), (0.0, 0.85 * side)], thick), math.pi / 2, X)
    body = fused(body, moved(rib, (0.0, -(width - thick) / 2, 0.0)))
    hole, out = 0.11 * width, 0.7 * side
    places = [(out, -0.22 * width), (out, -0.78 * width)]
    drills = holes(places, hole, thick) + [cylinder(hole, thick + 2, (-1.0, y, z), X) for z, y in places]
    return cut(body, *drills)


def bearing_block(d: float) -> TopoDS_Shape:
    """Return a pillow block: a foot with two slots and an eye above it."""
    foot, eye = box((3.2 * d, 1.1 * d, 0.4 * d), (-1.6 * d, -0.55 * d, 0.0)), 0.85 * d
    height = 1.2 * d
    column = box((1.7 * d, d, height), (-eye, -0.5 * d, 0.0))
    ring = cylinder(eye, d, (0.0, -0.5 * d, height), Y)
    body = fused(filleted(foot, 0.15 * d, Z), column, ring)
    slots = holes([(-1.25 * d, 0.0), (1.25 * d, 0.0)], 0.16 * d, 0.4 * d)
    oil = cylinder(0.06 * d, d, (0.0, 0.0, height))
    return cut(body, cylinder(d / 2, 2 * d, (0.0, -d, height), Y), *slots, oil)


def slip_on(nominal: int) -> TopoDS_Shape:
    """Return a plate flange (EN 1092-1 type 01)."""
    outside, circle, bolts, hole, thick, bore = FLANGES[nominal]
    body = turned([(bore / 2, 0.0), (outside / 2, 0.0), (outside / 2, thick), (bore / 2, thick)])
    return cut(body, *holes(ring_of(bolts, circle / 2, math.pi / bolts), hole / 2, thick))


def weld_neck(nominal: int) -> TopoDS_Shape:
    """Return a weld-neck flange with raised face (EN 1092-1 type 11)."""
    outside, circle, bolts, hole, thick, tube = FLANGES[nominal]
    wall = 0.06 * tube + 1.4
    neck, face = tube / 2 + 0.45 * thick, circle / 2 - 0.8 * hole
    profile = [
        (tube / 2 - wall, -2.0),
        (face, -2.0),
        (face, 0.0),
        (outside / 2, 0.0),
        (outside / 2, thick),
        (neck, thick),
    ]
    profile += [(tube / 2, 2.0 * thick), (tube / 2, 2.4 * thick), (tube / 2 - wall, 2.4 * thick)]
    return cut(turned(profile), *holes(ring_of(bolts, circle / 2, math.pi / bolts), hole / 2, thick))


def blind(nominal: int) -> TopoDS_Shape:
    """Return a blind flange (EN 1092-1 type 05)."""
    outside, circle, bolts, hole, thick, _ = FLANGES[nominal]
    face = circle / 2 - 0.8 * hole
    body = turned(
        [(0.0, -2.0), (face, -2.0), (face, 0.0), (outside / 2, 0.0), (outside / 2, thick), (0.0, thick)]
    )
    return cut(body, *holes(ring_of(bolts, circle / 2, math.pi / bolts), hole / 2, thick))


def enclosure(a: float, b: float, h: float) -> TopoDS_Shape:
    """Return an open box with rounded corners, screw bosses and a cable opening."""
    wall, r = 0.02 * a + 1.2, 0.06 * a
    outer = filleted(box((a, b, h)), r, Z)
    hollow = filleted(box((a - 2 * wall, b - 2 * wall, h), (wall, wall, wall)), r - 0.6 * wall, Z)
    inset = wall + 0.6 * r
    places = [(x, y) for x in (inset, a - inset) for y in (inset, b - inset)]
    bosses = [cylinder(0.9 * r, h - 2.0, (x, y, 0.0)) for x, y in places]
    body = fused(cut(outer, hollow), *bosses)
    drills = [cylinder(0.4 * r, h, (x, y, 0.4 * h)) for x, y in places]
    return cut(body, *drills, cylinder(0.16 * h, 4 * wall, (-wall, b / 2, 0.55 * h), X))


def round_housing(d: float, h: float) -> TopoDS_Shape:
    """Return a cup with bearing seat, flange and lugs."""
    r, wall = d / 2, 0.05 * d
    profile = [
        (0.25 * r, 0.0),
        (0.8 * r, 0.0),
        (0.8 * r, h - wall),
        (r, h - wall),
        (r, h),
        (0.8 * r - wall, h),
    ]
    profile += [(0.8 * r - wall, 0.35 * h), (0.45 * r, 0.35 * h), (0.45 * r, wall), (0.25 * r, wall)]
    body = turned(profile)
    return cut(body, *holes(ring_of(6, 0.89 * r), 0.045 * r, wall, h - wall))


def grid_plate(a: float, b: float) -> TopoDS_Shape:
    """Return a plate with rounded corners and a square grid of holes."""
    thick, step = 0.05 * b + 2.0, b / 4
    body = filleted(box((a, b, thick)), 0.08 * b, Z)
    columns = int(a / step) - 1
    rest = (a - (columns - 1) * step) / 2
    places = [(rest + i * step, (j + 1) * step) for i in range(columns) for j in range(3)]
    return cut(body, *holes(places, 0.18 * step, thick))


def slotted_plate(a: float, b: float) -> TopoDS_Shape:
    """Return a plate with two slots, a central bore and four corner holes."""
    thick, half, length = 0.06 * b + 2.0, 0.05 * b, 0.3 * b
    tools = holes([(a / 2, b / 2)], 0.22 * b, thick)
    for x in (0.2 * a, 0.8 * a):
        ends = [(x, b / 2 - length / 2), (x, b / 2 + length / 2)]
        tools.append(
            fused(
                box((2 * half, length, thick + 2), (x - half, b / 2 - length / 2, -1.0)),
                *holes(ends, half, thick),
            )
        )
    inset = 0.1 * b
    tools += holes([(x, y) for x in (inset, a - inset) for y in (inset, b - inset)], 0.04 * b, thick)
    return cut(box((a, b, thick)), *tools)


def bolt_circle(d: float) -> TopoDS_Shape:
    """Return a round cover with centring lug and two hole circles."""
    r, thick = d / 2, 0.08 * d
    body = turned(
        [(0.0, 0.0), (r, 0.0), (r, thick), (0.55 * r, thick), (0.55 * r, 1.5 * thick), (0.0, 1.5 * thick)]
    )
    outer = holes(ring_of(8, 0.82 * r), 0.05 * r, 2 * thick)
    return cut(body, *outer, *holes(ring_of(3, 0.3 * r), 0.035 * r, 2 * thick))
