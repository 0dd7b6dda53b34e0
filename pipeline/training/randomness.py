"""What is drawn while training: by the seed and the epoch's number alone. A Keras module.

Nothing of it needs to be kept to go on after an interruption, and two ways to train the same
epoch draw the same.
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
