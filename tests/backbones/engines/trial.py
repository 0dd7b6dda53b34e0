"""What an engine of a framework does in a process without TensorFlow, written into a file.

Run as ``python trial.py FRAMEWORK OUT``: Keras runs on one framework in each process.
"""

import json
import logging
import sys
from pathlib import Path

import numpy as np

from pipeline.backbones.engines import GivenNetwork, open_engine
from pipeline.config import FeaturesConfig
from pipeline.errors import InputError
from pipeline.features.base import frozen_base
from tests.blocked import block

SIZES = (8, 3, 0, 20, 1)
LAYERS = {"float32": "block2,top", "mixed_float16": "block2", "mixed_bfloat16": "block2"}
"""By precision."""


def small_model():
    """The same numbers on every framework: initial values are not."""
    import keras

    images = keras.Input((16, 16, 3))
    maps = keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(images / 255.0)
    maps = keras.layers.BatchNormalization()(maps)
    vector = keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(maps))
    model = keras.Model(images, [vector, maps])
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.1, 1, weight.shape) for weight in model.get_weights()])
    return model


def batches(size, *counts):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (count, size, size, 3), np.uint8) for count in counts]


def base_settings(engine, precision):
    return FeaturesConfig(
        engine=engine,
        precision=precision,
        layers=LAYERS[precision],
        pooling="avg,none",
        image_size=32,
    )


def small_engine(framework, batch_size=8):
    network = GivenNetwork("small", {}, ("vector", "maps"), small_model)
    return open_engine(network, framework, "float32", batch_size, Path("nowhere"))


def refusing(engine, error, limit=0):
    """Let an engine fail as its device would, for more pictures than a limit."""
    submit = engine.submit

    def limited(images):
        if len(images) > limit:
            raise error
        return submit(images)

    engine.submit = limited
    return engine


def sentence(engine):
    try:
        list(engine.run(batches(16, 4)))
    except InputError as error:
        return str(error)
    raise AssertionError("expected a sentence")


def full_card(framework, error):
    """What is said where a card has no memory for the base itself."""

    def build():
        raise error

    network = GivenNetwork("small", {}, ("vector",), build)
    try:
        open_engine(network, framework, "float32", 8, Path("nowhere"))
    except InputError as told:
        return str(told)
    raise AssertionError("expected a sentence")


def libraries(framework, engine):
    """Whether what the libraries below say of memory is understood, and other faults are not it."""
    kind = type(out_of_memory(framework)[1])
    texts = (
        "CUDNN_STATUS_ALLOC_FAILED",
        "INTERNAL: Failed to allocate: CUDA_ERROR_OUT_OF_MEMORY",
        "GET was unable to find an engine to execute this computation",
        "CUDA error: an illegal memory access was encountered",
    )
    return [engine.out_of_memory(kind(text)) for text in texts]


def out_of_memory(framework):
    if framework == "jax":
        import jax

        text = "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes"
        return jax.errors.JaxRuntimeError(text), jax.errors.JaxRuntimeError("INTERNAL: gone")
    import torch

    return torch.OutOfMemoryError("CUDA out of memory"), torch.AcceleratorError("CUDA error: gone")


def main(framework, out):
    block("tensorflow")
    arrays, told = {}, []
    handler = logging.Handler()
    handler.emit = lambda record: told.append(record.getMessage())
    logging.getLogger("pipeline").addHandler(handler)
    logging.getLogger("pipeline").setLevel(logging.INFO)
    engine = small_engine(framework)
    for at, outputs in enumerate(engine.run(batches(16, *SIZES))):
        arrays[f"vector_{at}"], arrays[f"maps_{at}"] = outputs
    memory, gone = out_of_memory(framework)
    halved = refusing(small_engine(framework, 16), memory, limit=4)
    for at, outputs in enumerate(halved.run(batches(16, 16, 16, 7))):
        arrays[f"halved_{at}"] = outputs[0]
    for precision in LAYERS:
        base = frozen_base(base_settings(framework, precision))
        opened = open_engine(base, framework, precision, 4, Path("nowhere"))
        for name, output in zip(base.outputs, next(opened.run(batches(32, 6))), strict=True):
            arrays[f"{precision}/{name}"] = output
    described = {
        "name": engine.name,
        "shapes": engine.output_shapes,
        "halved": halved.batch_size,
        "told": told,
        "full": full_card(framework, memory),
        "libraries": libraries(framework, engine),
        "pinned": str(engine.empty((2, 4, 4, 3)).dtype),
        "one": sentence(refusing(small_engine(framework, 2), memory)),
        "gone": sentence(refusing(small_engine(framework), gone)),
        "imported": sorted({"jax", "torch", "tensorflow"} & set(sys.modules)),
    }
    np.savez(out, described=json.dumps(described), **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
