"""Judging predictions: figures, intervals, comparisons, mistakes. Arrays in, numbers out.

The room never reads a file and knows nothing of heads: whatever gives probabilities can be judged.
"""

from pipeline.evaluate.calibration import ReliabilityPoint, log_loss, losses, reliability
from pipeline.evaluate.compare import (
    SIGNIFICANCE,
    Comparison,
    compare_paired,
    holm,
    mcnemar_p_value,
    paired_difference,
)
from pipeline.evaluate.counts import Estimate, per_class, proportion
from pipeline.evaluate.metrics import Metrics, evaluate, mean_over_views
from pipeline.evaluate.mistakes import confident_mistakes, confused_pairs
from pipeline.evaluate.ranking import rank_figures, top_accuracy
from pipeline.evaluate.threshold import NEVER, Threshold, choose_threshold, judge_threshold

__all__ = [
    "NEVER",
    "SIGNIFICANCE",
    "Comparison",
    "Estimate",
    "Metrics",
    "ReliabilityPoint",
    "Threshold",
    "choose_threshold",
    "compare_paired",
    "confident_mistakes",
    "confused_pairs",
    "evaluate",
    "holm",
    "judge_threshold",
    "log_loss",
    "losses",
    "mcnemar_p_value",
    "mean_over_views",
    "paired_difference",
    "per_class",
    "proportion",
    "rank_figures",
    "reliability",
    "top_accuracy",
]
