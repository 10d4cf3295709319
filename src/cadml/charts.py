"""Small SVG pictures of a few series: lines and bars with axes, readable without any script.

Pure text by the standard library's XML writer, so that labels are escaped and no plotting library
is loaded into the service.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 44, 56
INK, GRID = "#334155", "#e2e8f0"
COLOURS = ("#2563eb", "#f59e0b", "#10b981", "#ef4444")


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line with a word at ``x``."""

    x: float
    label: str


def lines(
    title: str,
    series: Sequence[tuple[str, Sequence[tuple[float, float]]]],
    *,
    x_label: str,
    y_label: str,
    marks: Sequence[Mark] = (),
) -> str:
    """Return an SVG of ``(x, y)`` series over a logarithmic x axis; y from 0 to 1."""
    points = [x for _, pairs in series for x, _ in pairs if x > 0] + [mark.x for mark in marks if mark.x > 0]
    low, high = (min(points), max(points)) if points else (1.0, 10.0)
    low, high = math.log10(low), math.log10(max(high, low * 1.0001, 10 * low))

    def across(x: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(max(x, 10**low)) - low) / (high - low)

    svg = _frame(title, x_label, y_label, [name for name, _ in series])
    for power in range(math.ceil(low), math.floor(high) + 1):
        _line(svg, (across(10**power), TOP), (across(10**power), HEIGHT - BOTTOM), GRID)
        _text(svg, across(10**power), HEIGHT - BOTTOM + 16, f"{10**power:,g}", "middle")
    for number, (_, pairs) in enumerate(series):
        path = " ".join(f"{across(x):.1f},{_up(y):.1f}" for x, y in pairs if x > 0)
        attributes = {"points": path, "fill": "none", "stroke": COLOURS[number % 4], "stroke-width": "2"}
        ET.SubElement(svg, "polyline", attributes)
    for number, mark in enumerate(marks):
        x = across(mark.x)
        _line(svg, (x, TOP), (x, HEIGHT - BOTTOM), INK, dashed=True)
        left = x > WIDTH / 2
        _text(svg, x - 4 if left else x + 4, TOP + 12 + 14 * number, mark.label, "end" if left else "start")
    return ET.tostring(svg, encoding="unicode")


def bars(
    title: str, labels: Sequence[str], series: Sequence[tuple[str, Sequence[float]]], *, y_label: str
) -> str:
    """Return an SVG of grouped bars, one group per label; values from 0 to 1."""
    svg = _frame(title, "", y_label, [name for name, _ in series])
    group = (WIDTH - LEFT - RIGHT) / max(len(labels), 1)
    width = 0.8 * group / max(len(series), 1)
    for place, label in enumerate(labels):
        start = LEFT + group * (place + 0.1)
        for number, (name, values) in enumerate(series):
            top = _up(values[place])
            attributes = {
                "x": f"{start + number * width:.1f}",
                "y": f"{top:.1f}",
                "width": f"{width:.1f}",
                "height": f"{HEIGHT - BOTTOM - top:.1f}",
                "fill": COLOURS[number % 4],
            }
            bar = ET.SubElement(svg, "rect", attributes)
            ET.SubElement(bar, "title").text = f"{label}, {name}: {values[place]:.3f}"
        shown = label if len(label) * 7 <= group else label[: max(int(group / 7) - 1, 1)] + "…"
        _text(svg, LEFT + group * (place + 0.5), HEIGHT - BOTTOM + 16, shown, "middle")
    return ET.tostring(svg, encoding="unicode")


def matrix(
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    counts: Sequence[Sequence[int]],
    *,
    row_label: str,
    column_label: str,
) -> str:
    """Return an SVG of a table of counts, the darker the larger the share of its row."""
    left, top, cell = 10 + 7 * max(map(len, rows)), 60 + 5 * max(map(len, columns)), 34
    width, height = left + cell * len(columns) + 60, top + cell * len(rows) + 20
    attributes = {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {width} {height}", "role": "img"}
    svg = ET.Element("svg", attributes | {"font-family": "sans-serif", "font-size": "12"})
    ET.SubElement(svg, "title").text = title
    ET.SubElement(svg, "rect", {"width": str(width), "height": str(height), "fill": "#ffffff"})
    _text(svg, 8, 18, f"{title} (rows: {row_label}, columns: {column_label})", "start", bold=True)
    for place, name in enumerate(columns):
        x = left + cell * (place + 0.6)
        _text(svg, x, top - 6, name, "start")
        svg[-1].set("transform", f"rotate(-50 {x:.1f} {top - 6:.1f})")
    for line, (name, row) in enumerate(zip(rows, counts, strict=True)):
        y = top + cell * line
        _text(svg, left - 6, y + 0.62 * cell, name, "end")
        for place, count in enumerate(row):
            share = count / max(sum(row), 1)
            box = {
                "x": f"{left + cell * place}",
                "y": f"{y}",
                "width": f"{cell - 2}",
                "height": f"{cell - 2}",
            }
            ET.SubElement(
                svg, "rect", box | {"fill": COLOURS[0], "fill-opacity": f"{0.04 + 0.9 * share:.2f}"}
            )
            ET.SubElement(svg[-1], "title").text = f"{name} as {columns[place]}: {count}"
            if count:
                _text(svg, left + cell * (place + 0.47), y + 0.6 * cell, str(count), "middle")
                svg[-1].set("fill", "#ffffff" if share > 0.5 else INK)
    return ET.tostring(svg, encoding="unicode")


def _frame(title: str, x_label: str, y_label: str, names: Sequence[str]) -> ET.Element:
    attributes = {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {WIDTH} {HEIGHT}", "role": "img"}
    svg = ET.Element("svg", attributes | {"font-family": "sans-serif", "font-size": "12"})
    ET.SubElement(svg, "title").text = title
    ET.SubElement(svg, "rect", {"width": str(WIDTH), "height": str(HEIGHT), "fill": "#ffffff"})
    _text(svg, LEFT, 18, title, "start", bold=True)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        _line(svg, (LEFT, _up(share)), (WIDTH - RIGHT, _up(share)), GRID)
        _text(svg, LEFT - 6, _up(share) + 4, f"{share:.0%}", "end")
    _text(svg, LEFT, 36, y_label, "start")
    _text(svg, WIDTH - RIGHT, HEIGHT - 8, x_label, "end")
    for number, name in enumerate(names):
        x = LEFT + 170 * number
        place = {
            "x": f"{x}",
            "y": f"{HEIGHT - 18}",
            "width": "10",
            "height": "10",
            "fill": COLOURS[number % 4],
        }
        ET.SubElement(svg, "rect", place)
        _text(svg, x + 14, HEIGHT - 9, name, "start")
    return svg


def _up(share: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * min(max(share, 0.0), 1.0)


def _line(
    svg: ET.Element,
    start: tuple[float, float],
    end: tuple[float, float],
    colour: str,
    *,
    dashed: bool = False,
) -> None:
    (x1, y1), (x2, y2) = start, end
    attributes = {
        "x1": f"{x1:.1f}",
        "y1": f"{y1:.1f}",
        "x2": f"{x2:.1f}",
        "y2": f"{y2:.1f}",
        "stroke": colour,
    }
    ET.SubElement(svg, "line", attributes | ({"stroke-dasharray": "4 3"} if dashed else {}))


def _text(svg: ET.Element, x: float, y: float, words: str, anchor: str, *, bold: bool = False) -> None:
    attributes = {"x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor, "fill": INK}
    ET.SubElement(svg, "text", attributes | ({"font-weight": "bold"} if bold else {})).text = words
