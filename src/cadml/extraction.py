"""What runs inside the worker processes: a file becomes facts and vectors, a part becomes pictures.

Everything here crosses a process border both ways, so arguments and results are plain data.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from cadml.errors import UndefinedFeature
from cadml.features.evidence import Evidence
from cadml.features.spec import Vector
from cadml.features.versions import VERSIONS
from cadml.geometry import codec
from cadml.geometry.facts import facts_of
from cadml.geometry.formats import FORMATS, read
from cadml.geometry.part import Finding, Part, Severity
from cadml.geometry.warm import load_readers

NICENESS = 10
AUTOGROUP = Path("/proc/self/autogroup")
View = Literal["glb", "svg", "png"]


@dataclass(frozen=True, slots=True)
class Extraction:
    """All that is kept of one file.

    ``seconds`` holds the reader's own stages, ``reader``, ``describe``, ``encode`` and ``total``;
    ``describing`` the seconds that each version took.
    """

    part_bytes: bytes
    kind: str
    format: str
    facts: dict[str, Any]
    findings: list[dict[str, str]]
    vectors: dict[str, Vector]
    seconds: dict[str, float]
    describing: dict[str, float]


def extract(path: str, format_name: str, versions: tuple[str, ...] | None = None) -> Extraction:
    """Return what the file at ``path`` holds, with the vectors of ``versions`` (all that apply).

    Raises
    ------
    FileError
        The file cannot become a part.
    """
    start = time.perf_counter()
    part = read(Path(path), FORMATS[format_name])
    seconds = {**part.seconds, "reader": time.perf_counter() - start}
    vectors, describing, undefined = describe(part, versions)
    encoding = time.perf_counter()
    part_bytes = codec.encode(part)
    now = time.perf_counter()
    seconds |= {
        "describe": encoding - start - seconds["reader"],
        "encode": now - encoding,
        "total": now - start,
    }
    findings = _plain((*part.findings, *undefined))
    return Extraction(
        part_bytes, part.kind.value, part.format, facts_of(part), findings, vectors, seconds, describing
    )


@dataclass(frozen=True, slots=True)
class Description:
    """Vectors of a stored part, findings for the versions without a value, and seconds of work."""

    vectors: dict[str, Vector]
    findings: list[dict[str, str]]
    seconds: float

    def vector(self, name: str) -> Vector:
        """Return the vector of version ``name``.

        Raises
        ------
        UndefinedFeature
            It has no value for this part.
        """
        if name not in self.vectors:
            why = next(
                (f["message"] for f in self.findings if f["where"] == name), f"{name} has no value here"
            )
            raise UndefinedFeature(why, version=name)
        return self.vectors[name]


def describe_again(part_bytes: bytes, versions: tuple[str, ...]) -> Description:
    """Return what ``versions`` say of a stored part, without its file."""
    start = time.perf_counter()
    vectors, _, undefined = describe(codec.decode(part_bytes), versions)
    return Description(vectors, _plain(undefined), time.perf_counter() - start)


def _plain(findings: Iterable[Finding]) -> list[dict[str, str]]:
    return [{**asdict(finding), "severity": finding.severity.value} for finding in findings]


def describe(
    part: Part, names: tuple[str, ...] | None = None
) -> tuple[dict[str, Vector], dict[str, float], tuple[Finding, ...]]:
    """Return vectors and seconds by version, and a finding for each version without a value here.

    A number may have no defined value for a part; then that version has no vector for it (never a
    made-up one), and the others are kept.
    """
    evidence = Evidence(part)
    vectors: dict[str, Vector] = {}
    seconds: dict[str, float] = {}
    undefined = []
    for version in VERSIONS.values():
        if part.kind not in version.kinds or (names is not None and version.name not in names):
            continue
        start = time.perf_counter()
        try:
            vectors[version.name] = version.describe(part, evidence).values
        except UndefinedFeature as error:
            undefined.append(Finding(error.code, Severity.SUSPECT, error.message, version.name))
        seconds[version.name] = time.perf_counter() - start
    return vectors, seconds, tuple(undefined)


def render(part_bytes: bytes, view: View) -> bytes:
    """Return a picture of a stored part."""
    from cadml.geometry import display  # noqa: PLC0415 - loads the ray tracer, which most workers never need

    make = {"glb": display.glb, "svg": display.svg, "png": display.png}[view]
    return make(codec.decode(part_bytes))


@cache
def build() -> str:
    """Return which software reads files here: two builds may read one file a little differently."""
    packages = ("cadml", "cadquery-ocp-novtk", "trimesh", "ezdxf")
    return " ".join(f"{name}={metadata.version(name)}" for name in packages)


def warm_up() -> None:
    """Load what the first file would otherwise wait for: the kernel, the loaders, the descriptors."""
    load_readers()


def step_back() -> None:
    """Let this process yield to all others: people wait for a search, nobody for a backfill.

    Where Linux shares the processor among sessions before it shares it within them (autogroups), a
    nice process takes its session's share all the same: the service's, whose requests would wait
    for it, and one as large as the database's. So it leaves for a session that is nice as a whole.
    """
    os.nice(NICENESS)
    os.setsid()
    while True:
        try:
            AUTOGROUP.write_text(str(NICENESS), encoding="ascii")
        except BlockingIOError:  # the kernel takes ten such changes a second
            time.sleep(0.1)
            continue
        except OSError:  # it has no such groups, or lets nobody change them: then nice says it all
            pass
        return
