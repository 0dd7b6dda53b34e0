"""Which engine computes here, and why: asked of the system first, of one framework then.

A machine without a GPU imports nothing for the answer. Where there is one, the frameworks that can
use it are asked one after another, and the first that sees it is imported anyway to compute.
"""

import logging
import os
import re
import sys
from ctypes.util import find_library
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from pipeline.backbones.engines.devices import device_of
from pipeline.backbones.engines.precision import (
    BFLOAT16,
    FAST,
    FLOAT32,
    INT8,
    MIXED,
    OF_OPENVINO,
    PRECISIONS,
    gains,
    kind_of,
)
from pipeline.errors import InputError, UnknownNameError
from pipeline.system.startup import (
    EXTRAS,
    configured_backend,
    imported_backend,
    installed,
    installed_version,
    keras_order,
    prefer_keras,
)

logger = logging.getLogger(__name__)

ENGINES = ("auto", "openvino", "tensorflow", "jax", "torch")
GPU_ORDER = ("jax", "torch", "tensorflow")
"""Who is asked first for a GPU, unless the user configured Keras for another."""


@dataclass(frozen=True)
class ChosenEngine:
    """An engine, and why it is that.

    Args:
        engine: One of `ENGINES`, not auto.
        reason: Ends the line that says what computes.
    """

    engine: str
    reason: str


def check_engine(engine: str, precision: str) -> None:
    """Refuse an engine or a precision that does not exist or is not installed; imports nothing.

    Raises:
        InputError: There is no such thing here.
    """
    if engine not in ENGINES:
        raise UnknownNameError("engine", engine, ENGINES, f"known: {', '.join(ENGINES)}")
    kind = kind_of(precision)
    if kind not in PRECISIONS:
        raise InputError(
            f"expected a precision of {', '.join(PRECISIONS)}, received precision={precision!r}"
        )
    if engine == "openvino" and kind in MIXED:
        raise InputError(
            f"expected precision=float32, bfloat16, int8 or fast for the engine openvino, received "
            f"precision={precision}; use --engine tensorflow, jax or torch"
        )
    if engine in EXTRAS and kind in OF_OPENVINO:
        raise InputError(
            f"expected precision=float32, {' or '.join(MIXED)} for the engine {engine}, received "
            f"precision={kind}, which OpenVINO computes; use --engine openvino or auto"
        )
    if engine != "auto" and not installed(engine):
        package = f"'bottleneck-pipeline[{EXTRAS[engine]}]'" if engine in EXTRAS else engine
        raise InputError(
            f"expected {engine} to be installed, received engine={engine}; run: pip install "
            f"{package}, or use --engine auto"
        )


def prefer_engine(engine: str) -> None:
    """Let Keras, should it be imported for other things first, run on what an engine needs."""
    if engine == "auto":
        able = [name for name in _asked_first() if _can_use_gpu(name)] if may_have_gpu() else []
        prefer_keras(able[0] if able else None)
    else:
        prefer_keras("tensorflow" if engine == "openvino" else engine)


def choose_engine(engine: str, precision: str) -> ChosenEngine:
    """Return which engine a request means here; without a GPU that imports nothing."""
    if engine != "auto":
        return ChosenEngine(engine, "asked for")
    if kind_of(precision) in OF_OPENVINO:
        return ChosenEngine("openvino", f"in {kind_of(precision)}")
    reason = "no GPU is seen"
    if may_have_gpu():
        for name in _asked_first():
            if _can_use_gpu(name) and _sees_gpu(name):
                return ChosenEngine(name, "the first that sees a GPU")
        reason = "there may be a GPU, and no framework that is installed can use it"
    if precision == "float32" and installed("openvino"):
        return ChosenEngine("openvino", reason)
    return ChosenEngine(keras_engine(), reason)


def chosen_precision(engine: str, precision: str) -> str:
    """Return what ``fast`` means for an engine on this machine; all else is what it says.

    What this processor would not compute faster is told.
    """
    if precision in OF_OPENVINO and not gains(precision):
        logger.warning(
            "this processor has no instructions for %s: float32 may be as fast", precision
        )
    if precision != FAST:
        return precision
    fastest = _fastest(choose_engine(engine, FLOAT32).engine)
    logger.info("the fastest precision here is %s", fastest)
    return fastest


def _fastest(engine: str) -> str:
    if engine != "openvino":
        return MIXED[0] if device_of(engine).gpu else FLOAT32
    if gains(INT8) and installed("nncf"):
        return INT8
    return BFLOAT16 if gains(BFLOAT16) else FLOAT32


def keras_engine() -> str:
    """Return the engine on what Keras runs on here.

    Raises:
        InputError: There is none.
    """
    if not (order := keras_order()):
        raise InputError(
            f"expected one of openvino, {', '.join(EXTRAS)} to compute with, none is installed; "
            f"run: pip install openvino tensorflow"
        )
    return order[0]


def _asked_first() -> list[str]:
    """Return the frameworks in the order in which they are asked for a GPU."""
    if (backend := imported_backend()) is not None:
        return [backend]
    told = configured_backend()
    return sorted(GPU_ORDER, key=lambda name: name != told)


# What the drivers of NVIDIA (Linux, WSL) and AMD leave, seen without any library.
_DEVICE_FILES = ("dev/nvidia0", "dev/nvidiactl", "proc/driver/nvidia/gpus", "dev/dxg", "dev/kfd")
_METAL = "tensorflow_metal"


def may_have_gpu(system: Path = Path("/")) -> bool:
    """Return whether there may be a GPU here; False is certain, True has to be asked.

    Answered from the system, so that a machine without a GPU never pays for a framework.

    Args:
        system: The root of the file system to look at.
    """
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return False
    if installed(_METAL):  # elsewhere TensorFlow knows a GPU by this plug-in alone
        return True
    return any((system / file).exists() for file in _DEVICE_FILES)


def _can_use_gpu(name: str) -> bool:
    """Return whether an installed framework can use a GPU, by what lies on disk."""
    if not installed(name):
        return False
    if name == "jax":
        return bool(metadata.entry_points(group="jax_plugins")) or installed("jax_plugins")
    if name == "torch":
        spec = find_spec("torch")
        folders = (spec and spec.submodule_search_locations) or ()
        files = [path for folder in folders if (path := Path(folder, "version.py")).is_file()]
        built = re.compile(r"^(cuda|hip)\b[^=\n]*=\s*['\"]", re.MULTILINE)
        return any(built.search(path.read_text("utf-8")) for path in files)
    if installed(_METAL) or installed_version("tensorflow-rocm") is not None:
        return True
    return installed("nvidia.cudnn") or _has_cudnn()


def _has_cudnn() -> bool:
    """Return whether CUDA's library for networks, which TensorFlow alone lacks, is on the system.

    Else each command would import TensorFlow on a machine with a GPU, to be told that it is not.
    """
    folders = [*os.environ.get("LD_LIBRARY_PATH", "").split(":"), f"{sys.prefix}/lib"]
    there = any(any(Path(folder).glob("libcudnn.so*")) for folder in folders if folder)
    return there or find_library("cudnn") is not None


def _sees_gpu(name: str) -> bool:
    """Import a framework and ask it; what is installed and broken is told."""
    try:
        device = device_of(name)
    except InputError as error:
        logger.warning("%s", error)
        return False
    if not device.gpu:
        logger.warning("%s is installed for a GPU, and sees none: its driver may not fit", name)
    return device.gpu
