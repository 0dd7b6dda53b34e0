"""A folder with OpenVINO's ``model.xml`` and ``model.bin`` in float32. A Keras module."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import openvino as ov

from pipeline.backbones.engines import GivenNetwork
from pipeline.backbones.engines.conversion import convert
from pipeline.predict.export.description import OUTPUT, description_text
from pipeline.predict.export.formats import Runtime
from pipeline.predict.export.place import PARTS

EXACT = {"INFERENCE_PRECISION_HINT": "f32"}


def write(path: Path, model: keras.Model, description: Mapping[str, Any]) -> None:
    """Write a model into a folder; its runtime information holds classes and description."""
    network = GivenNetwork("export", {}, (OUTPUT,), lambda: model)
    converted = convert(model, network)
    converted.set_rt_info(description_text(description), ["bottleneck"])
    converted.set_rt_info(description_text(description["classes"]), ["model_info", "classes"])
    ov.save_model(converted, path / PARTS[0], compress_to_fp16=False)


def load(path: Path) -> Runtime:
    """Load a model in OpenVINO, on the CPU."""
    compiled = ov.Core().compile_model(path / PARTS[0], "CPU", EXACT)

    def run(images: np.ndarray) -> np.ndarray:
        return np.array(compiled(images)[OUTPUT])

    return run
