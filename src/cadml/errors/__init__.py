"""Every way in which cadml can refuse or fail: one class, one stable ``code`` each.

A class knows no HTTP: :mod:`cadml.api.problems` gives each code its status. ``stage`` names the
step of a request that failed, ``context`` holds facts a program can use (never file content).
"""

from __future__ import annotations

from collections.abc import Iterator

from cadml.errors.base import CadmlError
from cadml.errors.models import (
    GuardBroken,
    MalformedModel,
    ModelCanaryFailed,
    ModelError,
    ModelHashMismatch,
    ModelInterfaceInvalid,
    ModelMagicInvalid,
    ModelNotFound,
    ModelNotLoaded,
    ModelOpcodeBlocked,
    ModelProcessFailed,
    ModelRefused,
    ModelScanFailed,
    ModelScoreTooLow,
    ModelSizeExceeded,
    ModelVersionMismatch,
    TooLittleData,
)

__all__ = [
    "CadmlError",
    "GuardBroken",
    "MalformedModel",
    "ModelCanaryFailed",
    "ModelError",
    "ModelHashMismatch",
    "ModelInterfaceInvalid",
    "ModelMagicInvalid",
    "ModelNotFound",
    "ModelNotLoaded",
    "ModelOpcodeBlocked",
    "ModelProcessFailed",
    "ModelRefused",
    "ModelScanFailed",
    "ModelScoreTooLow",
    "ModelSizeExceeded",
    "ModelVersionMismatch",
    "TooLittleData",
]


# -- the file that was given --------------------------------------------------------------------


class FileError(CadmlError):
    """The file cannot become a part; the sentence says why and what would help."""

    stage = "read"


class UnknownFormat(FileError):
    code = "UNKNOWN_FORMAT"
    stage = "receive"
    meaning = "The extension belongs to no format that cadml knows."


class ProprietaryFormat(FileError):
    code = "PROPRIETARY_FORMAT"
    stage = "receive"
    meaning = "A known format without an open reader; the message says what to export instead."


class MislabelledFile(FileError):
    code = "MISLABELLED_FILE"
    stage = "receive"
    meaning = "The content is not what the extension says."


class EmptyFile(FileError):
    code = "EMPTY_FILE"
    meaning = "The file holds no bytes, or a valid frame with nothing inside."


class TruncatedFile(FileError):
    code = "TRUNCATED_FILE"
    meaning = "The file ends before its format says it should."


class MalformedFile(FileError):
    code = "MALFORMED_FILE"
    meaning = "The content breaks the rules of its format in a way that cannot be repaired."


class NoSurfaceGeometry(FileError):
    code = "NO_SURFACE_GEOMETRY"
    meaning = "The file is valid but holds no surface: wireframe, points or a bare structure only."


class FileTooLarge(FileError):
    code = "FILE_TOO_LARGE"
    stage = "receive"
    meaning = "The file, or what it unpacks to, exceeds the limit."


class ExtractionTimeout(FileError):
    code = "EXTRACTION_TIMEOUT"
    meaning = "Reading took longer than CADML_EXTRACT_TIMEOUT_S and was stopped."


class ReaderCrashed(FileError):
    code = "READER_CRASHED"
    meaning = "The reader's process died on this file; the service was not affected."


class ExtractionOutOfMemory(FileError):
    code = "EXTRACTION_OUT_OF_MEMORY"
    meaning = "Reading needed more than CADML_EXTRACT_MEMORY_MB."


class QuarantinedFile(FileError):
    code = "QUARANTINED_FILE"
    stage = "receive"
    meaning = "This content killed a worker twice and is refused without another try."


# -- the description ----------------------------------------------------------------------------


class DescriptionError(CadmlError):
    """A part cannot be described as asked."""

    stage = "describe"


class VersionNotApplicable(DescriptionError):
    code = "VERSION_NOT_APPLICABLE"
    meaning = "The feature version does not apply to this kind of part."


class UndefinedFeature(DescriptionError):
    code = "UNDEFINED_FEATURE"
    meaning = "A descriptor has no defined value for this part (for instance, no area at all)."


class SourceUnavailable(DescriptionError):
    code = "SOURCE_UNAVAILABLE"
    meaning = "A vector described elsewhere: there is no geometry here to describe it again from."


# -- the request --------------------------------------------------------------------------------


