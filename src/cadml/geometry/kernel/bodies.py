"""What encloses a volume: solids set right, shells and loose faces sewn where they nearly close."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from OCP.BRep import BRep_Builder, BRep_Tool
from OCP.BRepBuilderAPI import BRepBuilderAPI_Sewing
from OCP.BRepTools import BRepTools_ReShape
from OCP.collections import IndexedMap_TopoDS_Shape_TopTools_ShapeMapHasher as ShapeMap
from OCP.GProp import GProp_GProps
from OCP.TopAbs import TopAbs_ShapeEnum
from OCP.TopExp import TopExp_Explorer
from OCP.TopoDS import TopoDS_Face, TopoDS_Iterator, TopoDS_Shape, TopoDS_Shell, TopoDS_Solid

from cadml.geometry.kernel.measure import size_of, surface_of, volume_of
from cadml.geometry.kernel.topology import EDGE, FACE, bundle, count, keys, mapped
from cadml.geometry.part import Finding, Severity

COMPOUND = TopAbs_ShapeEnum.TopAbs_COMPOUND
SOLID = TopAbs_ShapeEnum.TopAbs_SOLID
SHELL = TopAbs_ShapeEnum.TopAbs_SHELL
# Writers place the borders of neighbouring faces within 1e-5 of the size; a gap above 1e-4 is meant.
SEWING = (1e-5, 1e-4)


@dataclass(slots=True)
class Bodies:
    """The bodies of a file; ``volumes`` are the integrals over each closed one."""

    shape: TopoDS_Shape
    volumes: list[GProp_GProps] = field(default_factory=list)
    open_faces: list[int] = field(default_factory=list)  # faces of each body that encloses nothing
    turned: int = 0
    sewings: list[BRepBuilderAPI_Sewing] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Number of bodies, open ones included."""
        return len(self.volumes) + len(self.open_faces)

    def now(self, shape: TopoDS_Shape) -> TopoDS_Shape:
        """Return what became of a part of the file's shape."""
        for sewing in self.sewings:
            shape = sewing.ModifiedSubShape(shape) if sewing.IsModifiedSubShape(shape) else shape
        return shape

    def findings(self) -> Iterator[Finding]:
        """Yield what was repaired and what stays doubtful."""
        if self.turned:
            text = f"{self.turned} solid(s) were inside out and have been turned"
            yield Finding("SOLID_REVERSED", Severity.REPAIRED, text)
        if self.sewings:
            gap = max(sewing.Tolerance() for sewing in self.sewings)
            text = f"faces that did not share their edges were joined across gaps of up to {gap:.1g} mm"
            yield Finding("FACES_SEWN", Severity.REPAIRED, text)
        if self.open_faces:
            faces = sum(self.open_faces)
            text = f"{len(self.open_faces)} of {self.count} bodies enclose no volume ({faces} faces)"
            yield Finding("OPEN_SHELL", Severity.SUSPECT, text)


def settle(shape: TopoDS_Shape) -> Bodies:
    """Return the bodies in ``shape``, each closed one as a solid with its material inside."""
    result = Bodies(shape)
    kept: list[TopoDS_Shape] = []
    remains: list[TopoDS_Shape] = []
    for solid in keys(mapped(shape, SOLID)):
        if _is_closed(solid):
            kept.append(_outward(solid, result))
        else:
            remains += _closed([solid], result, kept)
    for group in _loose(shape):
        remains += _closed(group, result, kept)
    if len(remains) > 1:  # some writers put every face into a group of its own
        remains = _closed(remains, result, kept)
    for remain in remains:
        result.open_faces.append(count(remain, FACE))
    if result.turned or result.sewings or remains:  # otherwise every body stayed as it was
        result.shape = bundle(kept + remains)
    return result


