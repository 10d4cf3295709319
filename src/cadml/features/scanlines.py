"""Points within strips, on lines across them: where they lie does not depend on the strip's triangles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cadml.features.surface import Surface
from cadml.geometry.part import Floats
from cadml.geometry.vectors import cross, lengths, order_of, taken

LINES = 1  # across a strip for each of its points
PHASE = 0.4636  # of the first line; at 0.5 one would run through corners in the middle of a symmetric strip
STEEPEST = 20.0  # times a triangle's area seen along its (bent) strip's normal, at most
TINY = 1e-12
_STEPS = 1 << 31  # in which the places of cuts along the lines are told apart


def scan(
    surface: Surface, strips: NDArray[np.intp], number: NDArray[np.intp], along: Floats, step: float
) -> tuple[Floats, NDArray[np.intp]]:
    """Return ``number`` points of each of ``strips``, ``(P, 3) mm``, and the triangle of each, ``(P,)``.

    ``along (P,)`` says at which share of its line each point lies; distances that differ by less than
    ``step`` of the diagonal count as alike.
    """
    strips, number = strips[number > 0], number[number > 0]
    sheet = _Sheet.of(surface, strips, LINES * number, step)
    cuts = sheet.cuts()
    reached = np.concatenate([[0.0], np.cumsum(np.bincount(cuts.line, cuts.content, sheet.first[-1]))])
    begin, end = reached[sheet.first[:-1]], reached[sheet.first[1:]]
    progress = (reached[1:] - np.repeat(begin, sheet.lines)) * np.repeat(number / (end - begin), sheet.lines)
    progress += np.repeat(np.cumsum(number) - number, sheet.lines)
    picked = np.minimum(np.searchsorted(progress, np.arange(len(along)) + 0.5), len(progress) - 1)
    return sheet.points(*cuts.chosen(picked, along))


@dataclass(frozen=True, slots=True)
class _Cuts:
    """Where lines cut triangles: ``start`` to ``end`` of the line, standing for ``content`` of area."""

    piece: NDArray[np.intp]  # (N,) the triangle
    line: NDArray[np.intp]  # (N,)
    start: Floats  # (N,) mm, on the longest side in height
    end: Floats  # (N,) mm
    content: Floats  # (N,)

    def chosen(
        self, picked: NDArray[np.intp], along: Floats
    ) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
        """Return triangle, line and share from ``start`` to ``end`` at the share ``along`` of ``picked``."""
        needed = np.zeros(max(int(self.line.max()), int(picked.max())) + 1, dtype=bool)
        needed[picked] = True
        keep = np.flatnonzero(needed[self.line])
        begin = np.minimum(self.start[keep], self.end[keep])
        begin -= begin.min()
        steps = (begin * (_STEPS / max(float(begin.max()), TINY))).astype(np.intp)
        keep = keep[order_of(self.line[keep], steps)]  # line by line, from end to end
        content = self.content[keep]
        reached = np.zeros(len(keep) + 1)
        np.cumsum(content, out=reached[1:])
        number = np.bincount(self.line[keep], minlength=len(needed))
        last = np.cumsum(number)[picked]
        first = last - number[picked]
        goal = reached[first] + along * (reached[last] - reached[first])
        at = np.clip(np.searchsorted(reached, goal, side="right") - 1, first, last - 1)
        share = np.clip((goal - reached[at]) / np.maximum(content[at], TINY), 0, 1)
        cut = keep[at]
        return self.piece[cut], picked, np.where(self.start[cut] <= self.end[cut], share, 1 - share)


@dataclass(frozen=True, slots=True)
class _Sheet:
    """K triangles of the C chosen strips, each with its corners from the first line's end to the last's."""

    triangle: NDArray[np.intp]  # (K,)
    home: NDArray[np.intp]  # (K,) which of the chosen strips
    corners: Floats  # (K, 3, 3) mm
    height: Floats  # (K, 3) of the corners, in lines of the strip
    place: Floats  # (K, 3) mm, of the corners along the lines
    stretch: Floats  # (K,) area over that seen along the strip's normal
    lines: NDArray[np.intp]  # (C,)
    first: NDArray[np.intp]  # (C + 1,) of the lines

    @classmethod
    def of(cls, surface: Surface, strips: NDArray[np.intp], lines: NDArray[np.intp], step: float) -> _Sheet:
        whole = surface.strips
        number = np.full(len(whole.area), -1)
        number[strips] = np.arange(len(strips))
        home = number[whole.of_triangle]
        triangle = np.flatnonzero(home >= 0)
        home, corners = home[triangle], taken(surface.corners, triangle)
        centroid, normal = taken(whole.centroid, strips), taken(whole.normal, strips)
        arm = corners.T - taken(centroid, home).T[:, None]  # by component, corner and triangle
        vertices = taken(surface.triangles, triangle)
        up = _farthest(arm, home, vertices.T, len(strips), step * surface.diagonal)
        across = cross(normal, up)
        across = (across.T / np.maximum(lengths(across), TINY)).T
        height, place = ((arm * taken(way, home).T[:, None]).sum(axis=0) for way in (up, across))
        low, high = np.full(len(strips), np.inf), np.full(len(strips), -np.inf)
        np.minimum.at(low, home, height.min(axis=0))
        np.maximum.at(high, home, height.max(axis=0))
        seen = np.abs(
            (height[1] - height[0]) * (place[2] - place[0]) - (height[2] - height[0]) * (place[1] - place[0])
        )
        rising = _rising(height) * len(triangle) + np.arange(len(triangle))  # by index in flat rows
        height = (height - low[home]) * (lines / (high - low))[home] - PHASE
        area = surface.area[triangle]
        return cls(
            triangle=triangle,
            home=home,
            corners=corners.T.reshape(3, -1).take(rising, axis=1).T,
            height=height.take(rising).T,
            place=place.take(rising).T,
            stretch=2 * area / np.maximum(seen, 2 * area / STEEPEST),
            lines=lines,
            first=np.concatenate([[0], np.cumsum(lines)]),
        )

    def cuts(self) -> _Cuts:
        """Return every meeting of a triangle and a line."""
        low, middle, high = self.height.T
        begin = np.maximum(np.ceil(low), 0).astype(np.intp)
        stop = np.minimum(np.ceil(high).astype(np.intp), self.lines[self.home])
        count = np.maximum(stop - begin, 0)
        piece = np.repeat(np.arange(len(count)), count)
        at = np.arange(len(piece)) + np.repeat(begin - (np.cumsum(count) - count), count)
        # Along the line, each side of a triangle is a straight function of the height.
        first, second, third = self.place.T
        rise = [
            (there - here) / np.maximum(way, TINY)
            for here, there, way in (
                (first, third, high - low),
                (first, second, middle - low),
                (second, third, high - middle),
            )
        ]
        table = np.stack([low, middle, first, second, *rise, self.stretch]).take(piece, axis=1)
        low, middle, first, second, whole, lower, upper, stretch = table
        over = at - middle
        start = first + (at - low) * whole
        end = second + over * np.where(over < 0, lower, upper)
        return _Cuts(piece, at + self.first[self.home[piece]], start, end, np.abs(end - start) * stretch)

    def points(
        self, piece: NDArray[np.intp], line: NDArray[np.intp], share: Floats
    ) -> tuple[Floats, NDArray[np.intp]]:
        """Return the points at ``share`` of their lines within their triangles, and the triangles."""
        low, middle, high = taken(self.height, piece).T
        one, two, three = self.corners.T.take(piece, axis=2).transpose(1, 0, 2)
        at = line - self.first[self.home[piece]]
        is_low = at < middle
        start = one + (at - low) / (high - low) * (three - one)
        rest = np.where(is_low, middle - low, high - middle)
        end = two + (at - middle) / np.maximum(rest, TINY) * np.where(is_low, two - one, three - two)
        return (start + share * (end - start)).T, self.triangle[piece]


def _rising(values: Floats) -> NDArray[np.intp]:
    """Return for each column of ``values (3, K)`` the order of its entries."""
    one, two, three = values
    lowest = np.where(np.minimum(one, two) <= three, two < one, 2)
    highest = np.where(np.maximum(one, two) <= three, 2, two >= one)
    return np.stack([lowest, 3 - lowest - highest, highest])


def _farthest(
    arm: Floats, home: NDArray[np.intp], vertices: NDArray[np.integer], count: int, step: float
) -> Floats:
    """Return unit vectors from each strip's centroid to its farthest corner, the file's first of equals.

    ``arm (3, 3, K)`` are the ways to the corners, by component, corner and triangle.
    """
    steps = np.rint(np.sqrt((arm * arm).sum(axis=0)) / step).astype(np.intp)
    key = steps * (int(vertices.max()) + 1) - vertices
    best = np.full(count, np.iinfo(np.intp).min)
    farthest = key.max(axis=0)
    np.maximum.at(best, home, farthest)
    triangle = np.flatnonzero(farthest == best[home])
    corner = key.take(triangle, axis=1).argmax(axis=0)
    up = np.empty((3, count))
    up[:, home[triangle]] = arm.reshape(3, -1).take(corner * len(home) + triangle, axis=1)
    unit: Floats = (up / np.sqrt((up * up).sum(axis=0))).T
    return unit
