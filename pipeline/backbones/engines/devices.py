"""What each framework computes on, and how it is told to compute alike everywhere.

In float32 that is float32: the ten-bit mantissa of TF32 would make features differ from a
processor's by 1e-3. Imports frameworks late, and never Keras.
"""

import logging
import os
import warnings
from dataclasses import replace

from pipeline.backbones.engines.network import PROCESSOR, Device, brief
from pipeline.errors import InputError
from pipeline.system.startup import import_framework

logger = logging.getLogger(__name__)


def device_of(name: str, precision: str = "float32") -> Device:
    """Import a framework, make its results predictable, return what it computes on.

    Raises:
        InputError: It cannot be imported, or finds nothing to compute on.
    """
    import_framework(name, f"--engine {name}")
    try:
        return {"jax": _jax, "torch": _torch, "tensorflow": _tensorflow}[name](precision)
    except RuntimeError as error:  # a driver that is too old, a card that is taken or gone
        raise InputError(
            f"expected {name} to find what it computes on, it fails: {brief(error)}; mend the "
            f"driver, or choose --engine openvino"
        ) from error


def _tensorflow(precision: str) -> Device:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    tf.config.experimental.enable_tensor_float_32_execution(precision != "float32")
    if not gpus:
        return replace(PROCESSOR, count=len(tf.config.list_logical_devices("CPU")))
    details = tf.config.experimental.get_device_details(gpus[0])
    used = tf.config.list_logical_devices("GPU")  # without those that it has no kernels for
    return Device(details.get("device_name", gpus[0].name), gpu=True, count=len(used))


def _jax(precision: str) -> Device:
    import jax

    # It warns of every fork; workers of ours become another program at once.
    warnings.filterwarnings("ignore", r"os\.fork\(\) was called", RuntimeWarning)
    # Its precision is said where the engine computes.
    first, *others = jax.devices()
    if first.platform == "cpu":
        return replace(PROCESSOR, count=1 + len(others))
    memory = (first.memory_stats() or {}).get("bytes_limit")
    return Device(first.device_kind, True, memory, 1 + len(others))


def _torch(precision: str) -> Device:
    import torch

    # "tf32" for the 16-bit recipes, whose sums are of 32 bits.
    torch.backends.cuda.matmul.allow_tf32 = precision != "float32"
    torch.backends.cudnn.allow_tf32 = precision != "float32"
    torch.backends.cudnn.benchmark = True  # all batches have one shape
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")  # of a driver that is too old, say
        gpu = torch.cuda.is_available() and os.environ.get("KERAS_TORCH_DEVICE") != "cpu"
    for warning in told:
        logger.info("torch: %s", brief(warning.message))
    os.environ["KERAS_TORCH_DEVICE"] = "cuda" if gpu else "cpu"  # it takes others, if it may
    if not gpu:
        return PROCESSOR
    count = torch.cuda.device_count()
    for card in range(count):  # one that is too old for this PyTorch is seen, and fails
        (torch.ones(1, device=f"cuda:{card}") + 1).item()
    properties = torch.cuda.get_device_properties(0)
    return Device(properties.name, True, properties.total_memory, count)
