"""Switching the active model: judged, activated, watched, rolled back; every refusal counted and recorded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import structlog

from cadml.engine.judging import Judge
from cadml.engine.model_files import read_model_file, told
from cadml.engine.opened import Opened
from cadml.engine.serving import Serving
from cadml.errors import (
    CadmlError,
    Conflict,
    GuardBroken,
    InvalidRequest,
    ModelInterfaceInvalid,
    ModelRefused,
    ModelVersionMismatch,
    NothingToRollBack,
)
from cadml.learning.slot import Loaded, Place
from cadml.learning.verdict import MODES, InterfaceReason, Verdict
from cadml.store.models import Also, Event, ModelRow, ModelStore, State

log = structlog.get_logger("cadml.models")


class Models:
    """The models of an opened installation; thread-safe.

    ``on_switch`` is called with connection and version in the transaction that switches, so that
    what has to follow a switch is queued exactly when it happens.
    """

    def __init__(self, here: Opened, on_switch: Also) -> None:
        settings, metrics = here.settings, here.metrics
        self._folder = settings.model_dir or settings.data_dir / "models"
        self._max_bytes = settings.model_max_mb << 20
        self._metrics = metrics
        self._blobs = here.blobs
        self._versions = here.versions
        self._on_switch = on_switch
        self.store = ModelStore(here.database)
        self._judge = Judge(settings, metrics, self.store, here.blobs)
        self.serving = Serving(metrics, self.store, self._judge)
        metrics.read("model_opcode_mode", lambda: float(MODES.index(settings.model_opcode_mode)))

    def close(self) -> None:
        """Stop watching and close what is loaded."""
        self.serving.close()

    def reload(
        self,
        who: str,
        *,
        path: str | None = None,
        version: str | None = None,
        expected_version: str | None = None,
        force: bool = False,
    ) -> ModelRow:
        """Judge a file of the models folder, or a known version, and let it serve from now on.

        ``force`` overrides the expected version and the score floor, never a security check.

        Raises
        ------
        ModelRefused
            A check refuses it; what served serves on.
        """
        if (path is None) == (version is None):
            raise InvalidRequest("give exactly one of path and version")
        with self._counted(who, path or version):
            if path is not None:
                data, filename = read_model_file(self._folder, path, self._max_bytes)
            else:
                data, row = self._judge.kept(str(version))
                filename = row.filename
            return self._activate(data, filename, who, expected_version=expected_version, force=force)

    def reload_file(
        self, file: Path, who: str, *, expected_version: str | None = None, force: bool = False
    ) -> ModelRow:
        """Judge a file that the user of this process named, and let it serve; as :meth:`reload`."""
        with self._counted(who, str(file)), file.open("rb") as stream:
            data = stream.read(self._max_bytes + 1)
            return self._activate(data, file.name, who, expected_version=expected_version, force=force)

    def _activate(
        self, data: bytes, filename: str, who: str, *, expected_version: str | None, force: bool
    ) -> ModelRow:
        with self.serving.switching:
            self.serving.refresh()
            place = self.serving.slot.place
            loaded, row, verdict = self._judge.admit(
                data,
                filename,
                expected_version=None if force else expected_version,
                active=place.loaded.card if place and not force else None,
            )
            with self._closed_if_unused(loaded):
                self._refuse_unkept(loaded)
                self._blobs.put_bytes(f"model/{row.sha256}", data)
                why = "forced" if force else verdict.message
                state = self._made_newest(row, who, why, verdict)
                self.serving.install(loaded, state, 0)
        log.info("model activated", version=row.version, who=who)
        return row

    def _made_newest(self, row: ModelRow, who: str, why: str, verdict: Verdict) -> State:
        try:
            return self.store.activate(row, who, why, told(verdict), self._on_switch)
        except Conflict as error:
            raise ModelVersionMismatch(
                error.message, version=row.version, status="version_mismatch", sha256=row.sha256
            ) from error

    def _refuse_unkept(self, loaded: Loaded) -> None:
        """Refuse a model of a feature version that parts are not described in: it could name none."""
        name = loaded.card.feature_version
        if name not in self._versions.now().kept:
            reason: InterfaceReason = "wrong_input_dimension"
            self._metrics.count("model_interface_validation_fail_total", reason=reason)
            raise ModelInterfaceInvalid(
                f"the model reads {name}, which this library does not keep; `cadml migrate {name}`",
                status="interface_invalid",
                reason=reason,
                sha256=loaded.sha256,
            )

    def roll_back(
        self, who: str, why: str, *, levels: int | None = None, version: str | None = None
    ) -> State:
        """Let a predecessor serve: ``levels`` steps back from what serves now, or that ``version``.

        Raises
        ------
        NothingToRollBack
            There is no such predecessor.
        ModelRefused
            It cannot be loaded any more; what served serves on.
        """
        if (levels is None) == (version is None):
            raise InvalidRequest("give exactly one of levels and version")
        with self.serving.switching:
            now = self.serving.refresh()
            level = _level_of(now, version) if version is not None else now.level + (levels or 0)
            if level >= len(now.line):
                raise NothingToRollBack(
                    f"{levels} levels back were asked for, {now.predecessors} are left", left=now.predecessors
                )
            self._roll_back_to(self.serving.loaded(now.line[level]), level, who, why, now)
        return self.serving.state()

    def _roll_back_to(self, loaded: Loaded, level: int, who: str, why: str, now: State) -> None:
        with self._closed_if_unused(loaded):
            state = self.store.roll_back(now.line[level], who, why, change=now.change, also=self._on_switch)
            self.serving.install(loaded, state, level)
        self.serving.count_level(level)
        log.warning("model rolled back", version=loaded.card.version, level=level, who=who, why=why)

    @contextmanager
    def _closed_if_unused(self, loaded: Loaded) -> Iterator[None]:
        """Close what was loaded unless it came to serve."""
        try:
            yield
        finally:
            if not self.serving.slot.holds(loaded):
                loaded.predictor.close()

    @contextmanager
    def _counted(self, who: str, asked: str | None) -> Iterator[None]:
        """Count a reload once, and record a refusal with who asked for what."""
        try:
            yield
        except (ModelRefused, GuardBroken) as error:
            status = str(error.context.get("status", "load_error"))
            self._metrics.count("model_reload_total", status=status)
            event = Event("refused", who, f"{asked}: {error.message}", verdict=error.context)
            self.store.record(replace(event, sha256=error.context.get("sha256")))
            raise
        self._metrics.count("model_reload_total", status="success")

    def watched(self, place: Place, failing: str | None) -> None:
        """Act on what the probation of ``place`` says: roll back, or settle that it has passed."""
        if place.probation is None or not (failing or place.probation.passed):
            return
        if not self.serving.switching.acquire(blocking=False):
            return  # a switch is under way; the next prediction asks again
        try:
            state = self.serving.state()
            if self.serving.slot.place is not place or not state.predecessors:
                return
            with suppress(CadmlError):  # asked again by the next prediction; the request has its answer
                self._judge_probation(place, failing, state)
        finally:
            self.serving.switching.release()

    def _judge_probation(self, place: Place, failing: str | None, state: State) -> None:
        if failing is None:
            self.store.settle(state.change, "passed its probation")
            self.serving.slot.put(replace(place, probation=None, before=None))
        else:
            loaded = self.serving.loaded(state.line[1])
            self._roll_back_to(loaded, 1, "cadml", f"probation: {failing}", state)


def _level_of(state: State, version: str) -> int:
    if version not in state.line:
        raise NothingToRollBack(
            f"{version} is none of the last activated models: {', '.join(state.line) or 'there is none'}"
        )
    return state.line.index(version)
