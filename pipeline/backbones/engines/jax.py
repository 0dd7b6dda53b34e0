"""The engine on JAX: one jitted function, weights as arguments, uint8 pictures over the bus."""

from collections.abc import Sequence
from typing import Any

import jax
import keras
import numpy as np

from pipeline.backbones.engines.framework import FrameworkEngine
from pipeline.backbones.engines.network import PROCESSOR, Device
from pipeline.system.files import user_cache


class JaxEngine(FrameworkEngine):
    """Compute with JAX.

    No buffer is donated: the pictures are uint8 and can hold none of the outputs, and the weights
    are needed again.
    """

    name = "jax"
    failures = (jax.errors.JaxRuntimeError,)

    def __init__(self, model: keras.Model, batch_size: int, device: Device = PROCESSOR) -> None:
        super().__init__(model, batch_size, device)
        weights = (
            [variable.value for variable in model.trainable_variables],
            [variable.value for variable in model.non_trainable_variables],
        )
        self._places = jax.devices()[: device.count]
        self._weights = [jax.device_put(weights, place) for place in self._places]
        # Exact float32, so that features may stand beside other engines' in one cache.
        exact = model.dtype_policy.name == "float32"
        self._precision = "highest" if exact else None

        def step(learnt: list[Any], fixed: list[Any], images: Any) -> list[Any]:
            outputs, _ = model.stateless_call(
                learnt, fixed, images.astype("float32"), training=False
            )
            return list(outputs) if isinstance(outputs, list | tuple) else [outputs]

        keep_compiled()
        self._step = jax.jit(step)

    def place(self, images: np.ndarray, card: int) -> Any:
        """Send pictures to a device."""
        return jax.device_put(images, self._places[card])

    def compute(self, placed: Any, card: int) -> list[Any]:
        """Dispatch a step, and the way back of its outputs."""
        with jax.default_matmul_precision(self._precision):
            outputs: list[Any] = self._step(*self._weights[card], placed)
        for output in outputs:
            output.copy_to_host_async()
        return outputs

    def fetch(self, step: list[Any]) -> Sequence[np.ndarray]:
        """Wait for a step's outputs."""
        return [np.asarray(output) for output in step]


def keep_compiled() -> None:
    """Let JAX keep what it compiled, unless it was told where, or not to.

    In the user's own folder: compiled programs are run as they are, and a feature cache may come
    from somebody else.
    """
    folder = user_cache("jax")
    if jax.config.jax_compilation_cache_dir is None and folder is not None:
        jax.config.update("jax_compilation_cache_dir", str(folder))
