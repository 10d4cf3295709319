"""GLB and glTF 2.0 files as parts, read by trimesh once the header has been judged.

What trimesh would skip without a word (compression, sparse accessors, quantised positions,
triangle fans, buffers in other files) is refused here by name instead.
"""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from cadml.errors import EmptyFile, FileError, FileTooLarge, MalformedFile, TruncatedFile, UnknownFormat
from cadml.geometry.part import Finding, Floats, Part, Severity
from cadml.geometry.polygons import Indices
from cadml.geometry.triangles import Raw, part_of

_MODES = {0: "points", 1: "lines", 2: "lines", 3: "lines", 4: "triangles", 5: "triangles", 6: "triangle fans"}
_HARMLESS = (
    "KHR_materials_",
    "KHR_texture_",
    "EXT_texture_",
    "KHR_lights_",
    "KHR_mesh_quantization",
    "KHR_animation_",
)
_FLOAT = 5126  # glTF's number for float32
_DEPTH = 1000  # nodes within nodes
_TRIANGLES = 20_000_000
_BINARY_HEADER = struct.Struct("<4sIIII")  # magic, version, length, length of the JSON chunk, its type
# What trimesh's loader raises on a damaged file.
_DAMAGE = (
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    NameError,
)


def read_gltf(path: Path) -> Part:
    """Return the part in a GLB or glTF 2.0 file; lengths are metres, as glTF defines.

    Raises
    ------
    UnknownFormat
        It is glTF 1.0, or needs an extension that is not read.
    MalformedFile
        Geometry lies in other files, or the content breaks the glTF rules.
    TruncatedFile
        The file is shorter than its header says.
    NoSurfaceGeometry, EmptyFile
        The scene has only lines or points, or nothing.
    """
    data = path.read_bytes()
    is_binary = data.startswith(b"glTF")
    header = _binary_header(data) if is_binary else _json(data)
    try:
        findings, other = _judge(header)
        scene = trimesh.load_scene(
            io.BytesIO(data), file_type="glb" if is_binary else "gltf", skip_materials=True, process=False
        )
        bodies, names = _bodies(scene)
    except FileError:
        raise
    except _DAMAGE as error:
        raise MalformedFile(
            f"the glTF breaks its format's rules ({type(error).__name__}: {error})"
        ) from error
    return part_of(Raw("gltf", bodies, unit="m", names=names, findings=tuple(findings), other_geometry=other))


def _binary_header(data: bytes) -> dict[str, Any]:
    if len(data) < _BINARY_HEADER.size:
        raise TruncatedFile("the GLB ends within its header")
    _, version, length, json_length, kind = _BINARY_HEADER.unpack_from(data)
    if version != 2:
        raise UnknownFormat(f"this is glTF {version}.0, which is not read; export glTF 2.0", version=version)
    if length > len(data) or _BINARY_HEADER.size + json_length > len(data):
        raise TruncatedFile(f"the GLB announces {length} bytes and has {len(data)}", announced=length)
    if kind != 0x4E4F534A:  # "JSON"
        raise MalformedFile("the GLB does not begin with its JSON chunk")
    return _json(data[_BINARY_HEADER.size : _BINARY_HEADER.size + json_length])


