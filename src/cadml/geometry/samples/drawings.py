"""Sample drawings: plates, flanges, shafts and brackets with layers, dimensions and texts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import ezdxf
from ezdxf.document import Drawing as DxfDocument
from ezdxf.enums import TextEntityAlignment
from ezdxf.layouts import Modelspace

from cadml.geometry.samples.structures import FLANGES

LAYERS = {
    "OUTLINE": (7, "CONTINUOUS"),
    "CENTRE": (1, "CENTER"),
    "DIM": (3, "CONTINUOUS"),
    "TEXT": (2, "CONTINUOUS"),
}
OUTLINE, CENTRE, DIM, TEXT = ({"layer": name} for name in LAYERS)


@dataclass(frozen=True, slots=True)
class Sheet:
    """One drawing: ``design`` names its family within the label, ``size`` its variant."""

    label: str
    design: str
    size: str
    draw: Callable[[Modelspace], None]

    @property
    def family(self) -> str:
        """The size variants of one design."""
        return f"{self.label}-{self.design}"


def sheets() -> Iterator[Sheet]:
    """Yield every drawing of the library."""
    for a, b in ((60.0, 40.0), (100.0, 60.0), (150.0, 100.0)):
        yield Sheet("plate_drawing", "grid", f"{a:g}x{b:g}", partial(plate, a=a, b=b))
        yield Sheet("plate_drawing", "slotted", f"{a:g}x{b:g}", partial(slotted, a=a, b=b))
    for nominal in (15, 50, 150):
        yield Sheet("flange_drawing", "two-views", f"DN{nominal}", partial(flange, nominal=nominal))
    for d in (12.0, 20.0, 30.0):
        yield Sheet("shaft_drawing", "stepped", f"{d:g}", partial(shaft, d=d))


def write_dxf(sheet: Sheet, path: Path) -> None:
    """Write ``sheet`` as DXF R2010 in millimetres; the same sheet gives the same bytes."""
    fixed = ezdxf.options.write_fixed_meta_data_for_testing
    ezdxf.options.write_fixed_meta_data_for_testing = True  # else every file has its own time and ids
    try:
        document = _document()
        sheet.draw(document.modelspace())
        title(document.modelspace(), sheet)
        document.saveas(path)
    finally:
        ezdxf.options.write_fixed_meta_data_for_testing = fixed


def plate(space: Modelspace, a: float, b: float) -> None:
    """Draw a plate with a grid of holes and its dimensions."""
    rectangle(space, a, b)
    step = b / 4
    columns = int(a / step) - 1
    rest = (a - (columns - 1) * step) / 2
    for i in range(columns):
        for j in range(3):
            hole(space, rest + i * step, (j + 1) * step, 0.18 * step)
    across(space, (0.0, 0.0), (a, 0.0), -0.25 * b)
    across(space, (0.0, 0.0), (0.0, b), -0.25 * b, 90.0)
    across(space, (0.0, b), (rest, b), 0.2 * b)


def slotted(space: Modelspace, a: float, b: float) -> None:
    """Draw a plate with a bore and two slots."""
    rectangle(space, a, b)
    hole(space, a / 2, b / 2, 0.22 * b)
    half, length = 0.05 * b, 0.15 * b
    for x in (0.2 * a, 0.8 * a):
        low, high = b / 2 - length, b / 2 + length
        bulge = [(x - half, low, 1.0), (x + half, low, 0.0), (x + half, high, 1.0), (x - half, high, 0.0)]
        space.add_lwpolyline(bulge, format="xyb", close=True, dxfattribs=OUTLINE)
        space.add_line((x, low - 2 * half), (x, high + 2 * half), dxfattribs=CENTRE)
    across(space, (0.0, 0.0), (a, 0.0), -0.25 * b)
    across(space, (0.2 * a, b), (0.8 * a, b), 0.25 * b)
    radius = space.add_diameter_dim(center=(a / 2, b / 2), radius=0.22 * b, angle=45, dxfattribs=DIM)
    radius.render()


def flange(space: Modelspace, nominal: int) -> None:
    """Draw a flange from the front and in section."""
    outside, circle, bolts, drill, thick, bore = FLANGES[nominal]
    for d in (outside, bore):
        space.add_circle((0.0, 0.0), d / 2, dxfattribs=OUTLINE)
    space.add_circle((0.0, 0.0), circle / 2, dxfattribs=CENTRE)
    for k in range(bolts):
        angle = math.pi * (2 * k + 1) / bolts
        hole(space, circle / 2 * math.cos(angle), circle / 2 * math.sin(angle), drill / 2)
    cross(space, 0.0, 0.0, 0.56 * outside)
    left = 0.8 * outside
    for sign in (1, -1):
        section = [(left, sign * bore / 2), (left + thick, sign * bore / 2)]
        section += [(left + thick, sign * outside / 2), (left, sign * outside / 2)]
        space.add_lwpolyline(section, close=True, dxfattribs=OUTLINE)
        space.add_hatch(color=8, dxfattribs=OUTLINE).paths.add_polyline_path(section, is_closed=True)
    right, rim = left + thick, outside / 2
    across(space, (left, -rim), (right, -rim), -0.75 * outside)
    across(space, (right, -rim), (right, rim), right + 0.2 * outside, 90.0)
    across(space, (-rim, 0.0), (rim, 0.0), -0.65 * outside)
    note = space.add_text(f"{bolts} x {drill:g}", height=0.04 * outside, dxfattribs=TEXT)
    note.set_placement((0, 0.6 * outside))


def shaft(space: Modelspace, d: float) -> None:
    """Draw a stepped shaft with its centre line and lengths."""
    steps = [
        (0.0, 0.7 * d),
        (d, 0.85 * d),
        (2.2 * d, d),
        (4.0 * d, 1.25 * d),
        (4.3 * d, 0.85 * d),
        (5.5 * d, 0.0),
    ]
    for (x, across_here), (end, _) in pairwise(steps):
        r = across_here / 2
        space.add_lwpolyline([(x, -r), (end, -r), (end, r), (x, r)], close=True, dxfattribs=OUTLINE)
        across(space, (x, -r), (end, -r), -1.2 * d)
        text = space.add_text(f"%%c{across_here:g}", height=0.14 * d, dxfattribs=TEXT)
        text.set_placement(((x + end) / 2, 0.9 * d), align=TextEntityAlignment.MIDDLE_CENTER)
    across(space, (0.0, -d / 2), (5.5 * d, -d / 2), -1.8 * d)
    space.add_line((-0.3 * d, 0.0), (5.8 * d, 0.0), dxfattribs=CENTRE)


def title(space: Modelspace, sheet: Sheet) -> None:
    """Draw the title at the lower left."""
    text = f"{sheet.label.replace('_', ' ')} {sheet.size}\\Pall dimensions in mm"
    space.add_mtext(text, dxfattribs=TEXT | {"char_height": 3.5, "insert": (0.0, -60.0)})


def rectangle(space: Modelspace, a: float, b: float) -> None:
    """Draw the outline of a plate."""
    space.add_lwpolyline([(0, 0), (a, 0), (a, b), (0, b)], close=True, dxfattribs=OUTLINE)


def hole(space: Modelspace, x: float, y: float, radius: float) -> None:
    """Draw a hole with its centre lines."""
    space.add_circle((x, y), radius, dxfattribs=OUTLINE)
    cross(space, x, y, 1.3 * radius)


def cross(space: Modelspace, x: float, y: float, reach: float) -> None:
    """Draw a pair of centre lines."""
    space.add_line((x - reach, y), (x + reach, y), dxfattribs=CENTRE)
    space.add_line((x, y - reach), (x, y + reach), dxfattribs=CENTRE)


def across(
    space: Modelspace, start: tuple[float, float], stop: tuple[float, float], at: float, angle: float = 0.0
) -> None:
    """Draw a linear dimension whose line lies at height (or, upright, at x) ``at``."""
    base = (at, start[1]) if angle else (start[0], at)
    space.add_linear_dim(base=base, p1=start, p2=stop, angle=angle, dxfattribs=DIM).render()


def _document() -> DxfDocument:
    document = ezdxf.new("R2010", setup=True, units=ezdxf.units.MM)
    for name, (colour, line) in LAYERS.items():
        document.layers.add(name, color=colour, linetype=line)
    return document
