"""STEP and IGES files through the kernel's readers, with units, names, colours and failures."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from OCP.collections import Sequence_TCollection_AsciiString
from OCP.IFSelect import IFSelect_ReturnStatus
from OCP.IGESCAFControl import IGESCAFControl_Reader
from OCP.Interface import Interface_CheckIterator, Interface_CheckStatus
from OCP.STEPCAFControl import STEPCAFControl_Reader
from OCP.STEPConstruct import STEPConstruct_ExternRefs, STEPConstruct_UnitContext
from OCP.STEPControl import STEPControl_Reader
from OCP.StepGeom import (
    StepGeom_GeometricRepresentationContextAndGlobalUnitAssignedContext,
    StepGeom_GeomRepContextAndGlobUnitAssCtxAndGlobUncertaintyAssCtx,
)
from OCP.TopoDS import TopoDS_Shape

from cadml.errors import EmptyFile, MalformedFile, TruncatedFile
from cadml.geometry.kernel.assemblies import require_placeable
from cadml.geometry.kernel.circles import has_circle
from cadml.geometry.kernel.document import Document
from cadml.geometry.part import Finding, Severity
from cadml.geometry.units import MILLIMETRES, UNSTATED

CONTEXTS = (
    StepGeom_GeomRepContextAndGlobUnitAssCtxAndGlobUncertaintyAssCtx,
    StepGeom_GeometricRepresentationContextAndGlobalUnitAssignedContext,
)
_DONE = IFSelect_ReturnStatus.IFSelect_RetDone
_END = b"END-ISO-10303-21"
_SI = {"milli": "mm", "centi": "cm", "deci": "dm", "": "m", "kilo": "km", "micro": "µm", "nano": "nm"}
STEP_UNITS = {f"{prefix}metre": unit for prefix, unit in _SI.items()} | {
    "inch": "inch",
    "in": "inch",
    "foot": "ft",
    "feet": "ft",
    "ft": "ft",
    "yard": "yd",
    "mile": "mile",
    "mil": "mil",
    "millimeter": "mm",
    "mm": "mm",
}
# The unit flags of IGES 5.3, section 2.2.4.3.14; 3 says "see the name".
IGES_UNITS = {1: "inch", 2: "mm", 4: "ft", 5: "mile", 6: "m", 7: "km", 8: "mil", 9: "µm", 10: "cm", 11: "µin"}


@dataclass(slots=True)
class Loaded:
    """A file's shapes in millimetres, and what else the file says."""

    shape: TopoDS_Shape
    unit: str
    unit_in_mm: float
    seconds: dict[str, float]
    document: Document | None = None
    findings: list[Finding] = field(default_factory=list)

    def release(self) -> None:
        """Let go of what the kernel holds for the file."""
        self.shape, self.document = TopoDS_Shape(), None


def load_step(path: Path) -> Loaded:
    """Return what a STEP file holds.

    Raises
    ------
    EmptyFile, TruncatedFile, MalformedFile, FileTooLarge
    """
    begin = perf_counter()
    _look_over(path)
    start = perf_counter()
    reader = STEPCAFControl_Reader()
    for part in ("Layer", "Props", "GDT", "Mat", "View"):
        getattr(reader, f"Set{part}Mode")(False)  # noqa: FBT003 — kernel
    plain = reader.ChangeReader()
    if reader.ReadFile(str(path)) != _DONE:
        raise MalformedFile("the file breaks the grammar of STEP (ISO 10303-21)")
    if not plain.Model().NbEntities():
        raise EmptyFile("the STEP file has an empty data section")
    unit, unit_in_mm, findings = _step_unit(plain)
    middle = perf_counter()
    document, missing = _transfer(reader)
    if missing:
        findings.append(_elsewhere(missing))
    shape = document.shape() if document else plain.OneShape()
    findings += _failures(plain.WS().TransferReader().TransientProcess().CheckList(False))  # noqa: FBT003 — kernel
    del plain, reader  # the kernel takes its time to let go, too
    seconds = {"explore": start - begin, "read": middle - start, "transfer": perf_counter() - middle}
    return Loaded(shape, unit, unit_in_mm, seconds, document, findings)


def _transfer(reader: STEPCAFControl_Reader) -> tuple[Document | None, list[str]]:
    """Translate all shapes, and return the document, or the names of other files that hold components."""
    plain = reader.ChangeReader()
    references = STEPConstruct_ExternRefs(plain.WS())
    references.LoadExternRefs()
    missing = [str(references.FileName(i)) for i in range(1, references.NbExternRefs() + 1)]
    if missing:  # with names and colours the reader would open those files itself, wherever they lie
        plain.TransferRoots()
        return None, missing
    document = Document()
    reader.Transfer(document.handle)
    return document, []


