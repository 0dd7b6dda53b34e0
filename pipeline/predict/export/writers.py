"""What writes each format, and loads it again in the format's own runtime. A Keras module.

Packages that are extras are imported by what needs them, after `formats.check_packages`. What is
said of a model is JSON in ASCII, which every format can hold.
"""

import json
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline.backbones.engines import GivenNetwork
from pipeline.backbones.engines.conversion import convert
from pipeline.backbones.engines.precision import is_quantised
from pipeline.backbones.engines.quantised import quantise
from pipeline.heads import NetworkHead
from pipeline.heads.fitted import centred
from pipeline.heads.transplant import transplant, with_evidence, with_probabilities
from pipeline.predict.export.description import (
    DESCRIPTION,
    EVIDENCE,
    INPUT,
    LABELS,
    OUTPUT,
    labels_text,
)
from pipeline.predict.export.formats import PARTS
from pipeline.predict.labelling import base_network
from pipeline.runs import Bundle
from pipeline.system.startup import compile_openvino, import_openvino

ov = import_openvino()

Runtime = Callable[[np.ndarray], Mapping[str, np.ndarray]]
"""Pictures (n, s, s, 3) uint8 in, probabilities (n, k) out, and evidence (n, h, w, k) if asked."""
OUTPUTS = (OUTPUT, EVIDENCE)

OPSET = 17
"""ONNX of 2022: what is older knows no LayerNormalization, and every runtime of today reads it."""
BATCH = "n"
ERRORS_ONLY = 3
EXACT = {"INFERENCE_PRECISION_HINT": "f32"}


def whole_model(bundle: Bundle, evidence: bool = False) -> Any:
    """Return (n, s, s, 3) RGB 0–255 to (n, k) probabilities, computed in float32.

    A ``keras.Model``; of a base that OpenVINO alone computes, or in int8, an ``openvino.Model``.

    Args:
        bundle: A linear or dense head on its base, or a fine-tuned model.
        evidence: Whether a second output shall say where the scores come from; the head is linear
            then, sees averages of maps, and its base is Keras'.

    Raises:
        WeightsError: The base's weights are gone, or not what they were.
    """
    if bundle.head is None:
        return bundle.model()
    assert isinstance(bundle.head, NetworkHead), type(bundle.head)
    base, head = bundle.frozen(look=is_quantised(bundle.base["precision"])), centred(bundle.head)
    if (read := base_network(bundle, base).graph) is not None:
        from pipeline.heads.openvino import graph_with_head

        return graph_with_head(read().model, head, OUTPUT)
    if not evidence:
        return with_probabilities(transplant(base.build(), head))
    maps = [replace(cut, pooling="none") for cut in base.cuts]
    extractor = base.with_cuts([*base.cuts, *maps]).build()
    pooled, maps = extractor.outputs[: len(maps)], extractor.outputs[len(maps) :]
    model = with_probabilities(transplant(keras.Model(extractor.inputs[0], pooled), head))
    return with_evidence(model, pooled, maps, head)


def _write_keras(path: Path, model: keras.Model, description: Mapping[str, Any]) -> None:
    """Write a ``.keras`` file, a ZIP archive; what describes the model lies in it as well."""
    model.save(path)
    _append(path, description)


def _load_keras(path: Path) -> Runtime:
    """Load a model as anyone would, with plain Keras in safe mode."""
    model = keras.saving.load_model(path, safe_mode=True)

    def run(images: np.ndarray) -> dict[str, np.ndarray]:
        outputs = _listed(model(images, training=False))
        arrays = (np.asarray(keras.ops.convert_to_numpy(one)) for one in outputs)
        return dict(zip(OUTPUTS, arrays, strict=False))

    return run


def _listed(outputs: Any) -> list[Any]:
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]


def _write_openvino(path: Path, model: Any, description: Mapping[str, Any]) -> None:
    """Write a float32 model into a folder; its runtime information holds what describes it."""
    converted = _in_openvino(model)
    converted.set_rt_info(json.dumps(description), ["bottleneck"])
    converted.set_rt_info(json.dumps(description["classes"]), ["model_info", "classes"])
    ov.save_model(converted, path / PARTS[0], compress_to_fp16=False)


def _in_openvino(model: Any) -> Any:
    if isinstance(model, ov.Model):
        return model
    return convert(model, GivenNetwork("export", {}, OUTPUTS[: len(model.outputs)], lambda: model))