class RequestError(CadmlError):
    """The caller asked for something that cannot be done as asked."""


class InvalidRequest(RequestError):
    code = "INVALID_REQUEST"
    meaning = "A field is missing, has the wrong type, or is out of range."


class UnknownVersion(RequestError):
    code = "UNKNOWN_FEATURE_VERSION"
    meaning = "No feature version has this name."


class DimensionMismatch(RequestError):
    code = "DIMENSION_MISMATCH"
    meaning = "The vector's length is not that of its feature version."


class NotFound(RequestError):
    code = "NOT_FOUND"
    meaning = "Nothing has this id."


class PartNotFound(NotFound):
    code = "PART_NOT_FOUND"
    meaning = "No part has this id."


class JobNotFound(NotFound):
    code = "JOB_NOT_FOUND"
    meaning = "No job has this id."


class MigrationNotFound(NotFound):
    code = "MIGRATION_NOT_FOUND"
    meaning = "There is no such migration."


class VectorNotFound(NotFound):
    code = "VECTOR_NOT_FOUND"
    meaning = "No vector of this version is stored under this id."


class Conflict(RequestError):
    code = "CONFLICT"
    meaning = "The present state does not allow this."


class VersionNotKept(Conflict):
    code = "VERSION_NOT_KEPT"
    meaning = "The library keeps no vectors of this feature version; `cadml migrate` makes it do so."


class MigrationConflict(Conflict):
    code = "MIGRATION_CONFLICT"
    meaning = "The migration's state, or another migration, does not allow this now."


class CacheTuningRollbackWindowActive(Conflict):
    code = "CACHE_TUNING_ROLLBACK_WINDOW_ACTIVE"
    meaning = "Cache settings were applied less than 300 s ago; roll back or wait."


class NothingToRollBack(Conflict):
    code = "NOTHING_TO_ROLL_BACK"
    meaning = "There is no former state to return to, or its time has passed."


class NotEnoughData(Conflict):
    code = "NOT_ENOUGH_DATA"
    meaning = "Fewer observations are at hand than a baseline needs."


class TooBusy(RequestError):
    code = "TOO_MANY_REQUESTS"
    stage = "receive"
    meaning = "As many files as the service can hold are waiting already; try again shortly."


class NoSuchRoute(RequestError):
    code = "NO_SUCH_ROUTE"
    meaning = "No route has this path."


class WrongMethod(RequestError):
    code = "METHOD_NOT_ALLOWED"
    meaning = "The path exists, but not with this method."


class UnsupportedMediaType(RequestError):
    code = "UNSUPPORTED_MEDIA_TYPE"
    stage = "receive"
    meaning = "The request's Content-Type is not one that this path takes."


class MissingKey(RequestError):
    code = "API_KEY_REQUIRED"
    stage = "access"
    meaning = "The service needs a valid X-API-Key."


class Forbidden(RequestError):
    code = "ROLE_NOT_ALLOWED"
    stage = "access"
    meaning = "The key's role may not do this."


# -- the installation ---------------------------------------------------------------------------


class InstallationError(CadmlError):
    """The installation lacks something; an operator has to act."""

    stage = "service"


class ConfigurationError(InstallationError):
    code = "CONFIGURATION_ERROR"
    meaning = "A setting is unknown, misspelt or does not fit."


class DatabaseUnavailable(InstallationError):
    code = "DATABASE_UNAVAILABLE"
    meaning = "PostgreSQL does not answer."


class BlobUnavailable(InstallationError):
    code = "BLOB_UNAVAILABLE"
    meaning = "The blob store lacks a file it should hold, or does not answer."


class BackupFailed(InstallationError):
    code = "BACKUP_FAILED"
    meaning = "A backup could not be made, or is not whole."


class ServiceStopping(InstallationError):
    code = "SERVICE_STOPPING"
    meaning = "The service stops, and this did not end in the time it had; nothing is wrong with the file."


class InternalError(InstallationError):
    code = "INTERNAL_ERROR"
    meaning = "A defect of cadml; the log line with this request id tells more."


def every_error() -> Iterator[type[CadmlError]]:
    """Yield each concrete error class, parents first."""
    pending: list[type[CadmlError]] = [CadmlError]
    while pending:
        kind = pending.pop(0)
        pending.extend(kind.__subclasses__())
        if "code" in vars(kind):
            yield kind
