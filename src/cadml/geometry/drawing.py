"""DXF drawings, R12 to R2018, text and binary, as parts."""

from __future__ import annotations

import math
import re
import time
from pathlib import Path
from typing import Any

import ezdxf
import numpy as np
from ezdxf import recover
from ezdxf.disassemble import make_primitive, recursive_decompose
from ezdxf.document import Drawing as Document
from ezdxf.entities import DXFGraphic

from cadml.errors import EmptyFile, FileTooLarge, MalformedFile, NoSurfaceGeometry, TruncatedFile
from cadml.geometry.part import (
    BoundingBox,
    Drawing,
    Finding,
    Floats,
    Kind,
    Part,
    Severity,
    frozen,
)
from cadml.geometry.signatures import WINDOW
from cadml.geometry.unfold import DAMAGE, Unfolding
from cadml.geometry.units import DXF, MILLIMETRES, UNSTATED

TOLERANCE = 1e-3  # of the drawing's diagonal: how far a flattened curve may lie from the true one
_MOST_SEGMENTS = 5_000_000
_FARTHEST = 1e12  # mm; coordinates beyond are damage
_SHOWN_FIXES = 5  # repairs told one by one; the rest as a count
_ACIS = {
    "REGION",
    "3DSOLID",
    "BODY",
    "SURFACE",
    "EXTRUDEDSURFACE",
    "LOFTEDSURFACE",
    "NURBSURFACE",
    "PLANESURFACE",
}
_ACIS |= {"REVOLVEDSURFACE", "SWEPTSURFACE"}
_SURFACES = _ACIS | {"3DFACE", "MESH", "SOLID", "TRACE"}
# Entities whose lines are the drawing; texts, dimensions, leaders, tables and images only speak about it.
_LINEWORK = {"LINE", "LWPOLYLINE", "POLYLINE", "ARC", "CIRCLE", "ELLIPSE", "SPLINE", "HELIX", "MLINE"}
_LINEWORK |= {"SOLID", "TRACE", "3DFACE", "MESH", "HATCH", "MPOLYGON"}
_ANGULAR = {2, 5}  # DIMENSION types: by two lines, by three points
_ORDINATE = 6
_X_ORDINATE = 64  # flag: an ordinate dimension measures x, not y
_ENDING = re.compile(rb"(^|[\r\n])[ \t]*0+[ \t]*\r?[\r\n][ \t]*EOF\b|\x00EOF\x00?")


def read_dxf(path: Path) -> Part:
    """Return the part in a DXF drawing: model space, blocks unfolded, in millimetres.

    Raises
    ------
    TruncatedFile
        The file ends before its EOF mark.
    MalformedFile
        Not even recovery finds a drawing in it.
    EmptyFile, NoSurfaceGeometry
        Model space is empty, or holds no lines (only points, texts or solids in ACIS form).
    FileTooLarge
        Blocks or curves multiply beyond measure.
    """
    started = time.perf_counter()
    findings: list[Finding] = []
    _judge_ending(path, findings)
    document = _load(path, findings)
    loaded = time.perf_counter()
    unit = DXF.get(_unit_code(document), UNSTATED)
    drawing, corners = _draw(document, MILLIMETRES[unit], findings)
    return Part(
        kind=Kind.DRAWING,
        format="dxf",
        unit=unit,
        unit_in_mm=MILLIMETRES[unit],
        box=BoundingBox.of(corners),
        drawing=drawing,
        findings=tuple(findings),
        seconds={"read": loaded - started, "explore": time.perf_counter() - loaded},
    )


def _judge_ending(path: Path, findings: list[Finding]) -> None:
    data = path.read_bytes()
    if _ENDING.search(data, max(0, len(data) - WINDOW)) or _ENDING.search(data):
        return
    if not data.rstrip().endswith(b"ENDSEC") or b"ENTITIES" not in data:
        raise TruncatedFile("the DXF ends before its EOF mark")
    findings.append(
        Finding("NO_EOF", Severity.REPAIRED, "the EOF mark is missing, but the last section is complete")
    )


