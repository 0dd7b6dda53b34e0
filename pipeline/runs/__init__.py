"""Run folders: one finished experiment each, how to choose one, and the leaderboard over them."""

from pipeline.runs.bundle import Bundle, Look, load_bundle, save_head, save_model
from pipeline.runs.choose import (
    best_run,
    find_run,
    index_settings,
    is_transplantable,
    note_asked,
    source_run,
    transplantable_head,
)
from pipeline.runs.figures import FinalTest, InitialFigures, SelectionFigures
from pipeline.runs.folder import (
    bases_of,
    experiment_digest,
    keep_bases,
    keep_learning_curve,
    learning_curve_of,
    list_runs,
    load_finished,
    load_run,
    new_run,
    read_info,
    read_metrics,
    run_name,
    search_of,
    typical_of,
    write_run,
)
from pipeline.runs.leaderboard import Standing, leaderboard
from pipeline.runs.predictions import PredictionRows
from pipeline.runs.record import CLASSIFY, FINETUNE, FineTuning, RunData, RunFolder

__all__ = [
    "CLASSIFY",
    "FINETUNE",
    "Bundle",
    "FinalTest",
    "FineTuning",
    "InitialFigures",
    "Look",
    "PredictionRows",
    "RunData",
    "RunFolder",
    "SelectionFigures",
    "Standing",
    "bases_of",
    "best_run",
    "experiment_digest",
    "find_run",
    "index_settings",
    "is_transplantable",
    "keep_bases",
    "keep_learning_curve",
    "leaderboard",
    "learning_curve_of",
    "list_runs",
    "load_bundle",
    "load_finished",
    "load_run",
    "new_run",
    "note_asked",
    "read_info",
    "read_metrics",
    "run_name",
    "save_head",
    "save_model",
    "search_of",
    "source_run",
    "transplantable_head",
    "typical_of",
    "write_run",
]
