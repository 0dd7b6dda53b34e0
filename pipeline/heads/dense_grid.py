"""Many dense heads trained at once as one wide network, in one pass over the features per epoch.

The candidates share their hidden sizes and their batches, and differ in learning rate, weight
decay, dropout and seed. Their kernels are stacked, so the features are read and moved once for all
of them, and small products, which leave a processor waiting, become a large one.
What a candidate becomes does not depend on its neighbours.

What dense heads share: the network, and the pictures that decide when to stop.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np
import tensorflow as tf

from pipeline.errors import InputError
from pipeline.heads.affine import fit_affine, folded
from pipeline.heads.catalog import HeadSpec
from pipeline.heads.class_weights import class_weights
from pipeline.heads.dense_network import Layers, Recipes, WideNetwork, initial_layers
from pipeline.heads.fitted import NetworkHead
from pipeline.heads.preparation import Preparation
from pipeline.heads.rowwise import apply_rowwise

VALIDATION_SHARE = 0.1


def build_dense(
    n_features: int, hidden: Sequence[int], dropout: float, n_classes: int
) -> keras.Model:
    """Return a network from features (n, n_features) to logits (n, n_classes)."""
    inputs = outputs = keras.Input((n_features,))
    for units in hidden:
        outputs = keras.layers.Dense(units, activation="relu")(outputs)
        outputs = keras.layers.Dropout(dropout)(outputs)
    return keras.Model(inputs, keras.layers.Dense(n_classes)(outputs))


def held_out(labels: np.ndarray, seed: int, groups: np.ndarray | None = None) -> np.ndarray:
    """Mark a tenth of each class, at least one picture in all: (n,) bool.

    Groups are marked as a whole, unless no picture of some class would be left to learn from.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    if groups is not None:
        return _groups_held_out(labels, order, groups)
    marked = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        marked[members[: round(VALIDATION_SHARE * len(members))]] = True
    if not marked.any():
        marked[order[0]] = True
    return marked


def _groups_held_out(labels: np.ndarray, order: np.ndarray, groups: np.ndarray) -> np.ndarray:
    marked, classes = np.zeros(len(labels), bool), np.unique(labels)
    for label in classes:
        members = order[labels[order] == label]
        wanted = max(1, round(VALIDATION_SHARE * len(members)))
        for row in members:
            if marked[members].sum() >= wanted:
                break
            candidate = marked | (groups == groups[row])
            if len(np.unique(labels[~candidate])) == len(classes):
                marked = candidate
    if not marked.any():  # a group holds a whole class: there is no better to be had
        marked[order[0]] = True
    return marked


@dataclass(frozen=True)
class Candidate:
    """What tells one dense head from the others of its grid.

    Args:
        learning_rate: Of AdamW, above 0.
        weight_decay: Of AdamW, decoupled, on kernels only.
        dropout: Share of hidden units left out of each training step, from 0 to below 1.
        seed: Of the first weights and of dropout.
    """

    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    dropout: float = 0.5
    seed: int = 0


@dataclass(frozen=True)
class Schedule:
    """What all candidates of a grid share.

    Args:
        hidden: Sizes of the hidden layers; none makes every candidate a linear head.
        epochs: Most passes over the features.
        patience: Passes without a lower held-out loss after which a candidate is done.
        batch_size: Rows in a step.
    """

    hidden: tuple[int, ...] = (256,)
    epochs: int = 60
    patience: int = 6
    batch_size: int = 64


@dataclass(frozen=True)
class Trained:
    """One candidate after training.

    Args:
        candidate: Which.
        loss: Its lowest held-out cross-entropy, in nats (a weighted mean where classes are
            weighted); infinity if there never was one.
        epoch: The pass that reached it, from 1; 0 if none did.
        head: The network as it was then, for features as they are.
    """

    candidate: Candidate
    loss: float
    epoch: int
    head: NetworkHead


