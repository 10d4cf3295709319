"""What a comparison of a window with its baseline says: the words, the levels, and the score's scale."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

Verdict = Literal["stable", "watch", "drifted", "not enough data"]
Subject = Literal["material", "prediction", "feature"]

SUBJECTS: tuple[Subject, ...] = get_args(Subject)
SMALLEST = 30  # observations; below, only the grossest shift could be told from chance
# A look at a service compares up to five pairs: materials, predictions, features of B-reps, of meshes
# and of drawings. Together they raise a false alarm in at most 1 % of looks (Bonferroni), and ask to
# watch without a reason in at most 5 %.
ALARM = 0.01 / 5
WATCH = 0.05 / 5
DRAWS = 4000  # of the null distribution: eight of them lie beyond ALARM

_BY_WEIGHT: tuple[Verdict, ...] = ("not enough data", "stable", "watch", "drifted")


def judge(p_value: float) -> Verdict:
    """Return what a probability means, under chance alone, of a distance at least this large."""
    if p_value <= ALARM:
        return "drifted"
    return "watch" if p_value <= WATCH else "stable"


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the gravest of ``verdicts``; ``not enough data`` where there is nothing else."""
    return max(verdicts, key=_BY_WEIGHT.index, default="not enough data")


def score(distance: float, expected: float, threshold: float) -> float:
    """Return ``distance`` on the scale of chance, from 0 to 1.

    0: no more than ``expected``, the mean under chance; 0.5: at ``threshold``, whatever the sample
    sizes; near 1: many times beyond. So one limit, 0.5, holds for every window.
    """
    excess = max(0.0, float(distance - expected))
    return excess / (excess + max(float(threshold - expected), 1e-12))
