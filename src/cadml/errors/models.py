"""What can be wrong with a model file, a training set or a running model."""

from __future__ import annotations

from cadml.errors.base import CadmlError


class ModelError(CadmlError):
    """A model file or a running model is at fault."""

    stage = "classify"


class TooLittleData(ModelError):
    code = "TOO_LITTLE_DATA"
    stage = "train"
    meaning = "Too few labelled parts, families or classes to train and judge a classifier."


class MalformedModel(ModelError):
    code = "MALFORMED_MODEL"
    meaning = "The model file breaks the rules of its format, or holds what no model needs."


class ModelProcessFailed(ModelError):
    code = "MODEL_PROCESS_FAILED"
    meaning = "The confined process of a model died, hung or ran out of memory; the service did not."


class GuardBroken(ModelError):
    code = "MODEL_GUARD_BROKEN"
    meaning = "The guard let a known attack pass its own test, so it loads no model at all."


class ModelRefused(ModelError):
    """A model file that may not serve; ``context["status"]`` is the contract's word for why."""

    stage = "load"


class ModelNotFound(ModelRefused):
    code = "MODEL_NOT_FOUND"
    meaning = "No model has this version, or no regular file of the models folder this path."


class ModelVersionMismatch(ModelRefused):
    code = "MODEL_VERSION_MISMATCH"
    meaning = "The model is not the version that was expected."


class ModelSizeExceeded(ModelRefused):
    code = "MODEL_SIZE_EXCEEDED"
    meaning = "The model file is larger than CADML_MODEL_MAX_MB."


class ModelHashMismatch(ModelRefused):
    code = "MODEL_HASH_MISMATCH"
    meaning = "Nobody has trusted the file with these bytes (cadml model trust)."


class ModelMagicInvalid(ModelRefused):
    code = "MODEL_MAGIC_INVALID"
    meaning = "The model file is not of the format that its name says."


class ModelOpcodeBlocked(ModelRefused):
    code = "MODEL_OPCODE_BLOCKED"
    meaning = "The model file would run what no model may run."


class ModelScanFailed(ModelRefused):
    code = "MODEL_OPCODE_SCAN_ERROR"
    meaning = "The opcodes of the model file cannot be read to their end."


class ModelInterfaceInvalid(ModelRefused):
    code = "MODEL_INTERFACE_INVALID"
    meaning = "What the file holds is no classifier for vectors of this feature version."


class ModelCanaryFailed(ModelRefused):
    code = "MODEL_CANARY_FAILED"
    meaning = "The model answers a part of known class wrongly."


class ModelScoreTooLow(ModelRefused):
    code = "MODEL_SCORE_TOO_LOW"
    meaning = "The model's held-out score is below the active model's."


class ModelNotLoaded(ModelRefused):
    code = "MODEL_LOAD_ERROR"
    meaning = "The model file passed the scan but cannot be built."
