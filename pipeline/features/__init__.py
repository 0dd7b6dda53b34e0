"""Filling the cache: what is missing, what it will take, and computing it.

Owns the order of work of stage 1 for one machine; what was done, and what of it is reported, is
the stage's own.
"""

from pipeline.features.base import resolve
from pipeline.features.caches import Caches
from pipeline.features.passes import Computation, Outcome, Passes
from pipeline.features.preflight import Forecast
from pipeline.features.worklist import (
    Work,
    cached_views,
    distinct,
    find_work,
    left_out_of,
    undecodable,
    wanted_views,
)

__all__ = [
    "Caches",
    "Computation",
    "Forecast",
    "Outcome",
    "Passes",
    "Work",
    "cached_views",
    "distinct",
    "find_work",
    "left_out_of",
    "resolve",
    "undecodable",
    "wanted_views",
]
