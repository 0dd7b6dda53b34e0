"""Rows from many shards, each shard opened once."""

from collections.abc import Sequence

import numpy as np

from pipeline.errors import DamagedShardError
from pipeline.store.aside import set_aside
from pipeline.store.reader import Shard, read_rows
from pipeline.store.recipe import Cut


def gather_rows(
    shards: Sequence[Shard], cut: Cut, numbers: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """Read shard after shard, each into its places.

    Args:
        shards: At least one.
        cut: A cut that all of them hold.
        numbers: (n,) int, which of the shards.
        rows: (n,) int, which row of that shard.

    Returns:
        (n, d) or (n, h, w, c), in the order asked for and in the stored dtype.

    Raises:
        DamagedShardError: A checksum does not hold.
    """
    order = np.argsort(numbers, kind="stable")
    distinct, begins = np.unique(numbers[order], return_index=True)
    features: np.ndarray | None = None
    for number, where in zip(distinct, np.split(order, begins)[1:], strict=True):
        part = read_or_set_aside(shards[number], cut, rows[where])
        if features is None:
            features = np.empty((len(rows), *part.shape[1:]), part.dtype)
        features[where] = part
    return read_or_set_aside(shards[0], cut, rows) if features is None else features


def read_or_set_aside(shard: Shard, cut: Cut, rows: np.ndarray) -> np.ndarray:
    """Read rows; a shard that turns out damaged is out of the way before the error is told."""
    try:
        return read_rows(shard, cut, rows)
    except DamagedShardError as error:
        set_aside(shard.path, error)
        raise
