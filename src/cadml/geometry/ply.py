"""PLY files as parts: text and both byte orders, faces of any and mixed sizes.

Read here and not by trimesh, which cannot read binary files that mix triangles and quads.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cadml.errors import MalformedFile, TruncatedFile
from cadml.geometry.mesh import triangulated
from cadml.geometry.part import Floats, Part
from cadml.geometry.polygons import Indices, Polygons
from cadml.geometry.triangles import Raw, part_of

_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1",
    "short": "i2", "int16": "i2", "ushort": "u2", "uint16": "u2",
    "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4",
    "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
    "int64": "i8", "uint64": "u8",
}  # fmt: skip
_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_HEADER_LIMIT = 1 << 20  # bytes; real headers are below 2 KiB


@dataclass(frozen=True, slots=True)
class _Property:
    name: str
    type: str  # numpy code without byte order
    count_type: str  # "" for a single value, else that of the list's length


@dataclass(slots=True)
class _Element:
    name: str
    count: int
    properties: list[_Property]


def read_ply(path: Path) -> Part:
    """Return the part in a PLY file; a unit of length is taken as 1 mm.

    Raises
    ------
    TruncatedFile
        The file ends before the elements that its header announces.
    MalformedFile
        Header, numbers or indices are damaged.
    NoSurfaceGeometry, EmptyFile
        There are only points, or nothing.
    """
    data = path.read_bytes().removeprefix(b"\xef\xbb\xbf").lstrip()
    order, elements, body = _header(data)
    announced = sum(element.count for element in elements)
    if announced > len(body):  # each element has at least a byte
        raise TruncatedFile(
            f"the PLY announces {announced} elements, but {len(body)} bytes follow its header"
        )
    source = _Binary(body, order) if order else _Text(body)
    vertices, polygons = np.zeros((0, 3)), Polygons(np.zeros(0, np.int64), np.zeros(0, np.int64))
    for element in elements:
        columns, lists = source.take(element)
        if element.name == "vertex" and element.count:
            if not {"x", "y", "z"} <= columns.keys():
                raise MalformedFile("the PLY's vertices have no x, y and z")
            vertices = np.stack([columns[axis].astype(np.float64) for axis in "xyz"], axis=1)
        elif element.name == "face":
            found = [lists[name] for name in ("vertex_indices", "vertex_index") if name in lists]
            polygons = next(iter(found or lists.values()), polygons)
        elif element.name == "tristrips" and lists:
            polygons = _strips(next(iter(lists.values())))
    bodies = triangulated(vertices, polygons, "ply")
    return part_of(Raw("ply", bodies, other_geometry="points" if len(vertices) else ""))


def _header(data: bytes) -> tuple[str, list[_Element], bytes]:
    """Return byte order, announced elements and what follows the header."""
    end = data.find(b"end_header", 0, _HEADER_LIMIT)
    if end < 0:
        raise TruncatedFile("the PLY ends within its header")
    lines = [line.split() for line in data[:end].decode("latin-1").splitlines()]
    rest = data[end + len(b"end_header") :].lstrip(b" \t")
    body = rest[2:] if rest.startswith(b"\r\n") else rest[1:]
    order: str | None = None
    elements: list[_Element] = []
    try:
        for words in lines[1:]:
            if words[:1] == ["format"]:
                order = _ORDERS[words[1]]
            elif words[:1] == ["element"]:
                elements.append(_Element(words[1], int(words[2]), []))
            elif words[:2] == ["property", "list"]:
                elements[-1].properties.append(_Property(words[4], _TYPES[words[3]], _TYPES[words[2]]))
            elif words[:1] == ["property"]:
                elements[-1].properties.append(_Property(words[2], _TYPES[words[1]], ""))
    except (KeyError, IndexError, ValueError) as error:
        raise MalformedFile(f"the PLY header is damaged near {' '.join(words)[:80]!r}") from error
    if order is None or any(element.count < 0 for element in elements):
        raise MalformedFile("the PLY header states no format, or a negative count")
    return order, elements, body


Columns = dict[str, Floats]


class _Binary:
    """Elements from packed bytes."""

    def __init__(self, body: bytes, order: str) -> None:
        self._body = body
        self._order = order
        self._at = 0

    def take(self, element: _Element) -> tuple[Columns, dict[str, Polygons]]:
        """Return the single values and the lists of the next element."""
        if not element.count or not element.properties:
            return {}, {}
        sizes = self._first_sizes(element)
        dtype = self._row(element, sizes)
        rows = None
        if self._at + element.count * dtype.itemsize <= len(self._body):
            rows = np.frombuffer(self._body, dtype, element.count, self._at)
        # The usual case, all lists as long as those of the first row, is read at one go.
        if rows is not None and all((rows[f"{name} count"] == size).all() for name, size in sizes.items()):
            self._at += element.count * dtype.itemsize
            singles = {p.name: rows[p.name] for p in element.properties if not p.count_type}
            return singles, {
                name: _even(rows[name].reshape(element.count, size)) for name, size in sizes.items()
            }
        if not sizes:
            raise _cut(element)
        return self._one_by_one(element)

    def _first_sizes(self, element: _Element) -> dict[str, int]:
        at, sizes = self._at, {}
        for item in element.properties:
            if item.count_type:
                sizes[item.name] = int(self._value(item.count_type, at, element))
                at += np.dtype(item.count_type).itemsize
            at += np.dtype(item.type).itemsize * sizes.get(item.name, 1)
        return sizes

    def _row(self, element: _Element, sizes: dict[str, int]) -> np.dtype[np.void]:
        fields: list[tuple[str, str] | tuple[str, str, tuple[int]]] = []
        for item in element.properties:
            if item.count_type:
                fields.append((f"{item.name} count", self._order + item.count_type))
                fields.append((item.name, self._order + item.type, (sizes[item.name],)))
            else:
                fields.append((item.name, self._order + item.type))
        try:
            return np.dtype(fields)
        except ValueError as error:
            raise MalformedFile(f"the PLY's {element.name} properties are damaged ({error})") from error

    def _value(self, code: str, at: int, element: _Element) -> int:
        if at + np.dtype(code).itemsize > len(self._body):
            raise _cut(element)
        value = np.frombuffer(self._body, self._order + code, 1, at)[0]
        if not 0 <= value <= len(self._body):
            raise MalformedFile(f"a list in the PLY's {element.name} claims {value} entries")
        return int(value)

    def _one_by_one(self, element: _Element) -> tuple[Columns, dict[str, Polygons]]:
        sizes: dict[str, list[int]] = {p.name: [] for p in element.properties if p.count_type}
        values: dict[str, list[np.ndarray]] = {p.name: [] for p in element.properties}
        for _ in range(element.count):
            for item in element.properties:
                size = 1
                if item.count_type:
                    size = self._value(item.count_type, self._at, element)
                    self._at += np.dtype(item.count_type).itemsize
                    sizes[item.name].append(size)
                end = self._at + size * np.dtype(item.type).itemsize
                if end > len(self._body):
                    raise _cut(element)
                values[item.name].append(np.frombuffer(self._body, self._order + item.type, size, self._at))
                self._at = end
        joined = {name: np.concatenate(found) for name, found in values.items()}
        lists = {
            name: Polygons(np.array(size, np.int64), joined[name].astype(np.int64))
            for name, size in sizes.items()
        }
        return {name: column for name, column in joined.items() if name not in lists}, lists


class _Text:
    """Elements from words."""

    def __init__(self, body: bytes) -> None:
        if b"c" in body:  # some writers put comments there, too
            body = b"\n".join(line for line in body.splitlines() if not line.lstrip().startswith(b"comment"))
        try:
            self._words = np.fromiter(map(float, body.split()), np.float64)
        except ValueError as error:
            raise MalformedFile(f"the PLY holds something that is no number ({error})") from error
        self._at = 0

    def take(self, element: _Element) -> tuple[Columns, dict[str, Polygons]]:
        """Return the single values and the lists of the next element."""
        if all(not item.count_type for item in element.properties):
            width = len(element.properties)
            end = self._at + element.count * width
            if end > len(self._words):
                raise _cut(element)
            rows = self._words[self._at : end].reshape(element.count, width)
            self._at = end
            return {item.name: rows[:, k] for k, item in enumerate(element.properties)}, {}
        sizes: dict[str, list[int]] = {p.name: [] for p in element.properties if p.count_type}
        values: dict[str, list[Floats]] = {name: [] for name in sizes}
        for _ in range(element.count):
            for item in element.properties:
                size = 1
                if item.count_type:
                    size = self._size(element)
                    sizes[item.name].append(size)
                    values[item.name].append(self._words[self._at : self._at + size])
                self._at += size
        if self._at > len(self._words):
            raise _cut(element)
        return {}, {
            name: Polygons(np.array(sizes[name], np.int64), _whole(np.concatenate([*found, np.zeros(0)])))
            for name, found in values.items()
        }

    def _size(self, element: _Element) -> int:
        if self._at >= len(self._words):
            raise _cut(element)
        value = self._words[self._at]
        self._at += 1
        if not 0 <= value <= len(self._words):
            raise MalformedFile(f"a list in the PLY's {element.name} claims {value:g} entries")
        return int(value)


def _even(rows: np.ndarray) -> Polygons:
    """Return lists of equal length, one per row."""
    return Polygons(np.full(len(rows), rows.shape[1], np.int64), _whole(rows.reshape(-1)))


def _whole(values: np.ndarray) -> Indices:
    if values.dtype.kind == "f" and not (np.abs(values) < 2**53).all():
        raise MalformedFile("a face of the PLY file is no list of whole numbers")
    return values.astype(np.int64)


def _strips(strips: Polygons) -> Polygons:
    """Return triangle strips, -1 between them, as triangles of one orientation."""
    triangles: list[tuple[int, int, int]] = []
    run: list[int] = []
    for index in strips.indices.tolist():
        run = [] if index < 0 else [*run, index]
        if len(run) >= 3:
            a, b, c = run[-3:]
            triangles.append((a, b, c) if len(run) % 2 else (b, a, c))
    flat = np.array(triangles, np.int64).reshape(-1)
    return Polygons(np.full(len(triangles), 3, np.int64), flat)


def _cut(element: _Element) -> TruncatedFile:
    return TruncatedFile(f"the PLY ends before its {element.count} {element.name} elements do")
