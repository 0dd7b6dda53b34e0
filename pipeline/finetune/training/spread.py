"""A training step spread over the devices of one host. A TensorFlow module.

Every device holds the weights, computes the gradients of its share of the batch, and moves its
weights by the sum: synchronous data parallelism (Goyal et al. 2017). The batch is augmented before
it is shared out, gradients are clipped after they are added up, so that several devices take the
steps that one would.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

import tensorflow as tf

Learn = Callable[[Any, Any, Any], Any]
"""From inputs, targets and the share of the batch that they are to sums over the examples."""


@dataclass(frozen=True)
class Spread:
    """Devices that share each batch.

    Args:
        strategy: TensorFlow's strategy for these.
    """

    strategy: tf.distribute.Strategy

    @property
    def n_devices(self) -> int:
        """How many there are."""
        return int(self.strategy.num_replicas_in_sync)

    def scope(self) -> AbstractContextManager[Any]:
        """Return a context in which variables are made for every device."""
        scope: AbstractContextManager[Any] = self.strategy.scope()
        return scope

    def sum_over_shares(self, learn: Learn, inputs: Any, targets: Any) -> Any:
        """Let every device work on its share; part of the compiled step.

        Args:
            learn: What a device does with inputs, targets (m, k) and their share of the batch, a
                float32 above 0 and up to 1.
            inputs: A tensor (n, ...), or a list of them.
            targets: (n, k) float32.

        Returns:
            What ``learn`` returned, summed over the devices.
        """
        if self.n_devices == 1:
            return learn(inputs, targets, 1.0)

        def of_replica(inputs: Any, targets: Any) -> Any:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            begin, end, share = _share(tf.shape(targets)[0], replica, self.n_devices)
            own = tf.nest.map_structure(lambda part: part[begin:end], inputs)
            return learn(own, targets[begin:end], share)

        parts = self.strategy.run(of_replica, args=(inputs, targets))
        add_up = partial(self.strategy.reduce, tf.distribute.ReduceOp.SUM, axis=None)
        return tf.nest.map_structure(add_up, parts)


def _share(n: Any, replica: Any, n_devices: int) -> tuple[Any, Any, Any]:
    """Return where a device's examples begin and end, and what share of the batch they count.

    A batch of fewer examples than devices would leave some with nothing, whose mean is not a
    number: there, all see the whole batch, and each counts a part of it.
    """
    replica = tf.cast(replica, tf.int32)
    whole = n < n_devices
    begin = tf.where(whole, 0, n * replica // n_devices)
    end = tf.where(whole, n, n * (replica + 1) // n_devices)
    part = tf.cast(end - begin, tf.float32) / tf.cast(n, tf.float32)
    return begin, end, tf.where(whole, 1.0 / n_devices, part)


def one_device() -> Spread:
    """Return the spread over the one device that TensorFlow takes by itself."""
    return Spread(tf.distribute.get_strategy())


def all_devices() -> Spread:
    """Return the spread over every GPU that is visible, or over the CPU where there is none.

    ``CUDA_VISIBLE_DEVICES`` chooses among the GPUs of a host.
    """
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    names: Sequence[str] = [device.name for device in devices]
    if len(names) == 1:
        return one_device()
    return Spread(tf.distribute.MirroredStrategy(names))
