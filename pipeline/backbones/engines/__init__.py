"""Running a frozen base fast. Knows tensors and models; never files, labels or caches."""

import logging
import sys
from collections.abc import Callable, Generator, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pipeline.backbones.engines.choice import (
    ENGINES,
    ChosenEngine,
    check_engine,
    choose_engine,
    chosen_precision,
    keras_engine,
    may_have_gpu,
    prefer_engine,
)
from pipeline.backbones.engines.devices import device_of
from pipeline.backbones.engines.kept import (
    ComparedModel,
    KeptModel,
    discard,
    find_kept,
    place_of,
)
from pipeline.backbones.engines.network import (
    Device,
    GivenNetwork,
    Network,
    Outputs,
    ReadNetwork,
    brief,
)
from pipeline.backbones.engines.parity import differences, parity_images
from pipeline.backbones.engines.precision import FLOAT32, is_quantised
from pipeline.errors import InputError
from pipeline.system.startup import import_keras, keras_order, require_framework

if TYPE_CHECKING:
    from pipeline.backbones.engines.framework import FrameworkEngine

__all__ = [
    "ENGINES",
    "Device",
    "Engine",
    "GivenNetwork",
    "Network",
    "ReadNetwork",
    "check_engine",
    "choose_engine",
    "chosen_precision",
    "find_kept",
    "open_engine",
    "prefer_engine",
]

logger = logging.getLogger(__name__)

BATCH_SIZE, GPU_BATCH_SIZE = 32, 128
"""Pictures per step where nobody asks: a GPU needs many to be busy."""
PARITY_LIMIT = 1e-4
"""Greatest difference between engines that passes, as a share of an output's greatest value."""


