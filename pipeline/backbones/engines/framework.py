"""What the engines on a framework's devices have in common. A Keras module, of no framework.

Batches of one shape, so that nothing is compiled twice; the next batch is on its way while the one
before is fetched, and one more for each further device; a batch for which the memory does not
suffice is halved and tried again.
"""

import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import Any, ClassVar

import keras
import numpy as np

from pipeline.backbones.engines.network import Device, Outputs, brief
from pipeline.errors import InputError

logger = logging.getLogger(__name__)


_NO_MEMORY = (
    "out of memory",
    "out_of_memory",
    "resource_exhausted",
    "allocate memory",
    "alloc_failed",
    "allocation_failed",
    "dst tensor is not initialized",
    "unable to find an engine",
    "unable to find a valid cudnn algorithm",
)
"""What frameworks and their libraries say, in small letters, where less at a time may do."""


@contextmanager
def dtype_policy(precision: str) -> Iterator[None]:
    """Build models in ``precision`` inside the context, and leave the global policy as it was."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@dataclass(frozen=True)
class _Dispatched:
    """A batch that was dispatched in steps of ``size``; None where memory did not suffice."""

    images: np.ndarray
    size: int
    steps: list[Any] | None


class FrameworkEngine(ABC):
    """Compute a model's outputs step by step on a framework's device.

    Args:
        model: Input (None, size, size, 3) RGB 0–255; one output or a list of them.
        batch_size: Pictures per step; the last step of a batch is filled up.
        device: What computes; where there are several, steps are dealt to them in turn.
    """

    name: ClassVar[str]
    failures: ClassVar[tuple[type[Exception], ...]]
    """What the framework raises where a device fails, whatever the reason."""

    def __init__(self, model: keras.Model, batch_size: int, device: Device) -> None:
        self.model, self.batch_size, self.device = model, batch_size, device
        self._cards = cycle(range(device.count))

    def empty(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return memory for the pictures of a batch."""
        return np.empty(shape, np.uint8)

    @abstractmethod
    def place(self, images: np.ndarray, card: int) -> Any:
        """Send (batch_size, size, size, 3) uint8 to a device; return what `compute` takes."""

    @abstractmethod
    def compute(self, placed: Any, card: int) -> Any:
        """Dispatch a step on the device that its pictures are on; return what `fetch` takes."""

    @abstractmethod
    def fetch(self, step: Any) -> Sequence[np.ndarray]:
        """Wait for a step; return its outputs in float32."""

    def submit(self, images: np.ndarray) -> Any:
        """Dispatch a step on the device whose turn it is, without waiting."""
        card = next(self._cards)
        return self.compute(self.place(images, card), card)

    def out_of_memory(self, error: Exception) -> bool:
        """Return whether one of the `failures` means that less at a time may do.

        The frameworks have types for that, and often raise others: the text says it.
        """
        return any(words in str(error).lower() for words in _NO_MEMORY)

    @property
    def trial_size(self) -> int:
        """Pictures of one step on each device."""
        return self.batch_size * self.device.count

    @property
    def output_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of one picture's features, output by output."""
        return tuple(tuple(output.shape[1:]) for output in self.model.outputs)

    def run(self, batches: Iterable[np.ndarray]) -> Generator[Outputs, None, None]:
        """Yield one float32 array per output for each batch, in order."""
        in_flight: deque[_Dispatched] = deque()
        for images in batches:
            in_flight.append(self._start(images))
            if len(in_flight) > self.device.count:
                yield self._finish(in_flight.popleft())
        while in_flight:
            yield self._finish(in_flight.popleft())

    def _start(self, images: np.ndarray) -> _Dispatched:
        """Dispatch a batch; without steps when the memory does not suffice already now."""
        size = self.batch_size
        starts = range(0, len(images), size)
        try:
            with self._failures_told():
                steps = [self.submit(_pad(images[at : at + size], size)) for at in starts]
        except MemoryError:
            return _Dispatched(images, size, None)
        return _Dispatched(images, size, steps)

    def _finish(self, started: _Dispatched) -> Outputs:
        """Fetch a dispatched batch; where the memory did not suffice, start it again, smaller."""
        while True:
            try:
                if started.steps is not None:
                    with self._failures_told():
                        fetched = [self.fetch(step) for step in started.steps]
                    return self._joined(fetched, len(started.images))
            except MemoryError:
                pass
            images, size = started.images, started.size
            del started  # gives its memory back
            if size == self.batch_size:  # else the batch before has halved it already
                self._halve()
            started = self._start(images)

    def _joined(self, fetched: list[Sequence[np.ndarray]], n_images: int) -> Outputs:
        if not fetched:  # a batch in which no picture could be decoded
            return tuple(np.empty((0, *shape), np.float32) for shape in self.output_shapes)
        return tuple(np.concatenate(column)[:n_images] for column in zip(*fetched, strict=True))

    def _halve(self) -> None:
        if self.batch_size == 1:
            raise InputError(
                f"expected memory for at least one picture at a time, {self.device} has less free; "
                f"choose a smaller --image-size or --backbone, or --engine openvino"
            )
        self.batch_size //= 2
        logger.warning("out of device memory: going on with batches of %d", self.batch_size)

    @contextmanager
    def _failures_told(self) -> Iterator[None]:
        """Turn what a framework raises into MemoryError, or into one sentence."""
        try:
            yield
        except self.failures as error:
            if self.out_of_memory(error):
                raise MemoryError(brief(error)) from error
            raise InputError(
                f"expected {self.device} to compute, {self.name} fails: {brief(error)}; what was "
                f"computed before is kept; begin again, or choose --engine openvino"
            ) from error


def _pad(images: np.ndarray, size: int) -> np.ndarray:
    missing = size - len(images)
    return np.pad(images, ((0, missing), (0, 0), (0, 0), (0, 0))) if missing else images
