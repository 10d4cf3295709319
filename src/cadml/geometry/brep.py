"""STEP, IGES and BREP files become parts with exact structure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np
from OCP.GProp import GProp_GProps
from OCP.TopExp import TopExp_Explorer
from OCP.TopoDS import TopoDS_Shape

from cadml.errors import MalformedFile, NoSurfaceGeometry
from cadml.geometry.kernel.assemblies import placed_faces
from cadml.geometry.kernel.bodies import Bodies, settle, without
from cadml.geometry.kernel.box import box_of
from cadml.geometry.kernel.dump import load_brep
from cadml.geometry.kernel.exchange import Loaded, load_iges, load_step
from cadml.geometry.kernel.explore import explore
from cadml.geometry.kernel.failures import FAILURES
from cadml.geometry.kernel.measure import areas_of, faulty, mass_of, size_of
from cadml.geometry.kernel.surfaces import Surfaces
from cadml.geometry.kernel.tessellate import collect, tessellate
from cadml.geometry.kernel.topology import EDGE, Topology
from cadml.geometry.part import Finding, Floats, Kind, Part, Severity


def read_step(path: Path) -> Part:
    """Return the part in a STEP file (AP203, AP214, AP242).

    Raises
    ------
    EmptyFile, TruncatedFile, MalformedFile, FileTooLarge, NoSurfaceGeometry
    """
    with _kernel_failures():
        return _part_of(load_step(path), "step")


def read_iges(path: Path) -> Part:
    """Return the part in an IGES file.

    Raises
    ------
    EmptyFile, MalformedFile, FileTooLarge, NoSurfaceGeometry
    """
    with _kernel_failures():
        return _part_of(load_iges(path), "iges")


def read_brep(path: Path) -> Part:
    """Return the part in a BREP file of Open CASCADE, text or binary; it cannot state a unit.

    Raises
    ------
    EmptyFile, TruncatedFile, MalformedFile, FileTooLarge, NoSurfaceGeometry
    """
    with _kernel_failures():
        return _part_of(load_brep(path), "brep")


@contextmanager
def _kernel_failures() -> Iterator[None]:
    try:
        yield
    except FAILURES as failure:
        name = type(failure).__name__
        raise MalformedFile(f"the kernel could not work on the file's shapes ({name})") from failure


def _part_of(loaded: Loaded, format_name: str) -> Part:
    seconds = dict(loaded.seconds)
    _require_faces(loaded)
    found = _measured(loaded.shape, seconds)
    bad = np.flatnonzero(faulty(found.areas))
    findings = list(loaded.findings)
    if len(bad):
        text = f"{len(bad)} face(s) have borders that enclose no area and were left out"
        findings.append(Finding("FACE_LEFT_OUT", Severity.SUSPECT, text, where=_numbers(bad.tolist())))
        found = _measured(without(loaded.shape, [found.topology.faces[index] for index in bad]), seconds)
    _require_area(found)
    with _timed(seconds, "tessellate"):
        deflection = tessellate(found.topology, size_of(found.surface))
    with _timed(seconds, "explore"):
        mesh, bare = collect(found.topology, deflection)
        brep = explore(found.topology, Surfaces.of(found.topology), found.areas)
        names = loaded.document.names() if loaded.document else ()
        colours = loaded.document.face_colours(found.bodies) if loaded.document else None
        box = box_of(found.topology, mesh, brep)
    findings += _bare(bare)
    with _timed(seconds, "measure"):
        mass = mass_of(found.surface, found.bodies.volumes, is_closed=not found.bodies.open_faces)
    bodies, findings = found.bodies.count, [*findings, *found.bodies.findings()]
    with _timed(seconds, "transfer"):  # the kernel takes its time to let go, too
        del found
        loaded.release()
    return Part(
        kind=Kind.BREP,
        format=format_name,
        unit=loaded.unit,
        unit_in_mm=loaded.unit_in_mm,
        box=box,
        mass=mass,
        brep=brep,
        tessellation=replace(mesh, face_colour=colours),
        names=names,
        instances=bodies,
        findings=tuple(findings),
        seconds=seconds,
    )


@dataclass(frozen=True, slots=True)
class _Measured:
    bodies: Bodies
    topology: Topology
    areas: Floats
    surface: GProp_GProps


def _measured(shape: TopoDS_Shape, seconds: dict[str, float]) -> _Measured:
    with _timed(seconds, "measure"):
        bodies = settle(shape)
    with _timed(seconds, "explore"):
        topology = Topology.of(bodies.shape)
    with _timed(seconds, "measure"):
        return _Measured(bodies, topology, *areas_of(topology))


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = perf_counter()
    yield
    seconds[stage] = seconds.get(stage, 0.0) + perf_counter() - start


def _require_faces(loaded: Loaded) -> None:
    shape = loaded.shape
    if not shape.IsNull() and placed_faces(shape):
        return
    elsewhere = [finding.where for finding in loaded.findings if finding.code == "EXTERNAL_FILES"]
    if elsewhere:
        raise NoSurfaceGeometry(f"the geometry lies in other files ({elsewhere[0]}); upload those instead")
    if any(finding.code == "TRANSFER_FAILED" for finding in loaded.findings):
        raise MalformedFile("none of the file's faces could be translated")
    if shape.IsNull() or not TopExp_Explorer(shape, EDGE).More():
        raise NoSurfaceGeometry("the file describes no shape, only structure, points or attributes")
    raise NoSurfaceGeometry("the file holds curves only (wireframe); export surfaces or solids instead")


def _require_area(found: _Measured) -> None:
    if not len(found.areas):
        raise MalformedFile("no face in the file has borders that enclose an area")
    if not math.isfinite(found.surface.Mass()) or found.surface.Mass() <= 0 or faulty(found.areas).any():
        raise NoSurfaceGeometry("the faces in the file have no area")


def _bare(faces: Sequence[int]) -> list[Finding]:
    text = f"{len(faces)} face(s) could not be meshed and are missing from the tessellation"
    return [Finding("FACE_NOT_MESHED", Severity.SUSPECT, text, where=_numbers(faces))] if faces else []


def _numbers(faces: Sequence[int]) -> str:
    return "faces " + ", ".join(str(face) for face in faces[:5]) + (", …" if len(faces) > 5 else "")
