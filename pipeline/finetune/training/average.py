"""The running mean of a model's weights, and the best of it. A TensorFlow module."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline.finetune.training.plan import Epoch, kept_epoch


class Average:
    """The running mean of weights over about one epoch of steps.

    Single weights of a training with a strong head jump from step to step; their mean does not
    (Polyak and Juditsky 1992). The mean is what is judged, kept and shipped.

    Args:
        variables: What is followed: all that training changes.
        momentum: What remains of the mean after a step, from 0 to below 1.
    """

    def __init__(self, variables: Sequence[Any], momentum: float) -> None:
        self.variables = list(variables)
        self.means = [tf.Variable(value, trainable=False) for value in values(self.variables)]
        self._momentum = momentum

    def follow(self) -> None:
        """Move the mean towards the weights as they are now; part of the compiled step."""
        for mean, variable in zip(self.means, self.variables, strict=True):
            mean.assign_sub((1 - self._momentum) * (mean - variable.value))

    def values(self) -> list[np.ndarray]:
        """Return the mean of each weight."""
        return [mean.numpy() for mean in self.means]

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the model have the mean weights inside the context."""
        current = values(self.variables)
        assign(self.variables, self.values())
        try:
            yield
        finally:
            assign(self.variables, current)


class Best:
    """The mean weights of the epoch with the lowest validation loss so far."""

    def __init__(self, average: Average, epoch: Epoch) -> None:
        self._average = average
        self.keep(epoch, average.values())

    def keep(self, epoch: Epoch, weights: Sequence[np.ndarray]) -> None:
        """Hold an epoch and its weights for the best."""
        self.epoch, self.weights = epoch, list(weights)

    def consider(self, epoch: Epoch) -> None:
        """Keep the mean weights as they are now, when this epoch is better than all before."""
        if kept_epoch([self.epoch, epoch]) is epoch:
            self.keep(epoch, self._average.values())

    def restore(self) -> None:
        """Put the kept weights into the model."""
        assign(self._average.variables, self.weights)


def values(variables: Sequence[Any]) -> list[np.ndarray]:
    """Return copies of the values of variables."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def assign(variables: Sequence[Any], arrays: Sequence[np.ndarray]) -> None:
    """Give variables their values."""
    for variable, value in zip(variables, arrays, strict=True):
        variable.assign(value)