def _load(path: Path, findings: list[Finding]) -> Document:
    """Return the document; a damaged one is recovered, and what that took becomes findings."""
    try:
        return ezdxf.readfile(path)
    except (*DAMAGE, OSError) as error:  # ezdxf reports "not a DXF file" as OSError
        damage = _sentence(error)
    try:
        document, auditor = recover.readfile(path, errors="ignore")
    except (*DAMAGE, OSError) as error:
        if findings:  # it has no end mark either
            raise TruncatedFile("the DXF ends before its EOF mark", format="dxf") from error
        raise MalformedFile(
            f"the DXF is damaged beyond recovery ({_sentence(error)})", format="dxf"
        ) from error
    findings.append(
        Finding("RECOVERED", Severity.REPAIRED, f"the DXF is damaged and was recovered: {damage}")
    )
    notes = [(Severity.REPAIRED, fix) for fix in auditor.fixes] + [
        (Severity.SUSPECT, e) for e in auditor.errors
    ]
    findings += [
        Finding("DXF_AUDIT", severity, _sentence(note.message)) for severity, note in notes[:_SHOWN_FIXES]
    ]
    if len(notes) > _SHOWN_FIXES:
        findings.append(Finding("DXF_AUDIT", Severity.REPAIRED, f"{len(notes) - _SHOWN_FIXES} more repairs"))
    return document


def _sentence(message: object) -> str:
    """Return ezdxf's words without memory addresses, which differ from run to run."""
    return re.sub(r"\(#\d{12,}\)", "", str(message))[:300]


def _unit_code(document: Document) -> int:
    code = document.header.get("$INSUNITS", 0)
    return code if isinstance(code, int) else 0


def _draw(document: Document, scale: float, findings: list[Finding]) -> tuple[Drawing, Floats]:
    """Return the drawing and the points ``(N, 3)``, mm, that span its box."""
    unfolding = Unfolding(_hidden(document))
    layers: dict[str, int] = {}
    kinds: list[str] = []
    layer_numbers: list[int] = []
    dimensions: list[float] = []
    outlines: list[tuple[int, Any]] = []  # entity, and its path or mesh
    surfaces = 0
    for entity, layer in unfolding.entities(document.modelspace()):
        kind = entity.dxftype()
        number = len(kinds)
        kinds.append(kind)
        layer_numbers.append(layers.setdefault(layer, len(layers)))
        surfaces += kind in _SURFACES or _is_mesh(entity)
        try:
            if kind in _LINEWORK:
                outlines += [(number, shape) for shape in _shapes(entity)]
            elif kind == "DIMENSION":
                dimensions += _measured(entity, scale)
            elif kind in {"TEXT", "MTEXT"}:
                unfolding.texts.append(entity.plain_text())
        except DAMAGE:
            unfolding.unreadable += 1
    findings += unfolding.findings()
    if not kinds:
        raise EmptyFile("the drawing's model space holds nothing visible", format="dxf")
    if not outlines:
        raise NoSurfaceGeometry(_lineless(kinds), format="dxf")
    segments, owners, corners, tolerance = _flatten(outlines, scale, findings)
    drawing = Drawing(
        entity_kind=tuple(kinds),
        entity_layer=frozen(np.array(layer_numbers, np.int32)),
        layers=tuple(layers),
        segments=frozen(segments),
        segment_entity=frozen(owners),
        segment_tolerance=tolerance,
        texts=tuple(text for text in unfolding.texts if text.strip()),
        dimensions=frozen(np.array(dimensions, np.float64)),
        surface_entities=surfaces,
    )
    return drawing, corners


def _hidden(document: Document) -> frozenset[str]:
    return frozenset(
        layer.dxf.name.lower() for layer in document.layers if layer.is_off() or layer.is_frozen()
    )


