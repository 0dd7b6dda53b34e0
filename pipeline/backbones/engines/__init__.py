"""Running a frozen base fast. Knows tensors and models; never files, labels or caches."""

import importlib.util
import logging
import os
from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from pipeline.backbones.engines.kept import discard, find_kept, keep
from pipeline.backbones.engines.network import GivenNetwork, Network, Outputs, brief
from pipeline.errors import InputError, StoreError, UnknownNameError
from pipeline.system.startup import import_tensorflow

__all__ = [
    "ENGINES",
    "PRECISIONS",
    "Engine",
    "GivenNetwork",
    "Network",
    "check_engine",
    "choose_engine",
    "find_kept",
    "open_engine",
]

logger = logging.getLogger(__name__)


ENGINES = ("auto", "openvino", "tensorflow")
PRECISIONS = ("float32", "mixed_float16")
PARITY_LIMIT = 1e-4
"""Greatest difference between engines that passes, as a share of an output's greatest value."""


class Engine(Protocol):
    """Something that computes a base's outputs batch after batch."""

    name: str

    @property
    def trial_size(self) -> int:
        """Pictures that keep the engine busy once, to see how fast it is."""
        ...

    @property
    def output_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of one picture's outputs, in order."""
        ...

    def run(self, batches: Iterable[np.ndarray]) -> Generator[Outputs, None, None]:
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
    if engine == "openvino" and precision != "float32":
        raise InputError(
            f"expected precision=float32 for the engine openvino, received precision={precision}; "
            f"use --engine tensorflow"
        )


def open_engine(
    network: Network, engine: str, precision: str, batch_size: int, models: Path
) -> Engine:
    """Return what runs a network, from a kept converted model where there is one.

    Args:
        network: What to run; built under the precision's dtype policy, if at all.
        engine: One of `ENGINES`; auto is TensorFlow where there is a GPU, else OpenVINO.
        precision: One of `PRECISIONS`.
        batch_size: Pictures per step, at least 1.
        models: Folder of the converted models.
    """
    check_engine(engine, precision)
    if batch_size < 1:
        raise InputError(f"expected at least 1 picture per step, received batch_size={batch_size}")
    if choose_engine(engine, precision) == "openvino":
        return _openvino(network, batch_size, models)
    return _tensorflow(network, precision, batch_size)


# What the drivers of NVIDIA (Linux, WSL) and AMD leave, seen without any library.
_DEVICE_FILES = ("dev/nvidia0", "dev/nvidiactl", "proc/driver/nvidia/gpus", "dev/dxg", "dev/kfd")
_METAL = "tensorflow_metal"


def may_have_gpu(system: Path = Path("/")) -> bool:
    """Return whether TensorFlow may find a GPU here; False is certain, True has to be asked.

    Answered from the system, so that a machine without a GPU never pays for TensorFlow.

    Args:
        system: The root of the file system to look at.
    """
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return False
    if importlib.util.find_spec(_METAL):  # elsewhere TensorFlow knows a GPU by this plug-in alone
        return True
    return any((system / file).exists() for file in _DEVICE_FILES)


def choose_engine(engine: str, precision: str) -> str:
    """Return which engine a request means here; without a GPU that needs no TensorFlow."""
    if engine != "auto":
        return engine
    if precision != "float32":
        return "tensorflow"
    if not may_have_gpu():
        return "openvino"
    import_tensorflow()
    from pipeline.backbones.engines.tensorflow import configure_devices

    return "tensorflow" if configure_devices(precision) else "openvino"


def _tensorflow(network: Network, precision: str, batch_size: int) -> Engine:
    import_tensorflow()
    from pipeline.backbones.engines.tensorflow import (
        TensorFlowEngine,
        configure_devices,
        dtype_policy,
    )

    on_gpu = configure_devices(precision)
    with dtype_policy(precision):
        model = network.build()
    return TensorFlowEngine(model, batch_size, on_gpu)


def _openvino(network: Network, batch_size: int, models: Path) -> Engine:
    kept = find_kept(models, network)
    if kept is None:
        return _convert(network, batch_size, models)
    if not kept.accepted:
        _say_refused(kept.differences)
        return _tensorflow(network, "float32", batch_size)
    from pipeline.backbones.engines.openvino import OpenVINOEngine, told_as_a_fault

    try:
        model = kept.read()
    except RuntimeError as error:  # its files are whole, and still no model
        discard(kept.folder, brief(error))
        return _convert(network, batch_size, models)
    with told_as_a_fault():
        return OpenVINOEngine(model, network, batch_size)


def _convert(network: Network, batch_size: int, models: Path) -> Engine:
    """Convert and keep a model that agrees with TensorFlow; else say so and stay with that."""
    logger.info("converting %s for the CPU, once: the result is kept in %s", network.name, models)
    import_tensorflow()
    from pipeline.backbones.engines.conversion import convert, differences, parity_images
    from pipeline.backbones.engines.openvino import OpenVINOEngine
    from pipeline.backbones.engines.tensorflow import TensorFlowEngine, configure_devices

    on_gpu = configure_devices("float32")
    model = network.build()
    images = parity_images(model.inputs[0].shape[1])
    reference = TensorFlowEngine(model, len(images))
    try:
        converted = convert(model, network)
        engine = OpenVINOEngine(converted, network, batch_size)
    except RuntimeError as error:  # what OpenVINO raises for an operation that it does not know
        logger.warning("OpenVINO cannot run %s, TensorFlow does: %s", network.name, brief(error))
        return TensorFlowEngine(model, batch_size, on_gpu)
    found = differences(next(reference.run([images])), next(engine.run([images])), network)
    accepted = max(found.values()) <= PARITY_LIMIT
    try:
        keep(models, network, converted, found, PARITY_LIMIT)
    except StoreError as error:
        logger.warning("%s", error)
    if accepted:
        return engine
    _say_refused(found)
    return TensorFlowEngine(model, batch_size, on_gpu)


def _say_refused(differences: Mapping[str, float]) -> None:
    worst = max(differences, key=lambda name: differences[name])
    logger.warning(
        "OpenVINO is not used: it differs from TensorFlow by %.1e of the greatest value at %s, "
        "more than the %.0e allowed; TensorFlow computes",
        differences[worst],
        worst,
        PARITY_LIMIT,
    )
