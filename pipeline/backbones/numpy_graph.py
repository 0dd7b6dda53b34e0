"""OpenVINO's graphs computed by NumPy: plain, slow, and with none of OpenVINO's own kernels.

What a model that no other framework made is held against. Kinds of nodes are those that
`keras_graph` and `lite_graph` write.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from pipeline.backbones.engines.network import Outputs


def computed(model: Any, images: np.ndarray) -> Outputs:
    """Return a model's outputs, in its order.

    Args:
        model: One of OpenVINO's, with one input.
        images: (n, size, size, 3) uint8.

    Raises:
        KeyError: A kind of node is none of those that are written here.
    """
    with threadpool_limits(
        1, user_api="blas"
    ):  # products are small, and threads wait for each other
        return _computed(model, images)


def _computed(model: Any, images: np.ndarray) -> Outputs:
    left = {node.get_friendly_name(): _uses(node) for node in model.get_ordered_ops()}
    values: dict[str, np.ndarray] = {}
    for node in model.get_ordered_ops():
        name, kind = node.get_friendly_name(), node.get_type_name()
        if kind == "Parameter":
            values[name] = images
            continue
        sources = [value.get_node() for value in node.input_values()]
        given = [values[one.get_friendly_name()] for one in sources]
        values[name] = _KINDS[kind](node, *given)
        for one in sources:  # most maps are needed once
            left[one.get_friendly_name()] -= 1
            if not left[one.get_friendly_name()]:
                del values[one.get_friendly_name()]
    return tuple(values[node.get_friendly_name()] for node in model.get_results())


def _uses(node: Any) -> int:
    return sum(len(output.get_target_inputs()) for output in node.outputs())


def _padded(node: Any, x: np.ndarray, sides: Sequence[int], fill: float) -> np.ndarray:
    """Add what a node's padding adds around maps (n, c, h, w)."""
    said = node.get_attributes()
    if said["auto_pad"] != "same_upper":
        return x
    around, spreads = [(0, 0), (0, 0)], said.get("dilations", [1, 1])
    for side, width, stride, far in zip(sides, x.shape[2:], said["strides"], spreads, strict=True):
        missing = max((-(-width // stride) - 1) * stride + far * (side - 1) + 1 - width, 0)
        around.append((missing // 2, missing - missing // 2))
    return np.pad(x, around, constant_values=fill)


def _places(node: Any, x: np.ndarray, sides: Sequence[int]) -> Iterator[Any]:
    """Yield each place of a window, and what it sees of padded maps (n, c, h, w)."""
    said = node.get_attributes()
    spreads = said.get("dilations", [1, 1])
    axes = list(zip(x.shape[2:], sides, said["strides"], spreads, strict=True))
    for place in np.ndindex(*sides):
        rows, columns = (
            slice(far * at, width - far * (side - 1 - at), stride)
            for at, (width, side, stride, far) in zip(place, axes, strict=True)
        )
        yield place, x[:, :, rows, columns]


def _convolution(node: Any, x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    return _grouped(node, x, kernel[None])


def _grouped(node: Any, x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolve groups of channels with (groups, out, in, h, w)."""
    groups, n_out, n_in, *sides = kernel.shape
    kernel = np.ascontiguousarray(kernel.transpose(3, 4, 0, 1, 2))
    total: Any = 0
    for place, part in _places(node, _padded(node, x, sides, 0), sides):
        n, _, h, w = part.shape
        part = part.reshape(n, groups, n_in, h * w)
        total = total + (kernel[place] * part if n_in == 1 else kernel[place] @ part)
    return np.asarray(total.reshape(n, groups * n_out, h, w))


def _max_pool(node: Any, x: np.ndarray) -> np.ndarray:
    sides = node.get_attributes()["kernel"]
    parts = (part for _, part in _places(node, _padded(node, x, sides, -np.inf), sides))
    total = next(parts).copy()
    for part in parts:
        np.maximum(total, part, out=total)
    return total


def _average_pool(node: Any, x: np.ndarray) -> np.ndarray:
    sides = node.get_attributes()["kernel"]
    total, n_seen = (
        sum(part for _, part in _places(node, _padded(node, one, sides, 0), sides))
        for one in (x, np.ones_like(x[:1, :1]))
    )
    return np.asarray(total / n_seen)


def _pad(node: Any, x: np.ndarray, before: Any, after: Any, *zero: Any) -> np.ndarray:
    """Pad, or crop where it is negative."""
    kept = tuple(
        slice(max(-b, 0), n - max(-a, 0)) for n, b, a in zip(x.shape, before, after, strict=True)
    )
    added = [(max(b, 0), max(a, 0)) for b, a in zip(before, after, strict=True)]
    return np.pad(x[kept], added)


def _reshape(node: Any, x: np.ndarray, shape: Any) -> np.ndarray:
    return x.reshape(
        [n or was for n, was in zip(shape, [*x.shape, *[0] * len(shape)], strict=False)]
    )


def _normalized(node: Any, x: np.ndarray, axes: Any) -> np.ndarray:
    around = x - x.mean(tuple(axes), keepdims=True)
    variance = np.square(around).mean(tuple(axes), keepdims=True)
    return np.asarray(around / np.sqrt(variance + node.get_attributes()["eps"]))


def _reduced(function: Callable[..., Any]) -> Callable[..., Any]:
    def reduced(node: Any, x: np.ndarray, axes: Any) -> np.ndarray:
        keep = node.get_attributes()["keep_dims"]
        return np.asarray(function(x, axis=tuple(np.atleast_1d(axes)), keepdims=keep), np.float32)

    return reduced


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x)))


def _gelu(node: Any, x: np.ndarray) -> np.ndarray:
    from scipy.special import erf

    return np.asarray(x * 0.5 * (1 + erf(x * np.float32(0.5**0.5))))


def _softmax(node: Any, x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))


def _clamp(node: Any, x: np.ndarray) -> np.ndarray:
    said = node.get_attributes()
    return x.clip(np.float32(said["min"]), np.float32(said["max"]))


_KINDS: Mapping[str, Callable[..., Any]] = {
    "Add": lambda node, a, b: a + b,
    "AvgPool": _average_pool,
    "Clamp": _clamp,
    "Concat": lambda node, *given: np.concatenate(given, node.get_attributes()["axis"]),
    "Constant": lambda node: node.get_data(),
    "Convert": lambda node, x: x.astype(np.float32),
    "Convolution": _convolution,
    "Gather": lambda node, x, places, axis: x.take(places, int(axis)),
    "Gelu": _gelu,
    "GroupConvolution": _grouped,
    "HSigmoid": lambda node, x: (x + 3).clip(0, 6) / 6,
    "HSwish": lambda node, x: x * (x + 3).clip(0, 6) / 6,
    "MVN": _normalized,
    "MatMul": lambda node, a, b: a @ b,
    "MaxPool": _max_pool,
    "Maximum": lambda node, a, b: np.maximum(a, b),
    "Multiply": lambda node, a, b: a * b,
    "Pad": _pad,
    "Power": lambda node, a, b: a**b,
    "ReduceMax": _reduced(np.max),
    "ReduceMean": _reduced(np.mean),
    "Relu": lambda node, x: x.clip(0),
    "Reshape": _reshape,
    "Result": lambda node, x: x,
    "Sigmoid": lambda node, x: _sigmoid(x),
    "Softmax": _softmax,
    "Swish": lambda node, x, *beta: x * _sigmoid(x),
    "Tanh": lambda node, x: np.tanh(x),
    "Transpose": lambda node, x, order: x.transpose(order),
}
