"""Models: what serves and how well, what was refused and why, and steps back."""

from __future__ import annotations

from cadml.observability.dashboards.model import Dashboard, Panel, Row, lines, percentiles
from cadml.observability.queries import PANEL, SHOWN, ratio

_SCRAPED = "no service is scraped"
_IDLE = "nothing was classified in this time"
_QUIET = "none: all is well"
_ANSWERS = "classification_prediction_distribution_total"
_MODES = (("0", "audit", "orange"), ("1", "blocklist", "orange"), ("2", "whitelist", "green"))
_REFUSED = ((1, "red"),)

_HEALTH = Row(
    "Health",
    (
        Panel(
            "Model that serves",
            "Version and format of the model that answers.",
            "none",
            lines(
                (
                    PANEL.gauge("classification_model_info", "version", "format", how="max"),
                    "{{version}} ({{format}})",
                )
            ),
            "no model serves: every answer is “no model”",
            "stat",
        ),
        Panel(
            "Activations",
            "Rises by one with each model that comes to serve.",
            "short",
            lines((PANEL.gauge("model_load_seq", how="max"), "activations")),
            _SCRAPED,
            "stat",
            width=4,
        ),
        Panel(
            "Health answers",
            "Answers of the model's health check in the shown time.",
            "short",
            lines((SHOWN.increase("model_health_checks_total", "status"), "{{status}}")),
            _SCRAPED,
            "bargauge",
            width=6,
        ),
        Panel(
            "Answers",
            "Parts classified in the shown time, by answer; abstained where the model was not sure enough.",
            "short",
            lines((SHOWN.increase(_ANSWERS, "label"), "{{label}}")),
            _IDLE,
            "bargauge",
            width=6,
        ),
        Panel(
            "Share abstained",
            "A rise means that parts come in unlike those that the model was trained on.",
            "percentunit",
            lines((ratio(PANEL.rate(_ANSWERS, label="abstained"), PANEL.rate(_ANSWERS)), "abstained")),
            _IDLE,
            top=1,
        ),
        Panel(
            "Time of the model",
            "Time of one call of the model.",
            "s",
            percentiles("classification_model_inference_seconds"),
            _IDLE,
        ),
        Panel(
            "Time to classify",
            "From vector to answer, scaling and thresholds with it.",
            "s",
            percentiles("classification_latency_seconds"),
            _IDLE,
        ),
    ),
)

_SECURITY = Row(
    "Security",
    (
        Panel(
            "Opcode mode",
            "How pickled models are judged; whitelist is the default.",
            "none",
            lines((PANEL.gauge("model_opcode_mode", "instance", how="min"), "{{instance}}")),
            _SCRAPED,
            "stat",
            width=6,
            words=_MODES,
        ),
        Panel(
            "Refused for safety",
            "Model files refused in the shown time, by reason. Somebody should look at each.",
            "short",
            lines((SHOWN.increase("model_security_fail_total", "reason"), "{{reason}}")),
            _SCRAPED,
            "bargauge",
            width=6,
            steps=_REFUSED,
        ),
        Panel(
            "Unusable classifiers",
            "Model files in the shown time that are safe but hold no usable classifier.",
            "short",
            lines((SHOWN.increase("model_interface_validation_fail_total", "reason"), "{{reason}}")),
            _SCRAPED,
            "bargauge",
            width=6,
        ),
        Panel(
            "Scans",
            "Pickle streams read by the scanner in the shown time.",
            "short",
            lines((SHOWN.increase("model_opcode_scans_total"), "scans")),
            _SCRAPED,
            "stat",
            width=6,
        ),
        Panel(
            "Opcodes refused or noted",
            "By opcode, in the shown time: blocked, not on the whitelist, or noted in audit mode.",
            "short",
            lines(
                (SHOWN.increase("model_opcode_blocked_total", "opcode") + " > 0", "blocked: {{opcode}}"),
                (
                    SHOWN.increase("model_opcode_whitelist_violations_total", "opcode") + " > 0",
                    "not listed: {{opcode}}",
                ),
                (SHOWN.increase("model_opcode_audit_total", "opcode") + " > 0", "noted: {{opcode}}"),
            ),
            _QUIET,
            "bargauge",
            width=24,
        ),
    ),
)

_ROLLBACK = Row(
    "Switches and steps back",
    (
        Panel(
            "Rollback level",
            "0: the newest activated model serves; 1 to 3: its first to third predecessor.",
            "short",
            lines((PANEL.gauge("model_rollback_level", "instance", how="max"), "{{instance}}")),
            _SCRAPED,
            "stat",
            width=6,
            steps=((1, "orange"), (3, "red")),
        ),
        Panel(
            "Snapshots",
            "Predecessors that a rollback could go to.",
            "short",
            lines((PANEL.gauge("model_snapshots_available", "instance", how="min"), "{{instance}}")),
            _SCRAPED,
            "stat",
            width=6,
        ),
        Panel(
            "Reloads",
            "Reloads asked for in the shown time, by outcome; a refusal leaves the active model as it was.",
            "short",
            lines((SHOWN.increase("model_reload_total", "status"), "{{status}}")),
            _SCRAPED,
            "bargauge",
            width=6,
        ),
        Panel(
            "Rollbacks",
            "Times in the shown time that a predecessor came to serve, by level.",
            "short",
            lines((SHOWN.increase("model_rollback_total", "level"), "level {{level}}")),
            _SCRAPED,
            "bargauge",
            width=6,
        ),
        Panel(
            "Level over time",
            "When it was left, and when a newer model was activated.",
            "short",
            lines((PANEL.gauge("model_rollback_level", "instance", how="max"), "{{instance}}")),
            _SCRAPED,
            width=24,
            top=3,
        ),
    ),
)

BOARD = Dashboard(
    "cadml-models",
    "cadml / Models",
    "The classifier: what serves and how well, which files were refused and why, and rollbacks.",
    (_HEALTH, _SECURITY, _ROLLBACK),
)