def _outward(solid: TopoDS_Shape, result: Bodies) -> TopoDS_Shape:
    volume = volume_of(solid)
    if volume.Mass() < 0:
        solid = solid.Reversed()
        volume = volume_of(solid)
        result.turned += 1
    result.volumes.append(volume)
    return solid


def without(shape: TopoDS_Shape, faces: Iterable[TopoDS_Face]) -> TopoDS_Shape:
    """Return ``shape`` less some faces."""
    change = BRepTools_ReShape()
    for face in faces:
        change.Remove(face)
    return change.Apply(shape)


def _closed(pieces: list[TopoDS_Shape], result: Bodies, kept: list[TopoDS_Shape]) -> list[TopoDS_Shape]:
    """Add to ``kept`` the solids that ``pieces`` close, sewn where needed; return the shells left open."""
    whole = _sewn(bundle(pieces), result)
    rest: list[TopoDS_Shape] = []
    lone = [_shell(face) for face in _explored(whole, FACE, SHELL)]  # a sphere or torus is one face
    for shell in keys(mapped(whole, SHELL)) + lone:
        if BRep_Tool.IsClosed_s(shell):
            kept.append(_outward(_solid(shell), result))
        else:
            rest.append(shell)
    return rest


def _sewn(whole: TopoDS_Shape, result: Bodies) -> TopoDS_Shape:
    """Return ``whole`` with faces joined that nearly share their edges, as far as that goes."""
    if not _is_open(whole):
        return whole
    size = size_of(surface_of(whole))
    for share in SEWING:
        sewing = BRepBuilderAPI_Sewing(share * size)
        sewing.Add(whole)
        sewing.Perform()
        joined = sewing.SewedShape()
        if joined.IsNull() or _pieces(joined) >= _pieces(whole):
            continue
        whole = joined
        result.sewings.append(sewing)
        if not _is_open(whole):
            break
    return whole


def _pieces(shape: TopoDS_Shape) -> int:
    return count(shape, EDGE) + len(_explored(shape, FACE, SHELL))


def _is_open(shape: TopoDS_Shape) -> bool:
    shells = keys(mapped(shape, SHELL))
    return not shells or bool(_explored(shape, FACE, SHELL)) or not all(map(BRep_Tool.IsClosed_s, shells))


def _loose(shape: TopoDS_Shape) -> list[list[TopoDS_Shape]]:
    """Return the shells and faces that belong to no solid, those of one group of the file together."""
    groups: list[list[TopoDS_Shape]] = []
    pending = [bundle([shape])]
    while pending:
        group: list[TopoDS_Shape] = []
        whole = pending.pop(0)  # the iterator alone would not keep it alive
        children = TopoDS_Iterator(whole)
        while children.More():
            child = children.Value()
            if child.ShapeType() == COMPOUND:
                pending.append(child)
            elif child.ShapeType() in (SHELL, FACE):
                group.append(child)
            children.Next()
        if group:
            groups.append(group)
    return groups


def _is_closed(solid: TopoDS_Shape) -> bool:
    shells = mapped(solid, SHELL)
    return shells.Extent() > 0 and all(BRep_Tool.IsClosed_s(shell) for shell in keys(shells))


def _shell(face: TopoDS_Shape) -> TopoDS_Shell:
    builder, shell = BRep_Builder(), TopoDS_Shell()
    builder.MakeShell(shell)
    builder.Add(shell, face)
    return shell


def _solid(shell: TopoDS_Shape) -> TopoDS_Solid:
    builder, solid = BRep_Builder(), TopoDS_Solid()
    builder.MakeSolid(solid)
    builder.Add(solid, shell)
    return solid


def _explored(shape: TopoDS_Shape, kind: TopAbs_ShapeEnum, avoid: TopAbs_ShapeEnum) -> list[TopoDS_Shape]:
    found = ShapeMap()
    walk = TopExp_Explorer(shape, kind, avoid)
    while walk.More():
        found.Add(walk.Current())
        walk.Next()
    return keys(found)
