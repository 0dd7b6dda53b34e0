"""Sizes and durations in words."""

from collections.abc import Callable, Collection
from itertools import islice


def size_text(n_bytes: float) -> str:
    """Write a number of bytes for people.

    >>> size_text(5_120_000)
    '5.1 MB'
    """
    for unit in ("bytes", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "bytes" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"


def time_text(seconds: float) -> str:
    """Write a duration for people.

    >>> time_text(4.2), time_text(400), time_text(20_000)
    ('4 s', '7 min', '5.6 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def counted(n: int, one: str) -> str:
    """Write a number of things.

    >>> counted(1, "picture"), counted(2_000, "picture")
    ('1 picture', '2000 pictures')
    """
    return f"{n} {one}" if n == 1 else f"{n} {one}s"


def named(
    things: Collection[object], most: int = 3, written: Callable[[object], str] = repr
) -> str:
    """Name the first of some things, and say how many more there are.

    >>> named(["a", "b"]), named("abcde")
    ("'a', 'b'", "'a', 'b', 'c' and 2 more")
    >>> named(["ridge", "knn", "lda"], 2, str)
    'ridge, knn and 1 more'
    """
    shown = ", ".join(map(written, islice(things, most)))
    more = len(things) - most
    return f"{shown} and {more} more" if more > 0 else shown
