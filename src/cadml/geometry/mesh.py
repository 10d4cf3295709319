"""STL, OBJ and OFF files as parts.

These three are read here and not by trimesh, which stops at the first bad number without a word,
takes what is left of a cut file for the whole, and cuts concave polygons as fans.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np

from cadml.errors import EmptyFile, MalformedFile, TruncatedFile
from cadml.geometry.part import Finding, Floats, Part, Severity
from cadml.geometry.polygons import Indices, Polygons
from cadml.geometry.signatures import STL_HEADER, STL_TRIANGLE, Opening, is_ascii_stl
from cadml.geometry.triangles import Raw, part_of

_STL_ROW = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("spare", "<u2")])
_COMMENT = re.compile(rb"#[^\r\n]*")


def read_stl(path: Path) -> Part:
    """Return the part in an STL file, binary or text; a unit of length is taken as 1 mm.

    Raises
    ------
    EmptyFile, TruncatedFile, MalformedFile
        The file announces no triangles, fewer bytes follow than announced, or numbers are damaged.
    """
    opening = Opening.of(path, "stl")
    count = int.from_bytes(opening.head[80:84], "little")
    fits = opening.size >= STL_HEADER and opening.size == STL_HEADER + count * STL_TRIANGLE
    return part_of(
        _text_stl(path) if is_ascii_stl(opening) and not fits else _binary_stl(path, opening.size, count)
    )


def _binary_stl(path: Path, size: int, count: int) -> Raw:
    # Judged before anything is allocated: the count can claim 200 GB.
    room = max(0, size - STL_HEADER) // STL_TRIANGLE
    if size < STL_HEADER or count > room:
        raise TruncatedFile(
            f"the STL announces {count} triangles, but the file has room for {room}",
            announced=count,
            room=room,
        )
    findings = []
    if (spare := size - STL_HEADER - count * STL_TRIANGLE) > 0:
        findings = [
            Finding("TRAILING_BYTES", Severity.NOTE, f"{spare} bytes after the last triangle were ignored")
        ]
    rows = np.fromfile(path, _STL_ROW, count, offset=STL_HEADER)
    return _loose("stl", rows["corners"].reshape(-1, 3).astype(np.float64), (), findings)


_STL_VERTEX = re.compile(
    rb"^[ \t]*vertex[ \t]+(\S+)[ \t]+(\S+)[ \t]+(\S+)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE
)
_STL_BAD_VERTEX = re.compile(rb"^[ \t]*vertex\b", re.IGNORECASE | re.MULTILINE)
_STL_SOLID = re.compile(rb"^[ \t]*solid\b[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_STL_END = re.compile(rb"^[ \t]*endsolid\b", re.IGNORECASE | re.MULTILINE)
_STL_FACET = re.compile(rb"^[ \t]*facet\b", re.IGNORECASE | re.MULTILINE)


def _text_stl(path: Path) -> Raw:
    text = _COMMENT.sub(b"", _text(path).replace(b"\r", b"\n"))
    solids, ends = _STL_SOLID.findall(text), len(_STL_END.findall(text))
    vertices = _STL_VERTEX.findall(text)
    facets = len(_STL_FACET.findall(text))
    if ends < len(solids):
        raise TruncatedFile(f"the STL ends before its last endsolid, after {facets} facets", facets=facets)
    if len(vertices) != 3 * facets or len(_STL_BAD_VERTEX.findall(text)) != len(vertices):
        raise MalformedFile(f"the STL's {facets} facets do not have three vertices of three numbers each")
    points = _numbers(chain.from_iterable(vertices), "stl").reshape(-1, 3)
    return _loose("stl", points, tuple(_word(name) for name in solids if name.strip()))


def _loose(
    format_name: str, corners: Floats, names: tuple[str, ...], findings: Iterable[Finding] = ()
) -> Raw:
    """Return triangles that share nothing yet: three ``corners`` each."""
    triangles = np.arange(len(corners)).reshape(-1, 3)
    bodies = [(corners, triangles)] if len(corners) else []
    return Raw(format_name, bodies, names=names, findings=tuple(findings))


def read_off(path: Path) -> Part:
    """Return the part in an OFF file; a unit of length is taken as 1 mm.

    Raises
    ------
    TruncatedFile
        The file has fewer vertices or faces than it announces.
    MalformedFile
        Counts, coordinates or indices are damaged, or the variant is not read.
    """
    text = _COMMENT.sub(b"", _text(path))
    match = re.match(rb"\s*(ST)?(C)?(N)?OFF\b[ \t]*(BINARY)?", text)
    if match is None or match[4]:
        raise MalformedFile(
            "this variant of OFF (binary, four- or n-dimensional) is not read; export plain OFF"
        )
    lines = [line.split() for line in text[match.end() :].splitlines() if line.strip()]
    if not lines:
        raise EmptyFile("the OFF file ends after its first line")
    try:
        n_vertices, n_faces = (int(word) for word in lines[0][:2])
    except ValueError as error:
        raise MalformedFile("the OFF file's counts of vertices and faces are no numbers") from error
    if min(n_vertices, n_faces) < 0:
        raise MalformedFile("the OFF file announces a negative count")
    if len(lines) - 1 < n_vertices + n_faces:
        raise TruncatedFile(
            f"the OFF announces {n_vertices} vertices and {n_faces} faces, but {len(lines) - 1} lines follow"
        )
    rows = lines[1 : 1 + n_vertices]
    if any(len(row) < 3 for row in rows):
        raise MalformedFile("a vertex of the OFF file has fewer than three coordinates")
    vertices = _numbers(chain.from_iterable(row[:3] for row in rows), "off").reshape(-1, 3)
    faces = [_off_face(row) for row in lines[1 + n_vertices : 1 + n_vertices + n_faces]]
    return part_of(_polygonal("off", vertices, faces, other="points" if n_vertices else ""))


def _off_face(row: list[bytes]) -> list[int]:
    try:
        size = int(row[0])
        face = [int(word) for word in row[1 : 1 + size]]
    except ValueError as error:
        raise MalformedFile("a face of the OFF file is no list of whole numbers") from error
    if len(face) != size:
        raise TruncatedFile(f"a face of the OFF file announces {size} corners and has {len(face)}")
    return face


def read_obj(path: Path) -> Part:
    """Return the part in a Wavefront OBJ file; a unit of length is taken as 1 mm.

    Free-form surfaces, texture coordinates and materials are left aside.

    Raises
    ------
    MalformedFile
        A coordinate or index is damaged or out of range.
    NoSurfaceGeometry, EmptyFile
        The file holds lines, points or nothing.
    """
    coordinates: list[bytes] = []
    faces: list[list[int]] = []
    names: list[str] = []
    others = {b"l": "lines", b"p": "points", b"curv": "curves", b"surf": "free-form surfaces"}
    other = ""
    for line in re.sub(rb"\\\r?\n", b" ", _text(path)).splitlines():
        words = line.split(b"#", 1)[0].split()
        if not words:
            continue
        if words[0] == b"v":
            if len(words) < 4:
                raise MalformedFile("a vertex of the OBJ file has fewer than three coordinates")
            coordinates += words[1:4]
        elif words[0] == b"f":
            faces.append(_obj_face(words[1:], len(coordinates) // 3))
        elif words[0] in {b"o", b"g"} and len(words) > 1:
            names.append(_word(b" ".join(words[1:])))
        elif words[0] in others:
            other = others[words[0]]
    vertices = _numbers(coordinates, "obj").reshape(-1, 3)
    raw = _polygonal("obj", vertices, faces, other=other or ("points" if len(vertices) else ""))
    return part_of(replace(raw, names=tuple(dict.fromkeys(names))))


def _obj_face(words: list[bytes], vertices_so_far: int) -> list[int]:
    """Return the vertex indices of one face; negative ones count back from the last vertex so far."""
    try:
        face = [int(word.split(b"/", 1)[0]) for word in words]
    except ValueError as error:
        raise MalformedFile("a face of the OBJ file is no list of whole numbers") from error
    if 0 in face:
        raise MalformedFile("a face of the OBJ file refers to vertex 0; they count from 1")
    return [index - 1 if index > 0 else vertices_so_far + index for index in face]


def _polygonal(format_name: str, vertices: Floats, faces: list[list[int]], other: str) -> Raw:
    polygons = Polygons(
        np.fromiter(map(len, faces), np.int64, len(faces)),
        np.fromiter(chain.from_iterable(faces), np.int64),
    )
    findings = []
    if poor := int((polygons.sizes < 3).sum()):
        findings = [
            Finding("POOR_FACES", Severity.NOTE, f"left out {poor} faces with fewer than three corners")
        ]
    bodies = triangulated(vertices, polygons, format_name)
    return Raw(format_name, bodies, findings=tuple(findings), other_geometry=other)


def triangulated(vertices: Floats, polygons: Polygons, format_name: str) -> list[tuple[Floats, Indices]]:
    """Return the polygons as the one body of a mesh; checks their indices first.

    Raises
    ------
    MalformedFile
        A face refers to a vertex that does not exist.
    """
    indices = polygons.indices
    if len(indices) and (indices.min() < 0 or indices.max() >= len(vertices)):
        wrong = int(indices.min() if indices.min() < 0 else indices.max())
        raise MalformedFile(
            f"a face refers to vertex {wrong}, but there are {len(vertices)}", format=format_name, index=wrong
        )
    triangles = polygons.triangles(vertices)
    return [(vertices, triangles)] if len(triangles) else []


def _numbers(words: Iterable[bytes], format_name: str) -> Floats:
    """Return the words as float64; ``nan`` and ``inf`` are numbers here and judged later."""
    try:
        return np.fromiter(map(float, words), np.float64)
    except ValueError as error:
        raise MalformedFile(
            f"a coordinate of the {format_name.upper()} file is no number ({error})"
        ) from error


def _text(path: Path) -> bytes:
    return path.read_bytes().removeprefix(b"\xef\xbb\xbf")


def _word(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").strip()[:200]
