"""What the opening bytes of a file say it is, whatever its name claims.

A signature sees an :class:`Opening` (the first and the last 64 KiB, never the whole file) and answers
yes or no. It runs in the service itself, so it only compares bytes: nothing is unpacked or parsed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

WINDOW = 65_536  # bytes looked at from either end of the file
STL_HEADER = 84  # bytes before the first triangle of a binary STL: 80 of free text, 4 of count
STL_TRIANGLE = 50  # bytes of one binary STL triangle: 12 float32 and 2 spare bytes
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Control characters that no text file holds; tab, line feed, form feed, return, escape and the DOS
# end-of-file mark 0x1A do occur (old DXF writers end with it).
_NOT_TEXT = re.compile(rb"[\x00-\x08\x0b\x0e-\x19\x1c-\x1f]")


@dataclass(frozen=True, slots=True)
class Opening:
    """Both ends of a file, its length and the lower-case extension it was sent under."""

    head: bytes
    tail: bytes
    size: int
    extension: str

    @classmethod
    def of(cls, path: Path, extension: str) -> Self:
        """Return the opening of the file at ``path``."""
        with path.open("rb") as file:
            head = file.read(WINDOW)
            size = file.seek(0, 2)
            file.seek(max(0, size - WINDOW))
            return cls(head, file.read(WINDOW), size, extension)

    @property
    def text(self) -> bytes:
        """The head without byte order mark and leading white space."""
        return self.head.removeprefix(_BYTE_ORDER_MARK).lstrip()

    @property
    def is_text(self) -> bool:
        """Whether no byte of the head rules out text."""
        return not _NOT_TEXT.search(self.head)


def _lines(opening: Opening, comment: bytes) -> list[bytes]:
    """Return the stripped lines of the head that are neither blank nor comments."""
    lines = (line.strip() for line in opening.text.splitlines())
    return [line for line in lines if line and not line.startswith(comment)]


def is_step(opening: Opening) -> bool:
    """Tell whether the head opens an ISO 10303-21 exchange structure (comments may come first)."""
    text = opening.text
    while text.startswith(b"/*") and b"*/" in text:
        text = text.partition(b"*/")[2].lstrip()
    return bool(re.match(rb"ISO-10303-21\s*;", text))


def is_iges(opening: Opening) -> bool:
    """Tell whether the first lines carry an IGES section letter in column 73 and a sequence number."""
    lines = opening.head.removeprefix(_BYTE_ORDER_MARK).lstrip(b"\r\n").splitlines()
    first = next((line for line in lines if line.strip()), b"")
    # S: start; B, C: the (rare) binary and compressed forms, which the reader then refuses by name.
    return bool(re.match(rb"^.{72}S\s*0*1\s*$", first))


def is_brep(opening: Opening) -> bool:
    """Tell whether the head is Open CASCADE's native format, text or binary."""
    head = opening.text[:256]
    return (
        head.startswith((b"DBRep_DrawableShape", b"CASCADE Topology V"))
        or b"\nCASCADE Topology V" in head
        or b"Open CASCADE Topology V" in head
    )


def is_ascii_stl(opening: Opening) -> bool:
    """Tell whether the head reads as ``solid … facet`` text."""
    lines = _lines(opening, b"#")
    if not opening.is_text or not lines or not re.match(rb"(?i)solid\b", lines[0]):
        return False
    return len(lines) == 1 or bool(re.match(rb"(?i)(facet\s|endsolid|color\s|solid\b)", lines[1]))


def is_binary_stl(opening: Opening) -> bool:
    """Tell whether the bytes can be a binary STL: it has no magic, so the length has to speak.

    A length that fits the announced count proves it, even where the free text begins with "solid".
    Otherwise anything that is not text may be a damaged one: the reader says what is missing.
    """
    if opening.size < STL_HEADER:
        return False
    count = int.from_bytes(opening.head[80:84], "little")
    return opening.size == STL_HEADER + STL_TRIANGLE * count or not opening.is_text


def is_stl(opening: Opening) -> bool:
    """Tell whether the file is an STL of either kind."""
    return is_ascii_stl(opening) or is_binary_stl(opening)


_OBJ_LINE = re.compile(
    rb"(v|vt|vn|vp|f|l|p|o|g|s|mg|usemtl|mtllib|usemap|maplib|cstype|deg|bmat|step|curv|curv2|surf|parm|trim|hole"
    rb"|scrv|sp|end|con|bevel|c_interp|d_interp|lod|shadow_obj|trace_obj|ctech|stech|call|csh)(\s|$)"
)


def is_obj(opening: Opening) -> bool:
    """Tell whether the head reads as Wavefront OBJ: it has no magic, so nearly every line must fit."""
    if not opening.is_text:
        return False
    text = opening.text.replace(b"\\\r\n", b" ").replace(b"\\\n", b" ")
    lines = [line.strip() for line in text.splitlines()]
    if opening.size > len(opening.head):
        lines = lines[:-1]  # the window may cut the last one
    statements = [line for line in lines if line and not line.startswith(b"#")]
    if not statements:
        return bool(text)  # nothing but comments: an empty OBJ, which the reader then says
    known = sum(bool(_OBJ_LINE.match(line)) for line in statements)
    return known >= 0.9 * len(statements)


def is_ply(opening: Opening) -> bool:
    """Tell whether the head is ``ply`` followed by a format line."""
    return bool(re.match(rb"ply\s", opening.text)) and b"format" in opening.text[:WINDOW]


def is_off(opening: Opening) -> bool:
    """Tell whether the first line that is no comment is an OFF keyword."""
    lines = _lines(opening, b"#")
    return bool(lines) and bool(re.match(rb"(ST)?C?N?4?n?OFF\b", lines[0]))


