"""Examples that are cached activations: no picture is decoded, no frozen layer computed.

They are features like any others, unpooled, in the same cache: computed once for any number of
epochs and fine-tunings above the same boundary.
"""

import logging
from collections.abc import Callable, Iterator
from math import prod

import keras
import numpy as np
import tensorflow as tf

from pipeline.config import FeaturesConfig
from pipeline.features import Caches, Computation, find_work
from pipeline.features.base import FrozenBase
from pipeline.features.store import FeatureCache
from pipeline.finetune.training.plan import Batch, Inputs
from pipeline.finetune.training.randomness import epoch_order
from pipeline.heads import softmax
from pipeline.heads.streamed import fits_in_memory
from pipeline.images import Dataset
from pipeline.system.progress import Reporter

logger = logging.getLogger("pipeline")


def cache_maps(
    config: FeaturesConfig, base: FrozenBase, dataset: Dataset, reporter: Reporter
) -> Caches:
    """Compute the activations that are missing, as stage 1 does; return where all of them are."""
    caches = Caches(config, base)
    caches.exchange()
    work = find_work(config, dataset, caches.clean, caches.viewed)
    if len(work):
        logger.info("caching the activations of %s once", "+".join(base.layers))
        Computation(config, base, dataset, caches, work).run(reporter)
        caches.send_missing()
    return caches


class Maps:
    """Activations of a data set's pictures, and what the part above them says of them.

    Those that each epoch needs are held in memory where they fit, else read batch by batch.

    Args:
        dataset: The pictures.
        caches: Where their activations are.
        base: Its cuts are the inputs of ``tail``, in that order.
        tail: From these to logits (n, k).
        n_views: Augmented views of each training picture.
        batch_size: Pictures per step.
        learnt: (n,) int, rows that are trained on.
        judged: (m,) int, rows that decide when to stop.
    """

    def __init__(
        self,
        dataset: Dataset,
        caches: Caches,
        base: FrozenBase,
        tail: keras.Model,
        n_views: int,
        batch_size: int,
        learnt: np.ndarray,
        judged: np.ndarray,
    ) -> None:
        self._dataset, self._caches, self.network = dataset, caches, tail
        self._cuts = [(cut.layer, cut.pooling) for cut in base.cuts]
        self._n_views, self._batch_size = n_views, batch_size
        self._forward = _forward(tail)
        self._place_of = np.full(len(dataset), -1)
        self._held: list[Inputs] = []
        if self._fits(len(learnt), len(judged)):
            self._hold(learnt, judged)

    def _fits(self, n_learnt: int, n_judged: int) -> bool:
        shapes = [self._caches.clean.row_shape(cut) for cut in self._cuts]
        n_rows = (1 + self._n_views) * n_learnt + n_judged
        return fits_in_memory(4 * n_rows * sum(map(prod, shapes)))

    def _hold(self, learnt: np.ndarray, judged: np.ndarray) -> None:
        clean = np.concatenate([learnt, judged])
        self._held = [self._read(clean, 0)]
        self._held += [self._read(learnt, 1 + view) for view in range(self._n_views)]
        self._place_of[clean] = np.arange(len(clean))

    def batches(self, rows: np.ndarray, seed: int) -> Callable[[int], Iterator[Batch]]:
        """Return what yields the training batches of an epoch, given its number."""

        def of_epoch(epoch: int) -> Iterator[Batch]:
            ordered, views = epoch_order(rows, self._n_views, seed, epoch)
            for start in range(0, len(ordered), self._batch_size):
                part = slice(start, start + self._batch_size)
                inputs = self._inputs(ordered[part], views[part])
                yield inputs, self._dataset.labels[ordered[part]]

        return of_epoch

    def probabilities(self, rows: np.ndarray) -> np.ndarray:
        """Return class probabilities (n, k) of pictures as they are, in the order of ``rows``."""
        size = self._batch_size
        parts = [rows[start : start + size] for start in range(0, len(rows), size)]
        clean = (self._inputs(part, np.zeros(len(part), int)) for part in parts)
        return softmax(np.concatenate([self._forward(inputs).numpy() for inputs in clean]))

    def _inputs(self, rows: np.ndarray, views: np.ndarray) -> Inputs:
        """Return one array per cut, aligned with rows and the numbers of their views."""
        numbers = np.unique(views).tolist()
        found = [self._of_view(rows[views == number], number) for number in numbers]
        where = np.concatenate([np.flatnonzero(views == number) for number in numbers])
        order = np.argsort(where)
        return tuple(np.concatenate(column)[order] for column in zip(*found, strict=True))

    def _of_view(self, rows: np.ndarray, view: int) -> Inputs:
        places = self._place_of[rows]
        if (places < 0).any():
            return self._read(rows, view)
        return tuple(array[places] for array in self._held[view])

    def _read(self, rows: np.ndarray, view: int) -> Inputs:
        cache: FeatureCache | None = self._caches.viewed if view else self._caches.clean
        assert cache is not None, f"activations without views were asked for view {view}"
        digests = self._dataset.digests[rows]
        return tuple(cache.read(cut, digests, view) for cut in self._cuts)


def _forward(tail: keras.Model) -> Callable[[Inputs], tf.Tensor]:
    """Return what computes logits in inference mode, compiled once for any number of rows."""

    @tf.function(reduce_retracing=True, autograph=False)
    def forward(inputs: Inputs) -> tf.Tensor:
        values = [tf.cast(part, tf.float32) for part in inputs]
        return tail(values if len(values) > 1 else values[0], training=False)

    compiled: Callable[[Inputs], tf.Tensor] = forward
    return compiled
