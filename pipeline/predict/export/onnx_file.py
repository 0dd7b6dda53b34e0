"""An ``.onnx`` file, by tf2onnx, and ONNX Runtime to check it. A Keras module."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
import tf2onnx

from pipeline.predict.export.description import INPUT, OUTPUT, description_text
from pipeline.predict.export.formats import Runtime
from pipeline.predict.export.model import serving_function

OPSET = 17
"""Of 2022: what is older knows no LayerNormalization, and every runtime of today reads it."""
BATCH = "n"
ERRORS_ONLY = 3


def write(path: Path, model: keras.Model, description: Mapping[str, Any]) -> None:
    """Write a model; its metadata hold the class names and the description."""
    serve = serving_function(model)
    made, _ = tf2onnx.convert.from_function(
        serve,
        input_signature=serve.input_signature,
        opset=OPSET,
        custom_op_handlers={"Erfc": (_erfc, [])},
    )
    _hold_captured(made, serve)
    for value in (*made.graph.input, *made.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH
    texts = {
        "classes": description_text(description["classes"]),
        "bottleneck": description_text(description),
    }
    onnx.helper.set_model_props(made, texts)
    onnx.checker.check_model(made)
    onnx.save(made, path)


def _erfc(graph: Any, node: Any, name: str, arguments: list[Any]) -> None:
    """Convert the complementary error function, in GELU and so in ConvNeXt: erfc(x) = 1 - erf(x).

    tf2onnx 1.17 knows the error function only. In float32 the difference is at most 1.2e-7.
    """
    shapes, types = node.output_shapes, node.output_dtypes
    (output,) = node.output
    graph.remove_node(name)
    erf = graph.make_node("Erf", node.input, shapes=shapes, dtypes=types)
    one = graph.make_const(f"{name}/one", np.ones((), np.float32))
    inputs = [one.output[0], erf.output[0]]
    graph.make_node("Sub", inputs, name=name, outputs=[output], shapes=shapes, dtypes=types)


def _hold_captured(made: Any, serve: Any) -> None:
    """Make constants of what the function captured; tf2onnx leaves it as inputs.

    The mean and variance of a Normalization layer are such: tensors, and no variables.
    """
    captures = serve.get_concrete_function().graph.captures
    captured = {inner.name: outer for outer, inner in captures}
    for value in [value for value in made.graph.input if value.name in captured]:
        constant = onnx.numpy_helper.from_array(captured[value.name].numpy(), value.name)
        made.graph.initializer.append(constant)
        made.graph.input.remove(value)


def load(path: Path) -> Runtime:
    """Load a model in ONNX Runtime, on the CPU."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(images: np.ndarray) -> np.ndarray:
        (probabilities,) = session.run([OUTPUT], {INPUT: images})
        return np.asarray(probabilities)

    return run
