"""Fit the scaling of v5, v6 and d1 without any label: generated parts, MFCAD, and drawings made of both.

    python benchmarks/fit_scaling.py            # writes src/cadml/features/scaling/{v5,v6,d1}.json

Each part is described twice: as read from STEP, and from an STL file of the part moved at random and
tessellated coarser or finer than ours. What differs is noise. Only for versions that are not
released yet: a released scaling never changes.
"""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from OCP.Bnd import Bnd_Box
from OCP.BRepBndLib import BRepBndLib
from OCP.BRepBuilderAPI import BRepBuilderAPI_Transform
from OCP.BRepMesh import BRepMesh_IncrementalMesh
from OCP.BRepTools import BRepTools
from OCP.gp import gp_Ax1, gp_Dir, gp_Pnt, gp_Trsf, gp_Vec
from OCP.STEPControl import STEPControl_AsIs, STEPControl_Reader, STEPControl_Writer
from OCP.StlAPI import StlAPI_Writer
from OCP.TopoDS import TopoDS_Shape

from cadml.errors import CadmlError
from cadml.features.exact import STRUCTURE
from cadml.features.scaling import Scaling
from cadml.features.versions import VERSIONS, describe
from cadml.geometry.formats import FORMATS, read
from cadml.geometry.part import BoundingBox, Drawing, Kind, Part, frozen
from cadml.geometry.samples import recipes, write_library

ROOT = Path(__file__).parents[1]
MFCAD = ROOT.parent / "shared" / "cad" / "mfcad.csv"
HOME = ROOT / "src" / "cadml" / "features" / "scaling"
DEFLECTIONS = (0.001, 0.01)  # of the diagonal: what exporters usually offer from fine to coarse
ANGLES = (0.15, 0.6)  # rad


def shapes(folder: Path) -> Iterator[tuple[str, Path, TopoDS_Shape]]:
    """Yield name, STEP file and shape of each part of the pool."""
    for recipe in recipes():
        shape, path = recipe.build(), folder / "part.step"
        writer = STEPControl_Writer()
        writer.Transfer(shape, STEPControl_AsIs)
        writer.Write(str(path))
        yield f"{recipe.label}/{recipe.design}/{recipe.size}", path, shape
    with MFCAD.open() as stream:
        for row in csv.DictReader(stream):
            path = MFCAD.parent / row["path"]
            reader = STEPControl_Reader()
            reader.ReadFile(str(path))
            reader.TransferRoots()
            yield row["path"], path, reader.OneShape()


def write_again(shape: TopoDS_Shape, path: Path, random: np.random.Generator) -> None:
    """Write ``shape``, moved at random, as an STL file of random fineness."""
    motion, shift = gp_Trsf(), gp_Trsf()
    axis = gp_Ax1(gp_Pnt(0, 0, 0), gp_Dir(*random.normal(size=3).tolist()))
    motion.SetRotation(axis, random.uniform(0, 2 * np.pi))
    shift.SetTranslation(gp_Vec(*random.uniform(-100, 100, 3).tolist()))
    # The kernel takes its flags by position.
    moved = BRepBuilderAPI_Transform(shape, shift.Multiplied(motion), True).Shape()  # noqa: FBT003
    BRepTools.Clean_s(moved)
    fineness = np.exp(random.uniform(*np.log(DEFLECTIONS)))
    diagonal = part_diagonal(moved)
    angle = float(random.uniform(*ANGLES))
    BRepMesh_IncrementalMesh(moved, float(fineness * diagonal), False, angle, False)  # noqa: FBT003
    StlAPI_Writer().Write(moved, str(path))


def part_diagonal(shape: TopoDS_Shape) -> float:
    box = Bnd_Box()
    BRepBndLib.Add_s(shape, box)
    return box.CornerMin().Distance(box.CornerMax())


