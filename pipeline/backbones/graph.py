"""A network as its nodes, whatever file it came in: where it can be cut, and where one would.

Knows no framework. A node's name is made safe for recipes, stores and flags; its shape has no batch
axis: (h, w, channels) of a map, (tokens, d), (d,).
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from pipeline.backbones.cuts import OF_TOKENS, n_prefix
from pipeline.errors import InputError, UnknownNameError

_JOINS = ("Add", "Concatenate", "Concat")
_POOLS = ("Global", "ReduceMean", "ReduceMax", "AveragePool", "AvgPool", "MaxPool", "Mean", "Max")


@dataclass(frozen=True)
class Node:
    """One layer or operation.

    Args:
        name: As it is cut at, see `names`.
        kind: Its class, or type of operation.
        shape: Of its output without the batch axis, channels last.
        inputs: Names of the nodes that it takes, constants left out.
        n_parameters: Values of its weights.
        block: Whether it is a whole block of a network in one layer.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    inputs: tuple[str, ...] = ()
    n_parameters: int = 0
    block: bool = False


@dataclass(frozen=True)
class Graph:
    """A network that somebody brings.

    Args:
        nodes: From its input to its outputs; the first one is the picture.
        output: Name of the node whose output is the network's.
        size: Side of the pictures that it takes; 0 where it takes any.
        brings: Its preprocessing where the file says it, else empty.
        hint: What the first operations say about that, else empty.
    """

    nodes: tuple[Node, ...]
    output: str
    size: int
    brings: str = ""
    hint: str = ""

    @property
    def n_parameters(self) -> int:
        """Values of all weights."""
        return sum(node.n_parameters for node in self.nodes)

    def cut_points(self) -> tuple[tuple[str, ...], str]:
        """Return where blocks end, from the input upwards, and the top: the last map or tokens.

        Only nodes through which every path from the picture leads count. A block of maps is what
        has one size; a block of tokens ends at every second sum, as a transformer's do.
        """
        chain = _chain(self.nodes, self.output)
        spread = [node for node in _before_pooling(chain) if len(node.shape) in (2, 3)][1:]
        if not spread:
            return (), chain[-1].name
        top, tokens = spread[-1].name, [node for node in spread if len(node.shape) == 2]
        blocks = [node.name for node in spread if node.block]
        sums = [node.name for node in tokens if node.kind == "Add" and len(node.inputs) > 1]
        if len(blocks) < 2:
            blocks = sums[::-2][::-1] if len(sums) > 1 else list(_stages(spread))
        return tuple(dict.fromkeys(blocks)), top

    def check_cut(self, layer: str, pooling: str) -> None:
        """Refuse a cut that there is not.

        Raises:
            UnknownNameError: No node has that name.
            InputError: The pooling does not fit what the node gives.
        """
        nodes = {node.name: node for node in self.nodes}
        if layer not in nodes:
            hint = "'pipeline summary FILE' lists all of them"
            raise UnknownNameError("layer", layer, nodes, hint)
        shape = nodes[layer].shape
        if pooling in OF_TOKENS and (len(shape) != 2 or not n_prefix(shape[0])):
            what = "tokens with one for the class before those of patches"
            raise InputError(
                f"expected {what} at layer {layer} for pooling {pooling}, received an output of "
                f"{'×'.join(map(str, shape))}; use --pooling avg"
            )


def names(originals: Iterable[str]) -> Iterator[str]:
    """Yield names that flags, recipes and stores take, no two alike: letters, digits, - and _."""
    taken: set[str] = set()
    for original in originals:
        name = plain = re.sub(r"[^A-Za-z0-9_-]+", "_", original).strip("_-")[:120] or "node"
        number = 1
        while name in taken:
            number += 1
            name = f"{plain}_{number}"
        taken.add(name)
        yield name


def _chain(nodes: Sequence[Node], output: str) -> list[Node]:
    """Return the nodes through which every path from the first one to the output leads."""
    by_name = {node.name: node for node in nodes}
    needed, waiting = {output}, [output]
    while waiting:
        above = [name for name in by_name[waiting.pop()].inputs if name not in needed]
        needed.update(above)
        waiting += above
    used = [node for node in nodes if node.name in needed]
    place = {node.name: i for i, node in enumerate(used)}
    last_use = {node.name: place[node.name] for node in used}
    for i, node in enumerate(used):
        last_use |= dict.fromkeys(node.inputs, i)
    chain, reach = [], 0
    for i, node in enumerate(used):
        if reach <= i:
            chain.append(node)
        reach = max(reach, last_use[node.name])
    return chain


def _before_pooling(chain: Sequence[Node]) -> Iterator[Node]:
    """Yield the nodes below the first one that makes one vector of a map or of tokens."""
    before: tuple[int, ...] = ()
    for node in chain:
        places, were = math.prod(node.shape[:-1]), math.prod(before[:-1])
        pools = node.kind.startswith(_POOLS) or len(node.shape) == 2  # one of many tokens is taken
        always = node.kind.startswith(("Global", "ReduceMean", "ReduceMax"))
        if places == 1 and (always or (pools and were > 1)):
            return
        yield node
        before = node.shape


def _learns(node: Node) -> bool:
    return node.n_parameters > 0 and node.kind not in ("Normalization", "Rescaling")


def _stages(spread: Sequence[Node]) -> Iterator[str]:
    """Yield the end of each stretch of maps of one size: its last sum, else its last node."""
    stretches = [list(group) for _, group in groupby(spread, lambda node: node.shape[:-1])]
    stretches = [group for group in stretches if any(_learns(node) for node in group)]
    for i, group in enumerate(stretches):
        joins = [node for node in group if node.kind in _JOINS and len(node.inputs) > 1]
        last = i == len(stretches) - 1
        yield (group[-1] if last or not joins else joins[-1]).name
