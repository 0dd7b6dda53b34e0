"""Several dense networks of one shape as one: stacked weights, AdamW for each at its own rate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import tensorflow as tf

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7
"""Of Adam, as in Keras."""

_JUDGED_AT_ONCE = 2**24
"""Numbers of the first hidden layer while held-out rows are judged: 64 MiB."""


@dataclass(frozen=True)
class Stacked:
    """One layer of m networks: kernels (m, d_in, d_out) and biases (m, d_out), float32."""

    kernels: np.ndarray
    biases: np.ndarray


def initial_layers(sizes: Sequence[int], seeds: Sequence[int]) -> list[Stacked]:
    """Draw first weights (Glorot and Bengio 2010), those of a seed alike whatever its neighbours.

    Sizes are features, hidden sizes, classes; each network has a seed.
    """
    drawn = [_draw(sizes, np.random.default_rng(seed)) for seed in seeds]
    return [
        Stacked(np.stack(kernels), np.zeros((len(seeds), kernels[0].shape[1]), np.float32))
        for kernels in zip(*drawn, strict=True)
    ]


def _draw(sizes: Sequence[int], rng: np.random.Generator) -> list[np.ndarray]:
    limits = [(n_in, n_out, np.sqrt(6 / (n_in + n_out))) for n_in, n_out in pairwise(sizes)]
    return [rng.uniform(-a, a, (n_in, n_out)).astype(np.float32) for n_in, n_out, a in limits]


@dataclass(frozen=True)
class Recipes:
    """How each of m networks is trained.

    Args:
        rates: (m,) learning rates.
        decays: (m,) decoupled weight decays, of kernels.
        dropouts: (m,) shares of hidden units left out.
        seeds: (m,) of dropout. Networks of one seed draw the same numbers and leave out those that
            exceed their own share: what tells them apart then is not luck.
    """

    rates: np.ndarray
    decays: np.ndarray
    dropouts: np.ndarray
    seeds: np.ndarray

    @classmethod
    def of(cls, params: Sequence[Mapping[str, Any]], seed: int) -> "Recipes":
        """Return those of dense heads, from their parameters."""
        names = ("learning_rate", "weight_decay", "dropout")
        rates, decays, dropouts = (np.array([one[name] for one in params]) for name in names)
        return cls(rates, decays, dropouts, np.full(len(params), seed))

    def only(self, chosen: np.ndarray) -> "Recipes":
        """Return those of some networks, (m,) bool."""
        return Recipes(
            *(one[chosen] for one in (self.rates, self.decays, self.dropouts, self.seeds))
        )


class _Weights:
    """One weight of m networks, *divided by their learning rates*, and its Adam moments.

    Adam's step is the rate times what does not depend on the rate. Divided by it, every network
    takes a step of 1, so one fused operation moves all of them, whatever their rates are.

    Args:
        arrays: The divided weights (m, …), and the running means of gradients and of their squares.
    """

    def __init__(self, arrays: Sequence[np.ndarray]) -> None:
        self.scaled, self._first, self._second = (tf.Variable(array) for array in arrays)

    @classmethod
    def start(cls, values: np.ndarray, rates: np.ndarray) -> "_Weights":
        """Return weights (m, …) that have not learnt yet."""
        scaled = values / _along(rates, values.ndim)
        return cls((scaled, np.zeros_like(scaled), np.zeros_like(scaled)))

    def only(self, chosen: np.ndarray) -> "_Weights":
        """Return those of some networks, as far as they have come."""
        variables = (self.scaled, self._first, self._second)
        return _Weights([variable.numpy()[chosen] for variable in variables])

    def values(self, rates: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Return the weights themselves of some networks: (chosen, …)."""
        return self.scaled.numpy()[chosen] * _along(rates[chosen], self.scaled.shape.rank)

    def move(self, gradient: Any, powers: tuple[Any, Any]) -> None:
        """Take Adam's step, the gradient being that of the weights themselves."""
        tf.raw_ops.ResourceApplyAdam(
            var=self.scaled.handle,
            m=self._first.handle,
            v=self._second.handle,
            beta1_power=powers[0],
            beta2_power=powers[1],
            lr=1.0,
            beta1=BETA_1,
            beta2=BETA_2,
            epsilon=EPSILON,
            grad=gradient,
        )


def _along(rates: np.ndarray, n_axes: int) -> np.ndarray:
    return rates.astype(np.float32).reshape(-1, *(1,) * (n_axes - 1))


