"""FACTS: what a person can filter parts by, each once, and their values for one part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cadml.geometry.part import Part


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact: the JSON type of its values, its unit, its meaning. Absent where undefined."""

    type: type
    unit: str
    meaning: str


FACTS: dict[str, Fact] = {
    "kind": Fact(str, "", "brep, mesh or drawing"),
    "format": Fact(str, "", "name of the file's format"),
    "unit": Fact(str, "", "length unit that the file declares"),
    "width": Fact(float, "mm", "extent of the box along x"),
    "height": Fact(float, "mm", "extent of the box along y"),
    "depth": Fact(float, "mm", "extent of the box along z"),
    "diagonal": Fact(float, "mm", "space diagonal of the box"),
    "area": Fact(float, "mm²", "area of the surface"),
    "volume": Fact(float, "mm³", "enclosed volume; absent where the surface is open"),
    "is_closed": Fact(bool, "", "whether the surface encloses a volume"),
    "solids": Fact(float, "", "number of solids"),
    "shells": Fact(float, "", "number of shells"),
    "faces": Fact(float, "", "number of faces"),
    "edges": Fact(float, "", "number of edges"),
    "vertices": Fact(float, "", "number of vertices"),
    "triangles": Fact(float, "", "number of triangles of the tessellation or mesh"),
    "instances": Fact(float, "", "number of placed bodies"),
    "entities": Fact(float, "", "number of drawing entities"),
    "layers": Fact(float, "", "number of drawing layers"),
}


def facts_of(part: Part) -> dict[str, Any]:
    """Return the part's facts, ready for JSON; one that is undefined for it is absent."""
    width, height, depth = (float(v) for v in part.box.extents)
    facts: dict[str, Any] = {
        "kind": part.kind.value,
        "format": part.format,
        "unit": part.unit,
        "width": width,
        "height": height,
        "depth": depth,
        "diagonal": part.box.diagonal,
        "instances": part.instances,
    }
    if part.mass is not None:
        facts |= {"area": float(part.mass.area), "is_closed": part.mass.is_closed}
        if part.mass.volume is not None:
            facts["volume"] = float(part.mass.volume)
    if part.brep is not None:
        brep = part.brep
        facts |= {"solids": brep.solids, "shells": brep.shells, "vertices": brep.vertices}
        facts |= {"faces": len(brep.face_surface), "edges": len(brep.edge_curve)}
    if part.tessellation is not None:
        facts["triangles"] = len(part.tessellation.triangles)
    if part.drawing is not None:
        facts |= {"entities": len(part.drawing.entity_kind), "layers": len(part.drawing.layers)}
    return facts
