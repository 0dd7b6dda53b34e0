"""What stage 1 has to compute: distinct pictures, and which views of each are not cached yet."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.config import FeaturesConfig
from pipeline.features.store import FeatureCache
from pipeline.features.store.keys import picture_keys
from pipeline.images import Dataset
from pipeline.images.leftout import LeftOut
from pipeline.images.splits import rows_of_bytes


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
    config: FeaturesConfig, dataset: Dataset, clean: FeatureCache, viewed: FeatureCache | None
) -> Work:
    """Return what the cache lacks of a data set; pictures known not to decode are left out."""
    rows = distinct(dataset)
    rows = rows[~undecodable(clean, dataset.digests[rows])]
    missing = ~clean.has(dataset.digests[rows])[:, None]
    if viewed is not None:
        views = wanted_views(config, dataset, rows) & ~cached_views(config, dataset, rows, viewed)
        missing = np.concatenate([missing, views], axis=1)
    some = missing.any(axis=1)
    numbers = [tuple(np.flatnonzero(row).tolist()) for row in missing[some]]
    return Work(rows[some], numbers)


def wanted_views(config: FeaturesConfig, dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Return which augmented views rows (k,) shall have: heads learn from some, others judge.

    Whatever content is in train has views to learn from. Views to judge by are for every picture:
    those of train are judged as well, while a head that has not seen them is selected.

    Returns:
        (k, highest number) bool, row-aligned; column ``j`` is view ``j + 1``.
    """
    contents = picture_keys(dataset.digests)
    trained = np.isin(contents[rows], contents[dataset.select("train")])
    number = _numbers(config)
    return (number <= config.test_views) | (trained[:, None] & (number <= config.views))


def cached_views(
    config: FeaturesConfig, dataset: Dataset, rows: np.ndarray, viewed: FeatureCache
) -> np.ndarray:
    """Return which augmented views of pictures are cached: bool, shaped as `wanted_views`."""
    digests = dataset.digests[rows]
    return np.stack([viewed.has(digests, number) for number in _numbers(config)], axis=1)


def _numbers(config: FeaturesConfig) -> np.ndarray:
    return np.arange(1, max(config.views, config.test_views) + 1)


def distinct(dataset: Dataset, rows: np.ndarray | None = None) -> np.ndarray:
    """Return the first row of each distinct content, of all rows or of some: int64, ascending."""
    rows = np.arange(len(dataset)) if rows is None else rows
    _, first = np.unique(picture_keys(dataset.digests[rows]), return_index=True)
    return rows[np.sort(first)]


def undecodable(clean: FeatureCache, digests: np.ndarray) -> np.ndarray:
    """Return which pictures cannot be decoded and have no features from elsewhere: (n,) bool."""
    quarantined = clean.is_quarantined(digests)
    suspects = np.flatnonzero(quarantined)
    quarantined[suspects] = ~clean.has(digests[suspects])
    return quarantined


def left_out_of(
    dataset: Dataset, clean: FeatureCache, in_flux: Mapping[bytes, str] | None = None
) -> list[LeftOut]:
    """Return every picture of a data set that cannot be used, as far as is known, by path.

    ``in_flux`` says by digest why contents that were indexed could not be read this time.
    """
    reasons = {
        row: clean.reason(dataset.digests[row].tobytes()) or ""
        for row in np.flatnonzero(undecodable(clean, dataset.digests)).tolist()
    }
    if in_flux:
        digests = rows_of_bytes(dataset.digests)
        reasons |= {row: in_flux[one] for row, one in enumerate(digests) if one in in_flux}
    found = [
        LeftOut(
            dataset.paths[row],
            reason,
            dataset.classes[dataset.labels[row]],
            str(dataset.splits[row]),
        )
        for row, reason in reasons.items()
    ]
    return sorted((*dataset.left_out, *found), key=lambda one: one.path)
