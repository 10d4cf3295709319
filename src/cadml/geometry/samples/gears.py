"""Involute spur gears."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import numpy as np
from OCP.BRepBuilderAPI import BRepBuilderAPI_MakeEdge, BRepBuilderAPI_MakeWire
from OCP.collections import HArray1_gp_Pnt
from OCP.GC import GC_MakeArcOfCircle
from OCP.GeomAPI import GeomAPI_Interpolate
from OCP.gp import gp_Pnt
from OCP.TopoDS import TopoDS_Shape, TopoDS_Wire

from cadml.geometry.samples.recipe import Recipe
from cadml.geometry.samples.solids import X, box, cut, cylinder, fused, holes, moved, prism, ring_of, turned

PRESSURE_ANGLE = math.radians(20)  # ISO 53


def recipes() -> Iterator[Recipe]:
    """Yield every gear of the library."""
    for module, teeth in ((1.0, 18), (1.5, 24), (2.0, 20), (2.5, 32)):
        size = f"m{module}z{teeth}"
        yield Recipe("spur_gear", "plain", size, "steel C45", partial(gear, module, teeth, 10 * module))
        yield Recipe("spur_gear", "hub", size, "steel C45", partial(hub_gear, module, teeth + 4))
    for module, teeth in ((1.5, 28), (2.0, 34), (3.0, 30)):
        size = f"m{module}z{teeth}"
        yield Recipe("spur_gear", "webbed", size, "POM", partial(webbed_gear, module, teeth))


def involute(base: float, radius: float) -> float:
    """Return the polar angle of the involute of circle ``base`` at ``radius``."""
    ratio = base / radius
    return math.tan(math.acos(ratio)) - math.acos(ratio)


def tooth_outline(module: float, teeth: int) -> TopoDS_Wire:
    """Return the outline of an involute gear without profile shift (ISO 53): arcs and involutes."""
    pitch = module * teeth / 2
    base, root, tip = pitch * math.cos(PRESSURE_ANGLE), pitch - 1.25 * module, pitch + module
    start = max(base, root) + 1e-3 * module
    half = math.pi / (2 * teeth) + involute(base, pitch)
    radii = np.linspace(start, tip, 6)
    flank = [(r, half - involute(base, r)) for r in radii]
    wire = BRepBuilderAPI_MakeWire()
    step = 2 * math.pi / teeth
    for tooth in range(teeth):
        centre = tooth * step
        rising = [_polar(r, centre - angle) for r, angle in flank]
        falling = [_polar(r, centre + angle) for r, angle in reversed(flank)]
        foot = _polar(root, centre - flank[0][1])
        other = _polar(root, centre + flank[0][1])
        if root < start:
            wire.Add(BRepBuilderAPI_MakeEdge(foot, rising[0]).Edge())
        wire.Add(_curve(rising))
        wire.Add(_arc(rising[-1], _polar(tip, centre), falling[0]))
        wire.Add(_curve(falling))
        if root < start:
            wire.Add(BRepBuilderAPI_MakeEdge(falling[-1], other).Edge())
        following = _polar(root, centre + step - flank[0][1])
        wire.Add(_arc(other, _polar(root, centre + step / 2), following))
    return wire.Wire()


def gear(module: float, teeth: int, width: float) -> TopoDS_Shape:
    """Return a spur gear with a plain bore."""
    bore = 0.22 * module * teeth / 2
    return cut(prism(tooth_outline(module, teeth), width), *holes([(0.0, 0.0)], bore, width))


def hub_gear(module: float, teeth: int) -> TopoDS_Shape:
    """Return a spur gear with hub, keyway (DIN 6885 proportions) and set-screw hole."""
    width, pitch = 8 * module, module * teeth / 2
    bore = 0.25 * pitch
    length = 1.8 * width
    body = fused(prism(tooth_outline(module, teeth), width), cylinder(1.9 * bore, length))
    key = box((0.6 * bore, 1.3 * bore, length + 2), (-0.3 * bore, 0.0, -1.0))
    screw = cylinder(0.18 * bore, 3 * bore, (0.0, 0.0, 0.78 * length), X)
    return cut(body, *holes([(0.0, 0.0)], bore, length), key, screw)


def webbed_gear(module: float, teeth: int) -> TopoDS_Shape:
    """Return a large spur gear with a thin web and lightening holes."""
    width, pitch = 7 * module, module * teeth / 2
    rim, hub, bore = pitch - 3.5 * module, 0.32 * pitch, 0.16 * pitch
    groove = [(hub, -1.0), (rim, -1.0), (rim, 0.3 * width), (hub, 0.3 * width)]
    lower = turned(groove)
    upper = moved(lower, (0.0, 0.0, 0.7 * width + 1.0))
    middle = (rim + hub) / 2
    openings = holes(ring_of(6, middle), 0.32 * (rim - hub), width)
    return cut(
        prism(tooth_outline(module, teeth), width), lower, upper, *openings, *holes([(0.0, 0.0)], bore, width)
    )


def _polar(radius: float, angle: float) -> gp_Pnt:
    return gp_Pnt(radius * math.cos(angle), radius * math.sin(angle), 0.0)


def _arc(start: gp_Pnt, middle: gp_Pnt, stop: gp_Pnt) -> TopoDS_Shape:
    return BRepBuilderAPI_MakeEdge(GC_MakeArcOfCircle(start, middle, stop).Value()).Edge()


def _curve(points: list[gp_Pnt]) -> TopoDS_Shape:
    array = HArray1_gp_Pnt(1, len(points))
    for index, point in enumerate(points, 1):
        array.SetValue(index, point)
    fit = GeomAPI_Interpolate(array, False, 1e-6)  # noqa: FBT003 — not periodic
    fit.Perform()
    return BRepBuilderAPI_MakeEdge(fit.Curve()).Edge()