def _load_openvino(path: Path) -> Runtime:
    """Load a model in OpenVINO, on the CPU."""
    compiled = compile_openvino(path / PARTS[0], EXACT)
    names = [output.get_any_name() for output in compiled.outputs]

    def run(images: np.ndarray) -> dict[str, np.ndarray]:
        outputs = compiled(images)
        return {name: np.array(outputs[name]) for name in names}

    return run


def _write_onnx(path: Path, model: keras.Model, description: Mapping[str, Any]) -> None:
    """Write an ``.onnx`` file; its metadata hold the class names and the description."""
    import onnx
    import tf2onnx

    serve = _serving_function(model)
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
        "classes": json.dumps(description["classes"]),
        "bottleneck": json.dumps(description),
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
    from onnx import numpy_helper

    captures = serve.get_concrete_function().graph.captures
    captured = {inner.name: outer for outer, inner in captures}
    for value in [value for value in made.graph.input if value.name in captured]:
        constant = numpy_helper.from_array(captured[value.name].numpy(), value.name)
        made.graph.initializer.append(constant)
        made.graph.input.remove(value)


def _load_onnx(path: Path) -> Runtime:
    """Load a model in ONNX Runtime, on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda images: dict(zip(names, session.run(names, {INPUT: images}), strict=True))


def _write_tflite(
    path: Path,
    model: keras.Model,
    description: Mapping[str, Any],
    pictures: np.ndarray | None = None,
) -> None:
    """Write a ``.tflite`` file; what describes it is a ZIP archive at the end of the file.

    That is where TensorFlow Lite's own metadata keep class names: ``unzip -p FILE labels.txt``.
    With pictures (n, s, s, 3) uint8 that say what values to cover, it computes in int8.
    """
    # Through a saved model, as only that gives a signature with the names of input and output.
    module = tf.Module()
    module.serve = _serving_function(model)
    module.held = [variable.value for variable in model.variables]
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=module.serve)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if pictures is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ({INPUT: one[None]} for one in pictures)
        with warnings.catch_warnings():  # of an interpreter of its own that will go
            warnings.simplefilter("ignore")
            path.write_bytes(converter.convert())
    _append(path, description)


def _load_tflite(path: Path) -> Runtime:
    """Load a model in LiteRT, on the CPU."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(str(path)).get_signature_runner()

    def run(images: np.ndarray) -> dict[str, np.ndarray]:
        return {name: np.array(one) for name, one in runner(**{INPUT: images}).items()}

    return run


def _append(path: Path, description: Mapping[str, Any]) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(DESCRIPTION, json.dumps(description))
        archive.writestr(LABELS, labels_text(description))


def _serving_function(model: keras.Model) -> Any:
    """Return a ``tf.function`` from ``images`` uint8 of any number to the outputs by name."""
    shape = (None, *model.inputs[0].shape[1:])

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.uint8, INPUT)], autograph=False)
    def serve(images: Any) -> dict[str, Any]:
        with _inlined():
            outputs = _listed(model(tf.cast(images, tf.float32), training=False))
            return dict(zip(OUTPUTS, outputs, strict=False))

    return serve


@contextmanager
def _inlined() -> Iterator[None]:
    """Trace functions in functions as part of the outer one.

    Keras wraps grouped convolutions into functions for XLA, and no converter looks into those.
    """
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


Write = Callable[[Path, keras.Model, Mapping[str, Any]], None]

WRITERS: dict[str, tuple[Write, Callable[[Path], Runtime]]] = {
    "keras": (_write_keras, _load_keras),
    "onnx": (_write_onnx, _load_onnx),
    "openvino": (_write_openvino, _load_openvino),
    "tflite": (_write_tflite, _load_tflite),
}
"""By the format's name: what writes a model with its description inside, and what loads it."""


def in_int8(name: str, pictures: np.ndarray) -> Write:
    """Return what writes a model in int8.

    Args:
        name: openvino or tflite.
        pictures: (n, s, s, 3) uint8, which say what values it has to cover.
    """
    if name == "tflite":
        return partial(_write_tflite, pictures=pictures)

    def write(path: Path, model: Any, description: Mapping[str, Any]) -> None:
        _write_openvino(path, quantise(_in_openvino(model), pictures), description)

    return write
