"""What goes into and comes out of ``/model``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from annotated_types import Len
from pydantic import Field, StrictBool, StrictInt

from cadml.api.schemas import Reply, Request

Word = Annotated[str, Len(1, 200)]


class ReloadQuery(Request):
    """Which model should serve: a file of the models folder, or a known version."""

    path: Annotated[str, Len(1, 1000)] | None = Field(None, description="Below CADML_MODEL_DIR.")
    version: Word | None = None
    expected_version: Word | None = Field(None, description="Refuse the file if it is another.")
    force: StrictBool = Field(
        default=False, description="Override expected version and score floor; never a security check."
    )


class RollbackQuery(Request):
    """How far back: levels from what serves now, or one of the last activated versions."""

    levels: Annotated[StrictInt, Field(ge=1, le=3)] | None = None
    version: Word | None = None


class ModelReply(Reply):
    """A model."""

    version: str
    name: str
    format: str
    sha256: str
    feature_version: str
    classes: list[str]
    abstain_below: float = Field(description="A part whose best probability is lower gets no label.")
    training_sha256: str
    scores: dict[str, Any] = Field(description="Held-out, families apart.")
    canaries: int
    made_by: str
    created_at: str


class ProbationReply(Reply):
    """How far the probation of a model that was just activated is."""

    seen: int
    needed: int
    errors: int
    abstained: int


class ActiveReply(Reply):
    """What serves here."""

    status: Literal["ok", "absent", "rollback"]
    level: int = Field(description="0: the newest activated model serves; n: its n-th predecessor.")
    load_seq: int = Field(description="Activations so far.")
    line: list[str] = Field(description="Activated versions, newest first.")
    model: ModelReply | None
    probation: ProbationReply | None
    fallen: dict[str, str] = Field(description="What should serve and cannot be loaded here, with why.")


class SwitchReply(Reply):
    """A switch that was made."""

    status: Literal["success"]
    active: ActiveReply


class VersionReply(Reply):
    """One known model, in short."""

    version: str
    format: str
    sha256: str
    feature_version: str
    classes: int
    macro_f1: float | None
    level: int | None = Field(description="Its place in the line of activated models.")
    serves: bool
    created_at: datetime


class EventReply(Reply):
    """Something that happened to a model."""

    at: datetime
    what: str
    version: str | None
    sha256: str | None
    who: str
    why: str
    verdict: dict[str, Any] | None


class VersionsReply(Reply):
    """Known models and what happened to them, newest first."""

    versions: list[VersionReply]
    events: list[EventReply]


class AuditReply(Reply):
    """What the opcode scanner found in refused files."""

    mode: Literal["audit", "blocklist", "whitelist"]
    refused: dict[str, int] = Field(description="Of the listed events, by status.")
    opcodes: dict[str, int] = Field(description="First refused opcodes of the listed events.")
    events: list[EventReply]


class ModelHealth(Reply):
    """Whether a model serves, and which."""

    status: Literal["ok", "absent", "rollback"]
    version: str | None
    level: int
    load_seq: int
    snapshots: int
    fallen: dict[str, str]
