"""What runs in the worker processes, seen from outside."""

from __future__ import annotations

import os
from pathlib import Path

from cadml.extraction import AUTOGROUP, NICENESS, step_back
from cadml.geometry.isolate import Workers


def test_what_steps_back_is_nice_within_its_session_and_as_a_session() -> None:
    with Workers(1, timeout_s=60, memory_mb=2048, warm=step_back) as behind:
        assert behind.run(os.nice, 0) == min(os.nice(0) + NICENESS, 19)
        assert behind.run(os.getsid, 0) == behind.run(os.getpid)
        shared = behind.run(Path.read_text, AUTOGROUP) if AUTOGROUP.exists() else ""
    assert not shared or shared.split()[-1] == str(NICENESS)  # empty: sessions are not weighed here
