"""What moving an entry means, from what it holds alone."""

from __future__ import annotations

import pytest

from cadml.errors import VersionNotKept
from cadml.features.lineage import is_head, needed, replaces, search_version
from cadml.features.versions import VERSIONS, version
from cadml.geometry.part import Kind
from cadml.migration.decision import decide, described_with, dropped
from cadml.store.moves import Holding

LINES = [("v1", "v2", "v3", "v4"), ("v5", "v6"), ("d1",)]


def holding(*names: str, sha256: str | None = "00", kind: str | None = "brep") -> Holding:
    return Holding("it", 1, sha256, kind, {name: version(name).length for name in names})


def test_a_version_begins_with_another_only_within_its_line():
    for line in LINES:
        for name in VERSIONS:
            for place, member in enumerate(line):
                shorter = name in line[:place]
                assert is_head(name, member) is shorter, (name, member)


@pytest.mark.parametrize(
    ("held", "target", "status", "origin"),
    [
        (("v4",), "v3", "downgraded", "v4"),
        (("v1", "v2", "v3", "v4", "v5"), "v1", "downgraded", "v4"),
        (("v1", "v6"), "v5", "downgraded", "v6"),
        (("v2",), "v4", "migrated", "v2"),
        (("v4",), "v5", "migrated", "v4"),
        (("v4", "v5"), "v6", "migrated", "v5"),
        ((), "v5", "migrated", None),
        (("v1", "v4"), "v4", "skipped", "v4"),
        (("v1", "v5"), "v5", "skipped", "v5"),
    ],
)
def test_a_stored_part_is_cut_down_its_line_and_described_again_otherwise(held, target, status, origin):
    outcome = decide(holding(*held), target)
    assert (outcome.status, outcome.from_version) == (status, origin)
    assert outcome.dimension_after == version(target).length
    assert outcome.dimension_before == (version(origin).length if origin else None)


def test_a_vector_from_elsewhere_goes_down_only():
    foreign = holding("v4", sha256=None, kind=None)
    assert decide(foreign, "v2").status == "downgraded"
    assert decide(foreign, "v4").status == "skipped"
    for target in ("v5", "v6", "d1"):
        outcome = decide(foreign, target)
        assert (outcome.status, outcome.reason) == ("error", "source_unavailable")
        assert outcome.dimension_after is None


def test_a_version_that_is_not_for_this_kind_is_refused():
    assert decide(holding("v5", kind="mesh"), "v6").reason == "version_not_applicable"
    assert decide(holding("v5", kind="brep"), "d1").reason == "version_not_applicable"


def test_a_cut_drops_the_longer_of_the_line_and_a_description_refills_what_is_kept():
    assert dropped(holding("v1", "v2", "v3", "v4", "v5"), "v2") == ["v3", "v4"]
    assert dropped(holding("v5"), "v2") == []
    assert described_with("v4", {"v1", "v2", "v3", "v4"}, holding("v1")) == ("v2", "v3", "v4")
    assert described_with("v4", {"v4"}, holding("v1")) == ("v4",)
    assert described_with("v6", {"v1", "v5"}, holding("v1")) == ("v5", "v6")


def test_each_kind_is_searched_with_a_version_that_describes_it():
    for active in ("v1", "v4", "v5", "v6"):
        kept = needed(active)
        assert active in kept
        for kind in Kind:
            assert kind in version(search_version(kind, active, kept)).kinds
        assert search_version(Kind.BREP, active, kept) == active
        assert search_version(Kind.DRAWING, active, kept) == "d1"
    assert search_version(Kind.MESH, "v6", needed("v6")) == "v5"
    with pytest.raises(VersionNotKept):
        search_version(Kind.MESH, "v6", {"v6", "d1"})


def test_a_version_is_replaced_by_one_that_describes_all_solids_of_it():
    assert replaces("v5", "v4")
    assert replaces("v4", "v5")
    assert not replaces("v6", "v5")
