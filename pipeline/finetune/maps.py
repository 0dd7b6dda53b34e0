"""Examples that are cached activations: no picture is decoded, no frozen layer computed.

They are features like any others, unpooled, in the same cache: computed once for any number of
epochs and fine-tunings above the same boundary.
"""

from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline.backbones.boundary import Boundary
from pipeline.errors import DataError
from pipeline.features import Caches
from pipeline.features.base import FrozenBase
from pipeline.features.extract import extract
from pipeline.features.store import FeatureCache
from pipeline.finetune.settings import maps_config
from pipeline.finetune.task import Task
from pipeline.finetune.training.plan import Inputs, TrainingBatch
from pipeline.finetune.training.randomness import epoch_order
from pipeline.heads import softmax
from pipeline.heads.streamed import fits_in_memory
from pipeline.system.progress import Reporter


class _Maps(Reporter):
    """Tells what stage 1 does for a fine-tuning by a name of its own."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def advance(
        self, part: str, done: int, total: int, unit: str = "pictures", where: str = ""
    ) -> None:
        """Tell of ``maps``."""
        self._reporter.advance("maps", done, total, unit, where)


def cache_maps(task: Task, base: FrozenBase, reporter: Reporter) -> Caches:
    """Compute the activations that are missing, as stage 1 does; return where all of them are.

    Args:
        task: The pictures, and which views of them there are.
        base: Its cuts are what is cached.
        reporter: Is told after each batch.

    Raises:
        DataError: A picture that is trained on or judged has none.
    """
    config = maps_config(task.config, task.base, task.changed)
    found = extract(config, base, task.dataset, _Maps(reporter))
    clean, viewed, digests = found.caches.clean, found.caches.viewed, task.dataset.digests
    missing = set(task.rows[~clean.has(digests[task.rows])].tolist())
    for number in range(1, 1 + task.changed.n_views):
        assert viewed is not None, f"activations without views are asked for view {number}"
        missing |= set(task.fit[~viewed.has(digests[task.fit], number)].tolist())
    if missing:
        first = task.dataset.paths[min(missing)]
        reasons = {failure["path"]: failure["reason"] for failure in found.extraction.failed}
        raise DataError(
            f"expected activations of every picture to train on or to judge, received none of "
            f"{len(missing)}, first {first}: {reasons.get(first, 'they were not computed')}; mend "
            f"or remove it and run the same command again, the others are cached"
        )
    return found.caches


class CachedExamples:
    """Activations of a data set's pictures, and what the part above them says of them.

    Those that each epoch needs are held in memory where they fit, else read batch by batch.

    Args:
        task: The pictures, and which views of them there are.
        caches: Where their activations are.
        base: Its cuts are the inputs of ``tail``, in that order.
        tail: From these to logits (n, k).
        boundary: Where the base is cut below these.
    """

    def __init__(
        self,
        task: Task,
        caches: Caches,
        base: FrozenBase,
        tail: keras.Model,
        boundary: Boundary,
    ) -> None:
        self.network, self.boundary = tail, boundary
        self._task, self._dataset, self._caches = task, task.dataset, caches
        self._cuts = [(cut.layer, cut.pooling) for cut in base.cuts]
        self._n_views, self._batch_size = task.changed.n_views, task.config.batch_size
        self._forward: Callable[[Inputs], tf.Tensor] = _forward(tail)
        self._place_of = np.full(len(self._dataset), -1)
        self._held: list[Inputs] = []
        clean = np.concatenate([task.fit, task.validation])
        n_rows = self._n_views * len(task.fit) + len(clean)
        row_size = sum(prod(caches.clean.row_shape(cut)) for cut in self._cuts)
        if fits_in_memory(4 * n_rows * row_size):
            self._held = [self._read(clean, 0)]
            self._held += [self._read(task.fit, 1 + view) for view in range(self._n_views)]
            self._place_of[clean] = np.arange(len(clean))

    def batches(self, epoch: int) -> Iterator[TrainingBatch]:
        """Yield the training batches of an epoch, given its number."""
        task, size = self._task, self._batch_size
        ordered, views = epoch_order(task.fit, self._n_views, task.config.seed, epoch)
        for start in range(0, len(ordered), size):
            part = slice(start, start + size)
            inputs = self._inputs(ordered[part], views[part])
            yield inputs, self._dataset.labels[ordered[part]]

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


def _forward(tail: keras.Model) -> Any:
    """Return what computes logits in inference mode, compiled once for any number of rows."""

    @tf.function(reduce_retracing=True, autograph=False)
    def forward(inputs: Inputs) -> tf.Tensor:
        values = [tf.cast(part, tf.float32) for part in inputs]
        return tail(values if len(values) > 1 else values[0], training=False)

    return forward
