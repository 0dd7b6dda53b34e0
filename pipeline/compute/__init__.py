"""Filling the cache: what is missing, what it will take, and computing it.

Owns the order of work of stage 1 for one machine; what was done, and what of it is reported, is
the stage's own.
"""

from pipeline.compute.caches import Caches, versions
from pipeline.compute.computation import Computation
from pipeline.compute.passes import Outcome, Passes, Progress
from pipeline.compute.preflight import Forecast
from pipeline.compute.settings import check_layers, resolve
from pipeline.compute.worklist import (
    Work,
    cached_views,
    distinct,
    find_work,
    undecodable,
    wanted_views,
)

__all__ = [
    "Caches",
    "Computation",
    "Forecast",
    "Outcome",
    "Passes",
    "Progress",
    "Work",
    "cached_views",
    "check_layers",
    "distinct",
    "find_work",
    "resolve",
    "undecodable",
    "versions",
    "wanted_views",
]
