"""Searching for the input, the preparation and the parameters of a head, inside train only.

Arrays in, measured candidates out. The test split has no part in it, nothing is read or written:
what keeps finished work is handed in.
"""

from pipeline.classify.search.choose import Choice, choose
from pipeline.classify.search.grids import grid
from pipeline.classify.search.searcher import (
    Found,
    Measured,
    Memory,
    Search,
    Spread,
    measured,
    search,
)
from pipeline.classify.search.trial import Cuts, Pool, Trial, Unit

__all__ = [
    "Choice",
    "Cuts",
    "Found",
    "Measured",
    "Memory",
    "Pool",
    "Search",
    "Spread",
    "Trial",
    "Unit",
    "choose",
    "grid",
    "measured",
    "search",
]
