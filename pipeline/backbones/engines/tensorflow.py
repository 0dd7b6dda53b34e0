"""The reference engine: one ``tf.function``, on the CPU or a GPU."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline.backbones.engines.framework import FrameworkEngine
from pipeline.backbones.engines.network import PROCESSOR, Device


class TensorFlowEngine(FrameworkEngine):
    """Compute with TensorFlow: one function, compiled by XLA on a GPU."""

    name = "tensorflow"
    failures = (tf.errors.OpError,)

    def __init__(self, model: keras.Model, batch_size: int, device: Device = PROCESSOR) -> None:
        super().__init__(model, batch_size, device)

        @tf.function(jit_compile=device.gpu, autograph=False)
        def step(images: Any) -> list[Any]:
            outputs = model(tf.cast(images, tf.float32), training=False)
            return list(outputs) if isinstance(outputs, list | tuple) else [outputs]

        self._step = step

    def submit(self, images: np.ndarray) -> list[Any]:
        """Dispatch a step; a shape that was not there before is traced."""
        outputs: list[Any] = self._step(tf.convert_to_tensor(images))
        return outputs

    def fetch(self, step: list[Any]) -> Sequence[np.ndarray]:
        """Wait for a step's outputs."""
        return [tensor.numpy() for tensor in step]

    def out_of_memory(self, error: Exception) -> bool:
        """TensorFlow has a type for that."""
        return isinstance(error, tf.errors.ResourceExhaustedError)
