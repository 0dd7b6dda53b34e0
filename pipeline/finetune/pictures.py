"""Examples that are decoded as they are needed."""

from collections.abc import Callable, Generator, Iterator

import keras
import numpy as np

from pipeline.backbones.engines.tensorflow import TensorFlowEngine
from pipeline.errors import DataError
from pipeline.features.base import FrozenBase
from pipeline.finetune.settings import Changes
from pipeline.finetune.training.plan import Batch as TrainingBatch
from pipeline.finetune.training.randomness import epoch_order
from pipeline.images import Batch, Dataset, RowLoader, load_batches


class Pictures:
    """Pictures of a data set, and what a model says of them.

    Args:
        dataset: The pictures.
        base: How they are decoded.
        whole: Pictures to probabilities.
        changed: Which views there are.
        batch_size: Pictures per step.
        on_gpu: Whether there is one.
    """

    network: keras.Model | None = None
    """What batches go through, where that is not the whole model."""

    def __init__(
        self,
        dataset: Dataset,
        base: FrozenBase,
        whole: keras.Model,
        changed: Changes,
        batch_size: int,
        on_gpu: bool,
    ) -> None:
        self._dataset, self._base, self._changed = dataset, base, changed
        self._batch_size = batch_size
        self._engine = TensorFlowEngine(whole, batch_size, on_gpu)

    def batches(self, rows: np.ndarray, seed: int) -> Callable[[int], Iterator[TrainingBatch]]:
        """Return what yields the training batches of an epoch, given its number."""

        def of_epoch(epoch: int) -> Iterator[TrainingBatch]:
            ordered, views = epoch_order(rows, self._changed.n_views, seed, epoch)
            for batch in self._decoded(ordered, views):
                yield (batch.images,), self._dataset.labels[batch.rows]

        return of_epoch

    def probabilities(self, rows: np.ndarray) -> np.ndarray:
        """Return class probabilities (n, k) of pictures as they are, in the order of ``rows``."""
        images = (batch.images for batch in self._decoded(rows, np.zeros(len(rows), int)))
        return np.concatenate([output for (output,) in self._engine.run(images)]).astype(np.float64)

    def _decoded(self, rows: np.ndarray, views: np.ndarray) -> Generator[Batch, None, None]:
        """Decode the given rows, in that order; a picture that changed meanwhile is an error."""
        dataset = self._dataset
        loader = RowLoader(dataset.read, self._base.decoding, dataset.digests, self._changed.view)
        wanted = [(int(view),) for view in views]
        batches = load_batches(loader, rows, self._batch_size, views=wanted)
        for batch in batches:
            for failure in batch.failed:
                raise DataError(
                    f"expected the picture {self._dataset.paths[failure.row]} as it was when its "
                    f"features were computed: {failure.reason}; run the same command again"
                )
            yield batch
