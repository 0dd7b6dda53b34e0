"""The training loop: a Keras model, batches of pictures, a schedule. No files, no labels' names."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline.errors import InputError

PictureBatch = tuple[np.ndarray, np.ndarray]
"""Pictures (n, s, s, 3) uint8 and their class numbers (n,) int."""

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
        epochs: Most passes.
        patience: Epochs without a lower validation loss before stopping.
        steps_per_epoch: Batches in a pass, for the schedule.
        learning_rate: Peak; warms up over the first epoch, then falls along a half cosine to 0.
        weight_decay: AdamW's decoupled decay.
        label_smoothing: Share spread over all classes.
    """

    epochs: int
    patience: int
    steps_per_epoch: int
    learning_rate: float
    weight_decay: float
    label_smoothing: float


class Trainer:
    """Train a model to classify, and keep the weights of its best epoch.

    Args:
        model: Pictures (n, s, s, 3) RGB 0–255 to logits (n, k). What is to learn is trainable.
        augment: Changes pictures at random, training batches only.
        plan: The schedule.
    """

    def __init__(self, model: keras.Model, augment: keras.Model, plan: Plan) -> None:
        self.model, self._augment, self.plan = model, augment, plan
        self._optimizer = _optimizer(plan)
        self._optimizer.build(model.trainable_variables)
        self._average = Average(model, 1 - 1 / (1 + plan.steps_per_epoch))
        self._step = self._compiled_step()

    def _compiled_step(self) -> Callable[[Any, Any], tuple[Any, Any]]:
        model, augment, optimizer = self.model, self._augment, self._optimizer
        average, smoothing = self._average, self.plan.label_smoothing

        @tf.function(reduce_retracing=True, autograph=False)
        def step(images: Any, labels: Any) -> tuple[Any, Any]:
            changed = augment(tf.cast(images, tf.float32), training=True)
            with tf.GradientTape() as tape:
                logits = model(changed, training=True)
                losses = cross_entropy(logits, labels, smoothing)
                loss = tf.reduce_mean(losses)
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply(gradients, model.trainable_variables)
            average.follow()
            hits = tf.equal(tf.argmax(logits, 1), labels)
            return tf.reduce_sum(losses), tf.reduce_sum(tf.cast(hits, tf.int64))

        return step

    def _run_step(self, images: np.ndarray, labels: np.ndarray) -> tuple[Any, Any]:
        try:
            return self._step(tf.constant(images), tf.constant(labels, tf.int64))
        except tf.errors.ResourceExhaustedError as error:
            raise InputError(
                f"expected memory for a training step of {len(labels)} pictures, the device has "
                f"less; choose a smaller --batch-size or a higher --unfreeze"
            ) from error

    def fit(
        self,
        batches: Callable[[int], Iterator[PictureBatch]],
        validate: Callable[[], tuple[float, float]],
        on_epoch: Callable[[Epoch], None] = lambda epoch: None,
        on_step: OnStep = lambda *step: None,
    ) -> list[Epoch]:
        """Train until the plan ends; leave the model with the weights of the best epoch.

        Args:
            batches: Given an epoch's number, yields its training batches in a seeded order.
            validate: Returns the validation loss and accuracy of the model as it is.
            on_epoch: Told of each finished epoch, and of epoch 0 before training.
            on_step: Told of each step: epoch, step, steps in an epoch, pictures in the step.

        Returns:
            Epoch 0 and every epoch trained, in order.
        """
        history = [self._before(validate)]
        on_epoch(history[0])
        best = Best(self._average, history[0])
        for number in range(1, self.plan.epochs + 1):
            history.append(self._epoch(number, batches(number), validate, on_step))
            on_epoch(history[-1])
            best.consider(history[-1])
            if number - best.epoch.epoch >= self.plan.patience:
                break
        best.restore(self.model)
        return history

    def _before(self, validate: Callable[[], tuple[float, float]]) -> Epoch:
        began = monotonic()
        loss, accuracy = validate()
        return Epoch(0, None, None, loss, accuracy, 0.0, monotonic() - began)

    def _epoch(
        self,
        number: int,
        batches: Iterator[PictureBatch],
        validate: Callable[[], tuple[float, float]],
        on_step: OnStep,
    ) -> Epoch:
        began, seen, loss, hits = monotonic(), 0, 0.0, 0
        for step, (images, labels) in enumerate(batches, start=1):
            step_loss, step_hits = self._run_step(images, labels)
            seen += len(labels)
            loss += float(step_loss)
            hits += int(step_hits)
            on_step(number, step, self.plan.steps_per_epoch, len(labels))
        rate = float(keras.ops.convert_to_numpy(self._optimizer.learning_rate))
        with self._average.in_place():
            validation = validate()
        return Epoch(number, loss / seen, hits / seen, *validation, rate, monotonic() - began)


