"""Setting a fitted head on a base that OpenVINO alone computes; as `transplant` does in Keras."""

from typing import Any

import numpy as np

from pipeline.heads.fitted import NetworkHead
from pipeline.heads.preparation import SHORTEST, SOFTENING, spans
from pipeline.system.startup import import_openvino

ov = import_openvino()
_ops = ov.opset13
_COLUMNS = np.array([1])


def graph_with_head(base: Any, head: NetworkHead, name: str) -> Any:
    """Return a model from pictures to class probabilities, its output by that name.

    The base is an OpenVINO model whose outputs the head sees flat and side by side.
    """
    outputs = [result.input_value(0) for result in base.get_results()]
    flat = [_ops.reshape(one, np.array([0, -1]), True).output(0) for one in outputs]
    values = _ops.concat(flat, 1).output(0)
    width = values.get_partial_shape()[1].get_length()
    head.check_width(width)
    values = _rowwise(values, head, width)
    last = len(head.kernels) - 1
    for i, (kernel, bias) in enumerate(zip(head.kernels, head.biases, strict=True)):
        values = _ops.matmul(values, np.asarray(kernel, np.float32), False, False)
        values = _ops.add(values, np.asarray(bias, np.float32))
        values = values if i == last else _ops.relu(values)
    result = _ops.result(_ops.softmax(values, 1))
    result.output(0).set_names({name})
    return ov.Model([result], base.get_parameters(), "classifier")


def _rowwise(values: Any, head: NetworkHead, width: int) -> Any:
    """Do to (n, d) what `apply_rowwise` does."""
    if head.rowwise == "none":
        return values
    if head.rowwise == "sqrt-l2":
        softened = _ops.add(_ops.abs(values), np.float32(SOFTENING))
        values = _ops.divide(values, _ops.sqrt(softened))
    parts = []
    for start, end in spans(head.blocks, width):
        part = _ops.gather(values, np.arange(start, end), np.array(1))
        squared = _ops.reduce_sum(_ops.multiply(part, part), _COLUMNS, True)
        length = _ops.sqrt(_ops.maximum(squared, np.float32(SHORTEST**2)))
        parts.append(_ops.divide(part, length).output(0))
    return _ops.concat(parts, 1)