def _is_mesh(entity: DXFGraphic) -> bool:
    return entity.dxftype() == "POLYLINE" and bool(entity.is_poly_face_mesh or entity.is_polygon_mesh)


def _shapes(entity: DXFGraphic) -> list[Any]:
    """Return the paths and meshes that an entity draws."""
    pieces = recursive_decompose([entity]) if entity.dxftype() == "MLINE" else [entity]
    primitives = [make_primitive(piece) for piece in pieces]
    return [p.path if p.path is not None else p.mesh for p in primitives if not p.is_empty]


def _measured(entity: Any, scale: float) -> list[float]:
    """Return what a dimension measures, mm or rad; nothing where it states nothing usable."""
    value = entity.get_measurement()
    kind = entity.dimtype
    if kind == _ORDINATE:
        value = value.x if entity.dxf.dimtype & _X_ORDINATE else value.y
    value = math.radians(value) if kind in _ANGULAR else float(value) * scale
    return [value] if math.isfinite(value) else []


def _lineless(kinds: list[str]) -> str:
    if _ACIS & set(kinds):
        return "the drawing holds only ACIS solids or surfaces, a closed format; export STEP instead"
    found = ", ".join(sorted(set(kinds))[:5])
    return f"the drawing holds no lines or curves, only {found}"


def _flatten(
    outlines: list[tuple[int, Any]], scale: float, findings: list[Finding]
) -> tuple[Floats, np.ndarray, Floats, float]:
    """Return segments ``(S, 2, 2)``, their entities ``(S,)``, box points ``(N, 3)``, tolerance; all mm."""
    control = np.array([tuple(v) for _, shape in outlines for v in _control(shape)], np.float64).reshape(
        -1, 3
    )
    control = control[(np.abs(control) * scale <= _FARTHEST).all(axis=1)]
    if not len(control):
        raise MalformedFile("no coordinate of the drawing is a usable number", format="dxf")
    diagonal = float(np.linalg.norm(control.max(axis=0) - control.min(axis=0)))
    tolerance = TOLERANCE * diagonal or TOLERANCE
    chains: list[Floats] = []
    owners: list[np.ndarray] = []
    corners: list[Floats] = []
    total = lost = 0
    for number, shape in outlines:
        for chain in _chains(shape, tolerance):
            points = np.array([tuple(v) for v in chain], np.float64).reshape(-1, 3) * scale
            moves = np.append(True, (points[1:] != points[:-1]).any(axis=1))  # the first point stays
            points = points[moves[: len(points)]]
            if len(points) < 2:
                continue
            if not (np.abs(points) <= _FARTHEST).all():
                lost += 1
                continue
            total += len(points) - 1
            if total > _MOST_SEGMENTS:
                raise FileTooLarge(f"the drawing's curves make more than {_MOST_SEGMENTS} segments")
            chains.append(np.stack([points[:-1, :2], points[1:, :2]], axis=1))
            owners.append(np.full(len(points) - 1, number, np.int32))
            corners.append(points)
    if lost:
        findings.append(
            Finding("NOT_FINITE", Severity.SUSPECT, f"left out {lost} curves without usable coordinates")
        )
    if not chains:
        raise NoSurfaceGeometry("the drawing's lines and curves have no length", format="dxf")
    return np.concatenate(chains), np.concatenate(owners), np.concatenate(corners), tolerance * scale


def _control(shape: Any) -> Any:
    return shape.control_vertices() if hasattr(shape, "control_vertices") else shape.vertices


def _chains(shape: Any, tolerance: float) -> list[Any]:
    """Return the point chains of a path (each of its parts), or the outlines of a mesh's faces."""
    if not hasattr(shape, "control_vertices"):
        return [[*face, face[0]] for face in shape.faces_as_vertices()]
    parts = shape.sub_paths() if shape.has_sub_paths else [shape]
    return [list(part.flattening(tolerance)) for part in parts]
