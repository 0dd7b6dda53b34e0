"""Networks that users bring as ONNX or OpenVINO IR: read, cut and pooled by OpenVINO alone.

OpenVINO runs no code of a file: no extension is loaded. Maps are given channels last, whichever way
the network computes.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.backbones.cuts import Cut
from pipeline.backbones.graph import Graph, Node, names
from pipeline.backbones.openvino_parts import pictures_input, pooled
from pipeline.backbones.preprocessing import constants_of
from pipeline.errors import WeightsError
from pipeline.system.startup import compile_openvino, import_openvino, installed

ov = import_openvino()
_ops = ov.opset13

_CHANNELS_FIRST = ("Convolution", "GroupConvolution", "MaxPool", "AvgPool", "BatchNormInference")
_ARITHMETIC = ("Multiply", "Divide", "Subtract", "Add")
_PLAIN = ("Convert", "Transpose")
_EXACT = {"INFERENCE_PRECISION_HINT": "f32"}
_NO_TURN = "export it with one input of pictures, of 3 channels, and any number of them"


@dataclass(frozen=True)
class ReadGraph:
    """A network as OpenVINO read it.

    Args:
        model: Its batch is open, its sides are set.
        parameter: The picture.
        side: What the file says; 0 for any.
        nodes: What can be cut at, by name; the names are the file's.
        first: Whether each node of four axes has channels first, by its friendly name.
    """

    model: Any
    parameter: Any
    side: int
    nodes: Mapping[str, Any]
    first: Mapping[str, bool]

    def shape(self, node: Any) -> tuple[int, ...]:
        """Return the shape of a node's output, channels last, without the batch axis."""
        sides = [side.get_length() if side.is_static else 0 for side in _sides(node)]
        if len(sides) == 4 and self.first[node.get_friendly_name()]:
            sides = [sides[place] for place in (0, 2, 3, 1)]
        return tuple(sides[1:])


def describe_graph(kind: str, path: Path, size: int | None) -> Graph:
    """Return the graph of a network; as `given_keras.describe_keras`."""
    with _told(path):
        read = _read(kind, path, size)
        own = {node.get_friendly_name(): name for name, node in read.nodes.items()}
        parameter = read.parameter.get_friendly_name()
        nodes = [Node("images", "InputLayer", read.shape(read.parameter))]
        known: dict[str, tuple[str, ...]] = {parameter: ("images",)}
        unnamed: dict[str, int] = {}
        for node in read.model.get_ordered_ops():
            friendly = node.get_friendly_name()
            sources = [value.get_node() for value in node.input_values()]
            inputs = [name for one in sources for name in known.get(one.get_friendly_name(), ())]
            if not inputs or node.get_type_name() == "ShapeOf" or friendly in known:
                continue
            known[friendly] = tuple(dict.fromkeys(inputs))
            held = sum(map(_n_values, sources))
            held += sum(unnamed.pop(one.get_friendly_name(), 0) for one in sources)
            if (name := own.get(friendly)) is None:
                unnamed[friendly] = held  # a convolution, say, whose bias is added by a named sum
            else:
                shape, kind_of = read.shape(node), node.get_type_name()
                nodes.append(Node(name, kind_of, shape, known[friendly], held))
                known[friendly] = (name,)
    last = read.model.outputs[0].get_node().input_value(0).get_node().get_friendly_name()
    brings = "raw" if read.parameter.get_element_type() == ov.Type.u8 else ""
    starts = [node.kind for node in nodes[1:4] if node.kind not in _PLAIN][:1]
    hint = "it begins with arithmetic on the pixels, so that raw is likely"
    hint = hint if set(starts) & set(_ARITHMETIC) else ""
    return Graph(tuple(nodes), known[last][-1], read.side, brings, hint)