class Average:
    """The running mean of a model's learning weights over about one epoch of steps.

    Single weights of a training with a strong head jump from step to step; their mean does not
    (Polyak and Juditsky 1992). The mean is what is judged, kept and shipped.

    Args:
        model: Its trainable variables are followed.
        momentum: What remains of the mean after a step, from 0 to below 1.
    """

    def __init__(self, model: keras.Model, momentum: float) -> None:
        self._variables = list(model.trainable_variables)
        self._means = [tf.Variable(weight.numpy(), trainable=False) for weight in self._variables]
        self._momentum = momentum

    def follow(self) -> None:
        """Move the mean towards the weights as they are now; part of the compiled step."""
        for mean, variable in zip(self._means, self._variables, strict=True):
            mean.assign_sub((1 - self._momentum) * (mean - variable.value))

    def values(self) -> list[np.ndarray]:
        """Return the mean of each weight."""
        return [mean.numpy() for mean in self._means]

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the model have the mean weights inside the context."""
        current = [variable.numpy() for variable in self._variables]
        _assign(self._variables, self.values())
        try:
            yield
        finally:
            _assign(self._variables, current)


def _assign(variables: Sequence[Any], values: Sequence[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


class Best:
    """The mean weights of the epoch with the lowest validation loss so far."""

    def __init__(self, average: Average, epoch: Epoch) -> None:
        self._average = average
        self._keep(epoch)

    def _keep(self, epoch: Epoch) -> None:
        self.epoch, self._weights = epoch, self._average.values()

    def consider(self, epoch: Epoch) -> None:
        """Keep the mean weights as they are now, when this epoch is better than all before."""
        if epoch.validation_loss < self.epoch.validation_loss:
            self._keep(epoch)

    def restore(self, model: keras.Model) -> None:
        """Put the kept weights into the model."""
        _assign(model.trainable_variables, self._weights)


def best_epoch(history: Sequence[Epoch]) -> Epoch:
    """Return the epoch whose weights were kept: the lowest validation loss, the first of equals."""
    return min(history, key=lambda epoch: epoch.validation_loss)


def _optimizer(plan: Plan) -> keras.optimizers.Optimizer:
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0,
        decay_steps=max(1, plan.steps_per_epoch * (plan.epochs - 1)),
        warmup_target=plan.learning_rate,
        warmup_steps=plan.steps_per_epoch,
    )
    return keras.optimizers.AdamW(schedule, weight_decay=plan.weight_decay, clipnorm=1.0)


def cross_entropy(logits: Any, labels: Any, smoothing: float = 0.0) -> Any:
    """Return the cross-entropy of each picture: (n,) float32.

    Args:
        logits: (n, k).
        labels: (n,) int.
        smoothing: Share of each label's probability that is spread over all classes.
    """
    n_classes = logits.shape[-1]
    wanted = tf.one_hot(labels, n_classes) * (1 - smoothing) + smoothing / n_classes
    return tf.nn.softmax_cross_entropy_with_logits(wanted, tf.cast(logits, tf.float32))
