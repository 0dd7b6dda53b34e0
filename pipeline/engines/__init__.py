"""Running a frozen base fast. Knows tensors and models; never files, labels or caches."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar

import numpy as np

from pipeline.errors import InputError, UnknownNameError
from pipeline.startup import import_tensorflow


class HasImages(Protocol):
    """A batch of decoded pictures."""

    @property
    def images(self) -> np.ndarray:
        """Pictures (k, size, size, 3) uint8, RGB."""
        ...


Batch = TypeVar("Batch", bound=HasImages)
Outputs = TypeVar("Outputs")

ENGINES = ("auto", "tensorflow")
PRECISIONS = ("float32", "mixed_float16")


class Engine(Protocol):
    """Something that computes a base's outputs batch after batch."""

    name: str

    def run(self, batches: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, ...]]:
        """Yield the outputs of each batch, in order.

        Args:
            batches: Arrays (k, size, size, 3) uint8, RGB; k may differ from batch to batch.

        Yields:
            One float32 array (k, …) per output of the model, rows in the order of the batch.
        """
        ...


def check_engine(engine: str, precision: str) -> None:
    """Raise `InputError` for an engine or a precision that does not exist."""
    if engine not in ENGINES:
        raise UnknownNameError("engine", engine, ENGINES, f"known: {', '.join(ENGINES)}")
    if precision not in PRECISIONS:
        raise InputError(
            f"expected a precision of {', '.join(PRECISIONS)}, received precision={precision!r}"
        )


def paired(
    run: Callable[[Iterator[np.ndarray]], Iterator[Outputs]],
    batches: Iterable[Batch],
) -> Iterator[tuple[Batch, Outputs]]:
    """Pair each batch with what ``run`` makes of its pictures, although that runs one ahead.

    Args:
        run: Turns batches of pictures into outputs, in order; an engine's ``run`` is one.
        batches: Anything with ``images`` (k, s, s, 3) uint8.
    """
    waiting: deque[Batch] = deque()

    def images() -> Iterator[np.ndarray]:
        for batch in batches:
            waiting.append(batch)
            yield batch.images

    for outputs in run(images()):
        yield waiting.popleft(), outputs


def open_engine(build: Callable[[], Any], engine: str, precision: str, batch_size: int) -> Engine:
    """Build a model in the right precision and return what runs it.

    Args:
        build: Makes the Keras model; called once, under the precision's dtype policy.
        engine: One of `ENGINES`; auto is TensorFlow, on a GPU where there is one.
        precision: One of `PRECISIONS`.
        batch_size: Pictures per step, at least 1.
    """
    check_engine(engine, precision)
    if batch_size < 1:
        raise InputError(f"expected at least 1 picture per step, received batch_size={batch_size}")
    import_tensorflow()
    from pipeline.engines.tensorflow import TensorFlowEngine, configure_devices, dtype_policy

    on_gpu = configure_devices(precision)
    with dtype_policy(precision):
        model = build()
    return TensorFlowEngine(model, batch_size, on_gpu)
