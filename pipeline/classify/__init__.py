"""Experiments on cached features: what judges, what is searched, and the runs that are left."""

from pipeline.classify.experiment import Experiment, Result, Tuned
from pipeline.classify.learning import check_memory
from pipeline.classify.selection import Selection, default_preparation, prepared, select_by
from pipeline.classify.tuning import tune

__all__ = [
    "Experiment",
    "Result",
    "Selection",
    "Tuned",
    "check_memory",
    "default_preparation",
    "prepared",
    "select_by",
    "tune",
]
