"""Every setting once: environment name, default, unit and help. The environment is read here alone."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le
from platformdirs import user_data_path
from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from cadml.errors import ConfigurationError

PREFIX = "CADML_"
Port = Annotated[int, Ge(0), Le(65535)]
Positive = Annotated[int, Ge(1)]
OpcodeMode = Annotated[
    Literal["audit", "blocklist", "whitelist"],
    BeforeValidator(lambda word: "blocklist" if word == "blacklist" else word),
]


def _setting(default: Any, description: str, unit: str = "") -> Any:
    """Return a field with its help and unit; a callable ``default`` is asked at start."""
    given = {"default_factory": default} if callable(default) else {"default": default}
    return Field(**given, description=description, json_schema_extra={"unit": unit})


class Settings(BaseSettings):
    """The options of one installation."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    data_dir: Path = _setting(
        lambda: user_data_path("cadml"), "Embedded database, blobs and caches live here."
    )
    database_url: str | None = _setting(
        None, "PostgreSQL 15 or later with pgvector 0.8.2 or later; none: an embedded private server."
    )
    blobs_url: str | None = _setting(None, "fsspec URL of the blob store; none: a folder in the data folder.")
    host: str = _setting("127.0.0.1", "Address to listen on; beyond loopback only with API keys.")
    port: Port = _setting(8000, "Port to listen on; 0 takes a free one.")
    api_keys_file: Path | None = _setting(None, "File of hashed API keys with their roles (cadml keys add).")
    metrics_enabled: bool = _setting(True, "Whether /metrics exports the contract's series.")  # noqa: FBT003 - a default
    extract_workers: Positive = _setting(lambda: os.cpu_count() or 1, "Extraction processes; default: cores.")
    extract_timeout_s: Annotated[float, Ge(1)] = _setting(120, "Wall-clock limit for one file.", "s")
    extract_memory_mb: Annotated[int, Ge(512)] = _setting(
        4096, "Address space of one extraction process.", "MiB"
    )
    max_upload_mb: Positive = _setting(512, "Largest accepted file.", "MiB")
    feature_version: str = _setting(
        "v5", "Feature version that a new library is searched with; later `cadml migrate` changes it."
    )
    feature_cache_capacity: Annotated[int, Ge(1), Le(10_000_000)] = _setting(
        10_000, "Most feature vectors held in memory; GET /features/cache/tuning advises.", "entries"
    )
    feature_cache_ttl_seconds: Annotated[int, Ge(1), Le(366 * 86400)] = _setting(
        86_400, "A vector that nobody asked for during this time leaves the memory.", "s"
    )
    feature_cache_max_mb: Positive = _setting(256, "Most memory that cached feature vectors take.", "MiB")
    feature_cache_auto: bool = _setting(
        False,  # noqa: FBT003 - a default
        "Whether the cache applies its own advice in bounded steps, and rolls back when hits fall.",
    )
    model_opcode_mode: OpcodeMode = _setting(
        "whitelist",
        "How pickled models are judged: audit (none is loaded), blocklist, whitelist (listed imports only).",
    )
    model_max_mb: Positive = _setting(50, "Largest accepted model file.", "MiB")
    model_dir: Path | None = _setting(
        None, "POST /model/reload reads files below this folder only; none: models in the data folder."
    )
    drift_window: Annotated[int, Ge(30), Le(2000)] = _setting(
        1000, "Most observations that are compared with a drift baseline.", "observations"
    )
    drift_window_hours: Annotated[float, Ge(0.01), Le(8784)] = _setting(
        168, "Oldest observation that is compared with a drift baseline.", "h"
    )
    drift_baseline_size: Annotated[int, Ge(100), Le(1000)] = _setting(
        500, "The first observations that become a drift baseline.", "observations"
    )
    drift_baseline_max_age_days: Annotated[float, Ge(0.00001), Le(36600)] = _setting(
        90,
        "A drift baseline older than this is renewed from new observations, unless they have drifted.",
        "d",
    )
    stop_grace_s: Annotated[float, Ge(1), Le(3600)] = _setting(
        25, "What has begun may take so long to end once the service is told to stop.", "s"
    )
    log_format: Literal["console", "json"] = _setting("console", "How log lines are written.")
    log_level: Literal["debug", "info", "warning", "error"] = _setting(
        "info", "Least severe log lines that are written; debug has one for each request."
    )

    @classmethod
    def load(cls, **overrides: object) -> Settings:
        """Return the settings from the environment, with non-None ``overrides`` on top.

        Raises
        ------
        ConfigurationError
            A ``CADML_`` name is no setting, or a value does not fit.
        """
        known = {PREFIX + name.upper() for name in cls.model_fields}
        unknown = sorted(n for n in os.environ if n.upper().startswith(PREFIX) and n.upper() not in known)
        unknown = [n for n in unknown if n not in TEST_NAMES]
        if unknown:
            raise ConfigurationError(
                f"{unknown[0]} is no setting of cadml; `cadml settings` lists them all", name=unknown[0]
            )
        try:
            return cls(**{name: value for name, value in overrides.items() if value is not None})  # type: ignore[arg-type]
        except ValidationError as error:
            first = error.errors()[0]
            name = PREFIX + str(first["loc"][0]).upper()
            raise ConfigurationError(f"{name}: {first['msg']} (got {first['input']!r})", name=name) from error


# Where OpenTelemetry's exporter sends spans, as its specification names it; the SDK reads the rest.
TRACE_RECEIVERS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def wants_traces() -> bool:
    """Whether the environment names a receiver of traces and does not switch OpenTelemetry off."""
    is_off = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return not is_off and any(os.environ.get(name) for name in TRACE_RECEIVERS)


# Read by the test suite, not by the service.
TEST_NAMES = frozenset({"CADML_TEST_STRICT"})


def settings_table(now: Settings) -> list[dict[str, Any]]:
    """Return every setting: name, default, unit, help and present value (a password in a URL hidden)."""
    rows = []
    for name, field in Settings.model_fields.items():
        extra = field.json_schema_extra
        rows.append(
            {
                "name": PREFIX + name.upper(),
                "default": _shown(field.get_default(call_default_factory=True, validated_data={})),
                "unit": extra["unit"] if isinstance(extra, dict) else "",
                "help": field.description,
                "value": _shown(getattr(now, name)),
            }
        )
    return rows


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        return re.sub(r"(?<=://)([^/@:]*):[^/@]*@", r"\1:…@", value)
    return str(value) if isinstance(value, Path) else value