class WideNetwork:
    """m networks that see the same batches: dense layers, ReLU and dropout between them.

    The gradients are written out, because a tape would give those of the divided weights.

    Args:
        kernels: Of each layer.
        biases: Of each layer.
        recipes: How each network is trained.
        n_steps: Steps taken already.
        class_weights: (k,) what a row of each class counts in the loss; None where all count 1.
    """

    def __init__(
        self,
        kernels: list[_Weights],
        biases: list[_Weights],
        recipes: Recipes,
        n_steps: int,
        class_weights: np.ndarray | None = None,
    ) -> None:
        self._class_weights = class_weights
        self._kernels, self._biases, self._recipes = kernels, biases, recipes
        self._n_steps = tf.Variable(n_steps, dtype=tf.int64)
        self._rates = tf.constant(recipes.rates, tf.float32)[:, None, None]
        self._kept = tf.constant(1 - recipes.dropouts, tf.float32)[:, None, None]
        self._shrink = tf.constant(1 - recipes.rates * recipes.decays, tf.float32)[:, None, None]
        rows = tf.TensorSpec([None, kernels[0].scaled.shape[1]], tf.float32)
        signature = (rows, tf.TensorSpec([None], tf.int64))
        self._compiled = tf.function(self._step, input_signature=signature, autograph=False)
        self._judge = tf.function(self._sums, input_signature=signature, autograph=False)

    @classmethod
    def start(
        cls, layers: Sequence[Stacked], recipes: Recipes, class_weights: np.ndarray | None = None
    ) -> "WideNetwork":
        """Return networks with the given first weights."""
        kernels = [_Weights.start(one.kernels, recipes.rates) for one in layers]
        biases = [_Weights.start(one.biases, recipes.rates) for one in layers]
        return cls(kernels, biases, recipes, 0, class_weights)

    def only(self, chosen: np.ndarray) -> "WideNetwork":
        """Return some of the networks, (m,) bool, as far as they have come."""
        kernels = [one.only(chosen) for one in self._kernels]
        biases = [one.only(chosen) for one in self._biases]
        recipes, n_steps = self._recipes.only(chosen), int(self._n_steps)
        return WideNetwork(kernels, biases, recipes, n_steps, self._class_weights)

    def layers(self, chosen: np.ndarray) -> list[Stacked]:
        """Return the weights of some of the networks, (m,) bool."""
        rates = self._recipes.rates
        return [
            Stacked(kernel.values(rates, chosen), bias.values(rates, chosen))
            for kernel, bias in zip(self._kernels, self._biases, strict=True)
        ]

    def step(self, rows: Any, labels: Any) -> None:
        """Take one step of every network on a batch: rows (b, d) float32, labels (b,) int64."""
        self._compiled(rows, labels)

    def losses(self, rows: Any, labels: Any) -> np.ndarray:
        """Return the (weighted) mean cross-entropy of each network over rows: (m,), in nats."""
        widest = max(int(np.prod(bias.scaled.shape)) for bias in self._biases)
        size = max(1, _JUDGED_AT_ONCE // widest)
        starts = range(0, len(labels), size)
        sums = [self._judge(rows[i : i + size], labels[i : i + size]).numpy() for i in starts]
        return np.sum(sums, axis=0) / float(tf.reduce_sum(self._counts(labels)))

    def _sums(self, rows: Any, labels: Any) -> Any:
        logits = self._forward(rows, masks=None)[-1]
        wide = tf.broadcast_to(labels, tf.shape(logits)[:2])
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(wide, logits)
        return tf.reduce_sum(self._counts(labels) * losses, axis=1)

    def _counts(self, labels: Any) -> Any:
        """Return what each row counts: (b,) float32."""
        if self._class_weights is None:
            return tf.ones(tf.shape(labels), tf.float32)
        return tf.gather(tf.constant(self._class_weights, tf.float32), labels)

    def _forward(self, rows: Any, masks: Any) -> list[Any]:
        """Return what each layer gives, (m, b, units), after ReLU and dropout but for the last."""
        values, outputs = rows[None], []
        for i, (kernel, bias) in enumerate(zip(self._kernels, self._biases, strict=True)):
            values = (values @ kernel.scaled + bias.scaled[:, None]) * self._rates
            if i < len(self._kernels) - 1:
                values = tf.nn.relu(values) if masks is None else tf.nn.relu(values) * masks[i]
            outputs.append(values)
        return outputs

    def _step(self, rows: Any, labels: Any) -> None:
        masks = self._masks(tf.shape(rows)[0])
        outputs = self._forward(rows, masks)
        n_rows = tf.cast(tf.shape(rows)[0], tf.float32)
        wanted = tf.one_hot(labels, outputs[-1].shape[-1])
        counts = self._counts(labels)[:, None]
        slope = (tf.nn.softmax(outputs[-1]) - wanted) * counts / n_rows
        gradients = self._gradients(rows, outputs, slope, masks)
        count = tf.cast(self._n_steps.assign_add(1), tf.float32)
        powers = (tf.pow(BETA_1, count), tf.pow(BETA_2, count))
        for i, (of_kernel, of_bias) in enumerate(gradients):
            kernel = self._kernels[i]
            if np.any(self._recipes.decays):
                kernel.scaled.assign(kernel.scaled * self._shrink)
            kernel.move(of_kernel, powers)
            self._biases[i].move(of_bias, powers)

    def _gradients(
        self, rows: Any, outputs: list[Any], slope: Any, masks: Any
    ) -> list[tuple[Any, Any]]:
        """Return the loss' gradients by kernels and biases, layer by layer.

        Args:
            rows: (b, d).
            outputs: Of each layer, (m, b, units).
            slope: Gradient by the logits, (m, b, k).
            masks: Of dropout, which is where units are 0 or scaled up, per hidden layer.
        """
        gradients, inputs = [], [rows[None], *outputs]
        for i in reversed(range(len(outputs))):
            of_kernel = tf.matmul(inputs[i], slope, transpose_a=True)
            gradients.append((of_kernel, tf.reduce_sum(slope, axis=1)))
            if i:
                below = tf.matmul(slope * self._rates, self._kernels[i].scaled, transpose_b=True)
                slope = tf.where(inputs[i] > 0, below * masks[i - 1], 0.0)
        return gradients[::-1]

    def _masks(self, n_rows: Any) -> list[Any]:
        """Draw what hidden units are multiplied with: 0, or 1 over the share that is kept."""
        if not np.any(self._recipes.dropouts):
            return [1.0 for _ in self._kernels[1:]]
        seeds, places = np.unique(self._recipes.seeds, return_inverse=True)
        masks = []
        for i, bias in enumerate(self._biases[:-1]):
            shape = (n_rows, bias.scaled.shape[1])
            keys = [(int(seed) % 2**31, self._n_steps * len(self._biases) + i) for seed in seeds]
            drawn = tf.stack([tf.random.stateless_uniform(shape, tf.stack(key)) for key in keys])
            kept = tf.gather(drawn, places) < self._kept
            masks.append(tf.cast(kept, tf.float32) / self._kept)
        return masks
