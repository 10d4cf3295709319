"""Screws, nuts, washers and pins, by the dimensions of their ISO and DIN standards (threads as cylinders)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

from OCP.TopoDS import TopoDS_Shape

from cadml.geometry.samples.recipe import Recipe
from cadml.geometry.samples.solids import (
    X,
    box,
    common,
    cut,
    cylinder,
    fused,
    hexagon,
    moved,
    prism,
    rotated,
    sphere,
    turned,
)

# d: pitch, width across flats, head height (ISO 4014), nut height (ISO 4032), socket width (ISO 4762),
# washer outside and thickness (ISO 7089), large washer (ISO 7093)
METRIC: dict[int, tuple[float, float, float, float, float, tuple[float, float], tuple[float, float]]] = {
    4: (0.7, 7.0, 2.8, 3.2, 3.0, (9.0, 0.8), (12.0, 1.0)),
    5: (0.8, 8.0, 3.5, 4.7, 4.0, (10.0, 1.0), (15.0, 1.2)),
    6: (1.0, 10.0, 4.0, 5.2, 5.0, (12.0, 1.6), (18.0, 1.6)),
    8: (1.25, 13.0, 5.3, 6.8, 6.0, (16.0, 1.6), (24.0, 2.0)),
    10: (1.5, 16.0, 6.4, 8.4, 8.0, (20.0, 2.0), (30.0, 2.5)),
    12: (1.75, 18.0, 7.5, 10.8, 10.0, (24.0, 2.5), (37.0, 3.0)),
    16: (2.0, 24.0, 10.0, 14.8, 14.0, (30.0, 3.0), (50.0, 3.0)),
    20: (2.5, 30.0, 12.5, 18.0, 17.0, (37.0, 3.0), (60.0, 4.0)),
}


def recipes() -> Iterator[Recipe]:
    """Yield every fastener of the library."""
    for d, length in ((5, 16), (6, 25), (8, 40), (10, 50), (16, 60)):
        size = f"M{d}x{length}"
        yield Recipe("hex_bolt", "full-thread", size, "steel 8.8", partial(hex_bolt, d, length))
        yield Recipe("hex_bolt", "shank", size, "steel 10.9", partial(shank_bolt, d, 2 * length))
    for d, length in ((6, 16), (8, 30), (10, 45)):
        yield Recipe("hex_bolt", "flange", f"M{d}x{length}", "steel 8.8", partial(flange_bolt, d, length))
    for d, length in ((4, 12), (5, 20), (6, 30), (8, 35), (12, 50)):
        size = f"M{d}x{length}"
        yield Recipe("socket_screw", "cap", size, "steel 12.9", partial(cap_screw, d, length))
        yield Recipe("socket_screw", "countersunk", size, "A2", partial(countersunk_screw, d, length))
    for d, length in ((5, 10), (6, 16), (8, 25)):
        yield Recipe("socket_screw", "button", f"M{d}x{length}", "A2", partial(button_screw, d, length))
    for d in (5, 6, 8, 10, 16):
        yield Recipe("nut", "hexagon", f"M{d}", "steel 8", partial(hex_nut, d))
    for d in (6, 8, 12):
        yield Recipe("nut", "flange", f"M{d}", "A2", partial(flange_nut, d))
        yield Recipe("nut", "domed", f"M{d}", "brass", partial(domed_nut, d))
    for d in (5, 8, 12, 20):
        yield Recipe("washer", "flat", f"M{d}", "steel", partial(washer, d, *METRIC[d][5]))
        yield Recipe("washer", "large", f"M{d}", "A2", partial(washer, d, *METRIC[d][6], bevel=False))
    for d in (6, 10, 16):
        yield Recipe("washer", "spring", f"M{d}", "spring steel", partial(spring_washer, d))
    for d, length in ((4, 20), (6, 32), (10, 50)):
        yield Recipe("pin", "dowel", f"{d}x{length}", "hardened steel", partial(dowel_pin, d, length))
        yield Recipe("pin", "clevis", f"{d}x{length}", "steel", partial(clevis_pin, d, length))


def shank(d: float, length: float, thread: float, pitch: float) -> TopoDS_Shape:
    """Return a shank from z = 0 down; the threaded part has the core diameter, with a pointed end."""
    core = d / 2 - 0.54 * pitch  # half the thread depth of ISO 724 below the crest
    profile = [(0.0, 0.0), (d / 2, 0.0)]
    if thread < length:
        profile += [(d / 2, thread - length), (core, thread - length - (d / 2 - core))]
    else:
        profile[1] = (core, 0.0)
    return turned([*profile, (core, -length + pitch), (core - pitch, -length), (0.0, -length)])


def hex_head(across_flats: float, height: float) -> TopoDS_Shape:
    """Return a head on z = 0 with the 30° turned corners of ISO 4014."""
    reach = across_flats / math.sqrt(3.0)
    drop = (reach - 0.475 * across_flats) * math.tan(math.pi / 6)
    dome = turned(
        [(0.0, 0.0), (reach, 0.0), (reach, height - drop), (0.475 * across_flats, height), (0.0, height)]
    )
    return common(prism(hexagon(across_flats), height), dome)


def hex_bolt(d: int, length: float) -> TopoDS_Shape:
    """Return an ISO 4017 screw, threaded up to the head."""
    pitch, flats, head, *_ = METRIC[d]
    return fused(hex_head(flats, head), shank(d, length, length, pitch))


def shank_bolt(d: int, length: float) -> TopoDS_Shape:
    """Return an ISO 4014 bolt with plain shank and washer face."""
    pitch, flats, head, *_ = METRIC[d]
    face = cylinder(0.46 * flats, 0.6, (0.0, 0.0, -0.6))
    return fused(hex_head(flats, head), face, shank(d, length, 2.0 * d + 6.0, pitch))


def flange_bolt(d: int, length: float) -> TopoDS_Shape:
    """Return a flange bolt in the manner of ISO 4162."""
    pitch, flats, head, *_ = METRIC[d]
    rim = 1.1 * d
    flange = turned([(0.0, 0.0), (rim, 0.0), (rim, 0.12 * d), (0.5 * flats, 0.35 * d), (0.0, 0.35 * d)])
    return fused(moved(hex_head(flats, head), (0.0, 0.0, 0.1 * d)), flange, shank(d, length, length, pitch))


def socket(width: float, top: float, depth: float) -> TopoDS_Shape:
    """Return the tool that cuts a hexagon socket with a drilled bottom."""
    core = 0.5 * width
    bottom = turned([(0.0, top - depth), (core, top - depth), (0.0, top - depth - 0.5 * core)])
    return fused(prism(hexagon(width), depth + 1.0, top - depth), bottom)


def cap_screw(d: int, length: float) -> TopoDS_Shape:
    """Return an ISO 4762 cap screw."""
    rim, bevel = 0.75 * d, 0.08 * d
    head = turned([(0.0, 0.0), (rim, 0.0), (rim, d - bevel), (rim - bevel, d), (0.0, d)])
    body = fused(head, shank(d, length, length, METRIC[d][0]))
    return cut(body, socket(METRIC[d][4], float(d), 0.5 * d))


def countersunk_screw(d: int, length: float) -> TopoDS_Shape:
    """Return an ISO 10642 screw; its length counts the head."""
    rim, land = 0.95 * d, 0.05 * d
    depth = rim - d / 2 + land
    head = turned([(0.0, 0.0), (rim, 0.0), (rim, -land), (d / 2, -depth), (0.0, -depth)])
    body = fused(head, moved(shank(d, length - depth, length, METRIC[d][0]), (0.0, 0.0, -depth)))
    return cut(body, socket(0.75 * METRIC[d][4], 0.0, 0.4 * d))


def button_screw(d: int, length: float) -> TopoDS_Shape:
    """Return an ISO 7380 screw with its flat dome."""
    rim, height = 0.95 * d, 0.55 * d
    radius = (rim**2 + height**2) / (2 * height)
    head = common(sphere(radius, (0.0, 0.0, height - radius)), cylinder(rim, height))
    body = fused(head, shank(d, length, length, METRIC[d][0]))
    return cut(body, socket(0.8 * METRIC[d][4], height, 0.35 * d))


def hex_nut(d: int) -> TopoDS_Shape:
    """Return an ISO 4032 nut, bevelled on both sides."""
    pitch, flats, _, height, *_ = METRIC[d]
    reach, rim = flats / math.sqrt(3.0), 0.475 * flats
    drop = (reach - rim) * math.tan(math.pi / 6)
    dome = turned(
        [(0.0, 0.0), (rim, 0.0), (reach, drop), (reach, height - drop), (rim, height), (0.0, height)]
    )
    return cut(common(prism(hexagon(flats), height), dome), bore(d, pitch, height))


def bore(d: float, pitch: float, height: float) -> TopoDS_Shape:
    """Return the tool for a nut's hole, countersunk at both ends."""
    core, wide = d / 2 - 0.54 * pitch, 0.54 * d
    step = wide - core
    profile = [(0.0, -1.0), (wide, -1.0), (wide, 0.0), (core, step), (core, height - step)]
    return turned([*profile, (wide, height), (wide, height + 1.0), (0.0, height + 1.0)])


