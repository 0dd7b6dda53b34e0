"""What stage 1 has to compute: distinct pictures, and which views of each are not cached yet."""

from dataclasses import dataclass

import numpy as np

from pipeline.images import Dataset
from pipeline.store import FeatureCache
from pipeline.store.keys import picture_keys


@dataclass(frozen=True)
class Work:
    """Pictures to read, and the views to make of each.

    Args:
        rows: int64 (k,), ascending; one row per distinct content.
        views: For each of ``rows`` the numbers of its missing views, ascending, at least one;
            0 is the picture itself.
    """

    rows: np.ndarray
    views: list[tuple[int, ...]]

    def __len__(self) -> int:
        """Return the number of passes through the base: all views of all pictures."""
        return sum(map(len, self.views))


def find_work(
    dataset: Dataset, clean: FeatureCache, viewed: FeatureCache | None, n_views: int
) -> Work:
    """Compare a data set with the cache.

    Args:
        dataset: The pictures, by content.
        clean: Features of the pictures as they are.
        viewed: Features of their augmented views, if any are wanted.
        n_views: How many views each training picture shall have.

    Returns:
        What is missing; pictures known not to decode are left out.
    """
    rows = distinct(dataset)
    rows = rows[~undecodable(clean, dataset.digests[rows])]
    digests = dataset.digests[rows]
    missing = [~clean.has(digests)]
    if viewed is not None:
        trained = np.isin(picture_keys(digests), picture_keys(_train_digests(dataset)))
        missing += [trained & ~viewed.has(digests, number) for number in range(1, n_views + 1)]
    wanted = np.stack(missing, axis=1)
    some = wanted.any(axis=1)
    views = [tuple(np.flatnonzero(row).tolist()) for row in wanted[some]]
    return Work(rows[some], views)


def distinct(dataset: Dataset, rows: np.ndarray | None = None) -> np.ndarray:
    """Return the first row of each distinct content, of all rows or of some: int64, ascending."""
    rows = np.arange(len(dataset)) if rows is None else rows
    _, first = np.unique(picture_keys(dataset.digests[rows]), return_index=True)
    return rows[np.sort(first)]


def undecodable(clean: FeatureCache, digests: np.ndarray) -> np.ndarray:
    """Return which pictures cannot be decoded and have no features from elsewhere: (n,) bool."""
    return clean.is_quarantined(digests) & ~clean.has(digests)


def _train_digests(dataset: Dataset) -> np.ndarray:
    return dataset.digests[dataset.select("train")]
