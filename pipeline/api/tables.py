"""Opened features in other libraries' containers; each is imported only here, when asked for."""

from collections.abc import Iterator
from importlib import import_module
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import InputError
from pipeline.startup import import_tensorflow

if TYPE_CHECKING:
    import tensorflow as tf

    from pipeline.api.opened import OpenedFeatures

Batches = Iterator[tuple[np.ndarray, np.ndarray]]


def to_pandas(features: "OpenedFeatures") -> Any:
    """Return a DataFrame: index ``path``, then ``label``, ``split`` and a column per feature.

    Raises:
        InputError: pandas is not installed.
    """
    try:
        pd = import_module("pandas")
    except ImportError as error:
        raise InputError(
            "expected pandas for to_pandas, which is not installed; run: pip install pandas, or "
            "use the arrays X and y"
        ) from error
    index = pd.Index(features.paths, name="path")
    table = pd.DataFrame(features.X, index=index, columns=features.feature_names())
    labels = pd.Categorical.from_codes(features.y, categories=list(features.classes))
    table.insert(0, "label", labels)
    table.insert(1, "split", features.splits.tolist())
    return table


def to_tf_data(
    features: "OpenedFeatures", batch_size: int, shuffle: bool, seed: int
) -> "tf.data.Dataset[Any]":
    """Return a ``tf.data.Dataset`` of (features, labels), see `OpenedFeatures.to_tf_data`."""
    if batch_size < 1:
        raise InputError(f"expected at least 1 row a batch, received batch_size={batch_size}")
    import_tensorflow()
    import tensorflow as tf

    passes = count(seed)

    def batches() -> Batches:
        if not shuffle:
            return features.blocks(batch_size)
        return _rebatched(features.shuffled_blocks(next(passes)), batch_size)

    width = len(features.feature_names())
    signature = (
        tf.TensorSpec((None, width), tf.float32),
        tf.TensorSpec((None,), tf.int64),
    )
    made = tf.data.Dataset.from_generator(batches, output_signature=signature)
    n_batches = -(-len(features) // batch_size)
    return made.apply(tf.data.experimental.assert_cardinality(n_batches)).prefetch(2)


def _rebatched(blocks: Batches, size: int) -> Batches:
    """Cut blocks of any length into batches of one size; what is over goes into the next."""
    X, y = np.empty((0, 0), np.float32), np.empty(0, np.int64)
    for more, labels in blocks:
        X, y = (
            (np.concatenate([X, more]), np.concatenate([y, labels])) if len(y) else (more, labels)
        )
        whole = len(y) // size * size
        for start in range(0, whole, size):
            yield X[start : start + size], y[start : start + size]
        X, y = X[whole:], y[whole:]
    if len(y):
        yield X, y