def graph_model(
    kind: str, path: Path, size: int, cuts: Sequence[Cut], outputs: Sequence[str], family: str
) -> Any:
    """Return an OpenVINO model of a network, with its preprocessing and its cuts.

    Args:
        kind: onnx or ir.
        path: Of the file.
        size: Side of the pictures.
        cuts: Where features are taken.
        outputs: What each is called.
        family: The preprocessing, as recipes say it.

    Returns:
        A model with the input ``images`` (n, size, size, 3) uint8 and an output of each name.
    """
    with _told(path):
        read = _read(kind, path, size)
        images = _take_pictures(read, size, family)
        results = []
        for cut, name in zip(cuts, outputs, strict=True):
            value = _ops.convert(read.nodes[cut.layer].output(0), "f32").output(0)
            if len(value.get_partial_shape()) == 4 and read.first[_friendly(read, cut)]:
                value = _ops.transpose(value, [0, 2, 3, 1]).output(0)
            result = _ops.result(pooled(value, cut.pooling))
            result.output(0).set_names({name})
            results.append(result)
        return ov.Model(results, [images], "given")


def difference_from_reference(kind: str, path: Path, size: int, family: str) -> float | None:
    """Return how far OpenVINO is from ONNX Runtime; None where that is not there or cannot run it.

    Returns:
        max |a − b| / max |a| of the network's own first output, on made-up pictures.
    """
    if kind != "onnx" or not installed("onnxruntime"):
        return None
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    read = _read(kind, path, size)
    pixels = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), np.uint8)
    x = _prepared(pixels, family)
    x = x.transpose(0, 3, 1, 2) if read.first[read.parameter.get_friendly_name()] else x
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        given = session.get_inputs()[0]
        x = x.astype(
            {"tensor(float16)": np.float16, "tensor(uint8)": np.uint8}.get(given.type, x.dtype)
        )
        wanted = np.asarray(session.run(None, {given.name: x})[0], np.float32)
    except (RuntimeError, ValueError, onnxruntime.capi.onnxruntime_pybind11_state.Fail):
        return None
    read.model.reshape([len(x), *(side.get_length() for side in _sides(read.parameter)[1:])])
    compiled = compile_openvino(read.model, _EXACT)
    received = np.asarray(compiled([np.ascontiguousarray(x)])[0], np.float32)
    difference = float(np.abs(wanted - received).max() / (np.abs(wanted).max() or 1.0))
    return difference if np.isfinite(difference) else float("inf")


def _prepared(pixels: np.ndarray, family: str) -> np.ndarray:
    constants, x = constants_of(family), pixels.astype(np.float32)
    x = x[..., ::-1] if constants.reverse_channels else x
    return x * np.array(constants.scale, np.float32) + np.array(constants.offset, np.float32)


def _read(kind: str, path: Path, size: int | None) -> ReadGraph:
    weights = path.with_suffix(".bin") if kind == "ir" else ""
    model = ov.Core().read_model(path, weights)
    if len(parameters := model.get_parameters()) != 1:
        raise ValueError(f"{len(parameters)} inputs; {_NO_TURN}")
    (parameter,) = parameters
    sides = _sides(parameter)
    lengths = [side.get_length() if side.is_static else 0 for side in sides]
    dtype = parameter.get_element_type()
    if dtype not in (ov.Type.f32, ov.Type.f16, ov.Type.u8):
        raise ValueError(f"an input of type {dtype.get_type_name()}; {_NO_TURN}")
    if len(lengths) != 4 or 3 not in (lengths[1], lengths[3]):
        raise ValueError(f"an input of {'×'.join(map(str, lengths))}, 0 being open; {_NO_TURN}")
    first = lengths[1] == 3
    height, width = lengths[2:] if first else lengths[1:3]
    if height != width:
        raise ValueError(f"pictures of {height}×{width}, which are no squares; {_NO_TURN}")
    side = height or size or 224
    model.reshape(ov.PartialShape([-1, 3, side, side] if first else [-1, side, side, 3]))
    given = model.outputs[0].get_partial_shape()[0]
    if given.is_static:
        raise ValueError(f"an output for {given.get_length()}, whatever comes in; {_NO_TURN}")
    nodes = [node for node in model.get_ordered_ops() if _can_be_cut(node)]
    friendly = [node.get_friendly_name() for node in nodes]
    named = dict(zip(names(friendly), nodes, strict=True))
    return ReadGraph(model, parameter, height, named, _channels_first(model, first))


