"""Experiments on cached features: what judges, what is searched, and the runs that are left."""

from pipeline.experiments.experiment import Experiment, Result, Tuned
from pipeline.experiments.learning import check_memory
from pipeline.experiments.preparing import default_preparation, prepared
from pipeline.experiments.selection import Selection, select_by
from pipeline.experiments.tuning import tune

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
