"""Two devices made of one processor, and an engine that deals batches to them.

Run as ``python -m tests.backbones.engines.dealt FRAMEWORK OUT``: how many devices there are is
decided when a framework starts, once a process.
"""

import json
import os
import sys
from dataclasses import replace

import numpy as np

from pipeline.backbones.engines import devices
from tests.backbones.engines.trial import batches, out_of_memory, refusing, small_engine

SIZES = (8, 3, 0, 20, 1, 8, 8)


def two_devices(framework):
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
    if framework == "torch":  # which has one processor always
        devices._torch = lambda precision: replace(devices.PROCESSOR, count=2)
    if framework == "tensorflow":
        import tensorflow as tf

        (processor,) = tf.config.list_physical_devices("CPU")
        halves = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(processor, halves)


def counting(engine):
    compute, steps = engine.compute, [0, 0]

    def counted(placed, card):
        steps[card] += 1
        return compute(placed, card)

    engine.compute = counted
    return steps


def failure(framework):
    if framework != "tensorflow":
        return out_of_memory(framework)[0]
    import tensorflow as tf

    return tf.errors.ResourceExhaustedError(None, None, "out of memory")


def main(framework, out):
    two_devices(framework)
    engine = small_engine(framework)
    steps = counting(engine)
    arrays = {str(at): maps[0] for at, maps in enumerate(engine.run(batches(16, *SIZES)))}
    halved = refusing(small_engine(framework, 16), failure(framework), limit=4)
    for at, outputs in enumerate(halved.run(batches(16, 16, 16, 16, 7))):
        arrays[f"halved_{at}"] = outputs[0]
    described = {
        "device": str(engine.device),
        "steps": steps,
        "trial": engine.trial_size,
        "halved": halved.batch_size,
    }
    np.savez(out, described=json.dumps(described), **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
