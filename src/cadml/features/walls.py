"""Wall thickness: how far the opposite side of the material lies behind a point of the surface."""

from __future__ import annotations

from functools import cache

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore import EmbreeDevice
from embreex.rtcore_scene import EmbreeScene

from cadml.features.points import Points
from cadml.features.surface import Surface
from cadml.geometry.part import Floats

STRIDE = 2  # the wall is measured behind every second point
START = 1e-4  # gyration radii that a ray begins below the surface, so that it leaves its own triangle
NO_WALL = 4.0  # gyration radii: an open surface may have nothing behind it, and no part is thicker


@cache
def _device() -> EmbreeDevice:
    """Return the ray tracer of this process: to begin one takes longer than most of its scenes."""
    return EmbreeDevice()


def walls(surface: Surface, points: Points) -> Floats:
    """Return the way from START below the surface to the opposite wall, in gyration radii, ``(512,)``.

    Rays run in single precision (embree) and in the part's own measure, so that equal shapes of any
    size and place give the same within about 1e-5. Robust ones do not slip through between two triangles.
    """
    scene = EmbreeScene(_device(), robust=True)
    places = (surface.points / points.gyration_radius).astype(np.float32)
    # embreex reads number by number, and Python's own numbers come faster than an array's.
    triangles = np.fromiter(zip(*surface.welded.T.tolist(), strict=True), dtype=object, count=surface.count)
    TriangleMesh(scene, places.astype(object), triangles)
    inward = -points.normal[::STRIDE]
    origin = points.on_surface[::STRIDE] / points.gyration_radius + START * inward
    reach = scene.run(origin.astype(np.float32), inward.astype(np.float32), query="DISTANCE")
    thickness: Floats = np.minimum(reach.astype(np.float64), NO_WALL)
    return thickness
