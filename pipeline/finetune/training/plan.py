"""How long and how gently to train, and what came of each epoch."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf, isfinite, isnan

import numpy as np

Inputs = tuple[np.ndarray, ...]
"""What a network sees of n examples: pictures (n, s, s, 3) uint8, or activations (n, …)."""

TrainingBatch = tuple[Inputs, np.ndarray]
"""Inputs of n examples and their class numbers (n,) int."""

MOST_LOSS = 1e12
"""Nats: what is above has nothing to say, and no run could hold it."""


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

    @property
    def is_broken(self) -> bool:
        """Whether a loss is not a number, or beyond all sense: nothing is learnt from there on."""
        losses = (self.train_loss, self.validation_loss)
        return not all(loss is None or is_usable(loss) for loss in losses)


def is_usable(loss: float) -> bool:
    """Return whether a loss says anything."""
    return isfinite(loss) and loss <= MOST_LOSS


@dataclass(frozen=True)
class Mixture:
    """A mean of the model before training and the kept one, on the pictures that decide.

    Args:
        share: Of the kept one, from 0 to 1.
        validation_loss: Mean cross-entropy in nats.
        validation_accuracy: Share that is called rightly.
    """

    share: float
    validation_loss: float
    validation_accuracy: float


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
        last: Whether no smaller steps are tried where nothing is gained.
        seconds: See `is_spent`.
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
    last: bool = True
    seconds: float = inf


@dataclass(frozen=True)
class State:
    """Where a training stands between two epochs: all that is needed to go on from there.

    Args:
        history: Epoch 0 and every epoch trained, in order.
        arrays: Weights, their running mean, the best of it, and the optimizer's own.
    """

    history: tuple[Epoch, ...]
    arrays: dict[str, np.ndarray] = field(repr=False)


def kept_epoch(history: Sequence[Epoch]) -> Epoch:
    """Return the epoch whose weights are kept: the lowest validation loss, the first of equals.

    A loss that is not a number is never the lowest.
    """
    return min(history, key=lambda epoch: (isnan(epoch.validation_loss), epoch.validation_loss))


def is_spent(history: Sequence[Epoch], seconds: float) -> bool:
    """Return whether another epoch like the last would not end in time; the first always may.

    What counts is the time of training: interruptions take none of it.
    """
    took = [epoch.seconds for epoch in history]
    return len(took) > 1 and sum(took) + took[-1] > seconds


def is_over(history: Sequence[Epoch], plan: Plan) -> bool:
    """Return whether there is nothing left to train."""
    last = history[-1].epoch
    # Patience counts from the first epoch in which the base learns, if it is to learn at all.
    since = max(kept_epoch(history).epoch, plan.head_epochs)
    return is_spent(history, plan.seconds) or last >= plan.epochs or last - since >= plan.patience
