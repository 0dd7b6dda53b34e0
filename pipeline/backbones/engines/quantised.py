"""Networks in int8: made of OpenVINO's float model by NNCF, kept, taken along, and run.

The statistics of some pictures say what range of values each of its 256 steps has to cover. The
first two convolutions stay in float: they see the raw picture, take little time, and cost more
agreement than all others together.
"""

import io
import logging
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.backbones.engines.kept import (
    FILES,
    ComparedModel,
    KeptModel,
    find_kept,
    kept_models,
    quantised_as,
)
from pipeline.backbones.engines.network import GivenNetwork, Network, Outputs, brief
from pipeline.backbones.engines.openvino import OpenVINOEngine, told_as_a_fault
from pipeline.backbones.engines.precision import INT8, is_quantised
from pipeline.errors import InputError, StoreError, WeightsError
from pipeline.system.files import sha256
from pipeline.system.startup import import_nncf, import_openvino

ov = import_openvino()
logger = logging.getLogger(__name__)

N_IN_FLOAT = 2
LEAST_MEDIAN, LEAST = 0.97, 0.85
"""Cosines below which int8 is refused."""
BESIDE = {name: f"quantised{Path(name).suffix}" for name in FILES}
"""What the files are called beside the head of a run."""


@dataclass(frozen=True)
class Agreement:
    """How alike features are that were computed twice: cosines over pictures and outputs."""

    median: float
    least: float
    n: int

    @classmethod
    def of(cls, reference: Outputs, outputs: Outputs) -> "Agreement":
        """Compare outputs picture by picture; each counts by its worst output."""
        worst = np.ones(len(reference[0]))
        for one, other in zip(reference, outputs, strict=True):
            flat, other = one.reshape(len(one), -1), other.reshape(len(one), -1)
            lengths = np.linalg.norm(flat, axis=1) * np.linalg.norm(other, axis=1)
            cosines = (flat * other).sum(1) / np.maximum(lengths, np.finfo(np.float32).tiny)
            worst = np.minimum(worst, np.where(lengths == 0, flat.any(1) == other.any(1), cosines))
        worst = np.nan_to_num(worst, nan=-1.0)
        return cls(float(np.median(worst)), float(worst.min()), len(worst))

    @property
    def good(self) -> bool:
        """Whether that will do."""
        return self.median >= LEAST_MEDIAN and self.least >= LEAST

    def __str__(self) -> str:
        return f"cosine median {self.median:.3f}, least {self.least:.3f}, on {self.n} pictures"


def open_quantised(network: Network, batch_size: int, models: Path) -> OpenVINOEngine:
    """Return what runs a network whose identity names a quantised model.

    Raises:
        InputError: That model is nowhere any more.
        WeightsError: What a run brings along is another one, or none.
    """
    kept = find_kept(models, network)
    if kept is None and network.graph is None:
        raise InputError(
            f"expected the int8 model of {network.name} in {models}, which is gone; run the same "
            f"command again, or `pipeline features` first, to make one"
        )
    if kept is not None:
        model = _checked(kept.folder, FILES, network)
    else:
        assert network.graph is not None
        model = network.graph().model
    with told_as_a_fault():
        return OpenVINOEngine(model, network, batch_size)


def quantise(model: Any, pictures: np.ndarray, *, thorough: bool = False) -> Any:
    """Make a quantised model of a float one.

    Args:
        model: Input (n, size, size, 3) uint8.
        pictures: (n, size, size, 3) uint8, whose ranges of values it gets; at least 1.
        thorough: Correct what rounding shifts layer by layer; takes several times as long.

    Raises:
        InputError: NNCF is not installed, or cannot quantise the model.
    """
    nncf = import_nncf()
    nodes = model.get_ordered_ops()
    convolutions = [node for node in nodes if node.get_type_name().endswith("Convolution")]
    scope = [node.get_friendly_name() for node in convolutions[:N_IN_FLOAT]]
    try:
        with redirect_stdout(io.StringIO()):  # it draws bars
            made = nncf.quantize(
                model,
                nncf.Dataset([picture[None] for picture in pictures]),
                subset_size=len(pictures),
                fast_bias_correction=not thorough,
                ignored_scope=nncf.IgnoredScope(names=scope),
            )
    except (RuntimeError, ValueError, nncf.InternalError, nncf.UnsupportedModelError) as error:
        raise InputError(
            f"expected a base that NNCF can quantise, it fails: {brief(error)}; choose "
            f"--precision bfloat16 or float32"
        ) from error
    made.set_friendly_name(INT8)  # these names count what the process made before
    for number, node in enumerate(made.get_ordered_ops()):
        node.set_friendly_name(f"node_{number}")
    return made


