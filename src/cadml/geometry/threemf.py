"""3MF files as parts: units, components, instances and models spread over several package parts.

Read here with lxml and not by trimesh, which mixes up objects of equal id in different package
parts, unpacks the archive without a limit, and follows components that contain each other.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from lxml import etree

from cadml.errors import FileTooLarge, MalformedFile, TruncatedFile
from cadml.geometry.part import Finding, Floats, Part, Severity
from cadml.geometry.polygons import Indices
from cadml.geometry.triangles import Raw, part_of
from cadml.geometry.units import THREE_MF

_LARGEST = 1 << 30  # bytes of model XML, unpacked; 10 million triangles
_RATIO = 200  # unpacked to packed; model XML reaches 30
_SMALL = 16 << 20  # bytes below which no ratio is a threat
_DEPTH = 64  # components within components
_PLACES = 100_000  # components and items followed; beyond, a small file explodes
_TRIANGLES = 20_000_000
_CHUNK = 1 << 20
# What zipfile raises on damaged headers and names, wild offsets, encryption and exotic packing.
_ARCHIVE_DAMAGE = (zlib.error, EOFError, OSError, RuntimeError, UnicodeError, struct.error)
_SKIPPED = {"support", "solidsupport"}  # made by slicers for printing; not the part


def read_3mf(path: Path) -> Part:
    """Return the part in a 3MF file: every item of its build, in place.

    Raises
    ------
    TruncatedFile, MalformedFile
        The archive is cut or damaged, or the model breaks the 3MF rules.
    FileTooLarge
        The archive unpacks to far more than a model, or its components multiply beyond measure.
    NoSurfaceGeometry, EmptyFile
        The build has no triangles.
    """
    with path.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return part_of(_Package(archive).build())
        except zipfile.BadZipFile as error:
            raise TruncatedFile(
                "the 3MF's zip archive is cut or damaged: its directory or a checksum is missing"
            ) from error
        except _ARCHIVE_DAMAGE as error:
            raise MalformedFile(f"the 3MF's zip archive cannot be unpacked ({error})") from error


@dataclass(slots=True)
class _Reference:
    """A placed object: of which package part, which one, and where."""

    path: str
    object_id: str
    matrix: Floats  # (4, 3), applied to row vectors (x, y, z, 1)


@dataclass(slots=True)
class _Object:
    name: str
    type: str
    vertices: list[str] = field(default_factory=list)
    triangles: list[str] = field(default_factory=list)
    components: list[_Reference] = field(default_factory=list)
    mesh: tuple[Floats, Indices] | None = None

    def arrays(self) -> tuple[Floats, Indices]:
        """Return the object's own mesh."""
        if self.mesh is None:
            try:
                vertices = np.fromiter(map(float, self.vertices), np.float64).reshape(-1, 3)
                triangles = np.fromiter(map(int, self.triangles), np.int64).reshape(-1, 3)
            except (ValueError, OverflowError) as error:
                raise MalformedFile(f"a number of the 3MF model is damaged ({error})") from error
            self.mesh = vertices, triangles
            self.vertices, self.triangles = [], []
        return self.mesh


class _Model:
    """One package part with 3-D content, filled by the XML parser (lxml's target interface)."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.unit = "mm"
        self.objects: dict[str, _Object] = {}
        self.items: list[_Reference] = []
        self.has_beams = False
        self._current: _Object | None = None

    def doctype(self, *_: str | None) -> None:
        raise MalformedFile("the 3MF model declares a document type, which 3MF forbids")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Take in one element."""
        name = tag.rpartition("}")[2]
        if name in {"vertex", "triangle"} and self._current is not None:
            axes, into = (
                (("x", "y", "z"), self._current.vertices)
                if name == "vertex"
                else (("v1", "v2", "v3"), self._current.triangles)
            )
            into.extend([attributes[axis] for axis in axes])
        elif name == "object":
            self._current = _Object(attributes.get("name", ""), attributes.get("type", "model"))
            self.objects[attributes["id"]] = self._current
        elif name == "component" and self._current is not None:
            self._current.components.append(self._reference(attributes))
        elif name == "item":
            self.items.append(self._reference(attributes))
        elif name == "model":
            unit = attributes.get("unit", "millimeter")
            if unit not in THREE_MF:
                raise MalformedFile(f"the 3MF model states the unit {unit[:20]!r}, which 3MF does not know")
            self.unit = THREE_MF[unit]
        elif name == "beam":
            self.has_beams = True

    def end(self, tag: str) -> None:
        """Leave an object."""
        if tag.endswith("}object"):
            self._current = None

    def close(self) -> None:
        """Finish (the parser calls this)."""

    def _reference(self, attributes: dict[str, str]) -> _Reference:
        path = next((value for key, value in attributes.items() if key.endswith("}path")), self.path)
        words = attributes.get("transform", "1 0 0 0 1 0 0 0 1 0 0 0").split()
        try:
            matrix = np.array([float(word) for word in words]).reshape(4, 3)
        except ValueError as error:
            raise MalformedFile("a transform of the 3MF model is not twelve numbers") from error
        return _Reference(_normal(path), attributes["objectid"], matrix)


