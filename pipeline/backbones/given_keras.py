"""Networks that users bring and Keras holds: loaded safely, laid flat, cut. A Keras module.

No code of a file is run: safe mode, layers that Keras or KerasHub define, no Lambda. What is built
is no larger than the weights beside its description.
"""

import inspect
import json
import re
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras.src.models import Functional

from pipeline.backbones.cuts import Cut, pool
from pipeline.backbones.graph import Graph, Node, names
from pipeline.backbones.preprocessing import preprocessing_layers
from pipeline.backbones.weight_files import read_model_config
from pipeline.errors import WeightsError
from pipeline.system.arrays import check_members
from pipeline.system.typed import parse_json, typed

MOST_CONFIG, MOST_DEPTH = 8 << 20, 200
"""Bytes and depth of what describes the layers."""
EXPORTED = "bottleneck.json"
"""A member of models that this program exported: these have their preprocessing inside."""
_STARTS = (keras.layers.Rescaling, keras.layers.Normalization)
_OURS = ("images", "preprocessing", "features_", "head_", "probabilities", "classifier")
_UNKNOWN = re.compile(r"(?:Unknown layer: |Could not locate class )'([^']{1,60})'")
_NO_TURN = "save it for pictures (height, width, 3), one input, channels last"


@dataclass
class _Flat:
    """A network as it is laid flat: its operations in the order of computing, and their outputs."""

    operations: list[Any] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    blocks: set[str] = field(default_factory=set)
    used: set[int] = field(default_factory=set)
    output: Any = None


def build_given(
    kind: str, path: Path, size: int, cuts: Sequence[Cut], preprocessing: str
) -> keras.Model:
    """Build what turns pictures into features; as `build.build_extractor` of the catalog.

    Raises:
        WeightsError: The file is no such network.
    """
    images = keras.Input((size, size, 3), name="images", dtype="float32")
    with _told(path):
        flat = _laid_flat(_load(kind, path), preprocessing_layers(images, preprocessing))
    _keep_apart(operation.name for operation in flat.operations)
    by_name = _by_name(flat)
    outputs = [pool(by_name[cut.layer], cut.pooling, f"features_{i}") for i, cut in enumerate(cuts)]
    return keras.Model(images, outputs, name=kind)


def describe_keras(kind: str, path: Path, size: int | None) -> Graph:
    """Return the graph of a network.

    Args:
        kind: keras, h5 or hub.
        path: Of the file or folder.
        size: Side of the pictures, for a network that takes any.

    Raises:
        WeightsError: The file is no network that can be read, or takes no pictures.
    """
    with _told(path):
        model = _load(kind, path)
        fixed = _side(model)
        images = keras.Input((*[fixed or size or 224] * 2, 3), dtype="float32")
        flat = _laid_flat(model, images)
    nodes = [Node("images", "InputLayer", tuple(images.shape[1:]))]
    tensors = {id(images): "images"}
    found = names(one.name for one in flat.operations)
    for name, operation in zip(found, flat.operations, strict=True):
        tensor = flat.outputs[operation.name]
        inputs = operation._inbound_nodes[0].input_tensors
        known = tuple(tensors[id(one)] for one in inputs if id(one) in tensors)
        weights = operation.count_params() if isinstance(operation, keras.Layer) else 0
        shape = tuple(side or 0 for side in tensor.shape[1:])
        block = operation.name in flat.blocks
        nodes.append(Node(name, type(operation).__name__, shape, known, weights, block))
        tensors[id(tensor)] = name
    hint = ""
    if any(isinstance(one, _STARTS) for one in flat.operations[:3]):
        hint = "it begins with a Rescaling or Normalization layer, so that raw is likely"
    output = tensors.get(id(flat.output), nodes[-1].name)
    return Graph(tuple(nodes), output, fixed, _brought(kind, path), hint)


def _keep_apart(taken: Iterable[str]) -> None:
    """Let Keras name what comes on top otherwise than what is there: a sum by itself, say."""
    for name in taken:
        found = re.fullmatch(r"(.+?)(?:_(\d{1,3}))?", name)
        if found is not None:
            while keras.backend.get_uid(found[1]) <= int(found[2] or 0):
                pass


def _by_name(flat: _Flat) -> dict[str, Any]:
    found = names(operation.name for operation in flat.operations)
    return {name: flat.outputs[one.name] for name, one in zip(found, flat.operations, strict=True)}


