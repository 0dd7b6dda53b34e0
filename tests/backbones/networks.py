"""Small networks as others export them: ONNX files made node by node."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 16


def _tensor(name, *shape, seed=0):
    rng = np.random.default_rng([seed, len(name), *map(ord, name)])
    return numpy_helper.from_array(rng.normal(0, 0.3, shape).astype(np.float32), name)


def save(path: Path, nodes, inputs, outputs, tensors, domains=(), **options) -> Path:
    """Write an ONNX file; ``inputs`` and ``outputs`` are (name, type, shape)."""
    values = [
        [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in some]
        for some in (inputs, outputs)
    ]
    graph = helper.make_graph(nodes, "network", *values, tensors)
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(name, 1) for name in domains)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    onnx.save(model, path, **options)
    return path


def convolutional(
    path: Path,
    shape=("n", 3, SIDE, SIDE),
    kind=TensorProto.FLOAT,
    *,
    scaled=False,
    also=(),
    **options,
) -> Path:
    """Write a network of two stages, a sum in each, with a classifier of five classes on top."""
    start, nodes, tensors = "images", [], []
    if kind != TensorProto.FLOAT:
        nodes.append(helper.make_node("Cast", [start], ["cast"], to=TensorProto.FLOAT))
        start = "cast"
    if shape[3] == 3:
        nodes.append(helper.make_node("Transpose", [start], ["turned"], perm=[0, 3, 1, 2]))
        start = "turned"
    if scaled:
        tensors.append(numpy_helper.from_array(np.float32(255), "most"))
        nodes.append(helper.make_node("Div", [start, "most"], ["scaled"], name="/scale/Div"))
        start = "scaled"
    for stage, channels in ((1, 1 if shape[1] == 1 else 3), (2, 8)):
        for part, taken, strides in (("a", channels, 2), ("b", 8, 1)):
            name = f"/stage{stage}/{part}/Conv"
            tensors.append(_tensor(f"w{stage}{part}", 8, taken, 3, 3))
            nodes.append(
                helper.make_node(
                    "Conv",
                    [start, f"w{stage}{part}"],
                    [f"{name}_output_0"],
                    name=name,
                    pads=[1, 1, 1, 1],
                    strides=[strides, strides],
                )
            )
            relu = f"/stage{stage}/{part}/Relu"
            nodes.append(
                helper.make_node("Relu", [f"{name}_output_0"], [f"{relu}_output_0"], name=relu)
            )
            start = f"{relu}_output_0"
        total = f"/stage{stage}/Add"
        before = f"/stage{stage}/a/Relu_output_0"
        nodes.append(helper.make_node("Add", [start, before], [f"{total}_output_0"], name=total))
        start = f"{total}_output_0"
    tensors += [_tensor("kernel", 8, 5), _tensor("bias", 5)]
    nodes += [
        helper.make_node("GlobalAveragePool", [start], ["pooled"], name="/pool"),
        helper.make_node("Flatten", ["pooled"], ["flat"], name="/flatten"),
        helper.make_node("Gemm", ["flat", "kernel", "bias"], ["classes"], name="/head"),
    ]
    outputs = [("classes", TensorProto.FLOAT, [shape[0], 5])]
    return save(path, nodes, [("images", kind, shape), *also], outputs, tensors, **options)


def transformer(path: Path, n_registers: int = 0) -> Path:
    """Write a transformer on patches of 4 × 4, of two blocks: class, registers, 16 patches."""
    d, n_before = 8, 1 + n_registers
    tensors = [
        _tensor("patches", d, 3, 4, 4),
        _tensor("before", 1, n_before, d),
        _tensor("places", 1, 16 + n_before, d),
        numpy_helper.from_array(np.array([0, d, -1]), "shape"),
        numpy_helper.from_array(np.array([1, 1, 1]), "ones"),
        numpy_helper.from_array(np.array([0]), "first"),
        numpy_helper.from_array(np.array([0]), "zero"),
        numpy_helper.from_array(np.array([n_before, d]), "rest"),
    ]
    nodes = [
        helper.make_node("Conv", ["images", "patches"], ["map"], name="/embed", strides=[4, 4]),
        helper.make_node("Reshape", ["map", "shape"], ["lines"], name="/lines"),
        helper.make_node("Transpose", ["lines"], ["tokens"], name="/tokens", perm=[0, 2, 1]),
        helper.make_node("Shape", ["images"], ["sides"], name="/sides"),
        helper.make_node("Gather", ["sides", "first"], ["n"], name="/n"),
        helper.make_node("Concat", ["n", "rest"], ["wanted"], name="/wanted", axis=0),
        helper.make_node("Expand", ["before", "wanted"], ["class"], name="/class"),
        helper.make_node("Concat", ["class", "tokens"], ["all"], name="/all", axis=1),
        helper.make_node("Add", ["all", "places"], ["x0"], name="/places"),
    ]
    at = "x0"
    for block in (1, 2):
        for part in ("attention", "mlp"):
            name = f"/block{block}/{part}"
            tensors.append(_tensor(f"w{block}{part}", d, d))
            nodes += [
                helper.make_node("MatMul", [at, f"w{block}{part}"], [name], name=f"{name}/MatMul"),
                helper.make_node("Tanh", [name], [f"{name}/t"], name=f"{name}/Tanh"),
                helper.make_node("Add", [at, f"{name}/t"], [f"{name}/x"], name=f"{name}/Add"),
            ]
            at = f"{name}/x"
    nodes.append(helper.make_node("Gather", [at, "zero"], ["one"], name="/one", axis=1))
    nodes.append(helper.make_node("Flatten", ["one"], ["vector"], name="/vector"))
    pictures = ("images", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])
    return save(path, nodes, [pictures], [("vector", TensorProto.FLOAT, ["n", d])], tensors)
