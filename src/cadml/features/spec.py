"""The words of description: slot, descriptor, feature version, feature vector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from cadml.errors import DimensionMismatch, UndefinedFeature, VersionNotApplicable
from cadml.features.evidence import Evidence
from cadml.geometry.part import Kind, Part, frozen

Vector = NDArray[np.float32]


class Invariance(StrEnum):
    """A change of the part that leaves a slot alone (within the slot's tolerance)."""

    TRANSLATION = "translation"
    ROTATION = "rotation"
    REFLECTION = "reflection"
    SCALE = "scale"
    TESSELLATION = "tessellation"


RIGID = frozenset({Invariance.TRANSLATION, Invariance.ROTATION})


class Metric(StrEnum):
    """How two scaled vectors are compared; each is one of pgvector's operators."""

    L1 = "l1"
    L2 = "l2"
    COSINE = "cosine"


class Squash(StrEnum):
    """What keeps one slot far from the usual from drowning all others."""

    # Counts and volumes spread over many powers of ten; half precision ends at 65,504.
    ASINH = "asinh"
    # The normal distribution function: a slot’s usual range fills 0 to 1, and nothing exceeds it.
    NORMAL = "normal"

    def __call__(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the squashed values."""
        return np.asarray(np.arcsinh(values) if self is Squash.ASINH else ndtr(values))


@dataclass(frozen=True, slots=True)
class Slot:
    """One number of a vector and what may be relied upon about it."""

    name: str
    unit: str
    meaning: str
    invariances: frozenset[Invariance]
    tolerance: float = 1e-6  # change that the invariances (and another platform) allow, over max(1, |value|)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A block of slots that one function computes from the evidence of a part."""

    name: str
    slots: tuple[Slot, ...]
    compute: Callable[[Evidence], NDArray[np.floating]]
    source: str = ""  # the paper or standard that the method comes from


@dataclass(frozen=True, slots=True)
class FeatureVersion:
    """A released recipe. It never changes: a different computation is a new version.

    ``offset``, ``scale`` and ``weight`` (each ``(N,) float64``) turn stored values into those that
    are compared, in the way that ``squash`` names.
    """

    name: str
    summary: str
    kinds: frozenset[Kind]
    descriptors: tuple[Descriptor, ...]
    metric: Metric
    offset: NDArray[np.float64]
    scale: NDArray[np.float64]
    weight: NDArray[np.float64]
    squash: Squash

    @property
    def slots(self) -> tuple[Slot, ...]:
        """All slots in order."""
        return tuple(slot for descriptor in self.descriptors for slot in descriptor.slots)

    @property
    def length(self) -> int:
        """Number of slots."""
        return sum(len(descriptor.slots) for descriptor in self.descriptors)

    def describe(self, part: Part, evidence: Evidence | None = None) -> FeatureVector:
        """Return the part's vector.

        ``evidence`` may be shared between versions so that samples are drawn once.

        Raises
        ------
        VersionNotApplicable
            The version does not describe this kind of part.
        UndefinedFeature
            A number has no defined value for this part.
        """
        if part.kind not in self.kinds:
            raise VersionNotApplicable(
                f"feature version {self.name} does not describe a {part.kind}",
                version=self.name,
                kind=part.kind,
            )
        evidence = evidence or Evidence(part)
        # A value beyond float32 becomes infinite here and is refused below.
        with np.errstate(over="ignore"):
            blocks = [evidence.once(d.compute) for d in self.descriptors]
            values = np.concatenate(blocks, dtype=np.float32, casting="same_kind")
        if values.shape != self.offset.shape or not np.isfinite(values).all():
            raise self._undefined(blocks)
        return FeatureVector(self.name, frozen(values))

    def _undefined(self, blocks: list[NDArray[np.floating]]) -> UndefinedFeature:
        sizes = [len(descriptor.slots) for descriptor in self.descriptors]
        wrong = [
            descriptor.name
            for descriptor, size, block in zip(self.descriptors, sizes, blocks, strict=True)
            if block.shape != (size,) or not (np.abs(block) <= np.finfo(np.float32).max).all()
        ]
        text = f"{self.name}.{wrong[0]} has no defined value for this part"
        return UndefinedFeature(text, version=self.name, descriptor=wrong[0])

    def scaled(self, values: NDArray[np.floating]) -> Vector:
        """Return ``values (…, N)`` as they are compared: ``(…, N) float32``."""
        values = np.asarray(values, dtype=np.float64)
        if values.shape[-1] != self.length:
            raise DimensionMismatch(
                f"{self.name} has {self.length} slots, the vector has {values.shape[-1]}",
                version=self.name,
                expected=self.length,
                given=int(values.shape[-1]),
            )
        return np.asarray(self.squash((values - self.offset) * self.scale) * self.weight, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class FeatureVector:
    """Finite values of one version for one part: ``(N,) float32``, read-only."""

    version: str
    values: Vector
