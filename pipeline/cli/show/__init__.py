"""What people see. The only room that prints; it computes nothing but rates."""

from pipeline.cli.show.check import checked
from pipeline.cli.show.experiments import classification, leaderboard
from pipeline.cli.show.pools import label_page, similar, suggested
from pipeline.cli.show.results import (
    LogHandler,
    backbones,
    crashed,
    digits,
    error,
    evidence,
    exported_model,
    features,
    finetuned,
    layers,
    predictions,
    report,
    result,
    settings,
    text,
)
from pipeline.cli.show.store import explanation, exported, verification

__all__ = [
    "LogHandler",
    "backbones",
    "checked",
    "classification",
    "crashed",
    "digits",
    "error",
    "evidence",
    "explanation",
    "exported",
    "exported_model",
    "features",
    "finetuned",
    "label_page",
    "layers",
    "leaderboard",
    "predictions",
    "report",
    "result",
    "settings",
    "similar",
    "suggested",
    "text",
    "verification",
]