def sketch(part: Part) -> Part:
    """Return the outlines of the part's faces seen along z, as a drawing of polylines."""
    mesh = part.tessellation
    sides = np.sort(np.concatenate([mesh.triangles[:, [k, (k + 1) % 3]] for k in range(3)]), axis=1)
    owner = np.concatenate([mesh.face_of_triangle] * 3)
    _, index, uses = np.unique(sides, axis=0, return_index=True, return_counts=True)
    outline = index[uses == 1]  # vertices belong to one face each, so inner sides are used twice
    segments = mesh.vertices[sides[outline]][:, :, :2]
    seen = np.linalg.norm(segments[:, 1] - segments[:, 0], axis=1) > 1e-6 * part.box.diagonal
    segments, (names, entity) = segments[seen], np.unique(owner[outline][seen], return_inverse=True)
    drawing = Drawing(
        entity_kind=("LWPOLYLINE",) * len(names),
        entity_layer=frozen(np.zeros(len(names), dtype=np.int32)),
        layers=("0",),
        segments=frozen(segments),
        segment_entity=frozen(entity.astype(np.int32).ravel()),
        segment_tolerance=mesh.linear_deflection,
        texts=(),
        dimensions=frozen(np.zeros(0)),
        surface_entities=0,
    )
    return Part(Kind.DRAWING, "dxf", "mm", 1.0, BoundingBox.of(segments.reshape(-1, 2)), drawing=drawing)


def described() -> tuple[list[dict], list[dict]]:
    """Return the vectors of each part, and those of the part moved and tessellated again."""
    random = np.random.default_rng(5)
    first, second = [], []
    with tempfile.TemporaryDirectory() as folder:
        again = Path(folder) / "again.stl"
        for name, path, shape in shapes(Path(folder)):
            try:
                part = read(path, FORMATS["step"])
                vectors = describe(part, ("v5", "v6")) | describe(sketch(part), ("d1",))
                write_again(shape, again, random)
                moved = describe(read(again, FORMATS["stl"]), ("v5",))
            except CadmlError as error:
                print(f"left out: {name}: {error.message}", flush=True)
                continue
            first.append({"name": name} | {key: vector.values for key, vector in vectors.items()})
            second.append({key: vector.values for key, vector in moved.items()})
        for path in write_library(Path(folder) / "library"):
            if path.suffix == ".dxf":
                drawn = describe(read(path, FORMATS["dxf"]), ("d1",))
                first.append({"name": path.name, "d1": drawn["d1"].values})
    return first, second


def stacked(described: list[dict], version: str) -> np.ndarray:
    return np.stack([vectors[version] for vectors in described if version in vectors])


def main() -> None:
    first, second = described()
    v5 = Scaling.fitted(
        stacked(first, "v5"), VERSIONS["v5"].descriptors, (stacked(first, "v5"), stacked(second, "v5"))
    )
    # An STL file has no exact faces, so their noise is unknown: every exact block counts alike.
    exact = Scaling.fitted(stacked(first, "v6")[:, len(v5.offset) :], STRUCTURE)
    v6 = Scaling(
        *(np.concatenate([getattr(s, f) for s in (v5, exact)]) for f in ("offset", "scale", "weight"))
    )
    d1 = Scaling.fitted(stacked(first, "d1"), VERSIONS["d1"].descriptors)
    parts = f"{len(second)} parts without labels (generated samples and MFCAD)"
    write("v5", v5, f"{parts}, weights by reliability under motion and re-tessellation")
    write("v6", v6, f"{parts}: v5, and exact blocks of equal weight")
    write("d1", d1, f"outlines of {parts}, and {len(first) - len(second)} generated drawings; equal blocks")


def write(version: str, scaling: Scaling, origin: str) -> None:
    row = VERSIONS[version]
    slots = {
        slot.name: {"offset": float(o), "scale": float(s), "weight": float(w)}
        for slot, o, s, w in zip(row.slots, scaling.offset, scaling.scale, scaling.weight, strict=True)
    }
    (HOME / f"{version}.json").write_text(json.dumps({"origin": origin, "slots": slots}, indent=1) + "\n")
    print(version, row.length, "slots from", origin)


if __name__ == "__main__":
    main()
