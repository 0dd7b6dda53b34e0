"""What is drawn while training: by the seed and the epoch's number alone. A Keras module.

Nothing of it needs to be kept to go on after an interruption, and two ways to train the same
epoch draw the same.

Which picture comes when in an epoch, and which view of it: the same in every mode.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np


def random_states(layers: Iterable[Any]) -> list[Any]:
    """Return the variables from which layers draw their random numbers, in order, each once."""
    found: dict[int, Any] = {}
    for layer in layers:
        weights = {id(variable) for variable in layer.weights}
        for variable in layer.variables:
            if id(variable) not in weights:
                found[id(variable)] = variable
    return list(found.values())


def begin_epoch(states: Iterable[Any], seed: int, epoch: int) -> None:
    """Set every state to what belongs to this epoch."""
    for number, state in enumerate(states):
        rng = np.random.default_rng((seed, epoch, number))
        # Keras counts draws up in the second place; there is room for as many as anyone makes.
        state.assign([rng.integers(2**31), 0])


def epoch_order(
    rows: np.ndarray, n_views: int, seed: int, epoch: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return an epoch's pictures in their order, each once, and the view that is shown of each.

    A picture is shown as it is and by each of its views in turn, from epoch to epoch; where it
    begins is drawn, so that every epoch holds about as many of each.

    Args:
        rows: (n,) int.
        n_views: Augmented views of each; 0 shows pictures as they are.
        seed: Seed of the order and of where the views begin.
        epoch: Number of the epoch, from 1.

    Returns:
        Rows (n,) and numbers of views (n,), aligned.

    >>> [epoch_order(np.array([7]), 2, 0, epoch)[1].item() for epoch in (1, 2, 3, 4)]
    [2, 0, 1, 2]
    """
    begins = np.random.default_rng(seed).integers(0, 1 + n_views, len(rows))
    order = np.random.default_rng((seed, epoch)).permutation(len(rows))
    views = (begins + epoch - 1) % (1 + n_views)
    return rows[order], views[order]
