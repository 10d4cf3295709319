"""What goes into and comes out of the routes of drift."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from annotated_types import Len
from pydantic import Field

from cadml.api.schemas import Filters, Identity, Reply, Request

Subject = Literal["material", "prediction", "feature"]
Verdict = Literal["stable", "watch", "drifted", "not enough data"]


class BaselineReply(Reply):
    """A sample of the past that windows are compared with."""

    subject: Subject
    scope: str = Field(description="Feature version, model version, or '' for materials.")
    number: int = Field(description="Rises with each baseline of this subject and scope.")
    origin: Literal["first", "recent", "chosen", "stale", "imported"]
    created_at: datetime
    age_seconds: float
    size: int = Field(description="Observations in it.")
    active: bool = Field(description="Whether windows are compared with it.")
    stale: bool


class MovedCategory(Reply):
    """A category's shares."""

    name: str
    baseline: float
    window: float


class DistanceReply(Reply):
    """A distance, and the value above which it alarms at these sample sizes."""

    value: float
    threshold: float


class CategoriesReply(Reply):
    """How the window's categories differ; either distance may alarm."""

    jensen_shannon: DistanceReply = Field(description="0 to 1 (root of the divergence in bits).")
    deviation: DistanceReply = Field(description="Of the share that deviates most, in standard deviations.")
    psi: float = Field(description="Population stability index.")
    moved: list[MovedCategory]


class MovedSlot(Reply):
    """A slot's medians, and the Wasserstein distance in the slot's unit."""

    slot: str
    unit: str
    baseline: float
    window: float
    wasserstein: float


class GroupReply(Reply):
    """How one slot group differs; the groups that moved most name their slots."""

    name: str
    score: float
    energy: float = Field(description="Energy distance of the values as searches compare them.")
    threshold: float = Field(description="Where it alarms at these sample sizes, all groups together.")
    slots: list[MovedSlot]


class SubjectDrift(Reply):
    """How one window compares with its baseline."""

    subject: Subject
    scope: str
    verdict: Verdict
    score: float | None = Field(description="0: what chance does; 0.5: the threshold; null: not judged.")
    p_value: float | None = Field(description="Probability of this much under chance alone.")
    size: int = Field(description="Observations in the window, or gathered for the first baseline.")
    needed: int = Field(description="Observations that a verdict, or the first baseline, needs.")
    begin: datetime | None = Field(description="When the first of them came.")
    end: datetime | None
    baseline: BaselineReply | None
    categories: CategoriesReply | None
    groups: list[GroupReply] | None = Field(description="All slot groups, the worst first.")


class DriftReply(Reply):
    """Whether what comes in still resembles the past."""

    verdict: Verdict = Field(description="The gravest of all.")
    waiting: int = Field(description="Observations of this process not written yet.")
    lost: int = Field(description="Observations lost since this process started.")
    subjects: list[SubjectDrift]


class BaselinesReply(Reply):
    """Baselines, the newest number first."""

    baselines: list[BaselineReply]


class ExportQuery(Request):
    """What to export."""

    subject: Subject | None = Field(None, description="None: every baseline in force.")


class DriftReset(Request):
    """What takes the place of the baselines in force."""

    subject: Subject | None = Field(None, description="None: all.")
    source: Literal["next", "recent", "chosen"] = Field(
        "next",
        description="next: what comes in from now on; recent: what came last; chosen: parts of the library.",
    )
    ids: Annotated[list[Identity], Len(0, 1000)] = Field(
        default_factory=list, description="With chosen: these parts."
    )
    filters: Filters | None = Field(None, description="With chosen: the parts that pass.")


class ResetReply(Reply):
    """What begins anew."""

    changed: list[dict[str, str]] = Field(description="Subject and scope of each.")
    baselines: list[BaselineReply]


Document = Annotated[dict[str, Any], Field(description="What export answered with.")]
