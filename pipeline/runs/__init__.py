"""Run folders: one finished experiment each, how to choose one, and the leaderboard over them."""

from pipeline.runs.choose import (
    best_run,
    find_run,
    index_settings,
    source_run,
    transplantable_head,
)
from pipeline.runs.folder import (
    PredictionRows,
    Run,
    experiment_digest,
    list_runs,
    load_finished,
    load_run,
    new_run,
    run_name,
    write_run,
)
from pipeline.runs.leaderboard import Standing, describe_leaderboard, leaderboard

__all__ = [
    "PredictionRows",
    "Run",
    "Standing",
    "best_run",
    "describe_leaderboard",
    "experiment_digest",
    "find_run",
    "index_settings",
    "leaderboard",
    "list_runs",
    "load_finished",
    "load_run",
    "new_run",
    "run_name",
    "source_run",
    "transplantable_head",
    "write_run",
]