def _json(data: bytes) -> dict[str, Any]:
    try:
        header = json.loads(data.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        if error.pos >= len(data.rstrip()) - 1 or "Unterminated" in error.msg:
            raise TruncatedFile("the glTF's JSON ends before its last bracket") from error
        raise MalformedFile(f"the glTF's JSON is damaged ({error})") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise MalformedFile(f"the glTF's JSON is damaged ({error})") from error
    if not isinstance(header, dict):
        raise MalformedFile("the glTF's JSON is no object")
    return header


def _judge(header: dict[str, Any]) -> tuple[list[Finding], str]:
    """Refuse what cannot be read in full; return findings and what there is besides triangles."""
    version = str(header.get("asset", {}).get("version", "1.0"))
    if not version.startswith("2"):
        raise UnknownFormat(
            f"this is glTF {version[:10]}, which is not read; export glTF 2.0", version=version[:10]
        )
    needed = [name for name in header.get("extensionsRequired", []) if not name.startswith(_HARMLESS)]
    if needed:
        raise UnknownFormat(
            f"the glTF needs the extension {needed[0][:60]}, which is not read; export it uncompressed",
            extension=needed[0][:60],
        )
    for buffer in header.get("buffers", []):
        if "uri" in buffer and not buffer["uri"].startswith("data:"):
            raise MalformedFile(
                f"the geometry lies in another file ({buffer['uri'][:80]}); send a GLB, which holds it all"
            )
    _judge_nodes(header)
    if not header.get("meshes"):
        raise EmptyFile("the glTF holds no meshes")
    others = _judge_primitives(header)
    findings = []
    if header.get("skins") or any(p.get("targets") for m in header["meshes"] for p in m["primitives"]):
        findings.append(Finding("REST_POSE", Severity.NOTE, "skins and morph targets are left at rest"))
    return findings, " and ".join(sorted(others))


def _judge_primitives(header: dict[str, Any]) -> set[str]:
    """Return the kinds of primitives that are no triangles; refuse those that would be misread."""
    accessors, others = header.get("accessors", []), set()
    used: set[int] = set()
    for mesh in header["meshes"]:
        for primitive in mesh["primitives"]:
            mode = _MODES[primitive.get("mode", 4)]
            if mode == "triangle fans":
                raise UnknownFormat("the glTF has triangle fans, which are not read; export plain triangles")
            if mode != "triangles":
                others.add(mode)
                continue
            position = accessors[primitive["attributes"]["POSITION"]]
            if position.get("normalized") and position["componentType"] != _FLOAT:
                raise UnknownFormat(
                    "the glTF has quantised positions, which are not read; export plain floats"
                )
            used.add(primitive["attributes"]["POSITION"])
            used.update([primitive["indices"]] if "indices" in primitive else [])
    for index in used:
        if "sparse" in accessors[index] or "bufferView" not in accessors[index]:
            raise UnknownFormat(
                "the glTF has sparse or compressed geometry, which is not read; export plain buffers"
            )
    return others


def _judge_nodes(header: dict[str, Any]) -> None:
    """Refuse nodes that are no forest: glTF wants it so, and a cycle would have no end."""
    nodes = header.get("nodes", [])
    parent: dict[int, int] = {}
    for index, node in enumerate(nodes):
        for child in node.get("children", []):
            if not 0 <= child < len(nodes) or child in parent:
                raise MalformedFile(f"node {child} of the glTF is missing or has two parents")
            parent[child] = index
    depth: dict[int, int] = {}
    for start in range(len(nodes)):
        trail = []
        at: int | None = start
        while at is not None and at not in depth:
            trail.append(at)
            if len(trail) > _DEPTH:
                raise MalformedFile(
                    f"the glTF's nodes contain themselves, or are nested deeper than {_DEPTH}"
                )
            at = parent.get(at)
        base = depth[at] if at is not None else 0
        for step, node_index in enumerate(reversed(trail), 1):
            depth[node_index] = base + step
            if base + step > _DEPTH:
                raise MalformedFile(f"the glTF's nodes are nested deeper than {_DEPTH}")


def _bodies(scene: trimesh.Scene) -> tuple[list[tuple[Floats, Indices]], tuple[str, ...]]:
    """Return every placed mesh in world coordinates, in the order of the scene, and the meshes' names."""
    bodies: list[tuple[Floats, Indices]] = []
    names: dict[str, None] = {}
    total = 0
    for node in scene.graph.nodes_geometry:
        matrix, name = scene.graph[node]
        mesh = scene.geometry[name]
        if not isinstance(mesh, trimesh.Trimesh) or not len(mesh.faces):
            continue
        total += len(mesh.faces)
        if total > _TRIANGLES:
            raise FileTooLarge(f"the glTF's instances add up to more than {_TRIANGLES} triangles")
        triangles = np.asarray(mesh.faces, np.int64)
        if np.linalg.det(matrix[:3, :3]) < 0:  # mirrored: keep the outside outside
            triangles = triangles[:, ::-1]
        vertices = np.asarray(mesh.vertices, np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
        bodies.append((vertices, triangles))
        names[name] = None
    return bodies, tuple(names)
