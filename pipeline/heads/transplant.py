"""Setting a fitted head on its base: the same arithmetic as plain Keras layers."""

from collections.abc import Sequence
from typing import Any

import keras

from pipeline.heads.fitted import NetworkHead
from pipeline.heads.positions import overlaps
from pipeline.heads.preparation import SHORTEST, SOFTENING, spans


def transplant(extractor: keras.Model, head: NetworkHead, dropout: float = 0.0) -> keras.Model:
    """Return a model from pictures to logits: the extractor with the head's layers on top.

    The extractor takes (n, s, s, 3) RGB 0–255 and has one or several outputs, which the head sees
    flat and side by side. Before any training the logits are the head's scores of these. Dropout is
    after each hidden layer while training.
    """
    outputs = extractor.outputs
    flat = [
        keras.layers.Flatten(name=f"head_flatten_{i}")(output) if output.ndim > 2 else output
        for i, output in enumerate(outputs)
    ]
    values = keras.layers.Concatenate(name="head_features")(flat) if len(flat) > 1 else flat[0]
    head.check_width(values.shape[-1])
    values = _rowwise(values, head)
    last = len(head.kernels) - 1
    for i, (kernel, bias) in enumerate(zip(head.kernels, head.biases, strict=True)):
        activation = None if i == last else "relu"
        layer = keras.layers.Dense(kernel.shape[1], activation, name=f"head_{i}", dtype="float32")
        values = layer(values)
        layer.set_weights([kernel, bias])
        if i < last and dropout:
            values = keras.layers.Dropout(dropout, name=f"head_dropout_{i}")(values)
    return keras.Model(extractor.inputs[0], values, name="classifier")


def _rowwise(values: Any, head: NetworkHead) -> Any:
    """Do to (n, d) what `apply_rowwise` does; its gradients are finite for zeros too."""
    if head.rowwise == "none":
        return values
    ops = keras.ops
    values = ops.cast(values, "float32")
    if head.rowwise == "sqrt-l2":
        values = values / ops.sqrt(ops.abs(values) + SOFTENING)
    parts = [values[:, start:end] for start, end in spans(head.blocks, values.shape[1])]
    scaled = [_unit(part) for part in parts]
    return ops.concatenate(scaled, axis=1) if len(scaled) > 1 else scaled[0]


def _unit(part: Any) -> Any:
    squared = keras.ops.sum(part * part, axis=1, keepdims=True)
    return part / keras.ops.sqrt(keras.ops.maximum(squared, SHORTEST**2))


def with_probabilities(logits_model: keras.Model) -> keras.Model:
    """Return the same model, sharing its weights, with class probabilities as its output."""
    softmax = keras.layers.Softmax(name="probabilities", dtype="float32")
    return keras.Model(logits_model.inputs[0], softmax(logits_model.output), name="classifier")


def with_evidence(
    model: keras.Model, pooled: Sequence[Any], maps: Sequence[Any], head: NetworkHead
) -> keras.Model:
    """Return a model with a second output: what each cell of a picture adds to each score.

    It is what `pipeline.heads.positions.contributions` computes.

    Args:
        model: From pictures to probabilities.
        pooled: Its features (n, c) of each cut: averages.
        maps: The maps (n, h, w, c) that they are the averages of.
        head: One layer.

    Returns:
        The model with the outputs ``probabilities`` (n, k) and ``evidence`` (n, h, w, k).
    """
    layers, ops = keras.layers, keras.ops
    values = layers.Concatenate()(list(pooled)) if len(pooled) > 1 else pooled[0]
    plain = head.rowwise == "none"
    factors = None if plain else ops.divide_no_nan(_rowwise(values, head), values)
    grid = max(one.shape[1] for one in maps), max(one.shape[2] for one in maps)
    parts, start = [], 0
    for number, cells in enumerate(maps):
        _, height, width, channels = cells.shape
        end = start + channels
        if factors is not None:
            cells = cells * ops.reshape(factors[:, start:end], (-1, 1, 1, channels))
        kernel = head.kernels[0][start:end] / (height * width)
        name, n_classes = f"evidence_{number}", kernel.shape[1]
        dense = layers.Dense(n_classes, use_bias=False, name=name, dtype="float32")
        cells, start = dense(cells), end
        dense.set_weights([kernel])
        size = [height, width]
        for axis, axes in enumerate(("nhwk,hx->nxwk", "nhwk,wx->nhxk")):
            n, size[axis] = size[axis], grid[axis]
            if n != grid[axis]:
                spread = layers.EinsumDense(axes, (*size, n_classes), dtype="float32")
                cells = spread(cells)
                spread.set_weights([overlaps(n, grid[axis]).T])
        parts.append(cells)
    total = layers.Add()(parts) if len(parts) > 1 else parts[0]
    evidence = layers.Activation("linear", name="evidence", dtype="float32")(total)
    return keras.Model(model.inputs[0], [model.outputs[0], evidence], name="classifier")