def float_model(models: Path, network: Network) -> Any:
    """Return a kept model's float graph, cut to the network's outputs; OpenVINO has opened it.

    Raises:
        StoreError: It is not there: it could not be kept.
    """
    kept = find_kept(models, network)
    if kept is None or not kept.accepted:
        raise StoreError(
            f"expected the converted model of {network.name} in {models}, where none could be "
            f"kept; name another folder with --cache"
        )
    model = kept.read()
    outputs = [model.output(name) for name in network.outputs]
    return ov.Model(outputs, model.get_parameters()).clone()


def keep_quantised(models: Path, network: Network, model: Any, found: Agreement) -> str:
    """Keep a quantised model of a network; return the precision that names it.

    Args:
        models: Folder of the kept models.
        network: The network in float32.
        model: Of `quantise`.
        found: How far it agrees.

    Raises:
        StoreError: The folder cannot be written.
    """
    with tempfile.TemporaryDirectory() as folder:
        ov.save_model(model, Path(folder) / FILES[0], compress_to_fp16=False)
        precision = quantised_as({name: sha256(Path(folder) / name) for name in FILES})
    named = GivenNetwork(
        f"{network.name}-{INT8}",
        {**network.identity, "precision": precision},
        network.outputs,
        network.build,
    )
    differences = dict.fromkeys(network.outputs, 1 - found.least)
    ComparedModel(named, model, differences, 2.0).keep(models)
    return precision


def kept_precisions(models: Path, network: Network) -> list[str]:
    """Return the precisions that name quantised models of a network in float32."""
    return [
        str(kept.identity["precision"])
        for kept in kept_models(models)
        if is_quantised(kept.identity.get("precision")) and _is_of(kept, network)
    ]


def _is_of(kept: KeptModel, network: Network) -> bool:
    identity = {**kept.identity, "precision": network.identity["precision"]}
    return identity == dict(network.identity) and set(network.outputs) <= set(kept.differences)


def take_along(models: Path, network: Network, folder: Path) -> None:
    """Copy the quantised model that a network names beside the head of a run.

    Raises:
        StoreError: It is gone.
    """
    kept = find_kept(models, network)
    if kept is None:
        raise StoreError(
            f"expected the int8 model of {network.name} in {models}, which is gone; run the same "
            f"command again"
        )
    for name, other in BESIDE.items():
        shutil.copyfile(kept.folder / name, folder / other)


def read_beside(folder: Path, network: Network) -> Any:
    """Read the quantised model beside the head of a run; raises WeightsError as `_checked`."""
    return _checked(folder, tuple(BESIDE.values()), network)


def _checked(folder: Path, names: tuple[str, ...], network: Network) -> Any:
    """Read a quantised model if it is the one that a network names; anybody may have put it there.

    Raises:
        WeightsError: It is another one, damaged, gone, or none for such pictures.
    """
    said = network.identity["precision"]
    try:
        found = _digests(folder, names)
        if quantised_as(found) != said:
            raise ValueError("its SHA-256 is another one")
        model = ov.Core().read_model(folder / names[0], folder / names[1])
        size = network.identity["image_size"]
        taken = [(one.get_element_type(), one.get_partial_shape()) for one in model.inputs]
        if [(kind, list(sides)[1:]) for kind, sides in taken] != [(ov.Type.u8, [size, size, 3])]:
            raise ValueError(f"it takes {taken}, no pictures of {size} alone")
        for name in network.outputs:
            model.output(name)
    except (OSError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"expected in {folder} the int8 model that the recipe names ({said[:17]}…), received "
            f"another: {brief(error)}; restore its files, or compute with float32"
        ) from error
    return model


def _digests(folder: Path, names: tuple[str, ...]) -> Mapping[str, str]:
    for name in names:
        if not (folder / name).is_file():
            raise ValueError(f"no file {name}")
    return {name: sha256(folder / there) for name, there in zip(FILES, names, strict=True)}
