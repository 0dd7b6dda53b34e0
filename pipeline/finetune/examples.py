"""What is trained on and judged by: decoded pictures, or cached activations."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pipeline.backbones.boundary import Boundary
from pipeline.finetune.maps import Maps, cache_maps
from pipeline.finetune.network import Network, boundary_base, boundary_of, tail_of
from pipeline.finetune.pictures import Pictures
from pipeline.finetune.settings import TAIL, maps_config
from pipeline.finetune.task import Task
from pipeline.finetune.training.plan import Batch
from pipeline.system.progress import Reporter

logger = logging.getLogger("pipeline")


class Examples(Protocol):
    """Training batches, and what the model as it is says of pictures."""

    @property
    def network(self) -> Any:
        """The model that batches go through; None for the whole one."""
        ...

    def batches(self, rows: np.ndarray, seed: int) -> Callable[[int], Iterator[Batch]]:
        """Return what yields the training batches of an epoch, given its number."""
        ...

    def probabilities(self, rows: np.ndarray) -> np.ndarray:
        """Return class probabilities (n, k) of pictures as they are, in the order of ``rows``."""
        ...


@dataclass(frozen=True)
class Opened:
    """Examples, and where the base is cut below them, if it is."""

    examples: Examples
    boundary: Boundary | None


def open_examples(task: Task, network: Network, on_gpu: bool, reporter: Reporter) -> Opened:
    """Return the examples of a mode; caches the activations that ``tail`` needs first.

    Raises:
        InputError: Nothing is frozen where activations are to be cached.
        StoreError: The disk cannot hold them.
    """
    if task.config.mode == TAIL:
        return _open_maps(task, network, reporter)
    pictures = Pictures(
        task.dataset, task.base, network.whole, task.changed, task.config.batch_size, on_gpu
    )
    return Opened(pictures, None)


def _open_maps(task: Task, network: Network, reporter: Reporter) -> Opened:
    config, changed = task.config, task.changed
    boundary = boundary_of(network, task.base, config.unfreeze)
    _say(boundary, network)
    below = boundary_base(task.base, boundary)
    settings = maps_config(config, task.base, changed)
    caches = cache_maps(settings, below, task.dataset, reporter)
    tail = tail_of(network, boundary)
    sizes = (changed.n_views, config.batch_size)
    maps = Maps(task.dataset, caches, below, tail, *sizes, task.fit, task.validation)
    return Opened(maps, boundary)


def _say(boundary: Boundary, network: Network) -> None:
    """Say where the base is cut, and what of the frozen part is computed in every step anyway."""
    logger.info("training %s on cached activations of %s", network.learning[0], boundary.layer)
    if boundary.between:
        logger.info(
            "%d frozen layers above it are computed in each step, since no single layer nearer to "
            "%s has all that it sees",
            len(boundary.between),
            network.learning[0],
        )