def _side(model: keras.Model) -> int:
    """Return the side of the pictures that a network takes; 0 for any."""
    inputs = model.inputs
    if len(inputs) != 1:
        raise ValueError(f"{len(inputs)} inputs; {_NO_TURN}")
    shape, dtype = tuple(inputs[0].shape[1:]), inputs[0].dtype
    if len(shape) != 3 or shape[2] != 3 or shape[0] != shape[1]:
        raise ValueError(f"an input of {'×'.join(map(str, shape))}; {_NO_TURN}")
    if "float" not in dtype and dtype != "uint8":
        raise ValueError(f"an input of type {dtype}; {_NO_TURN}")
    return int(shape[0] or 0)


def _laid_flat(model: keras.Model, x: Any) -> _Flat:
    """Compute the layers of a network from a tensor, models in it taken apart.

    They compute in the precision of the process, whatever the file says. An encoder of KerasHub
    becomes its blocks, where that gives the same numbers.
    """
    _side(model)
    for unrolled in (True, False):
        flat = _Flat()
        with suppress(TypeError, ValueError) if unrolled else nullcontext():
            flat.output = _first(_through(model, x, flat, unrolled))
            if not flat.blocks or _agree(model, flat, x):
                return flat
    raise AssertionError("without blocks taken apart it is what it was")


def _through(model: Any, x: Any, flat: _Flat, unrolled: bool) -> Any:
    def operation_fn(operation: Any) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            inner = getattr(operation, "_functional", operation)
            if isinstance(inner, Functional):
                return _through(inner, args[0], flat, unrolled)
            blocks = _blocks_of(operation) if unrolled else ()
            if not blocks:
                return _called(flat, operation, args, kwargs)
            values = args[0]
            for part in blocks:
                values = _called(flat, part, (values,), {}, operation.name)
                if type(part) is type(blocks[0]):
                    flat.blocks.add(flat.operations[-1].name)
            return values

        return call

    graph = getattr(model, "_functional", model)
    if not isinstance(graph, Functional):
        raise ValueError(f"a {type(model).__name__}, whose layers have no graph")
    return graph._run_through_graph([x], operation_fn)


def _blocks_of(operation: Any) -> Sequence[Any]:
    """Return what an encoder calls one after the other: its blocks, and maybe a normalisation."""
    if isinstance(operation, keras.Model) or type(operation).__module__.startswith("keras."):
        return ()
    blocks = getattr(operation, "encoder_layers", None) or getattr(operation, "layers", None)
    if not isinstance(blocks, list | tuple) or len({*map(type, blocks)}) != 1 or len(blocks) < 2:
        return ()
    last = getattr(operation, "layer_norm", None)
    return (*blocks,) if last is None else (*blocks, last)


def _called(flat: _Flat, operation: Any, args: Any, kwargs: Any, within: str = "") -> Any:
    """Compute with an operation as if it were of no other network; what is used twice is no cut."""
    if id(operation) in flat.used:
        flat.operations = [one for one in flat.operations if one is not operation]
        return operation(*args, **kwargs)
    operation._inbound_nodes.clear()
    operation._outbound_nodes.clear()
    taken = {one.name for one in flat.operations}
    name = f"{within}_{operation.name}" if within else operation.name
    bare = not isinstance(operation, keras.Layer) and not name.startswith("base_")
    if bare or name.startswith(_OURS):
        name = f"base_{name}"  # what is built on top has names of its own, or automatic ones
    while name in taken:
        name = f"{name}_2"
    operation.name = name
    if isinstance(operation, keras.Layer):
        for layer in operation._flatten_layers():
            layer.dtype_policy = keras.config.dtype_policy()
        _mend_config(operation)
    output = operation(*args, **kwargs)
    flat.used.add(id(operation))
    if not isinstance(output, list | tuple | dict):
        flat.operations.append(operation)
        flat.outputs[name] = output
    return output


def _mend_config(layer: keras.Layer) -> None:
    """Let a layer of KerasHub say only what its constructor takes, so that it can be saved."""
    if type(layer).__module__.startswith("keras."):
        return
    config = layer.get_config()
    try:
        type(layer).from_config(dict(config))
    except (TypeError, ValueError):
        taken = {*inspect.signature(type(layer).__init__).parameters, "name", "trainable", "dtype"}
        kept = {key: value for key, value in config.items() if key in taken}
        layer.get_config = lambda: dict(kept)


def _first(outputs: Any) -> Any:
    return keras.tree.flatten(outputs)[0]


