"""A classifier trained from labelled files or from the library's own labels, then kept and trusted."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from cadml.errors import InvalidRequest
from cadml.features.versions import version as version_named
from cadml.learning.artifact import SUFFIX, ModelCard, write_bundle
from cadml.store.blobs import Blobs
from cadml.store.database import Database
from cadml.store.labelled import labelled
from cadml.store.models import ModelRow, ModelStore
from cadml.store.versions import Versions

if TYPE_CHECKING:
    from cadml.learning.train import Example

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,59}")
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Kept:
    """A trained model that may be activated."""

    card: ModelCard
    sha256: str
    bytes: int


class Training:
    """Trains, and keeps what it trained: trusted, because cadml made it, but not active yet."""

    def __init__(self, database: Database, blobs: Blobs, versions: Versions) -> None:
        self._database = database
        self._versions = versions
        self._blobs = blobs
        self._store = ModelStore(database)

    def check(self, name: str, version_name: str | None) -> str:
        """Return the feature version to train on, the active one unless told, before any work is done.

        Raises
        ------
        InvalidRequest
            The name cannot be a model's.
        UnknownVersion, VersionNotKept
            New parts are not described in this version, so a model of it could name none.
        """
        if NAME.fullmatch(name) is None:
            raise InvalidRequest(f"{name!r} is no name for a model: letters, digits and . _ - only")
        return self._versions.searchable(version_name or self._versions.active)

    def from_library(self, version_name: str) -> list[Example]:
        """Return the stored parts whose metadata has a label, as examples of this feature version."""
        from cadml.learning.train import Example  # noqa: PLC0415 - loads scikit-learn

        rows = labelled(self._database, version_name)
        return [Example(row.sha256, row.label, row.family, row.vector) for row in rows]

    def train(
        self, name: str, version_name: str, examples: Sequence[Example], who: str, progress: Progress
    ) -> Kept:
        """Return the best classifier for these examples, kept under the next version of ``name``.

        Raises
        ------
        TooLittleData
            There are too few classes or families.
        InvalidRequest
            There are more classes, or longer ones, than a model can have, or as :meth:`check`.
        UnknownVersion, VersionNotKept
            As :meth:`check`.
        """
        from cadml.learning.train import train  # noqa: PLC0415 - loads scikit-learn

        self.check(name, version_name)
        trained = train(name, self._store.next_version(name), version_named(version_name), examples, progress)
        data = write_bundle(trained.card, trained.onnx)
        sha256 = hashlib.sha256(data).hexdigest()
        self._blobs.put_bytes(f"model/{sha256}", data)
        card = trained.card
        why = f"{card.scores['parts']} parts of {len(card.classes)} classes, {version_name}"
        row = ModelRow(card.version, sha256, f"{card.version}{SUFFIX}", "bundle", asdict(card))
        self._store.add_trained(row, who, why)
        return Kept(card, sha256, len(data))