def load_iges(path: Path) -> Loaded:
    """Return what an IGES file holds.

    Raises
    ------
    EmptyFile, MalformedFile
    """
    begin = perf_counter()
    _require_terminate(path)
    start = perf_counter()
    reader = IGESCAFControl_Reader()
    reader.SetLayerMode(False)  # noqa: FBT003 — kernel
    if reader.ReadFile(str(path)) != _DONE:
        raise MalformedFile("the file breaks the format of IGES")
    if not reader.IGESModel().NbEntities():
        raise EmptyFile("the IGES file has an empty directory")
    unit, unit_in_mm, findings = _iges_unit(reader)
    middle = perf_counter()
    document = Document()
    reader.Transfer(document.handle)
    shape = document.shape()
    findings += _failures(reader.WS().TransferReader().TransientProcess().CheckList(False))  # noqa: FBT003 — kernel
    del reader
    seconds = {"explore": start - begin, "read": middle - start, "transfer": perf_counter() - middle}
    return Loaded(shape, unit, unit_in_mm, seconds, document, findings)


def _require_terminate(path: Path) -> None:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 400))
        tail = file.read().split()
    if not tail:
        raise EmptyFile("the file holds no bytes")
    # The last record counts all sections and bears the letter T with its number: "… P   2926   T0000001".
    if not re.search(rb"(^|\D)T\d*$", tail[-1]) and b"T" not in tail[-2:]:
        raise TruncatedFile("the IGES file ends before its terminate section")


def _look_over(path: Path) -> None:
    if not path.stat().st_size:
        raise EmptyFile("the file holds no bytes")
    data = path.read_bytes()  # searched far faster than a mapped file
    if data.rfind(_END) < 0:
        raise TruncatedFile("the STEP file ends before its END-ISO-10303-21 line")
    if has_circle(data):
        raise MalformedFile("entities of the STEP file refer to each other in a circle")
    require_placeable(data)


def _step_unit(reader: STEPControl_Reader) -> tuple[str, float, list[Finding]]:
    names, angles, solid_angles = (Sequence_TCollection_AsciiString() for _ in range(3))
    reader.FileUnits(names, angles, solid_angles)
    stated = [str(names.Value(i).ToCString()) for i in range(1, len(names) + 1)]
    if not stated:
        return UNSTATED, 1.0, [_unstated("STEP")]
    unit = STEP_UNITS.get(stated[0].strip("'\" ").lower())
    findings: list[Finding] = []
    if len(set(stated)) > 1:
        text = f"the file mixes the length units {', '.join(dict.fromkeys(stated))}; each was converted"
        findings.append(Finding("MIXED_UNITS", Severity.NOTE, text))
    if unit is None:
        return stated[0], _length_factor(reader), findings
    return unit, MILLIMETRES[unit], findings


def _length_factor(reader: STEPControl_Reader) -> float:
    """Return how many mm the unit of the first context is, for a unit that only the file knows."""
    model = reader.Model()
    for number in range(1, model.NbEntities() + 1):
        entity = model.Value(number)
        if isinstance(entity, CONTEXTS):
            units = STEPConstruct_UnitContext()
            units.ComputeFactors(entity.GlobalUnitAssignedContext())
            if units.LengthDone():
                return float(units.LengthFactor())
    raise MalformedFile("the STEP file names a length unit without saying how long it is")


def _iges_unit(reader: IGESCAFControl_Reader) -> tuple[str, float, list[Finding]]:
    header = reader.IGESModel().GlobalSection()
    unit = IGES_UNITS.get(header.UnitFlag())
    if unit is not None:
        return unit, MILLIMETRES[unit], []
    name = header.UnitName()
    text = "" if name is None else str(name.ToCString()).strip().lower()
    unit = STEP_UNITS.get(text)
    return (unit, MILLIMETRES[unit], []) if unit else (UNSTATED, 1.0, [_unstated("IGES")])


def _unstated(name: str) -> Finding:
    text = f"the {name} file does not state its length unit; millimetres were assumed"
    return Finding("UNIT_UNSTATED", Severity.SUSPECT, text)


def _elsewhere(names: list[str]) -> Finding:
    return Finding(
        "EXTERNAL_FILES",
        Severity.SUSPECT,
        f"{len(names)} component(s) lie in other files and are missing here",
        where=", ".join(names[:5]),
    )


def _failures(checks: Interface_CheckIterator) -> list[Finding]:
    if checks.Status() != Interface_CheckStatus.Interface_CheckFail:
        return []
    failed, first = 0, ""
    checks.Start()
    while checks.More():
        check = checks.Value()
        if check.HasFailed():
            failed += 1
            first = first or str(check.CFail(1))
        checks.Next()
    text = f"{failed} entities could not be translated and are missing ({first})"
    return [Finding("TRANSFER_FAILED", Severity.SUSPECT, text)]