def _agree(model: keras.Model, flat: _Flat, x: Any) -> bool:
    side = int(x.shape[1])
    image = np.random.default_rng(0).random((1, side, side, 3), np.float32)
    copied = keras.Model(x, flat.output)(image, training=False)
    wanted, received = (
        np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(one, "float32")))
        for one in (_first(model(image, training=False)), copied)
    )
    return bool(np.allclose(wanted, received, rtol=1e-2, atol=1e-3 * np.abs(wanted).max()))


def _load(kind: str, path: Path) -> keras.Model:
    held, describe = _READ[kind](path)
    with ThreadPoolExecutor(1) as thread:  # what Keras has noted of variables ends with it
        described = thread.submit(_bytes_of, describe).result()
    if described > 2 * held + (1 << 20):  # weights may be kept in half precision
        raise ValueError(f"layers with {described:,} bytes of weights, of which it holds {held:,}")
    if kind == "hub":
        from pipeline.backbones.hub import load_preset

        return load_preset(path)
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder, f"model.{kind}")  # Keras goes by the name alone
        link.symlink_to(path.resolve())
        return keras.saving.load_model(link, compile=False, safe_mode=True)


def _bytes_of(describe: Callable[[], Any]) -> int:
    """Return how many bytes of weights a description makes, making none of them."""
    with keras.StatelessScope(initialize_variables=False):
        model = describe()
    if not isinstance(model, keras.Model):
        raise ValueError(f"a {type(model).__name__}")
    return sum(np.dtype("float32").itemsize * int(np.prod(one.shape)) for one in model.variables)


def _read_keras(path: Path) -> tuple[int, Callable[[], Any]]:
    check_members(path)
    with zipfile.ZipFile(path) as file:
        if file.getinfo("config.json").file_size > MOST_CONFIG:
            raise ValueError(f"a config.json of more than {MOST_CONFIG:,} bytes")
        config = _config(file.read("config.json"))
    config = {**config, "compile_config": None}
    return path.stat().st_size, lambda: keras.saving.deserialize_keras_object(config)


def _read_h5(path: Path) -> tuple[int, Callable[[], Any]]:
    data = read_model_config(path)
    if data is None:
        raise ValueError(
            "weights alone; name their base with --backbone and the file with --weights, or save "
            "the whole network with model.save('NAME.keras')"
        )
    if len(data) > MOST_CONFIG:
        raise ValueError(f"a model_config of more than {MOST_CONFIG:,} bytes")
    config = _config(data)

    def describe() -> Any:
        from keras.src.legacy.saving import saving_options, saving_utils
        from keras.src.saving.serialization_lib import SafeModeScope

        with saving_options.keras_option_scope(use_legacy_config=True), SafeModeScope(True):
            return saving_utils.model_from_config(json.loads(json.dumps(config)))

    return path.stat().st_size, describe


def _read_hub(path: Path) -> tuple[int, Callable[[], Any]]:
    from pipeline.backbones.hub import import_hub

    import_hub()
    config = _config((path / "config.json").read_bytes()[: MOST_CONFIG + 1])
    held = sum(file.stat().st_size for file in path.glob("model*.weights.h5"))
    return held, lambda: keras.saving.deserialize_keras_object(config)


_READ: dict[str, Callable[[Path], tuple[int, Callable[[], Any]]]] = {
    "keras": _read_keras,
    "h5": _read_h5,
    "hub": _read_hub,
}


def _config(data: bytes) -> dict[str, Any]:
    config: dict[str, Any] = typed(dict[str, Any], parse_json(data, depth=MOST_DEPTH))
    return config


def _brought(kind: str, path: Path) -> str:
    if kind == "hub":
        from pipeline.backbones.hub import brought

        return brought(path)
    if kind != "keras":
        return ""
    with zipfile.ZipFile(path) as file:
        return "raw" if EXPORTED in file.namelist() else ""


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say in one sentence why a file is no network; what Keras raises is as varied as layers."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what compiling or training would need
            yield
    except (
        ValueError, TypeError, OSError, LookupError, AttributeError, RuntimeError, ImportError,
        NotImplementedError, RecursionError, zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        if isinstance(error, WeightsError):
            raise
        text = " ".join(str(error).split())
        said = text.partition(". ")[0][:300] or type(error).__name__
        if "Lambda" in said:
            said = "a Lambda layer, which would run code of the file; save it with layers instead"
        elif unknown := _UNKNOWN.search(text):
            said = f"a layer {unknown[1]!r}, which Keras does not define"
        raise WeightsError(
            f"expected a network that Keras {keras.__version__} loads from known layers alone in "
            f"{path}, received {said}"
        ) from error
