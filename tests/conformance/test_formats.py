"""One suite for every row of FORMATS: known volume, one part in all formats, damage, wrong names."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cad_files as files
from cadml.errors import (
    CadmlError,
    EmptyFile,
    FileError,
    MislabelledFile,
    ProprietaryFormat,
    TruncatedFile,
    UnknownFormat,
)
from cadml.geometry import formats, signatures
from cadml.geometry.formats import FORMATS, REFUSED, Format, read, recognise, register
from cadml.geometry.isolate import Workers
from cadml.geometry.part import Kind, Part
from cadml.geometry.warm import load_readers

SIZES = (30.0, 20.0, 10.0)


WRITERS: dict[str, Callable[[], bytes]] = {
    "step": lambda: files.exact_box("step", SIZES),
    "iges": lambda: files.exact_box("iges", SIZES),
    "brep": lambda: files.exact_box("brep", SIZES),
    "stl": lambda: files.stl(files.box(*SIZES)),
    "obj": lambda: files.obj(files.box(*SIZES)),
    "ply": lambda: files.ply(files.box(*SIZES)),
    "off": lambda: files.off(files.box(*SIZES)),
    "3mf": lambda: files.threemf(files.box(*SIZES)),
    "gltf": lambda: files.glb(files.box(*SIZES)),
    "dxf": lambda: files.dxf([(0, 0), (30, 0), (30, 20), (0, 20)]),
}
ROWS = list(FORMATS.values())
each_format = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


@pytest.fixture(scope="session")
def boxes() -> dict[str, bytes]:
    return {name: write() for name, write in WRITERS.items()}


@pytest.fixture
def at(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(content: bytes) -> Path:
        path = tmp_path / "upload"
        path.write_bytes(content)
        return path

    return write


@pytest.fixture(scope="session")
def workers() -> Iterator[Workers]:
    with Workers(1, timeout_s=20, memory_mb=4096, warm=load_readers) as pool:
        yield pool


def name_of(row: Format) -> str:
    return f"box.{row.extensions[0]}"


@each_format
def test_a_row_is_complete(row: Format) -> None:
    assert row.description
    assert "/" in row.media_type
    assert row.extensions
    module, _, function = row.reader.partition(":")
    assert callable(getattr(__import__(module, fromlist=[function]), function))


def test_every_format_has_a_writer_here() -> None:
    assert WRITERS.keys() == FORMATS.keys()


def test_a_second_registration_raises() -> None:
    with pytest.raises(ValueError, match="twice"):
        register(FORMATS["stl"])
    assert not set(REFUSED) & {extension for row in ROWS for extension in row.extensions}


@each_format
def test_the_box_is_recognised_under_each_of_its_names(
    row: Format, boxes: dict[str, bytes], at: Callable
) -> None:
    path = at(boxes[row.name])
    for extension in row.extensions:
        if extension != "gltf":  # that is the JSON kind
            assert recognise(path, f"some.box.{extension.upper()}") is row


@each_format
def test_the_box_has_its_volume(row: Format, boxes: dict[str, bytes], at: Callable) -> None:
    part = read(at(boxes[row.name]), row)
    assert isinstance(part, Part)
    assert (part.kind, part.format) == (row.kind, row.name)
    if row.kind is Kind.DRAWING:
        np.testing.assert_allclose(part.box.extents, (30, 20, 0))
        return
    np.testing.assert_allclose(sorted(part.box.extents), sorted(SIZES), rtol=1e-5)
    assert part.mass is not None
    assert part.mass.volume == pytest.approx(6000, rel=1e-5)
    assert part.mass.area == pytest.approx(2200, rel=1e-5)
    assert part.tessellation is not None
    assert not part.tessellation.vertices.flags.writeable


@each_format
def test_nothing_is_called_empty(row: Format, at: Callable) -> None:
    for nothing in (b"", b" \r\n\t", bytes(300)):
        with pytest.raises(EmptyFile):
            recognise(at(nothing), name_of(row))


@each_format
def test_another_formats_content_is_called_mislabelled(
    row: Format, boxes: dict[str, bytes], at: Callable
) -> None:
    for other, content in boxes.items():
        if other == row.name:
            continue
        with pytest.raises(MislabelledFile) as caught:
            recognise(at(content), name_of(row))
        if other != "stl":  # a binary STL has nothing to be known by
            assert str(caught.value.context["looks_like"]).lower().startswith(other)


@each_format
@pytest.mark.parametrize("tenth", range(1, 10))
def test_a_cut_box_is_refused(
    row: Format, tenth: int, boxes: dict[str, bytes], at: Callable, workers: Workers
) -> None:
    content = boxes[row.name]
    path = at(content[: len(content) * tenth // 10])
    if row.name == "obj":  # it has no end: what is left may be a smaller surface, or refers to what is gone
        with contextlib.suppress(FileError):
            assert not workers.run(read, path, recognise(path, name_of(row))).mass.is_closed
        return
    # The free text of a binary STL is blank here: cut within it, nothing is left. Of a small 3MF,
    # the first tenth is just the beginning of some zip archive.
    errors = (TruncatedFile, EmptyFile, MislabelledFile) if tenth == 1 else TruncatedFile
    with pytest.raises(errors):
        workers.run(read, path, recognise(path, name_of(row)))


@each_format
def test_random_bytes_are_refused(row: Format, at: Callable, workers: Workers) -> None:
    for seed in range(8):
        path = at(random.Random(seed).randbytes(5000))
        with pytest.raises((MislabelledFile, TruncatedFile)):
            workers.run(read, path, recognise(path, name_of(row)))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("stl", b"solid this is binary all the same".ljust(80) + files.soup(*files.box().triangles)[80:]),
        ("stl", b"\xef\xbb\xbf \n\tsolid x\n facet normal 0 0 1\nouter loop\n" + b"vertex 0 0 0\n" * 3),
        ("stl", b"SOLID CAPS\r\nFACET NORMAL 0 0 1\r\n"),
        ("off", b"# a comment\n\n# another\nOFF\n3 1 0\n"),
        ("off", b"OFF 8 6 12\n"),
        ("off", b"COFF\n3 1 0\n"),
        ("obj", b"# Blender\nmtllib x.mtl\no Cube\nv 1 1 1\n"),
        ("obj", b"g a name with spaces\nv 1 1 1\n"),
        ("ply", b"ply\r\nformat binary_big_endian 1.0\r\n"),
        ("dxf", b"999\nmade by hand\n999\nand again\n  0\nSECTION\n  2\nHEADER\n"),
        ("dxf", b"AutoCAD Binary DXF\r\n\x1a\x00\x00SECTION\x00"),
        ("dxf", b"0\r\nSECTION\r\n2\r\nENTITIES\r\n"),
        ("step", b"/* a comment */\nISO-10303-21;\nHEADER;\n"),
        ("step", b"\xef\xbb\xbfISO-10303-21 ;\nHEADER;\n"),
        ("brep", b"DBRep_DrawableShape\n\nCASCADE Topology V1, (c) Matra-Datavision\n"),
        ("brep", b"\nCASCADE Topology V3, (c) Open Cascade\n"),
        ("brep", b"\nOpen CASCADE Topology V4 (c)\n"),
        ("iges", b"start".ljust(72) + b"S      1\r\n" + b"".ljust(72) + b"G      1\r\n"),
    ],
)
def test_unusual_beginnings_are_recognised(name: str, content: bytes, at: Callable) -> None:
    assert recognise(at(content), name_of(FORMATS[name])).name == name


@pytest.mark.parametrize(
    ("filename", "content", "words"),
    [
        ("part.stl", b"<!DOCTYPE html><html>404</html>", "web page"),
        ("part.step", b"<html><body>please log in", "web page"),
        ("part.step", b"PK\x03\x04rest", "zip archive"),
        ("part.stl", b"PK\x03\x04rest".ljust(300), "zip archive"),
        ("part.dxf", b"AC1032\x00\x00\x00", "DWG"),
        ("part.stl", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".ljust(600, b"\x01"), "SolidWorks"),
        ("part.obj", b"Dear colleague,\nthe drawing follows tomorrow.\n", "is not OBJ"),
        ("part.gltf", b"glTF\x02\0\0\0", r"name it \.glb"),
        ("part.glb", b'{"asset":{"version":"2.0"}}', r"name it \.gltf"),
        ("part.3mf", b"PK\x03\x04word/document.xml", "zip archive"),
    ],
)
def test_a_wrong_label_names_what_it_is(filename: str, content: bytes, words: str, at: Callable) -> None:
    with pytest.raises(MislabelledFile, match=words):
        recognise(at(content), filename)


@pytest.mark.parametrize("extension", sorted(REFUSED))
def test_refusals_say_what_to_do_instead(extension: str, at: Callable) -> None:
    with pytest.raises(ProprietaryFormat, match=r"instead|unpack") as caught:
        recognise(at(b"anything"), f"part.{extension.upper()}")
    assert caught.value.context == {"extension": extension}


@pytest.mark.parametrize("filename", ["part", "part.xyz", ".step", "part.", "", "step", "..", "a/b.c/d"])
def test_unknown_extensions_list_the_known(filename: str, at: Callable) -> None:
    with pytest.raises(UnknownFormat, match=r"3mf, brep"):
        recognise(at(b"x"), filename)


def test_creos_numbered_files_are_known_for_what_they_are(at: Callable) -> None:
    with pytest.raises(ProprietaryFormat, match="Creo"):
        recognise(at(b"#UGC:2 PART"), "bracket.prt.7")


CONTENT = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")),
    st.sampled_from(
        [b"solid ", b"ISO-10303-21;", b"glTF", b"{", b"PK\x03\x04.model", b"999\n", b"ply\n", b"OFF"]
    ).flatmap(lambda start: st.binary(max_size=200).map(lambda rest: start + rest)),
)
FILENAMES = st.one_of(
    st.text(max_size=30),
    st.sampled_from(sorted({e for row in ROWS for e in row.extensions} | set(REFUSED))).map(
        lambda e: f"x.{e}"
    ),
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=CONTENT, filename=FILENAMES)
def test_recognise_answers_or_raises_a_typed_error(content: bytes, filename: str, at: Callable) -> None:
    path = at(content)
    with contextlib.suppress(CadmlError):
        assert formats.extension_of(filename) in recognise(path, filename).extensions


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=CONTENT, row=st.sampled_from([row for row in ROWS if row.kind is not Kind.BREP]))
def test_readers_raise_only_typed_errors(content: bytes, row: Format, at: Callable) -> None:
    """Also for content that recognise() would have kept away from them."""
    with contextlib.suppress(FileError):
        read(at(content), row)


def test_signatures_stay_quick_on_long_files(at: Callable) -> None:
    path = at(b"solid x\n" + b"# " * 2_000_000)
    opening = signatures.Opening.of(path, "stl")
    assert len(opening.head) == len(opening.tail) == signatures.WINDOW
    with pytest.raises(CadmlError):
        recognise(path, "x.step")
