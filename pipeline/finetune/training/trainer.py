"""Epoch after epoch: steps, validation, the best weights. A TensorFlow module."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import monotonic
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline.errors import InputError
from pipeline.finetune.augment import Augmentation
from pipeline.finetune.training.average import Average, Best, assign, values
from pipeline.finetune.training.optimizer import current_rate, make_optimizer
from pipeline.finetune.training.plan import (
    MOST_LOSS,
    Epoch,
    Inputs,
    Mixture,
    Plan,
    State,
    TrainingBatch,
    is_over,
    is_usable,
    kept_epoch,
)
from pipeline.finetune.training.randomness import begin_epoch, random_states
from pipeline.finetune.training.spread import Spread, one_device
from pipeline.system.progress import SILENT, Reporter
from pipeline.system.units import time_text

logger = logging.getLogger(__name__)

HEAD_PREFIX = "head_"
MEASURED = 2
"""Batches by whose time is said how long an epoch is; the first, which compiles, is not of them."""
SHARES = (0.25, 0.5, 0.75)
"""Of the fine-tuned weights, in means of them with those before training."""


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
        in_float16 = any(layer.compute_dtype == "float16" for layer in model.layers)
        with self._spread.scope():
            self._optimizer = make_optimizer(plan, steps, in_float16)
            self._optimizer.build(self._learning)
        changing = self._learning + _updated_statistics(model)
        self._average = Average(changing, 1 - 1 / (1 + plan.steps_per_epoch))
        self._start = self._average.values()
        self._states = random_states([*augment.layers, *model.layers])
        self._steps: dict[bool, Callable[..., tuple[Any, Any]]] = {}

    def _compiled(self, inputs: Inputs, head_only: bool) -> Any:
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

        return step

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
            losses = cross_entropy(logits, targets, self.plan.label_smoothing)
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
        batches: Callable[[int], Iterator[TrainingBatch]],
        validate: Callable[[], tuple[float, float]],
        reporter: Reporter = SILENT,
        *,
        resumed: State | None = None,
        keep: Callable[[State], None] = lambda state: None,
    ) -> list[Epoch]:
        """Train until the plan ends; leave the model with the weights of the best epoch.

        Args:
            batches: Given an epoch's number, yields its training batches in a seeded order.
            validate: Returns the validation loss and accuracy of the model as it is.
            reporter: Is told of each step, of each finished epoch, and of epoch 0 before training.
            resumed: Where an interrupted training stood; the epochs in it are not told again.
            keep: Given where the training stands before it begins, and after each epoch, before
                the reporter is told.

        Returns:
            Epoch 0 and every epoch trained, in order; one whose loss is not a number ends the
            training and is left out.

        Raises:
            InputError: There is nothing to keep: the loss is not a number from the beginning, and
                no smaller steps are tried.
        """
        history = [self._before(validate)] if resumed is None else list(resumed.history)
        best = Best(self._average, history[0])
        if resumed is None:
            keep(self._state(history, best))
            reporter.epoch(history[0])
        else:
            self._resume(resumed, best)
        while not is_over(history, self.plan):
            number = history[-1].epoch + 1
            epoch = self._epoch(number, batches(number), validate, reporter)
            if epoch.is_broken:
                self._explain(epoch, history)
                break
            history.append(epoch)
            best.consider(epoch)
            keep(self._state(history, best))
            reporter.epoch(epoch)
        best.restore()
        return history

    def mix(
        self, history: Sequence[Epoch], validate: Callable[[], tuple[float, float]]
    ) -> list[Mixture]:
        """Leave the model with the mean of its weights before training and now that does best.

        Between a head on a frozen base and the same fine-tuned the loss is mostly lower than at
        either end, and on pictures of another kind more so (WiSE-FT, Wortsman et al. 2022).

        Args:
            history: From `fit`, which left the model with the weights of the kept epoch.
            validate: As for `fit`.

        Returns:
            From before training to the kept epoch; nothing where that is epoch 0.
        """
        first, kept = history[0], kept_epoch(history)
        if kept is first:
            return []
        variables = self._average.variables
        ends = list(zip(self._start, values(variables), strict=True))

        def put(share: float) -> None:
            assign(variables, [(1 - share) * one + share * other for one, other in ends])

        mixtures = [Mixture(0.0, first.validation_loss, first.validation_accuracy)]
        for share in SHARES:
            put(share)
            mixtures.append(Mixture(share, *validate()))
        mixtures.append(Mixture(1.0, kept.validation_loss, kept.validation_accuracy))
        mixtures = [one for one in mixtures if is_usable(one.validation_loss)]
        put(min(mixtures, key=lambda one: one.validation_loss).share)
        return mixtures

    def _before(self, validate: Callable[[], tuple[float, float]]) -> Epoch:
        began = monotonic()
        loss, accuracy = validate()
        epoch = Epoch(0, None, None, loss, accuracy, 0.0, monotonic() - began)
        if epoch.is_broken:
            raise InputError(
                f"expected a loss that is a number before training, received validation_loss="
                f"{loss}: what the base computes is not finite; choose --precision float32, or "
                f"another run to start --from"
            )
        return epoch

    def _explain(self, epoch: Epoch, history: Sequence[Epoch]) -> None:
        """Say that a loss is no number any more; raise where nothing had been learnt before."""
        received = (
            f"received train_loss={epoch.train_loss} and validation_loss={epoch.validation_loss} "
            f"in epoch {epoch.epoch} with learning_rate={self.plan.learning_rate:g}"
        )
        if len(history) == 1 and self.plan.last:
            raise InputError(
                f"expected losses that are numbers below {MOST_LOSS:g}, {received}; choose a "
                f"smaller --learning-rate, or --precision float32"
            )
        logger.warning(
            "training ends: expected losses that are numbers below %g, %s; epoch %d is kept, a "
            "smaller --learning-rate may get further",
            MOST_LOSS,
            received,
            kept_epoch(history).epoch,
        )

    def _epoch(
        self,
        number: int,
        batches: Iterator[TrainingBatch],
        validate: Callable[[], tuple[float, float]],
        reporter: Reporter,
    ) -> Epoch:
        began, seen, loss, hits = monotonic(), 0, 0.0, 0
        ended: list[float] = []
        part, n_steps = f"epoch {number}", self.plan.steps_per_epoch
        reporter.advance(part, 0, n_steps, "steps")
        begin_epoch(self._states, self.plan.seed, number)
        for step, (inputs, labels) in enumerate(batches, start=1):
            step_loss, step_hits = self._run_step(inputs, labels, number <= self.plan.head_epochs)
            seen += len(labels)
            loss += step_loss
            hits += step_hits
            ended.append(monotonic())
            if (number, step) == (1, 1 + MEASURED) and n_steps > step:
                each = (ended[-1] - ended[0]) / MEASURED
                self._tell_seconds(each * n_steps, max(0.0, ended[0] - began - each))
            speed = seen / max(monotonic() - began, 1e-9)
            reporter.advance(part, step, n_steps, "steps", f"{speed:.1f} pictures/s")
        rate = current_rate(self._optimizer)
        with self._average.in_place():
            validation = validate()
        return Epoch(number, loss / seen, hits / seen, *validation, rate, monotonic() - began)

    def _tell_seconds(self, epoch: float, compiling: float) -> None:
        """Tell what an epoch takes, and all of them after what compiling took, once."""
        n, logged = self.plan.epochs, "%s an epoch, %s for all %d, by %d batches%s"
        whole, left, rest = compiling + n * epoch, self.plan.seconds, ""
        if whole > left:
            n_epochs = max(1, int((left - compiling) / epoch))
            rest = f"; what is left of the budget is for about {n_epochs}"
        logger.info(logged, time_text(epoch), time_text(whole), n, MEASURED, rest)

    def _state(self, history: list[Epoch], best: Best) -> State:
        parts = {
            "weight": values(self._average.variables),
            "mean": self._average.values(),
            "best": best.weights,
            "optimizer": values(self._optimizer.variables),
        }.items()
        arrays = {f"{name}/{i}": part for name, group in parts for i, part in enumerate(group)}
        return State(tuple(history), arrays)

    def fits(self, state: State) -> bool:
        """Return whether a state has the arrays of this training, by name, shape and type."""
        own = self._state([], Best(self._average, state.history[0])).arrays
        return {name: (array.shape, array.dtype) for name, array in own.items()} == {
            name: (array.shape, array.dtype) for name, array in state.arrays.items()
        }

    def _resume(self, state: State, best: Best) -> None:
        def group(name: str, like: list[Any]) -> list[np.ndarray]:
            return [state.arrays[f"{name}/{i}"] for i in range(len(like))]

        assign(self._average.variables, group("weight", self._average.variables))
        assign(self._average.means, group("mean", self._average.means))
        assign(self._optimizer.variables, group("optimizer", self._optimizer.variables))
        best.keep(kept_epoch(state.history), group("best", best.weights))


def wanted(labels: Any, n_classes: int) -> Any:
    """Return labels (n,) int as probabilities (n, n_classes) float32 that are all 0 or 1."""
    return tf.one_hot(labels, n_classes)


def cross_entropy(logits: Any, targets: Any, smoothing: float = 0.0) -> Any:
    """Return the cross-entropy of each picture: (n,) float32.

    Args:
        logits: (n, k).
        targets: (n, k) float32, rows add up to 1; mixed pictures have several classes.
        smoothing: Share of each row that is spread over all classes.
    """
    smoothed = targets * (1 - smoothing) + smoothing / logits.shape[-1]
    return tf.nn.softmax_cross_entropy_with_logits(smoothed, tf.cast(logits, tf.float32))


def counts(targets: Any, class_weights: Sequence[float] | None) -> Any:
    """Return what each picture counts: (n,) float32; a mixed one as its classes, in proportion."""
    if class_weights is None:
        return tf.ones_like(targets[:, 0])
    return tf.linalg.matvec(targets, tf.constant(class_weights, tf.float32))


def _updated_statistics(model: keras.Model) -> list[Any]:
    """Return the moving statistics that training changes: of BatchNorm layers that learn."""
    return [
        variable
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
        for variable in layer.non_trainable_variables
    ]
