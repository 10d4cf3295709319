"""Alerts on the classifier: hostile files, steps back, nothing to go back to."""

from __future__ import annotations

from cadml.learning.verdict import SECURITY_REASONS
from cadml.observability.queries import RULE
from cadml.observability.rules.model import Alert, Group

_WHO = ("job", "instance")
_NAMED = "{{ $labels.instance }}"
_LEVEL = RULE.select("model_rollback_level")
# A file that is only too large is a mistake; these are what an attack looks like.
HOSTILE = tuple(reason for reason in SECURITY_REASONS if reason != "size_exceeded")

MODELS = Group(
    "cadml-models",
    (
        Alert(
            "CadmlHostileModelRefused",
            "critical",
            "0m",
            RULE.over("15m").increase("model_security_fail_total", *_WHO, "reason", reason=HOSTILE) + " > 0",
            f"{_NAMED} refused a model file ({{{{ $labels.reason }}}})",
            "A model file failed a check of safety and was not loaded; the active model is untouched."
            " Find out who put it there.",
        ),
        Alert(
            "CadmlModelRolledBack",
            "warning",
            "5m",
            f"{_LEVEL} >= 1",
            f"{_NAMED}: a predecessor serves (level {{{{ $value }}}})",
            "The newest activated model does not serve: asked for, a failed probation, or a damaged file.",
        ),
        Alert(
            "CadmlModelRollbackExhausted",
            "critical",
            "1m",
            f"{_LEVEL} == 3",
            f"{_NAMED}: the third predecessor serves, the last one",
            "Three models failed one after another; there is no further step back.",
        ),
        Alert(
            "CadmlNoModelSnapshots",
            "warning",
            "15m",
            f"{RULE.select('model_snapshots_available')} == 0 and {RULE.select('model_load_seq')} > 1",
            f"{_NAMED}: there is no model to go back to",
            "Should the active model fail, nothing could take its place.",
        ),
    ),
)
