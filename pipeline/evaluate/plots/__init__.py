"""Charts: plain data in, SVG out, the same bytes for the same data.

Each chart is drawn by one function, which a run's folder and the report share: ``…_chart`` draws it
for a page, ``plot_…`` writes it as a file that stands for itself. The room recomputes nothing that
`evaluate` has said, and knows nothing of heads, runs or caches.
"""

from pipeline.evaluate.plots.bases import plot_bases
from pipeline.evaluate.plots.calibration import plot_calibration
from pipeline.evaluate.plots.confusion import plot_confusion
from pipeline.evaluate.plots.ranking import plot_ranking
from pipeline.evaluate.plots.search import plot_search
from pipeline.evaluate.plots.training import plot_history, plot_learning_curve

__all__ = [
    "plot_bases",
    "plot_calibration",
    "plot_confusion",
    "plot_history",
    "plot_learning_curve",
    "plot_ranking",
    "plot_search",
]
