"""How long and how gently to train, and what came of each epoch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

Inputs = tuple[np.ndarray, ...]
"""What a network sees of n examples: pictures (n, s, s, 3) uint8, or activations (n, …)."""

Batch = tuple[Inputs, np.ndarray]
"""Inputs of n examples and their class numbers (n,) int."""

OnStep = Callable[[int, int, int, int], None]
"""Told of each step: epoch, step, steps in an epoch, pictures in the step."""


@dataclass(frozen=True)
class Epoch:
    """One pass over the training pictures; losses are mean cross-entropies in nats.

    Epoch 0 is the model before training, which has no training figures.
    """

    epoch: int
    train_loss: float | None
    train_accuracy: float | None
    validation_loss: float
    validation_accuracy: float
    learning_rate: float
    seconds: float


@dataclass(frozen=True)
class Plan:
    """How long and how gently to train.

    Args:
        epochs: Most passes, those of the head alone included.
        patience: Epochs without a lower validation loss before stopping.
        steps_per_epoch: Batches in a pass, for the schedule.
        learning_rate: Peak; warms up over the first epoch, then falls along a half cosine to 0.
        weight_decay: AdamW's decoupled decay.
        label_smoothing: Share spread over all classes.
        head_epochs: Passes in which the head alone learns; the schedule begins anew after them.
        class_weights: What a picture of each class counts in the loss; None where all count 1.
        seed: Of augmentation and dropout.
    """

    epochs: int
    patience: int
    steps_per_epoch: int
    learning_rate: float
    weight_decay: float
    label_smoothing: float
    head_epochs: int = 0
    class_weights: tuple[float, ...] | None = None
    seed: int = 0


@dataclass(frozen=True)
class State:
    """Where a training stands between two epochs: all that is needed to go on from there.

    Args:
        history: Epoch 0 and every epoch trained, in order.
        arrays: Weights, their running mean, the best of it, and the optimizer's own.
    """

    history: tuple[Epoch, ...]
    arrays: dict[str, np.ndarray] = field(repr=False)


def best_epoch(history: Sequence[Epoch]) -> Epoch:
    """Return the epoch whose weights were kept: the lowest validation loss, the first of equals."""
    return min(history, key=lambda epoch: epoch.validation_loss)


def is_over(history: Sequence[Epoch], plan: Plan) -> bool:
    """Return whether there is nothing left to train."""
    last = history[-1].epoch
    # Patience counts from the first epoch in which the base learns, if it is to learn at all.
    since = max(best_epoch(history).epoch, plan.head_epochs)
    return last >= plan.epochs or last - since >= plan.patience
