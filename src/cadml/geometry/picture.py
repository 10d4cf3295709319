"""A surface becomes pixels by ray casting on the processor: no display, no GPU, the same every time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from cadml.geometry.part import Floats
from cadml.geometry.shading import Surface

Float32s = NDArray[np.float32]

SAMPLES = 2  # along x and along y in each pixel
MARGIN = 0.05  # share of the picture left free on each side
NOTHING = np.float32(-10)  # a depth behind every part; parts lie within [-2, 2]

OCCLUSION_RAYS = 6  # times 16 rotations, averaged over 4 × 4 pixels
OCCLUSION_REACH = np.float32(0.5)  # the picture is 2 wide

LINE_COLOUR = np.array([0.12, 0.15, 0.19], np.float32)
SMOOTH = np.float32(np.cos(np.radians(20)))  # faces that meet more smoothly share only a faint line
OUTLINE, SHARP_LINE, FAINT_LINE = np.float32(0.95), np.float32(0.8), np.float32(0.22)


def _camera() -> Floats:
    """Return the rotation into the camera's frame: x right, y up, z to the eye, ``(3, 3)``.

    Seen from the front, a little from the right and from above, z upright, as CAD systems do.
    """
    azimuth, elevation = np.radians(-58), np.radians(33)
    across = np.cos(elevation)
    eye = np.array([across * np.cos(azimuth), across * np.sin(azimuth), np.sin(elevation)])
    right = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
    return np.array([right, np.cross(eye, right), eye])


CAMERA = _camera()
KEY_LIGHT = np.array([-0.42, 0.60, 0.68], np.float32)  # in the camera's frame: over the left shoulder
FILL_LIGHT = np.array([0.75, -0.10, 0.65], np.float32)


@dataclass(frozen=True, slots=True)
class Hits:
    """What each of the H × W samples saw, in the camera's frame."""

    triangle: NDArray[np.int32]  # (H, W), -1: nothing
    normal: Float32s  # (H, W, 3), towards the eye
    place: Float32s  # (H, W, 3)

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Where there is something: ``(H, W)``."""
        return self.triangle >= 0


def render(surface: Surface, size: int) -> NDArray[np.uint8]:
    """Return ``(size, size, 4) uint8``, sRGB with straight alpha, transparent where no part is."""
    if not len(surface.triangles):
        return np.zeros((size, size, 4), np.uint8)
    corners = _fitted(surface.positions)
    scene = EmbreeScene()
    TriangleMesh(scene, corners[surface.triangles])
    hits = _look(scene, surface, float(corners[:, 2].max()), size * SAMPLES)
    colour = surface.colour[np.maximum(hits.triangle, 0), :3].astype(np.float32) / 255
    diffuse = 0.46 + 0.60 * _facing(hits, KEY_LIGHT) + 0.22 * _facing(hits, FILL_LIGHT)
    gloss = 0.16 * _facing(hits, _halfway(KEY_LIGHT)) ** 24
    lit = colour * (diffuse * _openness(scene, hits))[..., None] + gloss[..., None]
    line = _lines(hits, surface.patch)
    mixed = np.clip(lit, 0, 1) * (1 - line[..., None]) + LINE_COLOUR * line[..., None]
    return _averaged(mixed, hits.seen, size)


def _fitted(positions: Floats) -> Float32s:
    """Return positions in the camera's frame, centred, the wider of x and y just inside ±1."""
    turned = positions @ CAMERA.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    half = max(float((high - low)[:2].max()) / 2, float(np.finfo(np.float64).tiny))
    return np.asarray((turned - (low + high) / 2) / half * (1 - 2 * MARGIN), dtype=np.float32)


def _look(scene: EmbreeScene, surface: Surface, nearest: float, side: int) -> Hits:
    centres = (np.arange(side, dtype=np.float32) + np.float32(0.5)) / side * 2 - 1
    x, y = np.meshgrid(centres, -centres)
    above = np.float32(nearest + 1)
    origins = np.stack([x.ravel(), y.ravel(), np.full(x.size, above)], axis=1)
    directions = np.tile(np.array([0, 0, -1], np.float32), (len(origins), 1))
    answer = scene.run(origins, directions, query="INTERSECT", output=True)
    triangle = np.where(answer["geomID"] >= 0, answer["primID"], -1).astype(np.int32)
    origins[:, 2] = np.where(triangle >= 0, above - answer["tfar"], NOTHING)
    at = (surface.normals @ CAMERA.T).astype(np.float32)[surface.triangles[np.maximum(triangle, 0)]]
    u, v = answer["u"][:, None], answer["v"][:, None]
    normal = at[:, 0] * (1 - u - v) + at[:, 1] * u + at[:, 2] * v
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), np.float32(1e-12))
    # A sheet, or a part that is inside out, is lit from the side one looks at.
    normal = np.where(normal[:, 2:] < 0, -normal, normal)
    return Hits(triangle.reshape(side, side), normal.reshape(side, side, 3), origins.reshape(side, side, 3))


