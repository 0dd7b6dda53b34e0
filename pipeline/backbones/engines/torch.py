"""The engine on PyTorch: the base as one traced graph of one shape, channels last, no gradients.

Keras' layers cost more time in Python than a GPU needs for them, and its convolutions copy every
map twice. Traced once, the graph is plain PyTorch; what depends on weights alone is computed once,
and the copies go. ``torch.compile`` takes a minute or more for what is left.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import keras
import numpy as np
import torch
from torch.fx import GraphModule, Node
from torch.fx.experimental.proxy_tensor import make_fx

from pipeline.backbones.engines.framework import FrameworkEngine
from pipeline.backbones.engines.network import PROCESSOR, Device

_aten = torch.ops.aten


class TorchEngine(FrameworkEngine):
    """Compute with PyTorch."""

    name = "torch"
    failures = (RuntimeError,)

    def __init__(self, model: keras.Model, batch_size: int, device: Device = PROCESSOR) -> None:
        super().__init__(model, batch_size, device)
        kinds = [f"cuda:{card}" if device.gpu else "cpu" for card in range(device.count)]
        self._places = [torch.device(kind) for kind in kinds]
        # Pictures come on a stream of their own, while those before them are computed.
        self._coming = [torch.cuda.Stream(place) for place in self._places if device.gpu]
        self._steps: list[Callable[[Any], list[Any]]] = []
        self._n_traced = 0

    def empty(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return memory for pictures that a GPU fetches from by itself."""
        pictures: np.ndarray = self._pinned(shape, torch.uint8).numpy()
        return pictures

    def _pinned(self, shape: tuple[int, ...], dtype: Any) -> Any:
        try:
            return torch.empty(shape, dtype=dtype, pin_memory=self.device.gpu)
        except RuntimeError:  # the system gives no more of it: the way is longer then, not closed
            return torch.empty(shape, dtype=dtype)

    def place(self, images: np.ndarray, card: int) -> Any:
        """Send pictures to a device."""
        given = torch.from_numpy(np.ascontiguousarray(images))
        if not self.device.gpu:
            return given
        with torch.cuda.stream(self._coming[card]):
            return given.to(self._places[card], non_blocking=True)

    def compute(self, placed: Any, card: int) -> Any:
        """Dispatch a step, and the way back of its outputs; a new number of pictures is traced."""
        if self._coming:
            here = torch.cuda.current_stream(self._places[card])
            here.wait_stream(self._coming[card])
            placed.record_stream(here)
        if len(placed) != self._n_traced:
            step = traced(self.model, placed.to(self._places[0]))
            self._steps = [step, *(moved(step, place) for place in self._places[1:])]
            self._n_traced = len(placed)
        if not self.device.gpu:
            with torch.inference_mode():
                return self._steps[card](placed), None
        with torch.cuda.device(self._places[card]), torch.inference_mode():
            computed = self._steps[card](placed)
            outputs = [self._pinned(one.shape, one.dtype).copy_(one, True) for one in computed]
            fetched = torch.cuda.Event(blocking=True)
            fetched.record()
        return outputs, fetched

    def fetch(self, step: Any) -> Sequence[np.ndarray]:
        """Wait for a step's outputs."""
        outputs, fetched = step
        if fetched is not None:
            fetched.synchronize()
        return [output.numpy() for output in outputs]


def traced(model: keras.Model, images: Any) -> Callable[[Any], list[Any]]:
    """Return a model as one graph for pictures of one shape.

    Args:
        model: A Keras model on PyTorch.
        images: (n, size, size, 3) uint8, where it is to compute.
    """

    def forward(images: Any) -> list[Any]:
        outputs = model(images.float(), training=False)
        return list(outputs) if isinstance(outputs, list | tuple) else [outputs]

    with torch.no_grad():
        # Without operations that write over their inputs, nothing is changed by leaving copies out.
        module = make_fx(torch.func.functionalize(forward))(images)
        _fold(module)
        _leave_out_copies(module)
    module.graph.eliminate_dead_code()
    module.recompile()
    return module


def moved(module: GraphModule, place: Any) -> GraphModule:
    """Return a copy of a traced graph, and of its weights, on another device."""
    copy = deepcopy(module).to(place)
    for node in copy.graph.nodes:
        if "device" in node.kwargs:
            node.kwargs = {**node.kwargs, "device": place}
    copy.recompile()
    return copy


def _fold(module: GraphModule) -> None:
    """Compute once what depends on weights alone."""
    known: dict[Node, Any] = {}
    for node in list(module.graph.nodes):
        needs = node.all_input_nodes
        if node.op == "get_attr":
            known[node] = _attribute(module, str(node.target)).detach()
        elif node.op == "call_function" and needs and all(given in known for given in needs):
            args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), known.__getitem__)
            known[node] = node.target(*args, **kwargs)
    for number, (node, value) in enumerate(known.items()):
        if node.op == "call_function" and any(user not in known for user in node.users):
            module.register_buffer(f"folded_{number}", value)
            with module.graph.inserting_before(node):
                node.replace_all_uses_with(module.graph.get_attr(f"folded_{number}"))
    for node in reversed(known):
        if not node.users:
            module.graph.erase_node(node)


def _attribute(module: Any, path: str) -> Any:
    for part in path.split("."):
        module = getattr(module, part)
    return module


def _leave_out_copies(module: GraphModule) -> None:
    """Let maps stay as they lie: channels last, seen as channels first by convolutions."""
    for node in module.graph.nodes:
        if node.target is _aten.clone.default:
            node.replace_all_uses_with(node.args[0])
        elif node.target in (_aten.view.default, _aten._unsafe_view.default):
            node.target = _aten.reshape.default