def flange_nut(d: int) -> TopoDS_Shape:
    """Return a flange nut in the manner of ISO 4161."""
    pitch, flats, _, height, *_ = METRIC[d]
    rim, height = 1.1 * d, 1.1 * height
    flange = turned([(0.0, 0.0), (rim, 0.0), (rim, 0.12 * d), (0.5 * flats, 0.35 * d), (0.0, 0.35 * d)])
    return cut(fused(hex_head(flats, height), flange), bore(d, pitch, height))


def domed_nut(d: int) -> TopoDS_Shape:
    """Return a DIN 1587 cap nut: its hole ends inside the dome."""
    pitch, flats, _, height, *_ = METRIC[d]
    radius = 0.47 * flats
    body = fused(hex_head(flats, height), sphere(radius, (0.0, 0.0, height)))
    body = cut(body, box((4 * d, 4 * d, 4.0 * d), (-2.0 * d, -2.0 * d, -4.0 * d)))
    core = d / 2 - 0.54 * pitch
    return cut(body, turned([(0.0, -1.0), (core, -1.0), (core, height), (0.0, height + 0.5 * core)]))


def washer(d: float, outside: float, thickness: float, *, bevel: bool = True) -> TopoDS_Shape:
    """Return an ISO 7089 (bevelled) or ISO 7093 washer."""
    inside, rim, edge = d / 2 + 0.2 + 0.02 * d, outside / 2, 0.3 * thickness if bevel else 0.0
    profile = [(inside, 0.0), (rim, 0.0), (rim, thickness - edge)]
    return turned([*profile, *([(rim - edge, thickness)] if bevel else []), (inside, thickness)])