def is_3mf(opening: Opening) -> bool:
    """Tell whether the file is a zip that names a 3-D model (local headers or directory at the end)."""
    if not opening.head.startswith(b"PK\x03\x04"):
        return False
    is_cut = b"PK\x05\x06" not in opening.tail  # then the model may have been named in what is gone
    is_package = b"[Content_Types].xml" in opening.head or b"_rels/.rels" in opening.head
    return b".model" in (opening.head + opening.tail).lower() or (is_cut and is_package)


def is_glb(opening: Opening) -> bool:
    """Tell whether the file is binary glTF."""
    return opening.head.startswith(b"glTF")


def is_gltf_json(opening: Opening) -> bool:
    """Tell whether the head is a JSON object that can be glTF (``asset`` may stand anywhere in it)."""
    if not opening.text.startswith(b"{"):
        return False
    seen = opening.head + opening.tail
    return any(key in seen for key in (b'"asset"', b'"accessors"', b'"bufferViews"', b'"meshes"'))


def is_gltf(opening: Opening) -> bool:
    """Tell whether the file is glTF of the kind its extension says: ``.glb`` binary, ``.gltf`` JSON."""
    if opening.extension == "gltf":
        return is_gltf_json(opening)
    if opening.extension == "glb":
        return is_glb(opening)
    return is_glb(opening) or is_gltf_json(opening)


_DXF_TEXT = re.compile(rb"\s*0*0\s*\r?[\r\n]\s*SECTION\s*\r?[\r\n]")


def is_dxf(opening: Opening) -> bool:
    """Tell whether the head is DXF: the binary sentinel, or a first SECTION (comments, 999, may precede)."""
    if opening.head.startswith(b"AutoCAD Binary DXF"):
        return True
    text = opening.text
    while re.match(rb"999[ \t]*\r?[\r\n]", text):  # a comment: its code, then one line
        rest = re.split(rb"\r\n|\r|\n", text, maxsplit=2)
        text = rest[2].lstrip() if len(rest) == 3 else b""
    return bool(_DXF_TEXT.match(text)) or bool(re.match(rb"0\s*[\r\n]+\s*EOF\b", text))


def _is_xml(name: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"(<\?xml.{0,4096}?)?<(" + name + rb")[\s>]", re.DOTALL | re.IGNORECASE)


# What else people send: (pattern at the start of the file, its name). Only used to word an error.
OTHERS: tuple[tuple[re.Pattern[bytes], str], ...] = tuple(
    (pattern if isinstance(pattern, re.Pattern) else re.compile(pattern), name)
    for pattern, name in (
        (rb"AC10[0-9]{2}\x00|AC10[0-9]{2}", "an AutoCAD DWG drawing"),
        (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an OLE container (SolidWorks, Inventor or Office)"),
        (rb"\*\*ABCDEFGHIJKLMNOPQRSTUVWXYZ|PS\x00\x00", "a Parasolid file"),
        (rb"V_CFV2|CATIA", "a CATIA file"),
        (rb"Version\s+\d+\.\d+\s+JT", "a JT file"),
        (rb"3D Geometry File Format", "a Rhino 3DM model"),
        (rb"ACIS BinaryFile|ASM BinaryFile", "an ACIS SAB file"),
        (rb"\d{3,6} \d+ \d+ \d+\s*[\r\n]+\d+ \S", "an ACIS SAT file"),
        (rb"Kaydara FBX Binary", "an FBX scene"),
        (rb"BLENDER|\x28\xb5\x2f\xfdBLENDER", "a Blender scene"),
        (rb"\xff\xfe\xff\x0eS\x00k\x00e\x00t\x00c\x00h", "a SketchUp model"),
        (rb"#UGC:", "a Creo part or assembly"),
        (_is_xml(rb"amf"), "an AMF file"),
        (_is_xml(rb"COLLADA"), "a COLLADA scene"),
        (_is_xml(rb"X3D"), "an X3D scene"),
        (rb"#VRML", "a VRML scene"),
        (_is_xml(rb"!DOCTYPE html|html"), "a web page"),
        (_is_xml(rb"svg"), "an SVG image"),
        (rb"%PDF-", "a PDF document"),
        (rb"\x89PNG|\xff\xd8\xff|GIF8|BM.{4}\x00{4}|II\*\x00|MM\x00\*", "an image"),
        (rb"PK\x03\x04|PK\x05\x06", "a zip archive"),
        (rb"\x1f\x8b", "a gzip archive"),
        (rb"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
        (rb"Rar!\x1a\x07", "a RAR archive"),
    )
)


def name_other(opening: Opening) -> str | None:
    """Return what the opening looks like among formats that cadml does not read, or None."""
    return next((name for pattern, name in OTHERS if pattern.match(opening.text)), None)


def is_whole_iges(path: Path) -> bool:
    """Tell whether the IGES file has its last section, T in column 73."""
    return bool(re.search(rb"^.{72}T\s*0*1[ \t]*\r?$", Opening.of(path, "iges").tail, re.MULTILINE))


def is_whole_brep(path: Path) -> bool:
    """Tell whether a BREP file has all the shapes that it announces; the binary kind passes unjudged.

    Open CASCADE 8.0 crashes or runs forever on a text that stops earlier.
    """
    data = path.read_bytes()
    if b"Open CASCADE Topology V" in data[:256]:
        return True
    announced = re.search(rb"^TShapes (\d+)[ \t]*\r?$", data, re.MULTILINE)
    if announced is None:
        return False
    # One record per shape, each ended by a star; then the root: orientation, shape and location.
    records = data[announced.end() :].split(b"*")
    return len(records) - 1 >= int(announced[1]) and bool(re.match(rb"\s*[+-]?\d+ \d+\b", records[-1]))
