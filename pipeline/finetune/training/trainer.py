"""Epoch after epoch: steps, validation, the best weights. A TensorFlow module."""

from collections.abc import Callable, Iterator, Mapping
from time import monotonic
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline.errors import InputError
from pipeline.finetune.augment import Augmentation
from pipeline.finetune.training.average import Average, Best, assign, values
from pipeline.finetune.training.loss import counts, soft_cross_entropy, wanted
from pipeline.finetune.training.optimizer import current_rate, make_optimizer
from pipeline.finetune.training.plan import (
    Batch,
    Epoch,
    Inputs,
    OnStep,
    Plan,
    State,
    best_epoch,
    is_over,
)
from pipeline.finetune.training.randomness import begin_epoch, random_states
from pipeline.finetune.training.spread import Spread, one_device

HEAD_PREFIX = "head_"


def _ignore(*told: Any) -> None:
    """Do nothing with what is told."""


class Trainer:
    """Train a model to classify, and keep the weights of its best epoch.

    Args:
        model: Pictures (n, s, s, 3) RGB 0–255 to logits (n, k). What is to learn is trainable;
            layers of the head are called ``head_…``.
        augment: Changes training examples at random.
        plan: The schedule.
        network: What batches go through: the model, or the part of it above some activations.
        factors: On the step of each layer, by the layer's name; 1 where none is given.
        spread: The devices that share each batch; the model was built in its scope.
    """

    def __init__(
        self,
        model: keras.Model,
        augment: Augmentation,
        plan: Plan,
        network: keras.Model | None = None,
        factors: Mapping[str, float] | None = None,
        spread: Spread | None = None,
    ) -> None:
        self.model, self._augment, self.plan = model, augment, plan
        self._spread = one_device() if spread is None else spread
        self._network = model if network is None else network
        owners = {id(v): layer.name for layer in model.layers for v in layer.trainable_variables}
        self._learning = list(model.trainable_variables)
        names = [owners[id(variable)] for variable in self._learning]
        self._of_head = [name.startswith(HEAD_PREFIX) for name in names]
        steps = [(factors or {}).get(name, 1.0) for name in names]
        with self._spread.scope():
            self._optimizer = make_optimizer(plan, steps, _in_float16(model))
            self._optimizer.build(self._learning)
        changing = self._learning + _updated_statistics(model)
        self._average = Average(changing, 1 - 1 / (1 + plan.steps_per_epoch))
        self._states = random_states([*augment.layers, *model.layers])
        self._steps: dict[bool, Callable[..., tuple[Any, Any]]] = {}

    def _compiled(self, inputs: Inputs, head_only: bool) -> Callable[..., tuple[Any, Any]]:
        """Return the step for inputs like these, compiled once for any number of them."""
        shapes = tuple(tf.TensorSpec((None, *part.shape[1:]), part.dtype) for part in inputs)
        signature = [shapes, tf.TensorSpec((None,), tf.int64)]
        chosen = [
            variable
            for variable, of_head in zip(self._learning, self._of_head, strict=True)
            if of_head or not head_only
        ]

        @tf.function(input_signature=signature, autograph=False)
        def step(inputs: Any, labels: Any) -> tuple[Any, Any]:
            return self._step(inputs, labels, chosen)

        compiled: Callable[..., tuple[Any, Any]] = step
        return compiled

    def _step(self, inputs: Any, labels: Any, variables: list[Any]) -> tuple[Any, Any]:
        """Do one step; return the sum of the losses and the number of hits."""
        targets = wanted(labels, self.model.output.shape[-1])
        changed, targets = self._augment(inputs, targets)

        def learn(inputs: Any, targets: Any, share: Any) -> tuple[Any, Any, list[Any]]:
            return self._gradients(inputs, targets, share, variables)

        loss, hits, gradients = self._spread.sum_over_shares(learn, changed, targets)
        self._optimizer.apply(gradients, variables)
        self._average.follow()
        n_examples = tf.cast(tf.shape(labels)[0], tf.float32)
        return loss * n_examples, hits * n_examples

    def _gradients(
        self, inputs: Any, targets: Any, share: Any, variables: list[Any]
    ) -> tuple[Any, Any, list[Any]]:
        """Return one device's part of the mean loss, of the share of hits, and of the gradients."""
        with tf.GradientTape() as tape:
            logits = self._network(inputs, training=True)
            losses = soft_cross_entropy(logits, targets, self.plan.label_smoothing)
            losses *= counts(targets, self.plan.class_weights)
            loss = share * tf.reduce_mean(losses)
            scaled = self._optimizer.scale_loss(loss)
        hits = tf.equal(tf.argmax(logits, 1), tf.argmax(targets, 1))
        hit_share = share * tf.reduce_mean(tf.cast(hits, tf.float32))
        return loss, hit_share, tape.gradient(scaled, variables)

    def _run_step(self, inputs: Inputs, labels: np.ndarray, head_only: bool) -> tuple[float, int]:
        if head_only not in self._steps:
            self._steps[head_only] = self._compiled(inputs, head_only)
        tensors = tuple(tf.constant(part) for part in inputs)
        try:
            loss, hits = self._steps[head_only](tensors, tf.constant(labels, tf.int64))
            return float(loss), round(float(hits))
        except tf.errors.ResourceExhaustedError as error:
            raise InputError(
                f"expected memory for a training step of {len(labels)} pictures, the device has "
                f"less; choose a smaller --batch-size or a higher --unfreeze"
            ) from error

    def fit(
        self,
        batches: Callable[[int], Iterator[Batch]],
        validate: Callable[[], tuple[float, float]],
        on_epoch: Callable[[Epoch], None] = _ignore,
        on_step: OnStep = _ignore,
        *,
        resumed: State | None = None,
        keep: Callable[[State], None] = _ignore,
    ) -> list[Epoch]:
        """Train until the plan ends; leave the model with the weights of the best epoch.

        Args:
            batches: Given an epoch's number, yields its training batches in a seeded order.
            validate: Returns the validation loss and accuracy of the model as it is.
            on_epoch: Told of each finished epoch, and of epoch 0 before training.
            on_step: Told of each step: epoch, step, steps in an epoch, pictures in the step.
            resumed: Where an interrupted training stood; the epochs in it are not told again.
            keep: Given where the training stands after each epoch, before `on_epoch` is told.

        Returns:
            Epoch 0 and every epoch trained, in order.
        """
        history = [self._before(validate)] if resumed is None else list(resumed.history)
        best = Best(self._average, history[0])
        if resumed is None:
            on_epoch(history[0])
        else:
            self._resume(resumed, best)
        while not is_over(history, self.plan):
            number = history[-1].epoch + 1
            history.append(self._epoch(number, batches(number), validate, on_step))
            best.consider(history[-1])
            keep(self._state(history, best))
            on_epoch(history[-1])
        best.restore()
        return history

    def _before(self, validate: Callable[[], tuple[float, float]]) -> Epoch:
        began = monotonic()
        loss, accuracy = validate()
        return Epoch(0, None, None, loss, accuracy, 0.0, monotonic() - began)

    def _epoch(
        self,
        number: int,
        batches: Iterator[Batch],
        validate: Callable[[], tuple[float, float]],
        on_step: OnStep,
    ) -> Epoch:
        began, seen, loss, hits = monotonic(), 0, 0.0, 0
        begin_epoch(self._states, self.plan.seed, number)
        for step, (inputs, labels) in enumerate(batches, start=1):
            step_loss, step_hits = self._run_step(inputs, labels, number <= self.plan.head_epochs)
            seen += len(labels)
            loss += step_loss
            hits += step_hits
            on_step(number, step, self.plan.steps_per_epoch, len(labels))
        rate = current_rate(self._optimizer)
        with self._average.in_place():
            validation = validate()
        return Epoch(number, loss / seen, hits / seen, *validation, rate, monotonic() - began)

    def _parts(self, best: Best) -> dict[str, list[np.ndarray]]:
        return {
            "weight": values(self._average.variables),
            "mean": self._average.values(),
            "best": best.weights,
            "optimizer": values(self._optimizer.variables),
        }

    def _state(self, history: list[Epoch], best: Best) -> State:
        parts = self._parts(best).items()
        arrays = {f"{name}/{i}": part for name, group in parts for i, part in enumerate(group)}
        return State(tuple(history), arrays)

    def fits(self, state: State) -> bool:
        """Return whether a state has the arrays of this training, by their names and shapes."""
        own = self._state([], Best(self._average, state.history[0])).arrays
        return {name: array.shape for name, array in own.items()} == {
            name: array.shape for name, array in state.arrays.items()
        }

    def _resume(self, state: State, best: Best) -> None:
        def group(name: str, like: list[Any]) -> list[np.ndarray]:
            return [state.arrays[f"{name}/{i}"] for i in range(len(like))]

        assign(self._average.variables, group("weight", self._average.variables))
        assign(self._average.means, group("mean", self._average.means))
        assign(self._optimizer.variables, group("optimizer", self._optimizer.variables))
        best.keep(best_epoch(state.history), group("best", best.weights))


def _in_float16(model: keras.Model) -> bool:
    return any(layer.compute_dtype == "float16" for layer in model.layers)


def _updated_statistics(model: keras.Model) -> list[Any]:
    """Return the moving statistics that training changes: of BatchNorm layers that learn."""
    return [
        variable
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
        for variable in layer.non_trainable_variables
    ]