def _can_be_cut(node: Any) -> bool:
    """Return whether a node has one output, of a name that the file gave it, for every picture."""
    if node.get_type_name() in ("Parameter", "Result", "Constant") or node.get_output_size() != 1:
        return False
    sides = node.get_output_partial_shape(0)
    known = bool(node.output(0).get_names()) and sides.rank.is_static and len(sides) in (2, 3, 4)
    return known and sides[0].is_dynamic and all(side.is_static for side in list(sides)[1:])


def _sides(node: Any) -> list[Any]:
    return list(node.get_output_partial_shape(0))


def _n_values(source: Any) -> int:
    """Return how many weights a constant holds, through what only turns or converts it.

    Numbers for the three colours, or for all of them, are no weights.
    """
    while source.get_type_name() in _PLAIN:
        source = source.input_value(0).get_node()
    if source.get_type_name() != "Constant":
        return 0
    n_values = int(np.prod(list(source.get_output_shape(0)), dtype=np.int64))
    return n_values if source.get_element_type().is_real() and n_values > 3 else 0


def _channels_first(model: Any, first: bool) -> dict[str, bool]:
    """Follow through the graph which axis of four has the channels."""
    found: dict[str, bool] = {}
    for node in model.get_ordered_ops():
        kind = node.get_type_name()
        sources = [value.get_node().get_friendly_name() for value in node.input_values()]
        before = next((found[one] for one in sources if one in found), None)
        if not node.get_output_size() or node.get_output_partial_shape(0).rank.is_dynamic:
            continue
        if kind == "Parameter" or len(node.get_output_partial_shape(0)) != 4:
            if kind == "Parameter":
                found[node.get_friendly_name()] = first
            continue
        if kind in _CHANNELS_FIRST:
            before = True
        elif kind == "Transpose" and before is not None:
            order = node.input_value(1).get_node()
            turned = list(order.get_data()) if order.get_type_name() == "Constant" else []
            before = {(0, 2, 3, 1): False, (0, 3, 1, 2): True}.get(tuple(turned), before)
        elif kind == "Reshape" and before is not None:  # so exporters turn maps of one place
            was, is_now = _sides(node.input_value(0).get_node()), _sides(node)
            channels = was[1 if before else -1]
            if len(was) == 4 and is_now[1] != is_now[3] and channels in (is_now[1], is_now[3]):
                before = is_now[1] == channels
        if kind != "Constant":
            found[node.get_friendly_name()] = first if before is None else before
    return found


def _take_pictures(read: ReadGraph, size: int, family: str) -> Any:
    """Put pictures (n, size, size, 3) uint8 and their preprocessing in the place of the input."""
    first = read.first[read.parameter.get_friendly_name()]
    images, x = pictures_input(size, family, first=first)
    if (dtype := read.parameter.get_element_type()) != ov.Type.f32:
        x = _ops.convert(x, dtype.get_type_name())
    for target in list(read.parameter.output(0).get_target_inputs()):
        target.replace_source_output(x.output(0))
    return images


def _friendly(read: ReadGraph, cut: Cut) -> str:
    return str(read.nodes[cut.layer].get_friendly_name())


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say in one sentence why a file is no network that OpenVINO can compute for pictures."""
    try:
        yield
    except (RuntimeError, ValueError, LookupError, TypeError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        said = " ".join(line for line in lines if not line.startswith(("Check", "Exception from")))
        if said.startswith("Unable to read the model"):
            said = "what is damaged, of another format, or more than 2 GB in one file"
        raise WeightsError(
            f"expected a network of pictures that OpenVINO {ov.__version__.partition('-')[0]} "
            f"computes in {path}, received {(said or type(error).__name__)[:300]}"
        ) from error
