"""The CPU engine: OpenVINO, many small requests at once, the same bits for any batch size."""

import ctypes
import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any
from weakref import WeakSet

import numpy as np

from pipeline.backbones.engines.network import PROCESSOR, Network, Outputs, brief
from pipeline.backbones.engines.precision import BFLOAT16, FLOAT32
from pipeline.errors import InputError
from pipeline.system.startup import compile_openvino, import_openvino

ov = import_openvino()

# Without the second, processors with AMX compute in bfloat16 and ARM in float16: 9 % off.
HINT, PRECISION_HINT = {"PERFORMANCE_HINT": "THROUGHPUT"}, "INFERENCE_PRECISION_HINT"
# Larger requests fall out of the cache, smaller ones cost calls: 4 pictures of 224 × 224 are best.
PIXELS_PER_REQUEST = 4 * 224 * 224
MAX_PER_REQUEST = 16


@contextmanager
def told_as_a_fault() -> Iterator[None]:
    """Say in one sentence what OpenVINO raises about memory or the device; no model is at fault."""
    try:
        yield
    except RuntimeError as error:
        raise InputError(
            f"expected OpenVINO to compute on this machine, it fails: {brief(error)}; free some "
            f"memory, choose a smaller --batch-size, or --engine tensorflow"
        ) from error


Requests = list[tuple[Any, int]]
"""A batch on its way: its requests in order, each with the number of real pictures in it."""


class OpenVINOEngine:
    """Compute a model's outputs with asynchronous requests of a few pictures each.

    Every request has the same shape (the last one of a batch is filled up), and each runs on one
    stream, so a picture's features do not depend on the batch that it comes in: bit for bit.

    Args:
        model: Input ``images`` (n, size, size, 3) uint8; an output of each name of the network.
        network: What the model is.
        batch_size: Pictures in the batches that will come, to have requests enough.
        precision: bfloat16, or whatever else the model itself says: int8 where it is quantised.
    """

    name, device = "openvino", PROCESSOR

    def __init__(
        self, model: Any, network: Network, batch_size: int, precision: str = FLOAT32
    ) -> None:
        self.batch_size = batch_size
        wanted = [model.output(name) for name in network.outputs]
        # What lies above the wanted outputs goes; a clone, as reshaping reaches shared layers.
        chosen = ov.Model(wanted, model.get_parameters()).clone()
        size = int(model.inputs[0].get_partial_shape()[1].get_length())
        per_request = max(1, min(MAX_PER_REQUEST, batch_size, PIXELS_PER_REQUEST // size**2))
        chosen.reshape([per_request, size, size, 3])
        arithmetic = "bf16" if precision == BFLOAT16 else "f32"
        self._compiled = compile_openvino(chosen, {**HINT, PRECISION_HINT: arithmetic})
        self._outputs = [self._compiled.output(name) for name in network.outputs]
        self._shape = (per_request, size, size, 3)
        self._n_streams = int(self._compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        # Two requests a stream, or a stream would wait while its results are fetched.
        self._n_ahead = max(1, -(-2 * self._n_streams * per_request // batch_size))
        self._idle: deque[Any] = deque()
        _compiled_here.add(self)

    def outlive_the_process(self) -> None:
        """Never free what was compiled: in a forked process that waits for threads it has not."""
        for held in (self._compiled, self._outputs, self._idle):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(held))

    @property
    def trial_size(self) -> int:
        """Pictures of one request on every stream."""
        return self._n_streams * self._shape[0]

    @property
    def output_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of one picture's features, output by output."""
        return tuple(tuple(output.shape)[1:] for output in self._outputs)

    def empty(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return memory for the pictures of a batch."""
        return np.empty(shape, np.uint8)

    def run(self, batches: Iterable[np.ndarray]) -> Generator[Outputs, None, None]:
        """Yield one float32 array per output for each batch, in order."""
        on_the_way: deque[Requests] = deque()
        try:
            for images in batches:
                with told_as_a_fault():
                    on_the_way.append(self._start(images))
                if len(on_the_way) > self._n_ahead:
                    yield self._finish(on_the_way.popleft())
            while on_the_way:
                yield self._finish(on_the_way.popleft())
        finally:
            with told_as_a_fault():  # they read from arrays that are about to go
                for request, _ in chain(*on_the_way):
                    request.wait()
                    self._idle.append(request)

    def _start(self, images: np.ndarray) -> Requests:
        started: Requests = []
        step = self._shape[0]
        for start in range(0, len(images), step):
            request = self._idle.popleft() if self._idle else self._compiled.create_infer_request()
            part = images[start : start + step]
            request.start_async([self._filled_up(part)], share_inputs=True)
            started.append((request, len(part)))
        return started

    def _filled_up(self, part: np.ndarray) -> np.ndarray:
        if len(part) == self._shape[0]:
            return np.ascontiguousarray(part)
        whole = np.zeros(self._shape, np.uint8)
        whole[: len(part)] = part
        return whole

    def _finish(self, started: Requests) -> Outputs:
        """Wait for a batch and copy its outputs out of the requests, which are used again."""
        results = tuple(
            np.empty((sum(n_real for _, n_real in started), *shape), np.float32)
            for shape in self.output_shapes
        )
        row = 0
        for request, n_real in started:
            with told_as_a_fault():
                request.wait()
            for result, output in zip(results, self._outputs, strict=True):
                result[row : row + n_real] = request.get_tensor(output).data[:n_real]
            row += n_real
            self._idle.append(request)
        return results


_compiled_here: WeakSet[OpenVINOEngine] = WeakSet()


def _leave_to_the_parent() -> None:
    for engine in list(_compiled_here):
        engine.outlive_the_process()
    _compiled_here.clear()


os.register_at_fork(after_in_child=_leave_to_the_parent)
