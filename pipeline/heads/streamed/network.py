"""Dense heads in blocks: minibatches of whatever block is there, every fit's network at once."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pipeline.heads.dense_grid import held_out
from pipeline.heads.dense_network import Recipes, WideNetwork, initial_layers
from pipeline.heads.fitted import NetworkLayers
from pipeline.heads.streamed.basis import Basis
from pipeline.heads.streamed.fits import Fits
from pipeline.heads.streamed.source import BlockSample, Chunk, ChunkSource


def fit_networks(
    params: Mapping[str, Any], source: ChunkSource, fits: Fits, bases: Sequence[Basis]
) -> list[NetworkLayers]:
    """Train a network for every fit; a seeded tenth of its pictures decides when it stops.

    The networks, their steps and what they stop by are those of `dense_grid`. An epoch is a pass in
    a drawn order of chunks, whose rows are shuffled block by block, and a pass over the held-out
    tenths. A network that has stopped only waits for the others.

    Returns:
        For each fit the kernels and biases, layer after layer, for prepared rows.
    """
    trainees = [Trainee(params, source.sample, fits, fit, basis) for fit, basis in enumerate(bases)]
    for epoch in range(1, params["epochs"] + 1):
        active = [one for one in trainees if not one.done]
        if not active:
            break
        for chunk in source.shuffled(source.sample.seed + epoch):
            for one in active:
                one.learn(chunk)
        for chunk in source:
            for one in active:
                one.judge(chunk)
        for one in active:
            one.end(epoch)
    return [one.best for one in trainees]


class Trainee:
    """One fit's network on its way, and the best that it has been.

    The sample's seed is that of the weights, the order, dropout and the held-out tenths; pictures
    of one group are held out together. The basis says how rows are prepared for it.
    """

    def __init__(
        self, params: Mapping[str, Any], sample: BlockSample, fits: Fits, fit: int, basis: Basis
    ) -> None:
        self._params, self._basis, self._weights = params, basis, fits.weights[fit]
        labels, seed, groups = np.asarray(sample.labels), sample.seed, sample.groups
        inside = np.flatnonzero(fits.members[fits.group_of, fit])
        unseen = held_out(labels[inside], seed, None if groups is None else groups[inside])
        self._learnt, self._judged = np.zeros(len(labels), bool), np.zeros(len(labels), bool)
        self._learnt[inside[~unseen]], self._judged[inside[unseen]] = True, True
        layers = initial_layers((basis.width, *params["hidden"], sample.n_classes), [seed])
        self._network = WideNetwork.start(layers, Recipes.of([params], seed), self._weights)
        self._rng = np.random.default_rng(seed)
        self._loss, self._best_loss, self._best_epoch = 0.0, np.inf, 0
        self.done = False
        self.best = self._layers()

    def _layers(self) -> NetworkLayers:
        layers = self._network.layers(np.ones(1, bool))
        return [one.kernels[0] for one in layers], [one.biases[0] for one in layers]

    def learn(self, chunk: Chunk) -> None:
        """Take a step for each minibatch of a block, views of its pictures among them."""
        some = self._rng.permutation(np.flatnonzero(self._learnt[chunk.pictures]))
        size = self._params["batch_size"]
        for start in range(0, len(some), size):
            self._network.step(*self._tensors(chunk, some[start : start + size]))

    def judge(self, chunk: Chunk) -> None:
        """Add up the loss of held-out pictures, as they are."""
        some = np.flatnonzero(self._judged[chunk.pictures] & (chunk.views == 0))
        if len(some):
            (mean,) = self._network.losses(*self._tensors(chunk, some))
            self._loss += float(mean) * float(self._weights[chunk.labels[some]].sum())

    def end(self, epoch: int) -> None:
        """Keep the weights if they are the best so far; stop where patience ends.

        A sum of losses stands for their mean: the held-out pictures are always the same.
        """
        if self._loss < self._best_loss:
            self.best, self._best_loss, self._best_epoch = self._layers(), self._loss, epoch
        self.done = epoch - self._best_epoch >= self._params["patience"]
        self._loss = 0.0

    def _tensors(self, chunk: Chunk, some: np.ndarray) -> tuple[Any, Any]:
        rows = self._basis.apply(chunk.rows[some])
        return tf.constant(rows), tf.constant(chunk.labels[some], tf.int64)
