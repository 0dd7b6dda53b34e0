"""The reference engine: one ``tf.function`` with a fixed signature, on the CPU or a GPU."""

import logging
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline.backbones.engines.network import Outputs
from pipeline.errors import InputError

logger = logging.getLogger(__name__)


def configure_devices(precision: str = "float32") -> bool:
    """Make results and memory predictable; return whether there is a GPU.

    Memory grows as needed instead of being taken whole, and TF32 is off for float32, because its
    ten-bit mantissa would make "float32" features differ from a CPU's by 1e-3.
    """
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:  # a program that embeds us has used the GPU already: its choice holds
            logger.info("memory growth of %s was decided before", gpu.name)
    tf.config.experimental.enable_tensor_float_32_execution(precision != "float32")
    return bool(gpus)


@contextmanager
def dtype_policy(precision: str) -> Iterator[None]:
    """Build models in ``precision`` inside the context, and leave the global policy as it was."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


class TensorFlowEngine:
    """Compute a model's outputs with one compiled function and batches of one shape.

    The last batch is padded, so nothing is traced twice. On a GPU the function is compiled by XLA,
    one batch is always in flight while the one before is fetched, and a batch that does not fit
    into memory is halved, visibly, and tried again.

    Args:
        model: Input (None, size, size, 3) RGB 0–255; one output or a list of them.
        batch_size: Pictures per step.
        on_gpu: Whether to compile with XLA.
    """

    name = "tensorflow"

    def __init__(self, model: keras.Model, batch_size: int, on_gpu: bool = False) -> None:
        self.model, self.batch_size, self._on_gpu = model, batch_size, on_gpu
        self._compile()

    def _compile(self) -> None:
        shape = (self.batch_size, *self.model.inputs[0].shape[1:])
        model = self.model

        @tf.function(
            input_signature=[tf.TensorSpec(shape, tf.uint8)],
            jit_compile=self._on_gpu,
            autograph=False,
        )
        def step(images: Any) -> list[Any]:
            outputs = model(tf.cast(images, tf.float32), training=False)
            return list(outputs) if isinstance(outputs, list | tuple) else [outputs]

        self._step: Callable[[Any], list[Any]] = step

    @property
    def trial_size(self) -> int:
        """Pictures of one step."""
        return self.batch_size

    @property
    def output_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of one picture's features, output by output."""
        return tuple(tuple(output.shape[1:]) for output in self.model.outputs)

    def run(self, batches: Iterable[np.ndarray]) -> Generator[Outputs, None, None]:
        """Yield one float32 array per output for each batch, in order."""
        in_flight: _Dispatched | None = None
        for images in batches:
            started = self._start(images)
            if in_flight is not None:
                yield self._finish(in_flight)
            in_flight = started
        if in_flight is not None:
            yield self._finish(in_flight)

    def _start(self, images: np.ndarray) -> "_Dispatched":
        """Dispatch a batch; without steps when the memory does not suffice already now."""
        size = self.batch_size
        try:
            steps = [
                self._step(_pad(images[start : start + size], size))
                for start in range(0, len(images), size)
            ]
        except tf.errors.ResourceExhaustedError:
            steps = None
        return _Dispatched(images, size, steps)

    def _finish(self, started: "_Dispatched") -> Outputs:
        """Fetch a dispatched batch; where the memory did not suffice, start it again, smaller."""
        while True:
            try:
                if started.steps is not None:
                    return self._fetch(started.steps, len(started.images))
            except tf.errors.ResourceExhaustedError:
                pass
            if started.size == self.batch_size:  # else the batch before has halved it already
                self._halve()
            started = self._start(started.images)

    def _fetch(self, steps: list[list[Any]], n_images: int) -> Outputs:
        if not steps:  # a batch in which no picture could be decoded
            return tuple(np.empty((0, *shape), np.float32) for shape in self.output_shapes)
        columns = zip(*steps, strict=True)
        return tuple(
            np.concatenate([tensor.numpy() for tensor in column])[:n_images] for column in columns
        )

    def _halve(self) -> None:
        if self.batch_size == 1:
            raise InputError(
                "expected memory for at least one picture at a time, the device has less; "
                "choose a smaller --image-size or --backbone"
            )
        self.batch_size //= 2
        logger.warning("out of device memory: going on with batches of %d", self.batch_size)
        self._compile()


@dataclass(frozen=True)
class _Dispatched:
    """A batch that was dispatched in steps of ``size``; None where memory did not suffice."""

    images: np.ndarray
    size: int
    steps: list[list[Any]] | None


def _pad(images: np.ndarray, size: int) -> np.ndarray:
    missing = size - len(images)
    return np.pad(images, ((0, missing), (0, 0), (0, 0), (0, 0))) if missing else images
