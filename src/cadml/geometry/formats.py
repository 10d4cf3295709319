"""Every file format once: its names, what its bytes begin with, and who reads it.

``FORMATS`` is the table that docs, help texts and tests derive from. Importing it imports no
reader: a reader is a dotted path that :func:`read` resolves, inside a worker process only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path, PurePath

from cadml.errors import EmptyFile, MislabelledFile, ProprietaryFormat, TruncatedFile, UnknownFormat
from cadml.geometry import signatures
from cadml.geometry.part import Kind, Part
from cadml.geometry.signatures import Opening


@dataclass(frozen=True, slots=True)
class Format:
    """One row: a format that cadml reads."""

    name: str
    kind: Kind
    extensions: tuple[str, ...]
    media_type: str
    description: str
    signature: Callable[[Opening], bool]
    reader: str
    is_whole: Callable[[Path], bool] | None = None  # where a reader would not survive a cut file


FORMATS: dict[str, Format] = {}
_BY_EXTENSION: dict[str, Format] = {}


def register(row: Format) -> None:
    """Add ``row`` to the table; a name or extension that is taken raises ``ValueError``."""
    taken = [e for e in row.extensions if e in _BY_EXTENSION]
    if row.name in FORMATS or taken:
        raise ValueError(f"format {row.name} {taken or ''} is registered twice")
    FORMATS[row.name] = row
    _BY_EXTENSION.update(dict.fromkeys(row.extensions, row))


for _row in (
    Format(
        "step", Kind.BREP, ("step", "stp", "p21"), "model/step",
        "STEP AP203, AP214, AP242", signatures.is_step, "cadml.geometry.brep:read_step",
    ),
    Format(
        "iges", Kind.BREP, ("iges", "igs"), "model/iges",
        "IGES 5.x", signatures.is_iges, "cadml.geometry.brep:read_iges", signatures.is_whole_iges,
    ),
    Format(
        "brep", Kind.BREP, ("brep", "brp"), "application/vnd.opencascade.brep",
        "Open CASCADE native B-rep", signatures.is_brep, "cadml.geometry.brep:read_brep",
        signatures.is_whole_brep,
    ),
    Format(
        "stl", Kind.MESH, ("stl",), "model/stl",
        "STL, binary or text; no unit, read as mm", signatures.is_stl, "cadml.geometry.mesh:read_stl",
    ),
    Format(
        "ply", Kind.MESH, ("ply",), "application/vnd.ply",
        "Stanford PLY; no unit, read as mm", signatures.is_ply, "cadml.geometry.ply:read_ply",
    ),
    Format(
        "off", Kind.MESH, ("off",), "model/vnd.off",
        "Geomview OFF; no unit, read as mm", signatures.is_off, "cadml.geometry.mesh:read_off",
    ),
    Format(
        "3mf", Kind.MESH, ("3mf",), "model/3mf",
        "3D Manufacturing Format", signatures.is_3mf, "cadml.geometry.threemf:read_3mf",
    ),
    Format(
        "gltf", Kind.MESH, ("glb", "gltf"), "model/gltf-binary",
        "glTF 2.0: GLB, or JSON with embedded buffers", signatures.is_gltf, "cadml.geometry.gltf:read_gltf",
    ),
    Format(
        "dxf", Kind.DRAWING, ("dxf",), "image/vnd.dxf",
        "AutoCAD DXF R12 to R2018, text or binary", signatures.is_dxf, "cadml.geometry.drawing:read_dxf",
    ),
    Format(  # last: its signature is the weakest, so it is asked last what a mislabelled file may be
        "obj", Kind.MESH, ("obj",), "model/obj",
        "Wavefront OBJ; no unit, read as mm", signatures.is_obj, "cadml.geometry.mesh:read_obj",
    ),
):  # fmt: skip
    register(_row)

_EXACT = "export STEP (AP242 or AP214) from {0} instead"
_STEP = _EXACT.format("the system that wrote it")
_UNPACK = "unpack it and send the CAD files inside one by one"

REFUSED: dict[str, str] = {
    "dwg": "DWG is AutoCAD's closed format; save as DXF (R2018 or older) instead",
    "dwf": "DWF is a published view of a drawing; export DXF from the original instead",
    "dgn": "DGN is MicroStation's closed format; export DXF or STEP instead",
    "3dxml": "3DXML is Dassault's closed format; " + _EXACT.format("CATIA or 3DEXPERIENCE"),
    "catpart": "CATPart is CATIA's closed format; " + _EXACT.format("CATIA"),
    "catproduct": "CATProduct is CATIA's closed format; " + _EXACT.format("CATIA"),
    "catdrawing": "CATDrawing is CATIA's closed format; export DXF from CATIA instead",
    "cgr": "CGR is CATIA's closed viewing format; " + _EXACT.format("CATIA"),
    "fcstd": "FCStd is a FreeCAD project, which only FreeCAD can rebuild; " + _EXACT.format("FreeCAD"),
    "sldprt": "SLDPRT is SolidWorks' closed format; " + _EXACT.format("SolidWorks"),
    "sldasm": "SLDASM is SolidWorks' closed format; " + _EXACT.format("SolidWorks"),
    "slddrw": "SLDDRW is SolidWorks' closed format; export DXF from SolidWorks instead",
    "ipt": "IPT is Inventor's closed format; " + _EXACT.format("Inventor"),
    "iam": "IAM is Inventor's closed format; " + _EXACT.format("Inventor"),
    "idw": "IDW is Inventor's closed format; export DXF from Inventor instead",
    "f3d": "F3D is Fusion's closed format; " + _EXACT.format("Fusion"),
    "prt": "PRT is the closed format of NX or Creo; " + _EXACT.format("NX or Creo"),
    "asm": "ASM is the closed format of Creo or Solid Edge; " + _STEP,
    "par": "PAR is Solid Edge's closed format; " + _EXACT.format("Solid Edge"),
    "psm": "PSM is Solid Edge's closed format; " + _EXACT.format("Solid Edge"),
    "x_t": "X_T is a Parasolid file, for which no open reader exists; " + _STEP,
    "x_b": "X_B is a Parasolid file, for which no open reader exists; " + _STEP,
    "xmt_txt": "Parasolid files have no open reader; " + _STEP,
    "sat": "SAT is an ACIS file, for which no open reader exists; " + _STEP,
    "sab": "SAB is an ACIS file, for which no open reader exists; " + _STEP,
    "jt": "JT has no complete open reader; " + _STEP,
    "skp": "SKP is SketchUp's closed format; export GLB, STL or DXF from SketchUp instead",
    "3dm": "3DM is Rhino's own format; " + _EXACT.format("Rhino"),
    "vda": "VDA-FS is out of use; export STEP or IGES instead",
    "ifc": "IFC describes buildings, not parts; export the part as STEP instead",
    "stpx": "STEP-XML is not read; " + _EXACT.format("the same system"),
    "stpz": "this is a compressed STEP file; unpack it like a zip or gzip archive and send the .stp inside",
    "stpnc": "STEP-NC describes machining; export the part as STEP AP242 instead",
    "amf": "AMF was superseded; export 3MF or STL instead",
    "dae": "COLLADA is a scene format; export GLB or STL instead",
    "fbx": "FBX is a closed scene format; export GLB or STL instead",
    "blend": "this is a Blender project; export GLB or STL from Blender instead",
    "3ds": "3DS is an old scene format; export GLB or STL instead",
    "max": "MAX is 3ds Max's closed format; export GLB or STL instead",
    "wrl": "VRML is a scene format; export GLB or STL instead",
    "x3d": "X3D is a scene format; export GLB or STL instead",
    "usdz": "USD is a scene format; export GLB or STL instead",
    "u3d": "U3D is a viewing format; export STEP or GLB instead",
    "pdf": "a PDF holds no usable geometry; export STEP, STL or DXF from the CAD system instead",
    "svg": "an SVG has no units or entities to rely on; export DXF instead",
    "zip": "this is an archive; " + _UNPACK,
    "zae": "this is a zipped COLLADA scene; export GLB or STL instead",
    "7z": "this is an archive; " + _UNPACK,
    "rar": "this is an archive; " + _UNPACK,
    "tar": "this is an archive; " + _UNPACK,
    "tgz": "this is an archive; " + _UNPACK,
    "gz": "this is compressed; " + _UNPACK,
    "bz2": "this is compressed; " + _UNPACK,
    "xz": "this is compressed; " + _UNPACK,
    "zst": "this is compressed; " + _UNPACK,
}  # fmt: skip


def extension_of(filename: str) -> str:
    """Return the lower-case extension of ``filename`` without its dot, or an empty string.

    Creo numbers its files (``bracket.prt.7``): there the extension stands before the number.
    """
    suffixes = [suffix[1:].lower() for suffix in PurePath(filename.replace("\\", "/").strip()).suffixes]
    if len(suffixes) > 1 and suffixes[-1].isdecimal():
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def recognise(path: Path, filename: str) -> Format:
    """Return the format on which the extension of ``filename`` and the bytes at ``path`` agree.

    Raises
    ------
    UnknownFormat
        The extension belongs to no format.
    ProprietaryFormat
        The format is known but cannot be read; the message says what to export instead.
    EmptyFile
        The file holds no bytes.
    TruncatedFile
        The bytes end before the signature does.
    MislabelledFile
        The content is not what the extension says.
    """
    extension = extension_of(filename)
    if extension in REFUSED:
        raise ProprietaryFormat(REFUSED[extension], extension=extension)
    row = _BY_EXTENSION.get(extension)
    if row is None:
        known = ", ".join(sorted(_BY_EXTENSION))
        shown = f"the extension .{extension[:20]}" if extension else "a file name without extension"
        raise UnknownFormat(f"{shown} is not known; cadml reads {known}", extension=extension[:20])
    opening = Opening.of(path, extension)
    if not opening.head.strip(b"\x00 \t\r\n"):
        what = "no bytes" if opening.size == 0 else "nothing but blanks"
        raise EmptyFile(f"the file holds {what}", format=row.name)
    if row.signature(opening) and (_has_magic(row, opening) or _looks_like(opening, row) is None):
        return row
    raise _disagreement(row, opening)


def _has_magic(row: Format, opening: Opening) -> bool:
    """Tell whether a fitting signature proves the format; OBJ and binary STL only seem plausible."""
    return row.name != "obj" and (row.name != "stl" or signatures.is_ascii_stl(opening))


def _looks_like(opening: Opening, row: Format) -> str | None:
    """Return the name of the other format that the content begins as, or None."""
    anyhow = replace(opening, extension="")
    for other in FORMATS.values():
        if other is not row and other.signature(anyhow) and _has_magic(other, opening):
            return f"{other.name.upper()} ({other.description})"
    return signatures.name_other(opening)


def _disagreement(row: Format, opening: Opening) -> TruncatedFile | MislabelledFile:
    looks_like = _looks_like(opening, row)
    if row.name == "gltf" and signatures.is_glb(opening):
        looks_like = "binary glTF; name it .glb"
    elif row.name == "gltf" and signatures.is_gltf_json(opening):
        looks_like = "glTF JSON; name it .gltf"
    elif looks_like is None and row.name != "obj" and signatures.is_obj(opening):
        looks_like = "OBJ"
    elif looks_like is None and row.name == "stl" and not opening.is_text:  # too short for the binary kind
        return TruncatedFile(
            f"the file ends after {opening.size} bytes, before an STL's first triangle", format="stl"
        )
    seems = f"looks like {looks_like}" if looks_like else f"is not {row.name.upper()}"
    return MislabelledFile(
        f"the name says {row.name.upper()} but the content {seems}", format=row.name, looks_like=looks_like
    )


def read(path: Path, row: Format) -> Part:
    """Return the part in the file at ``path``. Call it inside a worker process only.

    Raises
    ------
    FileError
        Whatever the reader found wrong with the file.
    """
    if row.is_whole is not None and not row.is_whole(path):
        raise TruncatedFile(
            f"the {row.name.upper()} file ends before its format says it should", format=row.name
        )
    module, _, function = row.reader.partition(":")
    part: Part = getattr(import_module(module), function)(path)
    return part
