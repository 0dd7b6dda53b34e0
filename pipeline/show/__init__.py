"""What people see. The only room that prints; it computes nothing but rates."""

from pipeline.show.audit import audited
from pipeline.show.counters import epochs, progress
from pipeline.show.experiments import classification, leaderboard
from pipeline.show.model import exported_model
from pipeline.show.report import report
from pipeline.show.results import (
    LogHandler,
    backbones,
    digits,
    error,
    features,
    finetuned,
    layers,
    predictions,
    result,
    settings,
    text,
)
from pipeline.show.store import explanation, exported, verification

__all__ = [
    "LogHandler",
    "audited",
    "backbones",
    "classification",
    "digits",
    "epochs",
    "error",
    "explanation",
    "exported",
    "exported_model",
    "features",
    "finetuned",
    "layers",
    "leaderboard",
    "predictions",
    "progress",
    "report",
    "result",
    "settings",
    "text",
    "verification",
]
