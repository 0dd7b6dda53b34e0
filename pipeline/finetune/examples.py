"""What is trained on and judged by: decoded pictures, or cached activations. A Keras module."""

import logging
from collections.abc import Generator, Iterator

import keras
import numpy as np

from pipeline.backbones.engines.network import Device
from pipeline.backbones.engines.tensorflow import TensorFlowEngine
from pipeline.errors import DataError
from pipeline.finetune.maps import CachedExamples, cache_maps
from pipeline.finetune.network import BaseWithHead, boundary_base, boundary_of, tail_of
from pipeline.finetune.settings import TAIL
from pipeline.finetune.task import Task
from pipeline.finetune.training.plan import TrainingBatch
from pipeline.finetune.training.randomness import epoch_order
from pipeline.images import Batch, RowLoader, load_batches
from pipeline.system.progress import Reporter

logger = logging.getLogger(__name__)


def open_examples(
    task: Task, network: BaseWithHead, device: Device, reporter: Reporter
) -> "DecodedExamples | CachedExamples":
    """Return the examples of a mode; caches the activations that ``tail`` needs first.

    Raises:
        InputError: Nothing is frozen where activations are to be cached.
        DataError: A picture that will be needed cannot be read as it was.
        StoreError: The disk cannot hold the activations.
    """
    if task.config.mode != TAIL:
        examples = DecodedExamples(task, network.whole, device)
        examples.check(task.test)
        return examples
    boundary, lowest = boundary_of(network, task.base, task.config.unfreeze), network.learning[0]
    logger.info("training %s on cached activations of %s", lowest, boundary.layer)
    if boundary.between:
        logger.info(
            "%d frozen layers above it are computed in each step, since no single layer nearer to "
            "%s has all that it sees",
            len(boundary.between),
            lowest,
        )
    below = boundary_base(task.base, boundary)
    caches = cache_maps(task, below, reporter)
    return CachedExamples(task, caches, below, tail_of(network, boundary), boundary)


class DecodedExamples:
    """Pictures that are decoded as they are needed, and go through the whole model.

    Args:
        task: The pictures, and which views of them there are.
        whole: Pictures to probabilities.
        device: What computes.
    """

    network = boundary = None

    def __init__(self, task: Task, whole: keras.Model, device: Device) -> None:
        self._task, self._dataset = task, task.dataset
        self._engine = TensorFlowEngine(whole, task.config.batch_size, device)

    def batches(self, epoch: int) -> Iterator[TrainingBatch]:
        """Yield the training batches of an epoch, given its number."""
        task = self._task
        ordered, views = epoch_order(task.fit, task.changed.n_views, task.config.seed, epoch)
        for batch in self._decoded(ordered, views):
            yield (batch.images,), self._dataset.labels[batch.rows]

    def probabilities(self, rows: np.ndarray) -> np.ndarray:
        """Return class probabilities (n, k) of pictures as they are, in the order of ``rows``."""
        images = (batch.images for batch in self._decoded(rows, np.zeros(len(rows), int)))
        return np.concatenate([output for (output,) in self._engine.run(images)]).astype(np.float64)

    def check(self, rows: np.ndarray) -> None:
        """Decode pictures that are needed only when training is over, to know that they can be.

        Raises:
            DataError: One cannot.
        """
        for _ in self._decoded(rows, np.zeros(len(rows), int)):
            pass

    def _decoded(self, rows: np.ndarray, views: np.ndarray) -> Generator[Batch, None, None]:
        """Decode the given rows, in that order; a picture that changed meanwhile is an error."""
        task, dataset = self._task, self._dataset
        loader = RowLoader(dataset.read, task.base.decoding, dataset.digests, task.changed.view)
        wanted = [(int(view),) for view in views]
        batches = load_batches(loader, rows, task.config.batch_size, views=wanted)
        for batch in batches:
            for failure in batch.failed:
                raise DataError(
                    f"expected the picture {self._dataset.paths[failure.row]} as it was when its "
                    f"features were computed: {failure.reason}; run the same command again"
                )
            yield batch
