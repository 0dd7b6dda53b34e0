"""Which values the parameters of the catalog's heads can have."""

import math
from typing import Any


def acceptable(head: str, key: str, value: Any, default: Any) -> bool:
    """Return whether a head's parameter can have this value, whose default is given."""
    if key == "hidden":
        sizes = (value,) if isinstance(value, int) else value
        return isinstance(sizes, tuple | list) and all(_is_count(size) for size in sizes)
    if key == "dropout":
        return _is_number(value) and 0 <= value < 1
    if key == "weight_decay":
        return _is_number(value) and value >= 0
    if key == "shrinkage":
        return value == default or (_is_number(value) and 0 <= value <= 1)
    if key == "gamma":
        return value == default or (_is_number(value) and value > 0)
    if key == "max_depth":
        return value is None or _is_count(value)
    if key == "metric":
        means = ("cosine", "euclidean")
        return value in (means if head == "centroid" else (*means, "manhattan"))
    if key == "max_leaves":
        return _is_count(value) and value > 1
    if isinstance(default, int):
        return _is_count(value)
    return _is_number(value) and value > 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
