"""The convex hull of a part, and the least and greatest width that follow from it."""

from __future__ import annotations

import numpy as np
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist

from cadml.geometry.part import Floats
from cadml.geometry.vectors import lengths

OPTIONS = "Qt Q5"  # facets as triangles; outer planes, of which nothing is asked, stay uncorrected
OUTERMOST = 400  # hull corners, farthest first, that the diameter is sought among
SIDES = 512  # facets that the least width is sought across: a hull with more of them is smooth
AT_ONCE = 128  # of them, so that a hull of a million corners stays within memory
ROUNDING = 1e-9  # relative: a diameter that is longer by less is not sought


class Hull:
    """The convex hull; a flat part has no volume, and its width is 0."""

    def __init__(self, corners: Floats) -> None:
        try:
            hull = ConvexHull(corners, qhull_options=OPTIONS)
        except QhullError:  # all in one plane
            self.volume, self.area, self.width = 0.0, 0.0, 0.0
            outer = corners
        else:
            self.volume, self.area = float(hull.volume), float(hull.area)
            outer = corners[hull.vertices]
            self.width = _least_width(outer, hull.equations)
        self.diameter = _diameter(outer)


def _least_width(corners: Floats, sides: Floats) -> float:
    """Return the least extent of ``corners`` across one of ``sides``, evenly thinned to 512.

    A side ``(4,)`` is its normal and offset: the corners reach from there to the one farthest behind it.
    """
    sides = sides[:: -(-len(sides) // SIDES)]
    depths = [
        (part[:, :3] @ corners.T).min(axis=1) + part[:, 3]
        for part in (sides[i : i + AT_ONCE] for i in range(0, len(sides), AT_ONCE))
    ]
    return -max(float(depth.max()) for depth in depths)


def _diameter(corners: Floats) -> float:
    reach = lengths(corners)
    if len(corners) > OUTERMOST:
        far = np.argsort(-reach, kind="stable")[:OUTERMOST]
        corners, reach = corners[far], reach[far]
    farthest = int(reach.argmax())
    known = float(lengths(corners - corners[farthest]).max())
    # Two corners are no farther apart than both together from the middle: most cannot surpass what is known.
    rivals = np.flatnonzero(reach > (known - reach[farthest]) * (1 + ROUNDING))
    return float(pdist(corners[rivals]).max(initial=known)) if len(rivals) > 1 else known
