"""Pulleys, shafts, bearings and springs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

from OCP.BRepBuilderAPI import BRepBuilderAPI_MakeEdge, BRepBuilderAPI_MakeFace, BRepBuilderAPI_MakeWire
from OCP.BRepLib import BRepLib
from OCP.BRepOffsetAPI import BRepOffsetAPI_MakePipe
from OCP.BRepPrimAPI import BRepPrimAPI_MakeTorus
from OCP.Geom import Geom_CylindricalSurface
from OCP.Geom2d import Geom2d_Line
from OCP.gp import gp_Ax2, gp_Ax3, gp_Circ, gp_Dir, gp_Dir2d, gp_Pnt, gp_Pnt2d
from OCP.TopoDS import TopoDS_Shape

from cadml.geometry.samples.recipe import Recipe
from cadml.geometry.samples.solids import (
    X,
    box,
    cut,
    cylinder,
    fused,
    moved,
    ring_of,
    rotated,
    sphere,
    together,
    turned,
)


def recipes() -> Iterator[Recipe]:
    """Yield every machine element of the library."""
    for d in (40.0, 63.0, 90.0, 140.0):
        yield Recipe("pulley", "v-belt", f"{d:g}", "cast iron", partial(belt_pulley, d))
        yield Recipe("pulley", "spoked", f"{d * 2:g}", "cast iron", partial(spoked_pulley, 2 * d))
    for d in (12.0, 20.0, 30.0, 45.0):
        yield Recipe("shaft", "stepped", f"{d:g}", "42CrMo4", partial(stepped_shaft, d))
        yield Recipe("shaft", "keyed", f"{d:g}", "42CrMo4", partial(keyed_shaft, d))
    # bore, outside diameter, width: ISO 15, series 60, 62 and 63
    for bore, outside, width in ((10, 26, 8), (15, 32, 9), (20, 47, 14), (30, 62, 16), (40, 90, 23)):
        size = f"{bore}x{outside}x{width}"
        yield Recipe("bearing", "ball", size, "100Cr6", partial(ball_bearing, bore, outside, width))
    for bore, outside, width in ((15, 35, 11), (25, 52, 15), (40, 80, 18)):
        size = f"{bore}x{outside}x{width}"
        yield Recipe("bearing", "roller", size, "100Cr6", partial(roller_bearing, bore, outside, width))
    for hole in (8.0, 12.0, 20.0, 32.0):
        yield Recipe("bushing", "flanged", f"{hole:g}", "bronze", partial(bushing, hole))
        yield Recipe("bushing", "plain", f"{hole:g}", "bronze", partial(bushing, hole, flanged=False))
    for wire, mean, turns in ((1.0, 8.0, 8.0), (1.6, 12.0, 6.0), (2.5, 20.0, 7.0), (4.0, 32.0, 5.0)):
        size = f"{wire:g}x{mean:g}"
        yield Recipe(
            "spring",
            "compression",
            size,
            "spring steel",
            partial(helix, wire, mean, turns, 2.6 * wire),
        )
        yield Recipe("spring", "extension", size, "spring steel", partial(extension, wire, mean, turns))


def belt_pulley(d: float) -> TopoDS_Shape:
    """Return a single-groove V-belt pulley (ISO 4183, profile SPZ)."""
    r, width, bore = d / 2, 16.0, 0.16 * d
    flank = 11.0 * math.tan(math.radians(19))
    profile = [(bore, 0.0), (r, 0.0), (r, 3.0), (r - 11.0, 3.0 + flank), (r - 11.0, width - 3.0 - flank)]
    body = turned([*profile, (r, width - 3.0), (r, width), (bore, width)])
    return cut(body, box((0.3 * bore, 1.25 * bore, width + 2), (-0.15 * bore, 0.0, -1.0)))


def spoked_pulley(d: float) -> TopoDS_Shape:
    """Return a flat-belt pulley with five spokes."""
    r, width, bore = d / 2, 0.22 * d, 0.08 * d
    rim = turned([(0.86 * r, 0.0), (r, 0.0), (1.01 * r, width / 2), (r, width), (0.86 * r, width)])
    hub = turned([(bore, 0.0), (2.0 * bore, 0.0), (2.0 * bore, width), (bore, width)])
    spoke = box((0.9 * r - 1.6 * bore, 0.11 * d, 0.3 * width), (1.6 * bore, -0.055 * d, 0.35 * width))
    return fused(rim, hub, *(rotated(spoke, k * 2 * math.pi / 5) for k in range(5)))


def stepped_shaft(d: float) -> TopoDS_Shape:
    """Return a shaft of five sections with chamfered ends and a retaining-ring groove."""
    r, edge = d / 2, 0.04 * d
    profile = [
        (0.0, 0.0),
        (0.7 * r - edge, 0.0),
        (0.7 * r, edge),
        (0.7 * r, d),
        (0.85 * r, d),
        (0.85 * r, 2.2 * d),
    ]
    profile += [(r, 2.2 * d), (r, 4.0 * d), (1.25 * r, 4.0 * d), (1.25 * r, 4.3 * d), (0.85 * r, 4.3 * d)]
    profile += [(0.85 * r, 5.2 * d), (0.78 * r, 5.2 * d), (0.78 * r, 5.27 * d), (0.85 * r, 5.27 * d)]
    return turned([*profile, (0.85 * r, 5.5 * d - edge), (0.85 * r - edge, 5.5 * d), (0.0, 5.5 * d)])


def keyed_shaft(d: float) -> TopoDS_Shape:
    """Return a plain shaft with a feather keyway, a wrench flat and centre holes."""
    r, length, key, edge = d / 2, 6.0 * d, 0.28 * d, 0.05 * d
    body = turned(
        [(0.0, 0.0), (r - edge, 0.0), (r, edge), (r, length - edge), (r - edge, length), (0.0, length)]
    )
    slot = [box((d, key, 1.5 * d), (0.65 * r, -key / 2, 0.5 * d))]
    slot += [cylinder(key / 2, d, (0.65 * r, 0.0, z), X) for z in (0.5 * d, 2.0 * d)]
    flat = box((d, 2 * d, 0.8 * d), (0.85 * r, -d, 4.8 * d))
    centre = turned([(0.0, -1.0), (0.18 * r, -1.0), (0.18 * r, 0.0), (0.0, 0.3 * r)])
    return cut(body, fused(*slot), flat, centre)


def races(bore: float, outside: float, width: float) -> tuple[TopoDS_Shape, TopoDS_Shape, float, float]:
    """Return inner and outer ring of a rolling bearing, the pitch radius and the gap between them."""
    inner, outer = bore / 2, outside / 2
    wall, edge = 0.28 * (outer - inner), 0.06 * (outer - inner)
    rings = []
    for low, high in ((inner, inner + wall), (outer - wall, outer)):
        outline = [(low, edge), (low + edge, 0.0), (high - edge, 0.0), (high, edge)]
        rings.append(
            turned(
                [
                    *outline,
                    (high, width - edge),
                    (high - edge, width),
                    (low + edge, width),
                    (low, width - edge),
                ]
            )
        )
    return rings[0], rings[1], (inner + outer) / 2, outer - inner - 2 * wall


def ball_bearing(bore: float, outside: float, width: float) -> TopoDS_Shape:
    """Return a deep-groove ball bearing: two rings and the balls (ISO 15 dimensions)."""
    inner, outer, middle, gap = races(bore, outside, width)
    radius = 0.5 * gap + 0.1 * (outside - bore) / 2
    track = _torus(middle, 1.02 * radius, width / 2)
    count = int(2 * math.pi * middle / (2.6 * radius))
    balls = [sphere(radius, (x, y, width / 2)) for x, y in ring_of(count, middle)]
    return together([cut(inner, track), cut(outer, track), *balls])


def roller_bearing(bore: float, outside: float, width: float) -> TopoDS_Shape:
    """Return a cylindrical roller bearing: two rings and the rollers."""
    inner, outer, middle, gap = races(bore, outside, width)
    radius = gap / 2
    count = int(2 * math.pi * middle / (2.5 * radius))
    rollers = [cylinder(radius, 0.7 * width, (x, y, 0.15 * width)) for x, y in ring_of(count, middle)]
    return together([inner, outer, *rollers])


def bushing(bore: float, *, flanged: bool = True) -> TopoDS_Shape:
    """Return a sleeve bearing (ISO 4379), with or without flange."""
    inner, outer, length, edge = bore / 2, 0.65 * bore, 1.2 * bore, 0.03 * bore
    rim = 0.85 * bore if flanged else outer
    profile = [(inner, 0.0), (rim, 0.0)]
    profile += [(rim, 0.15 * bore), (outer, 0.15 * bore)] if flanged else []
    return turned(
        [
            *profile,
            (outer, length - edge),
            (outer - edge, length),
            (inner + edge, length),
            (inner, length - edge),
        ]
    )


def helix(wire: float, mean: float, turns: float, pitch: float) -> TopoDS_Shape:
    """Return a coil of round wire swept along a helix."""
    radius, height = mean / 2, turns * pitch
    surface = Geom_CylindricalSurface(gp_Ax3(gp_Pnt(0, 0, 0), gp_Dir(0, 0, 1)), radius)
    slant = math.hypot(2 * math.pi, pitch)
    line = Geom2d_Line(gp_Pnt2d(0.0, 0.0), gp_Dir2d(2 * math.pi, pitch))
    edge = BRepBuilderAPI_MakeEdge(line, surface, 0.0, turns * slant).Edge()
    BRepLib.BuildCurves3d_s(edge)
    spine = BRepBuilderAPI_MakeWire(edge).Wire()
    across = gp_Dir(0.0, 2 * math.pi * radius, pitch)
    section = BRepBuilderAPI_MakeEdge(gp_Circ(gp_Ax2(gp_Pnt(radius, 0, 0), across), wire / 2)).Edge()
    face = BRepBuilderAPI_MakeFace(BRepBuilderAPI_MakeWire(section).Wire()).Face()
    coil = BRepOffsetAPI_MakePipe(spine, face).Shape()
    return moved(coil, (0.0, 0.0, -height / 2))


def extension(wire: float, mean: float, turns: float) -> TopoDS_Shape:
    """Return a close coil with a straight leg at each end."""
    pitch = 1.08 * wire
    coil, radius, half = helix(wire, mean, turns, pitch), mean / 2, turns * pitch / 2
    legs = [
        cylinder(wire / 2, mean, (radius, 0.0, -half - mean)),
        cylinder(wire / 2, mean, (radius, 0.0, half)),
    ]
    return fused(coil, *legs, *(sphere(wire / 2, (radius, 0.0, z)) for z in (-half, half)))


def _torus(radius: float, section: float, height: float) -> TopoDS_Shape:
    return BRepPrimAPI_MakeTorus(gp_Ax2(gp_Pnt(0, 0, height), gp_Dir(0, 0, 1)), radius, section).Shape()
