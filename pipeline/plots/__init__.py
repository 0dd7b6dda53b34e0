"""Figures as files: plain data in, one SVG (or PNG) out, the same bytes for the same data.

The room recomputes nothing that `evaluate` has said, and knows nothing of heads, runs or caches.
matplotlib takes most of a second to import, so it is imported when the first figure is drawn; its
state is not touched beyond that figure, and pyplot is never imported.
"""

from pipeline.plots.calibration import plot_calibration
from pipeline.plots.confusion import plot_confusion
from pipeline.plots.history import plot_history
from pipeline.plots.learning import plot_learning_curve
from pipeline.plots.ranking import plot_ranking
from pipeline.plots.search import plot_search

__all__ = [
    "plot_calibration",
    "plot_confusion",
    "plot_history",
    "plot_learning_curve",
    "plot_ranking",
    "plot_search",
]
