"""Many dense heads trained at once as one wide network, in one pass over the features per epoch.

The candidates share their hidden sizes and their batches, and differ in learning rate, weight
decay and dropout. Their kernels are stacked, so the features are read and moved once for all
of them, and small products, which leave a processor waiting, become a large one. What a candidate
becomes does not depend on its neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from pipeline.heads.affine import prepare
from pipeline.heads.catalog import HeadSpec
from pipeline.heads.class_weights import class_weights
from pipeline.heads.dense_network import Recipes, WideNetwork, initial_layers
from pipeline.heads.fitted import NetworkHead, NetworkLayers
from pipeline.heads.sample import Sample

SCHEDULE = ("hidden", "epochs", "patience", "batch_size")
"""Parameters that heads which are trained at once have in common."""

VALIDATION_SHARE = 0.1


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
class TrainedDense:
    """One head of a grid after training.

    Args:
        loss: Its lowest held-out cross-entropy, in nats (a weighted mean where classes are
            weighted); infinity if there never was one.
        epoch: The pass that reached it, from 1; 0 if none did.
        head: The network as it was then, for features as they are.
    """

    loss: float
    epoch: int
    head: NetworkHead


def fit_dense_heads(specs: Sequence[HeadSpec], sample: Sample) -> list[NetworkHead]:
    """Fit dense heads of one preparation and one class weight; those of one schedule at once.

    A head comes out the same whether it is alone or one of many.
    """
    schedules = [tuple(spec.params[name] for name in SCHEDULE) for spec in specs]
    heads: dict[int, NetworkHead] = {}
    for schedule in dict.fromkeys(schedules):
        places = [place for place, its in enumerate(schedules) if its == schedule]
        trained = fit_dense_grid([specs[place] for place in places], sample)
        heads |= {place: one.head for place, one in zip(places, trained, strict=True)}
    return [heads[place] for place in range(len(specs))]


def fit_dense_grid(specs: Sequence[HeadSpec], sample: Sample) -> list[TrainedDense]:
    """Train heads that differ in nothing but learning rate, weight decay and dropout side by side.

    A seeded tenth of the pictures decides when each of them stops. Views of these are not used, and
    pictures of one group are held out together.

    Returns:
        One per head, in their order.
    """
    prepared = prepare(specs[0].preparation, sample)
    unseen = held_out(sample.labels, sample.seed, sample.groups)
    grid = _Grid(specs, replace(sample, features=prepared.rows))
    grid.train(np.flatnonzero(~np.tile(unseen, 1 + sample.n_views)), np.flatnonzero(unseen))
    return [
        TrainedDense(float(loss), int(epoch), prepared.network(*grid.best_layers(place)))
        for place, (loss, epoch) in enumerate(zip(grid.best_loss, grid.best_epoch, strict=True))
    ]


class _Grid:
    """The candidates that still train, as one network, and the best of each so far."""

    def __init__(self, specs: Sequence[HeadSpec], sample: Sample) -> None:
        self._params, self._seed = specs[0].params, sample.seed
        self._inputs = tf.constant(sample.features, tf.float32)
        self._targets = tf.constant(sample.row_labels, tf.int64)
        sizes = (sample.features.shape[1], *self._params["hidden"], sample.n_classes)
        recipes = Recipes.of([spec.params for spec in specs], sample.seed)
        weights = class_weights(sample.row_labels, sample.n_classes, specs[0].class_weight)
        self._best = initial_layers(sizes, recipes.seeds.tolist())
        self._network = WideNetwork.start(self._best, recipes, weights)
        self._active = np.arange(len(specs))
        self._done = np.zeros(len(specs), bool)
        self.best_loss = np.full(len(specs), np.inf)
        self.best_epoch = np.zeros(len(specs), int)

    def train(self, rows: np.ndarray, unseen: np.ndarray) -> None:
        """Train until every candidate is done; rows and unseen are row numbers."""
        rng, size = np.random.default_rng(self._seed), self._params["batch_size"]
        given = tf.gather(self._inputs, unseen), tf.gather(self._targets, unseen)
        for epoch in range(1, self._params["epochs"] + 1):
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
        self._done[active] |= epoch - self.best_epoch[active] >= self._params["patience"]
        going = ~self._done[active]
        if 2 * going.sum() <= len(active):
            self._active = active[going]
            self._network = self._network.only(going) if going.any() else self._network

    def best_layers(self, place: int) -> NetworkLayers:
        """Return kernels and biases of one candidate at its best."""
        kernels = [layer.kernels[place] for layer in self._best]
        return kernels, [layer.biases[place] for layer in self._best]
