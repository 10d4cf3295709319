"""What goes in and what comes out, as pydantic models; OpenAPI derives from them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, Len
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, StrictBool, StrictFloat, StrictInt, StrictStr

MOST_NEIGHBOURS = 1000
MOST_IDS = 1000

Scalar = StrictBool | StrictInt | StrictFloat | StrictStr
Metadata = dict[str, Scalar]
Count = Annotated[int, Ge(1), Le(MOST_NEIGHBOURS)]
Identity = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Filters = Annotated[
    dict[str, Any],
    Field(
        description="Conditions on metadata and facts: a value, or an object of gt, gte, lt, lte, eq, in.",
        examples=[{"material": "steel", "volume": {"gte": 10, "lte": 100}, "project": {"in": ["a", "b"]}}],
    ),
]


class Request(BaseModel):
    """A body: unknown fields are refused, so that a misspelt one is not silently ignored."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class AnalyzeOptions(Request):
    """What one analysis should do."""

    store: bool = Field(default=True, description="Keep the file in the library.")
    features: bool = Field(default=True, description="Answer with the feature vector.")
    classify: bool = Field(default=True, description="Answer with a class, where a model is active.")
    similar: StrictBool | Annotated[StrictInt, Ge(0), Le(MOST_NEIGHBOURS)] = Field(
        10, description="How many look-alikes; true means 10, false none."
    )
    version: str | None = Field(None, max_length=40, description="Feature version; none: the active one.")


class SearchOptions(Request):
    """How to search."""

    k: Count = Field(10, description="How many neighbours.")
    version: str | None = Field(None, max_length=40, description="Feature version; none: the active one.")
    filters: Filters | None = None
    max_distance: Annotated[FiniteFloat, Ge(0)] | None = Field(None, description="Leave out farther ones.")
    classify: bool = Field(default=False, description="Answer with the class of what is asked, too.")


class SearchQuery(SearchOptions):
    """A search by a stored part or a raw vector (a file comes as multipart)."""

    part_id: Identity | None = Field(None, description="Id of the part whose neighbours are asked for.")
    vector: Annotated[list[FiniteFloat], Len(1, 4096)] | None = Field(None, description="Raw (unscaled).")


class BatchQuery(SearchOptions):
    """Searches for many stored parts at once."""

    ids: Annotated[list[Identity], Len(1, MOST_IDS)]
    classify: Literal[False] = False  # stored parts have a class each: GET /parts/{id}


class PartChange(Request):
    """Changes of a library entry; what is absent stays, a metadata key set to null goes."""

    name: Annotated[str, Len(1, 255)] | None = None
    part_number: Annotated[str, Len(1, 255)] | None = None
    metadata: dict[str, Scalar | None] = Field(default_factory=dict)


class Registration(Request):
    """A vector described elsewhere, of a file that may not leave its site."""

    id: Identity
    version: Annotated[str, Len(1, 40)]
    vector: Annotated[list[FiniteFloat], Len(1, 4096)]
    metadata: Metadata = Field(default_factory=dict)