class _Relations:
    """The relationships of the package (lxml's target interface)."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []

    def doctype(self, *_: str | None) -> None:
        raise MalformedFile("the 3MF's relationships declare a document type, which 3MF forbids")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Take in one element."""
        if tag.endswith("}Relationship"):
            self.found.append((attributes["Target"], attributes["Type"]))

    def close(self) -> None:
        """Finish (the parser calls this)."""


_Target = TypeVar("_Target", _Model, _Relations)


class _Package:
    """The zip archive with its models, each parsed once."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._entries = {_normal(entry.filename): entry for entry in archive.infolist()}
        self._models: dict[str, _Model] = {}
        self._places = 0
        self._skipped = 0
        self._unpacked = 0

    def build(self) -> Raw:
        """Return the bodies of all build items."""
        root = self._model(self._root_path())
        bodies: list[tuple[Floats, Indices]] = []
        names: dict[str, None] = {}
        total = 0
        for item in root.items:
            for found, matrix in self._placed(item, np.eye(4), ()):
                vertices, triangles = found.arrays()
                total += len(triangles)
                if total > _TRIANGLES:
                    raise FileTooLarge(f"the 3MF's instances add up to more than {_TRIANGLES} triangles")
                if np.linalg.det(matrix[:3, :3]) < 0:  # mirrored: keep the outside outside
                    triangles = triangles[:, ::-1]
                bodies.append((vertices @ matrix[:3, :3] + matrix[3, :3], triangles))
                names[found.name] = None
        findings = []
        if self._skipped:
            findings = [Finding("SUPPORTS", Severity.NOTE, f"left out {self._skipped} print supports")]
        has_beams = any(model.has_beams for model in self._models.values())
        return Raw(
            "3mf",
            bodies,
            unit=root.unit,
            names=tuple(name for name in names if name),
            findings=tuple(findings),
            other_geometry="beams" if has_beams else "",
        )

    def _root_path(self) -> str:
        """Return the path of the start part: by the package's relationships, else by its usual name."""
        if "_rels/.rels" in self._entries:
            relations = self._parse("_rels/.rels", _Relations())
            for target, kind in relations.found:
                if kind.endswith("/3dmodel") and _normal(target) in self._entries:
                    return _normal(target)
        usual = [path for path in self._entries if path.endswith(".model")]
        if not usual:
            raise MalformedFile("the zip archive holds no 3-D model, so it is no 3MF")
        return min(usual, key=lambda path: (not path.endswith("3d/3dmodel.model"), path))

    def _model(self, path: str) -> _Model:
        if path not in self._models:
            self._models[path] = self._parse(path, _Model(path))
        return self._models[path]

    def _parse(self, path: str, target: _Target) -> _Target:
        """Stream one package part through ``target`` and return it."""
        entry = self._entries.get(path)
        if entry is None:
            raise MalformedFile(f"the 3MF refers to {path[:80]}, which is not in the archive")
        self._unpacked += entry.file_size  # zipfile hands out no more than this
        if self._unpacked > _LARGEST or entry.file_size > max(_SMALL, _RATIO * entry.compress_size):
            raise FileTooLarge(
                f"the 3MF unpacks {entry.compress_size} bytes to {entry.file_size}: no model does that",
                unpacked=entry.file_size,
            )
        # Without huge_tree libxml2 keeps its own limits on depth and on entities that multiply.
        parser = etree.XMLParser(target=target, resolve_entities=False, no_network=True)
        try:
            with self._archive.open(entry) as stream:
                while chunk := stream.read(_CHUNK):
                    parser.feed(chunk)
            parser.close()
        except etree.XMLSyntaxError as error:
            raise MalformedFile(f"the XML in the 3MF is damaged ({error.msg})") from error
        except KeyError as error:
            raise MalformedFile(f"an element of the 3MF lacks its {error.args[0]}") from error
        return target

    def _placed(
        self, place: _Reference, outer: Floats, within: tuple[tuple[str, str], ...]
    ) -> Iterator[tuple[_Object, Floats]]:
        """Yield each object with a mesh below ``place`` and its (4, 4) matrix for row vectors."""
        self._places += 1
        if self._places > _PLACES:
            raise FileTooLarge(f"the 3MF's components multiply to more than {_PLACES} instances")
        key = (place.path, place.object_id)
        if key in within:
            raise MalformedFile(f"object {place.object_id} of the 3MF contains itself")
        if len(within) >= _DEPTH:
            raise MalformedFile(f"the 3MF's components are nested deeper than {_DEPTH}")
        found = self._model(place.path).objects.get(place.object_id)
        if found is None:
            raise MalformedFile(f"the 3MF places object {place.object_id[:20]}, which it does not define")
        if found.type in _SKIPPED:
            self._skipped += 1
            return
        matrix = np.eye(4)
        matrix[:, :3] = place.matrix
        matrix = matrix @ outer
        if found.mesh is not None or found.triangles:
            yield found, matrix
        for component in found.components:
            yield from self._placed(component, matrix, (*within, key))


def _normal(path: str) -> str:
    """Return a package path as it is compared: without leading slash, in lower case (OPC ignores case)."""
    return path.replace("\\", "/").lstrip("/").lower()
