"""Run folders: one finished experiment each, how to choose one, and the leaderboard over them."""

from pipeline.runs.bundle import Bundle, load_bundle, save_head, save_model
from pipeline.runs.choose import (
    best_run,
    find_run,
    index_settings,
    is_transplantable,
    source_run,
    transplantable_head,
)
from pipeline.runs.folder import (
    Run,
    experiment_digest,
    keep_learning_curve,
    list_runs,
    load_finished,
    load_run,
    new_run,
    run_name,
    write_run,
)
from pipeline.runs.leaderboard import Standing, describe_leaderboard, leaderboard
from pipeline.runs.predictions import PredictionRows

__all__ = [
    "Bundle",
    "PredictionRows",
    "Run",
    "Standing",
    "best_run",
    "describe_leaderboard",
    "experiment_digest",
    "find_run",
    "index_settings",
    "is_transplantable",
    "keep_learning_curve",
    "leaderboard",
    "list_runs",
    "load_bundle",
    "load_finished",
    "load_run",
    "new_run",
    "run_name",
    "save_head",
    "save_model",
    "source_run",
    "transplantable_head",
    "write_run",
]
