"""The library's entries and what is kept with them: store, change, remove, show."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from cadml import extraction
from cadml.engine.reading import Content
from cadml.engine.searching import Searching
from cadml.errors import NotFound
from cadml.extraction import View
from cadml.geometry.part import Kind
from cadml.store.contents import NewContent
from cadml.store.parts import NewEntry, PartRow
from cadml.store.predictions import StoredPrediction
from cadml.store.versions import VersionsChangedError

VIEW_NAMES: dict[View, str] = {"glb": "preview.glb", "svg": "preview.svg", "png": "thumbnail.png"}


class Library(Searching):
    """Entries, and blobs that agree with them."""

    def store(
        self,
        path: Path,
        content: Content,
        entry: NewEntry,
        prediction: StoredPrediction | None,
        item: tuple[str, int] | None = None,
    ) -> tuple[PartRow, bool]:
        """Keep a file and what is known of it in one transaction; return its entry and if it is new."""
        new = NewContent(
            sha256=content.sha256,
            bytes=content.size,
            format=content.format,
            kind=content.kind.value,
            facts=content.facts,
            findings=content.findings,
            vectors=content.vectors,
            described=content.described,
        )
        with self.stage("store"):
            while True:
                keep = partial(self._keep_blobs, path, content)
                try:
                    return self.parts.add(new, entry, item=item, keep=keep, prediction=prediction)
                except VersionsChangedError as changed:  # a migration began while the file was read
                    new = self._described_in_more(path, content, new, changed.lacking)

    def _described_in_more(
        self, path: Path, content: Content, new: NewContent, names: tuple[str, ...]
    ) -> NewContent:
        part_bytes = content.part_bytes or self._part_bytes(path, content)
        more = self.workers.run(extraction.describe_again, part_bytes, names)
        return replace(
            new,
            vectors={**new.vectors, **more.vectors},
            findings=[*new.findings, *more.findings],
            described=(new.described or frozenset()) | set(names),
        )

    def _part_bytes(self, path: Path, content: Content) -> bytes:
        return self.workers.run(extraction.extract, str(path), content.format, ()).part_bytes

    def _keep_blobs(self, path: Path, content: Content) -> None:
        """Write what the rows about to be committed refer to; what is there already stays."""
        self.blobs.put_file(f"source/{content.sha256}", path)
        part = f"part/{content.sha256}"
        if not self.blobs.exists(part):
            # Without them it was known a moment ago, and removed since.
            self.blobs.put_bytes(part, content.part_bytes or self._part_bytes(path, content))

    def update(self, part_id: str, **changes: Any) -> PartRow:
        """Change an entry's name, part number or metadata (a value of None removes a key)."""
        return self.parts.update(part_id, **changes)

    def delete(self, part_id: str) -> None:
        """Remove an entry; with the last entry of a content go its vectors and its files."""
        sha256 = self.parts.delete(part_id)
        if sha256 is not None:
            self.cache.discard(sha256)
            self.parts.discard(sha256, partial(self._delete_blobs, sha256))

    def _delete_blobs(self, sha256: str) -> None:
        views = [f"view/{sha256}/{name}" for name in VIEW_NAMES.values()]
        for key in (f"source/{sha256}", f"part/{sha256}", *views):
            self.blobs.delete(key)

    def view(self, row: PartRow, view: View) -> bytes:
        """Return a picture or model of the part: made once by a worker process, then kept.

        Raises
        ------
        NotFound
            Parts of this kind have no such view.
        """
        if view != "png" and (view == "svg") != (row.kind == Kind.DRAWING):
            raise NotFound(f"a {row.kind} has no {VIEW_NAMES[view]}", id=row.id)
        key = f"view/{row.sha256}/{VIEW_NAMES[view]}"
        if not self.blobs.exists(key):
            part_bytes = self.blobs.get_bytes(f"part/{row.sha256}")
            self.blobs.put_bytes(key, self.workers.run(extraction.render, part_bytes, view))
        return self.blobs.get_bytes(key)