class Engine(Protocol):
    """Something that computes a base's outputs batch after batch."""

    @property
    def name(self) -> str:
        """What computes: a name of `ENGINES`."""
        ...

    @property
    def device(self) -> Device:
        """What it computes on, and how much memory that has."""
        ...

    @property
    def batch_size(self) -> int:
        """Pictures of a batch that it is best given."""
        ...

    @property
    def trial_size(self) -> int:
        """Pictures that keep the engine busy once, to see how fast it is."""
        ...

    @property
    def output_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of one picture's outputs, in order."""
        ...

    def empty(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return uint8 memory for the pictures of a batch, where the engine fetches them best."""
        ...

    def run(self, batches: Iterable[np.ndarray]) -> Generator[Outputs, None, None]:
        """Yield the outputs of each batch, in order, some batches behind what is taken.

        Closing it waits for what is on its way.

        Args:
            batches: Arrays (k, size, size, 3) uint8, RGB; k may differ from batch to batch.

        Yields:
            One float32 array (k, …) per output of the model, rows in the order of the batch.
        """
        ...


def open_engine(
    network: Network, engine: str, precision: str, batch_size: int | None, models: Path
) -> Engine:
    """Return what runs a network, from a kept converted model where there is one.

    Args:
        network: What to run; built under the precision's dtype policy, if at all.
        engine: One of `ENGINES`; auto is what sees a GPU, else OpenVINO, else what Keras runs on.
        precision: As the recipe says it.
        batch_size: Pictures per step, at least 1; None for what suits the device.
        models: Folder of the converted models.
    """
    check_engine(engine, precision)
    if batch_size is not None and batch_size < 1:
        raise InputError(f"expected at least 1 picture per step, received batch_size={batch_size}")
    if is_quantised(precision):
        from pipeline.backbones.engines.quantised import open_quantised

        return open_quantised(network, batch_size or BATCH_SIZE, models)
    if network.graph is not None:
        return _read(network, network.graph, precision, batch_size or BATCH_SIZE, models)
    chosen = choose_engine(engine, precision)
    opened = None
    if chosen.engine == "openvino":
        optional = engine == "auto" and precision == FLOAT32
        elsewhere = optional and keras_order()[:1] != ["tensorflow"]
        size = batch_size or BATCH_SIZE
        opened = _on_openvino(network, precision, size, models, elsewhere)
        if opened is None:
            reason = f"{chosen.reason}; OpenVINO would need TensorFlow once, to convert the base"
            chosen = ChosenEngine(keras_engine(), reason)
    if opened is None:
        opened = _on_framework(chosen.engine, network, precision, batch_size)
    version = sys.modules[opened.name].__version__.partition("-")[0]
    logger.info("engine: %s %s on %s (%s)", opened.name, version, opened.device, chosen.reason)
    return opened


def _read(
    network: Network,
    read: Callable[[], ReadNetwork],
    precision: str,
    batch_size: int,
    models: Path,
) -> Engine:
    """Return OpenVINO with a network that it reads itself, and keeps as it was compared."""
    from pipeline.backbones.engines.openvino import OpenVINOEngine, told_as_a_fault

    if may_have_gpu():
        logger.warning("%s is computed on the processor: OpenVINO sees no GPU here", network.name)
    kept = find_kept(models, network)
    if kept is None:
        made = read()
        model, difference = made.model, made.difference or 0.0
        found = dict.fromkeys(network.outputs, difference)
        ComparedModel(network, model, found, PARITY_LIMIT).keep_somewhere(models)
    else:
        difference = max(kept.differences[name] for name in network.outputs)
        model = kept.read() if kept.accepted else None
    if difference > PARITY_LIMIT:
        raise InputError(
            f"expected OpenVINO and ONNX Runtime to agree on {network.name}, they differ by "
            f"{difference:.1e} of the greatest value, more than the {PARITY_LIMIT:.0e} allowed; "
            f"bring the network as .keras"
        )
    with told_as_a_fault():
        return OpenVINOEngine(model, network, batch_size, precision)


def _on_framework(name: str, network: Network, precision: str, batch_size: int | None) -> Engine:
    device = device_of(name, precision)
    import_keras(name)
    from pipeline.backbones.engines.folding import folded
    from pipeline.backbones.engines.framework import dtype_policy

    kind = _engine_class(name)
    try:
        with dtype_policy(precision):
            model = folded(network.build())
        size = batch_size or (GPU_BATCH_SIZE if device.gpu else BATCH_SIZE)
        return kind(model, size, device)
    except kind.failures as error:
        raise InputError(
            f"expected {device} to hold {network.name}, {name} fails: {brief(error)}; end other "
            f"programs that use it, choose a smaller --backbone, or --engine openvino"
        ) from error


def _engine_class(name: str) -> "type[FrameworkEngine]":
    if name == "jax":
        from pipeline.backbones.engines.jax import JaxEngine

        return JaxEngine
    if name == "torch":
        from pipeline.backbones.engines.torch import TorchEngine

        return TorchEngine
    from pipeline.backbones.engines.tensorflow import TensorFlowEngine

    return TensorFlowEngine


def _on_openvino(
    network: Network, precision: str, batch_size: int, models: Path, elsewhere: bool
) -> Engine | None:
    """Return OpenVINO with a network, or TensorFlow where that has to stand in.

    Args:
        network: As for `open_engine`, as all but the last.
        precision: The same.
        batch_size: The same.
        models: The same.
        elsewhere: Give None, and leave TensorFlow alone, where another framework can compute.
    """
    kept, opened = find_kept(models, network), None
    if kept is not None and not kept.accepted and elsewhere:
        return None
    if kept is not None:
        opened = _opened(kept, network, precision, batch_size)
    if opened is None:
        opened = _direct(network, precision, batch_size, models)
    if opened is None and not elsewhere:
        opened = _convert(network, precision, batch_size, models)
    return opened


def _opened(kept: KeptModel, network: Network, precision: str, batch_size: int) -> Engine | None:
    """Return what runs a kept model, or TensorFlow for one that was refused; None for no model."""
    if not kept.accepted:
        _say_refused(kept.differences)
        _check_float(network, precision)
        return _on_framework("tensorflow", network, FLOAT32, batch_size)
    from pipeline.backbones.engines.openvino import OpenVINOEngine, told_as_a_fault

    try:
        model = kept.read()
    except RuntimeError as error:  # its files are whole, and still no model
        discard(kept.folder, brief(error))
        return None
    with told_as_a_fault():
        return OpenVINOEngine(model, network, batch_size, precision)


def _direct(network: Network, precision: str, batch_size: int, models: Path) -> Engine | None:
    """Make and keep a model without TensorFlow, if that can be, and NumPy computes the same.

    What its layers mean to Keras is the same on every machine: the tests hold every base of the
    catalog against TensorFlow. What may be wrong on one machine are OpenVINO's kernels, so that
    NumPy computes the graph here, on two pictures.
    """
    from pipeline.backbones.engines.openvino import OpenVINOEngine, told_as_a_fault

    if network.direct is None:
        return None
    place = place_of(models, network)
    logger.info("making %s for the CPU, once: it is kept in %s", network.name, place)
    model = network.direct()
    if model is None:
        return None
    from pipeline.backbones.numpy_graph import computed

    with told_as_a_fault():
        engine = OpenVINOEngine(model, network, batch_size)
    images = parity_images(model.inputs[0].get_partial_shape()[1].get_length())[:2]
    try:
        reference = computed(model, images)
    except KeyError as error:  # as another version of OpenVINO may write it
        logger.debug("NumPy cannot compute %s: a node %s", network.name, error)
        return None
    found = differences(reference, next(engine.run([images])), network)
    if (worst := max(found.values())) > PARITY_LIMIT:
        said = "%s is converted by TensorFlow: made without it, it is %.1e off"
        logger.warning(said, network.name, worst)
        return None
    ComparedModel(network, model, found, PARITY_LIMIT).keep_somewhere(models)
    return _in(precision, engine, model, network, batch_size)


def _convert(network: Network, precision: str, batch_size: int, models: Path) -> Engine:
    """Convert and keep a model that agrees with TensorFlow; else say so and stay with that."""
    from pipeline.backbones.engines.openvino import OpenVINOEngine

    require_framework("tensorflow", f"converting {network.name} for OpenVINO, once")
    place = place_of(models, network)
    logger.info("converting %s for the CPU, once: the result is kept in %s", network.name, place)
    device = device_of("tensorflow")
    import_keras("tensorflow")
    from pipeline.backbones.engines.conversion import convert
    from pipeline.backbones.engines.tensorflow import TensorFlowEngine

    model = network.build()
    images = parity_images(model.inputs[0].shape[1])
    reference = TensorFlowEngine(model, len(images))
    try:
        converted = convert(model, network)
        engine = OpenVINOEngine(converted, network, batch_size)
    except RuntimeError as error:  # what OpenVINO raises for an operation that it does not know
        logger.warning("OpenVINO cannot run %s, TensorFlow does: %s", network.name, brief(error))
        _check_float(network, precision)
        return TensorFlowEngine(model, batch_size, device)
    found = differences(next(reference.run([images])), next(engine.run([images])), network)
    ComparedModel(network, converted, found, PARITY_LIMIT).keep_somewhere(models)
    if max(found.values()) > PARITY_LIMIT:
        _say_refused(found)
        _check_float(network, precision)
        return TensorFlowEngine(model, batch_size, device)
    return _in(precision, engine, converted, network, batch_size)


def _in(precision: str, engine: Engine, model: Any, network: Network, batch_size: int) -> Engine:
    """Return an engine in float32, or the same model in another precision."""
    from pipeline.backbones.engines.openvino import OpenVINOEngine

    if precision == FLOAT32:
        return engine
    return OpenVINOEngine(model, network, batch_size, precision)


def _check_float(network: Network, precision: str) -> None:
    """Refuse a precision that TensorFlow, which has to stand in, does not compute in."""
    if precision != FLOAT32:
        raise InputError(
            f"expected a base that OpenVINO computes for --precision {precision}, received "
            f"{network.name}, which it does not; use --precision float32"
        )


def _say_refused(differences: Mapping[str, float]) -> None:
    worst = max(differences, key=lambda name: differences[name])
    logger.warning(
        "OpenVINO is not used: it differs from TensorFlow by %.1e of the greatest value at %s, "
        "more than the %.0e allowed; TensorFlow computes",
        differences[worst],
        worst,
        PARITY_LIMIT,
    )