class Problem(BaseModel):
    """An error, as RFC 9457 has it, with cadml's code, stage and context."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str = Field(description="Stable, UPPER_SNAKE.")
    stage: str = Field(description="The step that failed.")
    context: dict[str, Any]


class Reply(BaseModel):
    """A body that cadml sends: nothing beyond what is documented."""

    model_config = ConfigDict(extra="forbid")


class FindingReply(Reply):
    """Something noteworthy that did not prevent the file from being read."""

    code: str
    severity: Literal["note", "repaired", "suspect"]
    message: str
    where: str


class FeaturesReply(Reply):
    """One feature vector."""

    id: str | None = None
    version: str
    length: int
    values: list[float]


class RunnerUp(Reply):
    """Another class that the part could be of."""

    label: str
    probability: float


class Classification(Reply):
    """The class of a part, or why there is none."""

    status: Literal["classified", "abstained", "no_model", "not_applicable", "failed", "not_asked"] = Field(
        description="not_applicable: the model's feature version does not describe this part."
    )
    label: str | None = Field(None, description="Null where the model abstained, or there is no answer.")
    confidence: float | None = Field(None, description="Probability of the most probable class.")
    probabilities: dict[str, float] | None = Field(None, description="Of every class, most probable first.")
    runner_ups: list[RunnerUp] = Field(default_factory=list, description="The next classes.")
    model: str | None = Field(None, description="Version of the model that answered.")
    feature_version: str | None = None
    code: str | None = Field(None, description="Of the error, where the model failed.")
    message: str | None = None


class StoredClass(Reply):
    """What the model that last looked at a stored part said; a switch of models catches up in time."""

    model: str
    label: str | None = Field(description="Null where it abstained.")
    confidence: float
    probabilities: dict[str, float] = Field(description="Of every class, most probable first.")
    runner_ups: list[RunnerUp] = Field(description="The next classes.")


class NeighbourReply(Reply):
    """One found part."""

    id: str
    name: str
    part_number: str | None
    sha256: str | None
    distance: float
    metadata: dict[str, Any]
    facts: dict[str, Any]


class SearchReply(Reply):
    """What a search found, nearest first."""

    version: str
    exact: bool = Field(description="Whether every candidate was compared.")
    requested: int
    returned: int
    neighbours: list[NeighbourReply]
    classification: Classification | None = Field(None, description="Of what was asked, where wanted.")


class PartReply(Reply):
    """One library entry."""

    id: str
    sha256: str | None
    name: str
    part_number: str | None
    metadata: dict[str, Any]
    format: str | None
    kind: str | None
    bytes: int | None
    geometry: dict[str, Any] = Field(description="Facts in mm, mm², mm³; an undefined one is absent.")
    findings: list[FindingReply]
    classification: StoredClass | None = Field(description="Null while no model has looked at it.")
    created_at: datetime
    updated_at: datetime
    links: dict[str, str]


class AnalyzeReply(Reply):
    """All that one file tells."""

    id: str | None = Field(description="Library entry; null unless stored.")
    added: bool = Field(description="Whether the entry is a first one.")
    sha256: str
    name: str
    format: str
    kind: str
    bytes: int
    geometry: dict[str, Any]
    findings: list[FindingReply]
    features: FeaturesReply | None
    classification: Classification
    similar: SearchReply | None
    links: dict[str, str]


class PageReply(Reply):
    """One page of the library."""

    parts: list[PartReply]
    next: str | None = Field(description="Give this as `after` to get the next page; null on the last.")
    total: int = Field(description="Entries that pass the filters.")


class BatchItem(Reply):
    """The answer to one id."""

    id: str
    status: Literal["ok", "error"]
    code: str | None = None
    message: str | None = None
    result: SearchReply | None = None


class BatchReply(Reply):
    """Answers in the order of the ids."""

    results: list[BatchItem]


class Refusal(Reply):
    """A file of a job that no reader takes, or that failed."""

    name: str
    code: str
    message: str


class JobReply(Reply):
    """A durable job."""

    id: str
    state: Literal["queued", "running", "finished", "cancelled"]
    counts: dict[str, int]
    failures: list[Refusal]
    refused: list[Refusal] = Field(default_factory=list)
    created_at: datetime | None = None
    finished_at: datetime | None = None


class SlotReply(Reply):
    """One number of a feature version."""

    index: int
    name: str
    unit: str
    meaning: str
    invariances: list[str]
    tolerance: float
    block: str


class VersionReply(Reply):
    """One feature version."""

    name: str
    summary: str
    length: int
    kinds: list[str]
    metric: str
    active: bool = Field(description="Whether searches use it unless asked otherwise.")
    state: Literal["absent", "building", "kept"] = Field(
        description="kept: every part is described in it, and it can be searched."
    )
    vectors: int


class SlotsReply(Reply):
    """The slots of a version."""

    version: str
    length: int
    slots: list[SlotReply]


class SlotDifference(Reply):
    """How two parts differ in one slot."""

    slot: str
    unit: str
    a: float
    b: float
    difference: float
    share: float = Field(description="Share of the distance, 0 to 1.")


class DiffReply(Reply):
    """How two parts differ, largest share of the distance first."""

    id_a: str
    id_b: str
    version: str
    slots: list[SlotDifference]


class VectorReply(Reply):
    """What was registered under an id."""

    id: str
    vectors: dict[str, list[float]] = Field(description="Raw values by feature version.")
    metadata: dict[str, Any]


class Health(Reply):
    """That the service is alive."""

    status: Literal["ok"]
    version: str
    source: str = Field(description="Digest of the source that runs: the same in an image and its checkout.")
    runtime: dict[str, Any]


class Readiness(Reply):
    """What the service needs, and whether it has it."""

    status: Literal["ready", "not_ready"]
    missing: list[str]
    checks: dict[str, str]


class VectorsHealth(Reply):
    """The state of the vector store."""

    status: Literal["ok", "unavailable"]
    active_version: str
    versions: dict[str, dict[str, Any]]
    indexes: dict[str, dict[str, Any]] = Field(
        description="Of each kept version: rows, dead rows, bytes, and recall@10 on a sample of searches."
    )
    advice: list[str] = Field(description="What to do, where something should be done.")
