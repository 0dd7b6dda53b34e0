"""Figures as files: plain data in, one SVG (or PNG) out, the same bytes for the same data.

The room recomputes nothing that `evaluate` has said, and knows nothing of heads, runs or caches.
matplotlib takes most of a second to import, so it is imported when the first figure is drawn; its
state is not touched beyond that figure, and pyplot is never imported.
"""

from pipeline.evaluate.plots.confusion import plot_confusion
from pipeline.evaluate.plots.curves import plot_calibration, plot_history, plot_learning_curve
from pipeline.evaluate.plots.ranking import plot_ranking
from pipeline.evaluate.plots.search import plot_search

__all__ = [
    "plot_calibration",
    "plot_confusion",
    "plot_history",
    "plot_learning_curve",
    "plot_ranking",
    "plot_search",
]
