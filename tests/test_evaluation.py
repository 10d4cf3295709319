"""Retrieval and classification scores against cases worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cadml.errors import InvalidRequest
from cadml.evaluation import Entry, evaluate, read_manifest
from cadml.features.spec import Descriptor, FeatureVersion, Metric, Slot, Squash
from cadml.geometry.part import Kind

LINE = FeatureVersion(
    name="line",
    summary="one number",
    kinds=frozenset(Kind),
    descriptors=(Descriptor("x", (Slot("x", "1", "position", frozenset()),), lambda _: np.zeros(1)),),
    metric=Metric.L1,
    offset=np.zeros(1),
    scale=np.full(1, 1e-4),  # so near 0 that asinh is the number itself
    weight=np.full(1, 1e4),
    squash=Squash.ASINH,
)


def entries(*rows: tuple[str, str, str]) -> list[Entry]:
    return [Entry(Path(name), label, family, name) for name, label, family in rows]


def positions(*values: float) -> dict[Path, np.ndarray]:
    return {Path(chr(97 + i)): np.array([value]) for i, value in enumerate(values)}


def test_own_family_is_left_out_and_ranks_are_counted_by_hand() -> None:
    # a's own family member b is nearest; without it: c (nut), d (bolt) → hit at rank 2.
    rows = entries(("a", "bolt", "A"), ("b", "bolt", "A"), ("c", "nut", "C"), ("d", "bolt", "D"))
    report = evaluate(rows, positions(0, 0.1, 1, 2), LINE)
    assert report["queries"] == 3  # c is the only family of its class
    assert report["classes"] == 1
    micro = report["retrieval"]["micro"]
    # a, b: c before d → nn 0, ap 1/2; d: c (1.0), b (1.9), a (2.0) → nn 0, ap (1/2 + 2/3) / 2
    assert micro["nearest_neighbour"] == 0
    assert micro["map"] == pytest.approx((0.5 + 0.5 + (1 / 2 + 2 / 3) / 2) / 3)
    assert micro["hit_at_10"] == 1


def test_distractors_stand_in_the_gallery_and_never_ask() -> None:
    rows = entries(
        ("a", "bolt", "A"),
        ("b", "bolt", "B"),
        ("c", "other", "C"),
        ("d", "other", "D"),
        ("e", "printed_part", "E"),
        ("b", "bolt", "B"),
        ("c", "other", "C"),
        ("d", "other", "D"),
        ("e", "printed_part", "E"),
    )
    report = evaluate(rows, positions(0, 1, 0.5, 0.5, 9), LINE)
    assert report["queries"] == 2
    assert report["retrieval"]["micro"]["map"] == pytest.approx(1 / 3)


def test_macro_weighs_classes_and_micro_weighs_parts() -> None:
    rows = entries(
        ("a", "bolt", "A"), ("b", "bolt", "B"), ("c", "bolt", "C"), ("d", "nut", "D"), ("e", "nut", "E")
    )
    report = evaluate(rows, positions(0, 0.1, 0.2, 5, 0.3), LINE)
    # All bolts and d hit; e, the other nut, meets a bolt.
    assert report["retrieval"]["micro"]["nearest_neighbour"] == pytest.approx(4 / 5)
    assert report["retrieval"]["macro"]["nearest_neighbour"] == pytest.approx((1 + 0.5) / 2)


def test_an_empty_family_is_its_own_and_duplicates_count_once(tmp_path: Path) -> None:
    manifest = tmp_path / "m.csv"
    manifest.write_text("path,label,family,duplicate_of\na,bolt,,\nb,bolt,,\nc,bolt,,b\n")
    rows = read_manifest(manifest)
    assert len({row.family for row in rows}) == 3
    vectors = {tmp_path / name: np.array([float(i)]) for i, name in enumerate("abc")}
    assert evaluate(rows, vectors, LINE)["queries"] == 2


@pytest.mark.parametrize(
    "text", ["", "path,label\na,b\n", "path,label,family\n,bolt,x\n", "path,label,family\na,,x\n"]
)
def test_a_broken_manifest_is_refused(tmp_path: Path, text: str) -> None:
    manifest = tmp_path / "m.csv"
    manifest.write_text(text)
    with pytest.raises(InvalidRequest):
        read_manifest(manifest)
    with pytest.raises(InvalidRequest):
        read_manifest(tmp_path / "absent.csv")


def test_separable_classes_are_learnt_across_families_and_noise_is_not() -> None:
    random = np.random.default_rng(1)
    rows = [
        Entry(Path(f"{label}{family}{i}"), label, f"{label}{family}", f"{label}{family}{i}")
        for label in ("bolt", "nut", "gear")
        for family in range(4)
        for i in range(3)
    ]
    centre = {"bolt": 0.0, "nut": 10.0, "gear": 20.0}
    apart = {row.path: np.array([centre[row.label] + random.normal()]) for row in rows}
    noise = {row.path: random.normal(size=1) for row in rows}
    good, bad = (evaluate(rows, v, LINE)["classification"] for v in (apart, noise))
    assert good["accuracy"] == 1
    assert good["macro_f1"] == 1
    assert good["abstained"] < 0.35
    assert bad["accuracy"] < 0.6


def test_one_class_has_retrieval_but_no_classification() -> None:
    report = evaluate(entries(("a", "bolt", "A"), ("b", "bolt", "B")), positions(0, 1), LINE)
    assert report["classification"] is None
    assert report["retrieval"]["micro"]["nearest_neighbour"] == 1


def test_nothing_described_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        evaluate(entries(("a", "bolt", "A")), {}, LINE)