def spring_washer(d: float) -> TopoDS_Shape:
    """Return a DIN 127 washer: a split ring of square section."""
    inside, section = d / 2 + 0.1, 0.25 * d
    ring = turned([(inside, 0.0), (inside + section, 0.0), (inside + section, section), (inside, section)])
    slit = rotated(box((2 * d, 0.12 * d, 4 * section), (0.0, -0.06 * d, -section)), math.radians(25), X)
    return cut(ring, slit)


def dowel_pin(d: float, length: float) -> TopoDS_Shape:
    """Return an ISO 2338 pin."""
    r, edge = d / 2, 0.15 * d
    return turned(
        [
            (0.0, 0.0),
            (r - edge, 0.0),
            (r, 1.5 * edge),
            (r, length - 1.5 * edge),
            (r - edge, length),
            (0.0, length),
        ]
    )


def clevis_pin(d: float, length: float) -> TopoDS_Shape:
    """Return an ISO 2341 pin with head and split-pin hole."""
    r, head = d / 2, 0.75 * d
    profile = [(0.0, 0.0), (head, 0.0), (head, 0.3 * d), (r, 0.3 * d), (r, length - 0.1 * d)]
    body = turned([*profile, (r - 0.1 * d, length), (0.0, length)])
    return cut(body, cylinder(0.12 * d, 2 * d, (-d, 0.0, length - 0.6 * d), X))
