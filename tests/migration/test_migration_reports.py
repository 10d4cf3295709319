"""Numbers in reports follow from what happened."""

from __future__ import annotations

from datetime import UTC, datetime

from cadml.migration.reports import totals
from cadml.store.history import Tally

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_speed_is_that_of_describing_not_of_cutting() -> None:
    described = Tally(NOW, "v1", "v4", "migrated", None, 10, 17.0, 2.0)
    cut = Tally(NOW, "v4", "v1", "downgraded", None, 90, -17.0, 0.0)
    both = totals([described, cut])
    assert both["changed"] == 100
    assert both["parts_per_second_per_worker"] == 5
    assert totals([cut])["parts_per_second_per_worker"] is None
