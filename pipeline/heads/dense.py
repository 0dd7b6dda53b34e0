"""What dense heads share: the network, and the pictures that decide when to stop."""

from collections.abc import Sequence

import keras
import numpy as np

VALIDATION_SHARE = 0.1


def build_dense(
    n_features: int, hidden: Sequence[int], dropout: float, n_classes: int
) -> keras.Model:
    """Return a network from features (n, n_features) to logits (n, n_classes)."""
    inputs = outputs = keras.Input((n_features,))
    for units in hidden:
        outputs = keras.layers.Dense(units, activation="relu")(outputs)
        outputs = keras.layers.Dropout(dropout)(outputs)
    return keras.Model(inputs, keras.layers.Dense(n_classes)(outputs))


def held_out(labels: np.ndarray, seed: int, groups: np.ndarray | None = None) -> np.ndarray:
    """Mark a tenth of each class, at least one picture in all: (n,) bool.

    Groups are marked as a whole, unless no picture of some class would be left to learn from.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    if groups is not None:
        return _groups_held_out(labels, order, groups)
    marked = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        marked[members[: round(VALIDATION_SHARE * len(members))]] = True
    if not marked.any():
        marked[order[0]] = True
    return marked


def _groups_held_out(labels: np.ndarray, order: np.ndarray, groups: np.ndarray) -> np.ndarray:
    marked, classes = np.zeros(len(labels), bool), np.unique(labels)
    for label in classes:
        members = order[labels[order] == label]
        wanted = max(1, round(VALIDATION_SHARE * len(members)))
        for row in members:
            if marked[members].sum() >= wanted:
                break
            candidate = marked | (groups == groups[row])
            if len(np.unique(labels[~candidate])) == len(classes):
                marked = candidate
    if not marked.any():  # a group holds a whole class: there is no better to be had
        marked[order[0]] = True
    return marked
