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
        kind = "GPU" if device.gpu else "CPU"
        self._places = [f"{kind}:{card}" for card in range(device.count)]
        self._steps = [self._step(model), *map(self._step_elsewhere, self._places[1:])]

    def place(self, images: np.ndarray, card: int) -> Any:
        """Send pictures to a device."""
        with tf.device(self._places[card]):
            return tf.convert_to_tensor(images)

    def compute(self, placed: Any, card: int) -> list[Any]:
        """Dispatch a step; a shape that was not there before is traced."""
        with tf.device(self._places[card]):
            outputs: list[Any] = self._steps[card](placed)
        return outputs

    def fetch(self, step: list[Any]) -> Sequence[np.ndarray]:
        """Wait for a step's outputs."""
        return [tensor.numpy() for tensor in step]

    def out_of_memory(self, error: Exception) -> bool:
        """TensorFlow has a type for that, too."""
        return isinstance(error, tf.errors.ResourceExhaustedError) or super().out_of_memory(error)

    def _step_elsewhere(self, place: str) -> Any:
        """Return a step with weights of its own: those of the model are on the first device."""
        with tf.device(place):
            copy = keras.models.clone_model(self.model)
            copy.set_weights(self.model.get_weights())
        return self._step(copy)

    def _step(self, model: keras.Model) -> Any:
        @tf.function(jit_compile=self.device.gpu, autograph=False)
        def step(images: Any) -> list[Any]:
            outputs = model(tf.cast(images, tf.float32), training=False)
            return list(outputs) if isinstance(outputs, list | tuple) else [outputs]

        return step
