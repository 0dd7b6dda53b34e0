"""Searching for the input, the preparation and the parameters of a head, inside train only.

    searcher    the order of a search
    local       measures its pieces of work on this machine
    trial       what is tried, on what, and how it is measured
    grids       which parameters and preparations are worth trying
    choose      which candidate is kept, and how good that choice is
    memory      what was measured and found, on disk

The test split has no part in it. The order of a search knows arrays only; what keeps finished work
is handed in.
"""

from pipeline.classify.search.local import Measured, measured
from pipeline.classify.search.searcher import MeasureUnits
from pipeline.classify.search.trial import Pool, Unit

__all__ = ["MeasureUnits", "Measured", "Pool", "Unit", "measured"]
