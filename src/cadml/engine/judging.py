"""A model file becomes a loaded model or a refusal; each judgement is counted once."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import PurePath
from typing import TYPE_CHECKING

from cadml.config import Settings
from cadml.engine.model_files import refusal
from cadml.errors import BlobUnavailable, ModelNotFound, ModelVersionMismatch
from cadml.features.versions import VERSIONS
from cadml.learning.artifact import SUFFIX, ModelCard
from cadml.learning.opcodes.findings import opcode_label
from cadml.learning.slot import Loaded
from cadml.learning.verdict import Verdict
from cadml.observability.metrics import Metrics
from cadml.store.blobs import Blobs
from cadml.store.models import ModelRow, ModelStore, Trust

if TYPE_CHECKING:
    from cadml.learning.guard import Guard

# Held-out macro-F1 of two trainings on the same parts differs by so much; a floor without play would
# refuse every second retraining.
PLAY = 0.02
# A foreign model's own probabilities are all that is known of it: below this it says itself that it
# is more likely wrong.
FOREIGN_ABSTAINS_BELOW = 0.5


class Judge:
    """The guard, with the trust list, the blob store and the counters it needs."""

    def __init__(self, settings: Settings, metrics: Metrics, store: ModelStore, blobs: Blobs) -> None:
        self._settings = settings
        self._metrics = metrics
        self._store = store
        self._blobs = blobs

    @cached_property
    def guard(self) -> Guard:
        """The guard in the mode of the settings, made when a model is first looked at."""
        from cadml.learning.guard import Guard  # noqa: PLC0415 - loads a second's worth of libraries

        return Guard(self._settings.model_opcode_mode, self._settings.model_max_mb << 20)

    def kept(self, version: str) -> tuple[bytes, ModelRow]:
        """Return the bytes of a known model.

        Raises
        ------
        ModelNotFound
            There is none of this version, or its bytes are gone.
        """
        row = self._store.get(version)
        if not self._blobs.exists(f"model/{row.sha256}"):
            raise ModelNotFound(f"the bytes of model {version} are gone", version=version, status="not_found")
        try:
            return self._blobs.get_bytes(f"model/{row.sha256}"), row
        except BlobUnavailable as error:
            raise ModelNotFound(
                f"the bytes of model {version} cannot be read: {error.message}",
                version=version,
                status="not_found",
            ) from error

    def load(self, version: str) -> Loaded:
        """Return a known model after every check but the score's: it served before.

        Raises
        ------
        ModelRefused
            Its bytes are gone or altered, or the guard refuses them now.
        """
        data, row = self.kept(version)
        if hashlib.sha256(data).hexdigest() != row.sha256:
            altered = Verdict(
                "hash_mismatch",
                f"the bytes of model {version} are not those that were kept",
                hashlib.sha256(data).hexdigest(),
                security="hash_mismatch",
            )
            self._count(altered)
            raise refusal(altered)
        return self.admit(data, row.filename)[0]

    def admit(
        self,
        data: bytes,
        filename: str,
        *,
        expected_version: str | None = None,
        active: ModelCard | None = None,
    ) -> tuple[Loaded, ModelRow, Verdict]:
        """Return the file as a model ready to serve, judged against the ``active`` one's score.

        Raises
        ------
        ModelRefused
            A check refuses it; its context says which, and why.
        GuardBroken
            The guard does not pass its own test.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        trust = self._store.trusted(sha256)
        card = self._card(data, filename, trust)
        if card and expected_version not in {None, card.version}:
            raise ModelVersionMismatch(
                f"the file is version {card.version}, {expected_version} was expected",
                version=card.version,
                expected=expected_version,
                status="version_mismatch",
                sha256=sha256,
            )
        from cadml.learning.guard import Expected  # noqa: PLC0415 - as above

        expected = Expected(card.length if card else 0, card=card)
        verdict, predictor = self.guard.admit(
            data, filename, trusted=trust is not None, expected=expected, floor=_floor(active)
        )
        self._count(verdict)
        if predictor is None or card is None:
            raise refusal(verdict)
        card = replace(card, classes=predictor.classes)
        form = verdict.format or "bundle"
        loaded = Loaded(card, sha256, form, predictor)
        return loaded, ModelRow(card.version, sha256, filename, form, asdict(card)), verdict

    def _card(self, data: bytes, filename: str, trust: Trust | None) -> ModelCard | None:
        """Return a bundle's own card, or for another trusted file what was said when it was trusted.

        Nothing is read of a file that nobody has trusted.
        """
        if trust is None:
            return None
        if PurePath(filename).suffix.lower() == SUFFIX:
            card = self.guard.card(data, filename)
            if card is None:  # the guard says why, in its turn
                return None
            released = VERSIONS.get(card.feature_version)
            # The length that the service's vectors have: the guard compares the model's with it.
            return replace(card, length=released.length if released else 0)
        name = PurePath(filename).stem
        return ModelCard(
            name=name,
            version=f"{name}-{trust.sha256[:8]}",
            feature_version=trust.feature_version,
            length=VERSIONS[trust.feature_version].length,
            classes=(),
            abstain_below=FOREIGN_ABSTAINS_BELOW,
            training_sha256="",
            made_by=f"trusted by {trust.who}",
        )

    def _count(self, verdict: Verdict) -> None:
        if verdict.scanned:
            self._metrics.count("model_opcode_scans_total")
        if verdict.opcode and (counter := self._opcode_counter(verdict)):
            self._metrics.count(counter, opcode=opcode_label(verdict.opcode))
        if verdict.security:
            self._metrics.count("model_security_fail_total", reason=verdict.security)
        if verdict.interface:
            self._metrics.count("model_interface_validation_fail_total", reason=verdict.interface)

    def _opcode_counter(self, verdict: Verdict) -> str | None:
        if self._settings.model_opcode_mode == "audit":
            return "model_opcode_audit_total"
        return {
            "opcode_blocked": "model_opcode_blocked_total",
            "opcode_whitelist_violation": "model_opcode_whitelist_violations_total",
        }.get(verdict.security or "")


def _floor(active: ModelCard | None) -> float | None:
    """Return the held-out macro-F1 that a model must reach to follow the ``active`` one."""
    score = active.scores.get("macro_f1") if active else None
    return None if score is None else float(score) - PLAY