def _facing(hits: Hits, light: Float32s) -> Float32s:
    return np.asarray(np.maximum(hits.normal @ (light / np.linalg.norm(light)), 0), np.float32)


def _halfway(light: Float32s) -> Float32s:
    return np.asarray(light / np.linalg.norm(light) + [0, 0, 1], np.float32)


def _openness(scene: EmbreeScene, hits: Hits) -> Float32s:
    """Return how bright each sample is under an even sky, ``(H, W)`` in [0.45, 1]: holes darken."""
    middle = slice(SAMPLES // 2, None, SAMPLES)
    seen, normal, place = (field[middle, middle] for field in (hits.seen, hits.normal, hits.place))
    rows, columns = np.nonzero(seen)
    z = normal[rows, columns]
    x = np.cross(
        z, np.where(np.abs(z[:, :1]) < 0.9, np.array([1, 0, 0], np.float32), np.array([0, 1, 0], np.float32))
    )
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    y = np.cross(z, x)
    start = place[rows, columns] + z * np.float32(2e-3)
    turn = (rows % 4 * 4 + columns % 4) * np.float32(np.pi / (8 * OCCLUSION_RAYS))
    blocked = np.zeros(len(rows), np.float32)
    reach = np.full(len(rows), OCCLUSION_REACH, np.float32)
    for ray in range(OCCLUSION_RAYS):
        angle = turn + np.float32(2 * np.pi * ray / OCCLUSION_RAYS)
        out = np.sqrt(np.float32((ray + 0.5) / OCCLUSION_RAYS))  # cosine-weighted elevations
        direction = x * (np.cos(angle) * out)[:, None] + y * (np.sin(angle) * out)[:, None]
        direction = (direction + z * np.sqrt(1 - out**2)).astype(np.float32)
        blocked += scene.run(start, direction, reach, query="OCCLUDED") >= 0
    sky: Float32s = np.zeros(seen.shape, np.float32)
    sky[rows, columns] = 1 - blocked / OCCLUSION_RAYS
    weight = uniform_filter(seen.astype(np.float32), 4, mode="constant")
    brightness = 0.45 + 0.55 * uniform_filter(sky, 4, mode="constant") / np.maximum(weight, 1e-6)
    return np.repeat(np.repeat(brightness, SAMPLES, axis=0), SAMPLES, axis=1).astype(np.float32)


def _lines(hits: Hits, patch: NDArray[np.int32]) -> Float32s:
    """Return how much of a line covers each sample, ``(H, W)`` in [0, 1]."""
    strength: Float32s = np.zeros(hits.triangle.shape, np.float32)
    face = np.where(hits.seen, patch[np.maximum(hits.triangle, 0)], -1)
    sample = np.float32(2 / len(strength))
    for one, other in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        differ = face[one] != face[other]
        alike = np.einsum("ijk,ijk->ij", hits.normal[one], hits.normal[other])
        # How far apart two neighbours lie along the mean normal, in samples: a step, not a slope.
        step = np.abs(
            np.einsum(
                "ijk,ijk->ij", hits.place[one] - hits.place[other], hits.normal[one] + hits.normal[other]
            )
        )
        line = np.where(differ, np.where(alike < SMOOTH, SHARP_LINE, FAINT_LINE), np.float32(0))
        line = np.where(step > 12 * sample, SHARP_LINE, line)
        line = np.where(hits.seen[one] != hits.seen[other], OUTLINE, line)
        for side in (one, other):
            np.maximum(strength[side], line, out=strength[side])
    return strength * hits.seen  # an outline lies within the part, so that its area stays true


def _averaged(colour: Float32s, seen: NDArray[np.bool_], size: int) -> NDArray[np.uint8]:
    """Return each pixel as the mean of its samples, coverage as straight alpha."""
    weighted = np.concatenate([colour * seen[..., None], seen[..., None]], axis=2)
    mean = weighted.reshape(size, SAMPLES, size, SAMPLES, 4).mean(axis=(1, 3))
    mean[..., :3] /= np.maximum(mean[..., 3:], 1e-6)
    return np.asarray(np.rint(mean * 255), dtype=np.uint8)
