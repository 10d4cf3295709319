"""A bundle: one zip file of a model card (``card.json``) and the model itself (``model.onnx``)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from cadml.errors import MalformedModel
from cadml.learning.archive import read_archive, write_archive

CARD, MODEL = "card.json", "model.onnx"
SUFFIX = ".cadml"
_LONGEST_VECTOR = 4_096  # slots; the longest feature version has 512
_LARGEST_CARD = 4 << 20  # bytes
_LARGEST_UNPACKED = 512 << 20
_DEEPEST = 10  # containers of scores in one another; our own are 3
LONGEST_WORD = 200  # characters of a name, a version, a class: what the API takes as a version
MOST_CLASSES = 300  # each is a time series of its own, and a scrape holds fewer than 2,000
_UNPACKED_TO_PACKED = 64  # a tree ensemble packs to about a fifth; deflate's own limit is 1,032
_SHARES = frozenset({"macro_f1", "abstained"})  # the scores that floor and probation go by


@dataclass(frozen=True, slots=True)
class Canary:
    """A raw vector ``(N,)`` whose label is known: a model that answers otherwise does not serve."""

    vector: tuple[float, ...]
    label: str


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model is: ``scores`` are held-out ones (grouped folds), the floor compares ``macro_f1``."""

    name: str
    version: str
    feature_version: str
    length: int
    classes: tuple[str, ...]
    abstain_below: float  # a part whose best probability is lower gets no label
    training_sha256: str
    scores: dict[str, Any] = field(default_factory=dict)
    canaries: tuple[Canary, ...] = ()
    made_by: str = ""
    created_at: str = ""


def write_bundle(card: ModelCard, onnx: bytes) -> bytes:
    """Return the bundle of a card and its model; the same bytes for the same content.

    Raises
    ------
    MalformedModel
        The card says what no card may say, such as a class without a name.
    """
    _check(card)
    return write_archive({CARD: orjson.dumps(asdict(card), option=orjson.OPT_INDENT_2), MODEL: onnx})


def read_bundle(data: bytes, most_bytes: int = _LARGEST_UNPACKED) -> tuple[ModelCard, bytes]:
    """Return the card and the ONNX model of a bundle; nothing is loaded or run.

    ``most_bytes`` bounds what it unpacks to, besides a bound in proportion to its size.

    Raises
    ------
    MalformedModel
        The archive is not exactly two honest members, or the card does not fit its own words.
    """
    members = read_archive(data, min(most_bytes, max(_LARGEST_CARD, _UNPACKED_TO_PACKED * len(data))))
    if set(members) != {CARD, MODEL}:
        raise MalformedModel(f"a bundle holds {CARD} and {MODEL}, this one {sorted(members)}")
    if len(members[CARD]) > _LARGEST_CARD:
        raise MalformedModel(f"the card is larger than {_LARGEST_CARD} bytes")
    return _card(members[CARD]), members[MODEL]


def _card(text: bytes) -> ModelCard:
    try:
        raw = orjson.loads(text)
        card = TypeAdapter(ModelCard).validate_python(raw)
    except orjson.JSONDecodeError as error:
        raise MalformedModel(f"the card is no JSON: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise MalformedModel(f"the card cannot be read: {where}: {first['msg']}") from error
    unknown = set(raw) - set(ModelCard.__dataclass_fields__)
    if unknown:
        raise MalformedModel(f"the card says what no card says: {sorted(unknown)}")
    if b"\\u0000" in text:  # no database keeps it
        raise MalformedModel("the card holds a NUL character")
    _check(card)
    return card


def is_word(text: str) -> bool:
    """Whether ``text`` can be a card's name, version or class."""
    return 0 < len(text) <= LONGEST_WORD and text.isprintable()


def _check(card: ModelCard) -> None:
    if not 0 < card.length <= _LONGEST_VECTOR or not math.isfinite(card.abstain_below):
        raise MalformedModel("the card's length or abstention threshold is out of range")
    if not 2 <= len(card.classes) <= MOST_CLASSES or len(set(card.classes)) != len(card.classes):
        raise MalformedModel(f"a classifier has 2 to {MOST_CLASSES} different classes")
    for word in (card.name, card.version, card.feature_version, *card.classes):
        if not is_word(word):
            told = f"{word[:40]!r} is none"
            raise MalformedModel(
                f"a name, version or class is 1 to {LONGEST_WORD} printable characters: {told}"
            )
    _check_scores(card.scores)
    _check_canaries(card)


def _check_scores(scores: dict[str, Any]) -> None:
    for name in _SHARES & scores.keys():
        share = scores[name]
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise MalformedModel(f"the card's {name} is no number from 0 to 1")
    if _is_deep(scores):
        raise MalformedModel(f"the card's scores are nested deeper than {_DEEPEST}")


def _check_canaries(card: ModelCard) -> None:
    for canary in card.canaries:
        if len(canary.vector) != card.length or canary.label not in card.classes:
            raise MalformedModel("a canary does not fit the card's length and classes")
        if not all(map(math.isfinite, canary.vector)):
            raise MalformedModel("a canary holds a number that is not finite")


def _is_deep(value: Any, left: int = _DEEPEST) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return not left or any(_is_deep(each, left - 1) for each in inner)
