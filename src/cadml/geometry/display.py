"""A part becomes something to look at: a GLB model, an SVG drawing, a PNG thumbnail."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
import trimesh
from PIL import Image, ImageDraw
from trimesh.exchange.gltf import export_glb

from cadml.errors import NotFound
from cadml.geometry.part import Drawing, Floats, Part
from cadml.geometry.picture import MARGIN, render
from cadml.geometry.shading import surface

# glTF is in metres with y upright; CAD is in millimetres with z upright.
UPRIGHT_METRES = np.array([[1e-3, 0, 0, 0], [0, 0, 1e-3, 0], [0, -1e-3, 0, 0], [0, 0, 0, 1]])
DRAWING_SAMPLES = 4

# Layers take these in turn: readable on white, apart for the colour-blind (Okabe and Ito, 2008).
LAYER_COLOURS = ("#1c2733", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")


def glb(part: Part) -> bytes:
    """Return a binary glTF 2.0 model in metres, y upright, with a colour per face.

    Colours are those that the file states, else those of :data:`~cadml.geometry.shading.SURFACE_COLOURS`.

    Raises
    ------
    NotFound
        The part is a drawing.
    """
    if part.tessellation is None:
        raise NotFound(f"a {part.kind} has no 3-D model to show", kind=part.kind.value)
    shown = surface(part, by_type=True)
    colours = np.zeros((len(shown.positions), 4), dtype=np.uint8)
    colours[shown.triangles.ravel()] = np.repeat(shown.colour, 3, axis=0)
    model = trimesh.Trimesh(
        shown.positions,
        shown.triangles,
        vertex_normals=shown.normals,
        vertex_colors=_linear(colours),
        process=False,
        validate=False,
    )
    scene = trimesh.Scene()
    scene.add_geometry(model, node_name=part.names[0] if part.names else "part", transform=UPRIGHT_METRES)
    return bytes(export_glb(scene, include_normals=True, tree_postprocessor=_two_sided))


def _linear(colours: Any) -> Any:
    """Return sRGB ``(C, 4) uint8`` as the linear values that glTF expects at vertices."""
    rgb = colours[:, :3] / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return np.column_stack([np.rint(linear * 255), colours[:, 3]]).astype(np.uint8)


def _two_sided(tree: dict[str, Any]) -> None:
    """Give every primitive one material, visible from both sides (open shells have an inside)."""
    metal = {"baseColorFactor": [1, 1, 1, 1], "metallicFactor": 0.1, "roughnessFactor": 0.6}
    tree["materials"] = [{"name": "part", "doubleSided": True, "pbrMetallicRoughness": metal}]
    for mesh in tree["meshes"]:
        for primitive in mesh["primitives"]:
            primitive["material"] = 0


def svg(part: Part) -> bytes:
    """Return the drawing as SVG in millimetres, one group per layer; texts are not drawn.

    Raises
    ------
    NotFound
        The part is no drawing.
    """
    if part.drawing is None:
        raise NotFound(f"a {part.kind} has no drawing to show", kind=part.kind.value)
    low, high = part.box.minimum[:2], part.box.maximum[:2]
    width, height = np.maximum(high - low, 1e-9 + 1e-3 * float((high - low).max()))
    margin = MARGIN * max(width, height)
    wide, tall = width + 2 * margin, height + 2 * margin
    lines = [
        '<svg xmlns="http://www.w3.org/2000/svg"',
        f'viewBox="{low[0] - margin:.6g} {-high[1] - margin:.6g} {wide:.6g} {tall:.6g}"',
        f'width="{wide:.6g}mm" height="{tall:.6g}mm">',
        '<g fill="none" stroke-width="1" stroke-linecap="round" stroke-linejoin="round">',
    ]
    for layer, colour, segments in _layers(part.drawing):
        path = " ".join(
            "M" + " L".join(f"{x:.6g} {0 - y:.6g}" for x, y in chain)  # 0 - y: never "-0"
            for chain in _chains(segments)
        )
        lines.append(
            f"<g class={quoteattr(layer)} stroke={quoteattr(colour)}>"
            f'<path vector-effect="non-scaling-stroke" d="{path}"/></g>'
        )
    return "\n".join([*lines, "</g>", "</svg>", ""]).encode()


def _layers(drawing: Drawing) -> Iterator[tuple[str, str, Floats]]:
    of_segment = drawing.entity_layer[drawing.segment_entity]
    for index, layer in enumerate(drawing.layers):
        segments = drawing.segments[of_segment == index]
        if len(segments):
            yield layer, LAYER_COLOURS[index % len(LAYER_COLOURS)], segments


def _chains(segments: Floats) -> Iterator[Floats]:
    """Yield polylines ``(P, 2)``: segments that follow on from each other joined up."""
    follows = np.all(segments[1:, 0] == segments[:-1, 1], axis=1)
    for run in np.split(segments, np.flatnonzero(~follows) + 1):
        yield np.concatenate([run[:1, 0], run[:, 1]])


def png(part: Part, size: int = 256) -> bytes:
    """Return a ``size`` × ``size`` picture with a transparent ground; the same bytes every time."""
    if part.drawing is not None:
        picture = _draw(part.drawing, size)
    else:
        picture = Image.fromarray(render(surface(part, by_type=False), size))
    target = BytesIO()
    picture.save(target, "PNG", optimize=True)
    return target.getvalue()


def _draw(drawing: Drawing, size: int) -> Image.Image:
    side = size * DRAWING_SAMPLES
    picture = Image.new("RGBA", (side, side), (255, 255, 255, 0))
    if not len(drawing.segments):
        return picture.resize((size, size))
    points = drawing.segments.reshape(-1, 2)
    low, high = points.min(axis=0), points.max(axis=0)
    scale = side * (1 - 2 * MARGIN) / max(float((high - low).max()), float(np.finfo(np.float64).tiny))
    pen = ImageDraw.Draw(picture)
    for _, colour, segments in _layers(drawing):
        placed = (segments - (low + high) / 2) * (scale, -scale) + side / 2
        for chain in _chains(placed):
            pen.line([tuple(point) for point in chain], fill=colour, width=DRAWING_SAMPLES + 1, joint="curve")
    return picture.resize((size, size), Image.Resampling.BOX)