def fit_dense_grid(
    candidates: Sequence[Candidate],
    features: np.ndarray,
    labels: np.ndarray,
    n_classes: int,
    seed: int,
    schedule: Schedule | None = None,
    n_views: int = 0,
    preparation: Preparation | None = None,
    blocks: Sequence[int] | None = None,
    class_weight: str | None = None,
    groups: np.ndarray | None = None,
) -> list[Trained]:
    """Train all candidates; a seeded tenth of the pictures decides when each of them stops.

    Args:
        candidates: At least one.
        features: ((1 + n_views) · n, d) float: n pictures, then view 1 of each, ….
        labels: ((1 + n_views) · n,) int in 0 … n_classes-1, row-aligned.
        n_classes: k.
        seed: Of the held-out tenth and the order of the batches.
        schedule: Hidden sizes, epochs, patience, batch size.
        n_views: Augmented views of each picture; those of the held-out tenth are not used.
        preparation: Of the features, as in `fit_head`.
        blocks: Widths of the cuts side by side, as in `fit_head`.
        class_weight: ``"balanced"`` weighs classes by their numbers, in the loss that is lowered
            and in the held-out one.
        groups: (n pictures,) int; pictures of one group are held out together.

    Returns:
        One per candidate, in their order.

    Raises:
        InputError: There is no candidate, or a value cannot be used.
    """
    _check(candidates)
    schedule, preparation = schedule or Schedule(), preparation or Preparation()
    widths = tuple(blocks or ()) if preparation.rowwise != "none" else ()
    rows = apply_rowwise(features, preparation.rowwise, widths)
    steps, prepared = fit_affine(preparation, rows, seed)
    unseen = held_out(labels[: len(labels) // (1 + n_views)], seed, groups)
    weights = class_weights(labels, n_classes, class_weight)
    grid = _Grid(candidates, prepared, labels, n_classes, schedule, weights)
    grid.train(np.flatnonzero(~np.tile(unseen, 1 + n_views)), np.flatnonzero(unseen), seed)
    trained = []
    for place, candidate in enumerate(candidates):
        head = folded(*grid.best_layers(place), steps)
        head = replace(head, rowwise=preparation.rowwise, blocks=widths)
        epoch, loss = int(grid.best_epoch[place]), float(grid.best_loss[place])
        trained.append(Trained(candidate, loss, epoch, head))
    return trained


def fit_dense_heads(
    specs: Sequence[HeadSpec],
    features: np.ndarray,
    labels: np.ndarray,
    n_classes: int,
    seed: int,
    n_views: int = 0,
    blocks: Sequence[int] | None = None,
    groups: np.ndarray | None = None,
) -> list[NetworkHead]:
    """Fit dense heads of one preparation and one class weight; those of one schedule at once.

    A head comes out the same whether it is alone or one of many. Arguments are those of `fit_head`.
    """
    schedules = [_schedule(spec) for spec in specs]
    heads: dict[int, NetworkHead] = {}
    for schedule in dict.fromkeys(schedules):
        places = [place for place, its in enumerate(schedules) if its == schedule]
        params = [specs[place].params for place in places]
        candidates = [
            Candidate(one["learning_rate"], one["weight_decay"], one["dropout"], seed)
            for one in params
        ]
        given = (features, labels, n_classes, seed, schedule, n_views, specs[0].preparation, blocks)
        trained = fit_dense_grid(candidates, *given, specs[0].class_weight, groups)
        heads |= {place: one.head for place, one in zip(places, trained, strict=True)}
    return [heads[place] for place in range(len(specs))]


def _schedule(spec: HeadSpec) -> Schedule:
    params = spec.params
    hidden = tuple(params["hidden"])
    return Schedule(hidden, params["epochs"], params["patience"], params["batch_size"])


def _check(candidates: Sequence[Candidate]) -> None:
    if not candidates:
        raise InputError("expected at least one candidate of a dense grid, received none")
    for one in candidates:
        if not (one.learning_rate > 0 and one.weight_decay >= 0 and 0 <= one.dropout < 1):
            raise InputError(
                f"expected learning_rate above 0, weight_decay from 0 and dropout from 0 to below "
                f"1, received {one}"
            )


def _recipes(candidates: Sequence[Candidate]) -> Recipes:
    return Recipes(
        np.array([one.learning_rate for one in candidates]),
        np.array([one.weight_decay for one in candidates]),
        np.array([one.dropout for one in candidates]),
        np.array([one.seed for one in candidates]),
    )


class _Grid:
    """The candidates that still train, as one network, and the best of each so far."""

    def __init__(
        self,
        candidates: Sequence[Candidate],
        rows: np.ndarray,
        labels: np.ndarray,
        n_classes: int,
        schedule: Schedule,
        class_weights: np.ndarray | None,
    ) -> None:
        self._schedule, self._active = schedule, np.arange(len(candidates))
        self._inputs = tf.constant(rows, tf.float32)
        self._targets = tf.constant(labels, tf.int64)
        sizes = (rows.shape[1], *schedule.hidden, n_classes)
        self._best = initial_layers(sizes, [one.seed for one in candidates])
        recipes = _recipes(candidates)
        self._network = WideNetwork.start(self._best, recipes, class_weights)
        self.best_loss = np.full(len(candidates), np.inf)
        self._done = np.zeros(len(candidates), bool)
        self.best_epoch = np.zeros(len(candidates), int)

    def train(self, rows: np.ndarray, unseen: np.ndarray, seed: int) -> None:
        """Train until every candidate is done; rows and unseen are row numbers."""
        rng, size = np.random.default_rng(seed), self._schedule.batch_size
        given = tf.gather(self._inputs, unseen), tf.gather(self._targets, unseen)
        for epoch in range(1, self._schedule.epochs + 1):
            order = tf.constant(rng.permutation(rows))
            for start in range(0, len(rows), size):
                some = order[start : start + size]
                self._network.step(tf.gather(self._inputs, some), tf.gather(self._targets, some))
            self._judge(self._network.losses(*given), epoch)
            if not len(self._active):
                break

    def _judge(self, losses: np.ndarray, epoch: int) -> None:
        """Keep the weights of candidates that got better; end those that have not for long.

        Candidates that are done train on unheeded until they are half of the network: a smaller one
        has to be compiled anew.

        Args:
            losses: Held-out, of the candidates of the network; NaN is never better.
            epoch: From 1.
        """
        active = self._active
        better = (losses < self.best_loss[active]) & ~self._done[active]
        improved = active[better]
        if len(improved):
            self.best_loss[improved], self.best_epoch[improved] = losses[better], epoch
            for kept, now in zip(self._best, self._network.layers(better), strict=True):
                kept.kernels[improved], kept.biases[improved] = now.kernels, now.biases
        self._done[active] |= epoch - self.best_epoch[active] >= self._schedule.patience
        going = ~self._done[active]
        if 2 * going.sum() <= len(active):
            self._active = active[going]
            self._network = self._network.only(going) if going.any() else self._network

    def best_layers(self, place: int) -> Layers:
        """Return kernels and biases of one candidate at its best."""
        kernels = [layer.kernels[place] for layer in self._best]
        return kernels, [layer.biases[place] for layer in self._best]
