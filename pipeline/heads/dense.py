"""Dense heads: a small Keras network on features, given back as plain arrays."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from pipeline.heads.fitted import NetworkHead, safe_scale

VALIDATION_SHARE = 0.1
STEPS_PER_EXECUTION = 8
"""Steps between two returns to Python: a step of so small a network costs less than that."""


def fit_dense(
    params: Mapping[str, Any], features: np.ndarray, labels: np.ndarray, n_classes: int, seed: int
) -> NetworkHead:
    """Train hidden layers with dropout; a seeded tenth of the rows decides when to stop.

    Args:
        params: hidden, dropout, learning_rate, epochs, patience, batch_size.
        features: (n, d) float.
        labels: (n,) int in 0 … n_classes-1.
        n_classes: k.
        seed: Seed of the weights, the order, dropout and the held-out tenth.

    Returns:
        The network of the epoch with the lowest held-out loss; standardisation is folded in.
    """
    keras.utils.set_random_seed(seed)
    mean, scale = features.mean(0, dtype=np.float64), features.std(0, dtype=np.float64)
    scale = safe_scale(mean, scale)
    standard = ((features - mean) / scale).astype(np.float32)
    held_out = _held_out(labels, seed)
    network = build_dense(features.shape[1], params["hidden"], params["dropout"], n_classes)
    network.compile(
        keras.optimizers.Adam(params["learning_rate"]),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        steps_per_execution=STEPS_PER_EXECUTION,
        jit_compile=False,
    )
    network.fit(
        standard[~held_out],
        labels[~held_out],
        validation_data=(standard[held_out], labels[held_out]),
        batch_size=params["batch_size"],
        epochs=params["epochs"],
        callbacks=[
            keras.callbacks.EarlyStopping(
                patience=params["patience"], restore_best_weights=True, monitor="val_loss"
            )
        ],
        verbose=0,
    )
    return _folded(network, mean, scale)


def build_dense(
    n_features: int, hidden: Sequence[int], dropout: float, n_classes: int
) -> keras.Model:
    """Return a network from features (n, n_features) to logits (n, n_classes)."""
    inputs = outputs = keras.Input((n_features,))
    for units in hidden:
        outputs = keras.layers.Dense(units, activation="relu")(outputs)
        outputs = keras.layers.Dropout(dropout)(outputs)
    return keras.Model(inputs, keras.layers.Dense(n_classes)(outputs))


def _held_out(labels: np.ndarray, seed: int) -> np.ndarray:
    """Mark a tenth of each class, at least one picture in all: (n,) bool."""
    order = np.random.default_rng(seed).permutation(len(labels))
    held_out = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        held_out[members[: round(VALIDATION_SHARE * len(members))]] = True
    if not held_out.any():
        held_out[order[0]] = True
    return held_out


def _folded(network: keras.Model, mean: np.ndarray, scale: np.ndarray) -> NetworkHead:
    weights = network.get_weights()
    kernels, biases = weights[0::2], weights[1::2]
    first = kernels[0] / scale[:, None]
    biases[0] = (biases[0] - mean @ first).astype(np.float32)
    kernels[0] = first.astype(np.float32)
    return NetworkHead(tuple(kernels), tuple(biases))
