"""Baselines as a JSON document that another installation can take over, and its judgement on the way in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Le, Len
from numpy.typing import NDArray
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, FiniteFloat, StrictInt, ValidationError

from cadml.drift.categories import LONGEST_NAME
from cadml.drift.slots import LARGEST_SAMPLE
from cadml.drift.verdict import SMALLEST, SUBJECTS
from cadml.errors import InvalidRequest
from cadml.features.versions import version

FORMAT = "cadml drift baselines 1"
MOST_BASELINES = 100
MOST_NAMES = 10_000
MOST_COUNTED = 100_000_000  # beyond 10⁹ the permutation test's draws are not defined
CLOCKS_DIFFER = timedelta(minutes=5)

Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME, pattern=r"^[^\x00-\x1f\x7f]+$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class _Categories(_Strict):
    subject: Literal["material", "prediction"]
    scope: Annotated[str, Field(max_length=LONGEST_NAME, pattern=r"^[^\x00-\x1f\x7f]*$")]
    created_at: AwareDatetime
    counts: Annotated[dict[Name, Annotated[StrictInt, Ge(1), Le(MOST_COUNTED)]], Len(1, MOST_NAMES)]


class _Features(_Strict):
    subject: Literal["feature"]
    scope: Annotated[str, Len(1, 40)]
    created_at: AwareDatetime
    slots: list[str]
    vectors: Annotated[list[list[FiniteFloat]], Len(SMALLEST, LARGEST_SAMPLE)]


class _Document(_Strict):
    format: Literal["cadml drift baselines 1"]
    baselines: Annotated[
        list[Annotated[_Categories | _Features, Field(discriminator="subject")]], Len(1, MOST_BASELINES)
    ]


@dataclass(frozen=True, slots=True)
class Portable:
    """One baseline as it travels: ``counts`` of a category, or raw ``vectors`` ``(M, N)``."""

    subject: str
    scope: str
    created_at: datetime
    counts: Mapping[str, int] | None = None
    vectors: NDArray[np.float32] | None = None


def write(baselines: Iterable[Portable]) -> dict[str, Any]:
    """Return the document of ``baselines``, as plain data."""
    return {"format": FORMAT, "baselines": [_plain(each) for each in baselines]}


def _plain(each: Portable) -> dict[str, Any]:
    head = {"subject": each.subject, "scope": each.scope, "created_at": each.created_at.isoformat()}
    if each.vectors is None:
        return head | {"counts": dict(each.counts or {})}
    slots = [slot.name for slot in version(each.scope).slots]
    return head | {"slots": slots, "vectors": each.vectors.tolist()}


def read(document: Any) -> list[Portable]:
    """Return the baselines of a document from anywhere.

    Raises
    ------
    InvalidRequest
        It is no such document, or something in it cannot be a baseline here; nothing of it counts.
    """
    try:
        parsed = _Document.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_context=False, include_input=False)[0]
        raise InvalidRequest(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    found = [
        _features(each) if isinstance(each, _Features) else _categories(each) for each in parsed.baselines
    ]
    names = [(each.subject, each.scope) for each in found]
    if len(set(names)) < len(names):
        raise InvalidRequest("the document holds two baselines of the same subject and scope")
    return sorted(found, key=lambda each: SUBJECTS.index(each.subject))


def _categories(each: _Categories) -> Portable:
    if (each.subject == "material") != (each.scope == ""):
        raise InvalidRequest("materials have the scope '', predictions that of their model")
    if not SMALLEST <= sum(each.counts.values()) <= MOST_COUNTED:
        raise InvalidRequest(f"a baseline counts {SMALLEST} to {MOST_COUNTED} observations")
    return Portable(each.subject, each.scope, _past(each.created_at), counts=each.counts)


def _features(each: _Features) -> Portable:
    row = version(each.scope)
    if each.slots != [slot.name for slot in row.slots]:
        raise InvalidRequest(f"the slots are not those of {row.name}", version=row.name)
    if any(len(vector) != row.length for vector in each.vectors):
        raise InvalidRequest(f"a vector of {row.name} has {row.length} values", version=row.name)
    with np.errstate(over="ignore"):  # too large for single precision is refused just below
        vectors = np.array(each.vectors, dtype=np.float32)
    if not np.isfinite(vectors).all():
        raise InvalidRequest("a vector holds finite numbers only (in single precision)", version=row.name)
    return Portable("feature", row.name, _past(each.created_at), vectors=vectors)


def _past(created_at: datetime) -> datetime:
    now = datetime.now(UTC)
    if created_at > now + CLOCKS_DIFFER:
        raise InvalidRequest("a baseline cannot be made in the future", created_at=created_at.isoformat())
    return min(created_at, now)
