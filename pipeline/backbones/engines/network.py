"""What an engine runs: how to build it, what it is, and how its outputs are called."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pipeline.system.units import size_text

if TYPE_CHECKING:
    import keras

Outputs = tuple[np.ndarray, ...]
"""What an engine computes of a batch: a float32 array per output, row-aligned with the batch."""


@dataclass(frozen=True)
class Device:
    """What an engine computes on.

    Args:
        name: As its maker calls it.
        gpu: Whether it is one.
        memory: Bytes that there are in all, of each; None where the framework does not say.
        count: How many there are; batches are dealt to them in turn.
    """

    name: str
    gpu: bool = False
    memory: int | None = None
    count: int = 1

    def __str__(self) -> str:
        name = self.name if self.count == 1 else f"{self.count} × {self.name}"
        return name if self.memory is None else f"{name} ({size_text(self.memory)})"


PROCESSOR = Device("the processor")


@dataclass(frozen=True)
class ReadNetwork:
    """An OpenVINO model that was read, or made, and not converted from Keras.

    Args:
        model: As `conversion.convert` makes it.
        difference: How far it is from another runtime, relative; None where there is none.
    """

    model: Any
    difference: float | None


class Network(Protocol):
    """A frozen model that can be built at any time, and is known without building it."""

    @property
    def name(self) -> str:
        """Readable; begins the name of a folder."""
        ...

    @property
    def identity(self) -> Mapping[str, Any]:
        """JSON values that decide every number the model gives, whichever outputs are asked for.

        Two networks of equal identity agree in every output of the same name.
        """
        ...

    @property
    def outputs(self) -> tuple[str, ...]:
        """Name of each output, in the model's order, no two alike."""
        ...

    @property
    def graph(self) -> Callable[[], ReadNetwork] | None:
        """What reads OpenVINO's model, where Keras cannot hold the network; else None."""
        ...

    @property
    def direct(self) -> Callable[[], Any] | None:
        """What makes OpenVINO's model, or gives None, without TensorFlow; None if nothing does."""
        ...

    def build(self) -> "keras.Model":
        """Make the model: (n, size, size, 3) RGB 0–255 in, a float32 array per output out."""
        ...


@dataclass(frozen=True)
class GivenNetwork:
    """A network put together from its parts; see `Network`."""

    name: str
    identity: Mapping[str, Any]
    outputs: tuple[str, ...]
    build: "Callable[[], keras.Model]"
    graph: Callable[[], ReadNetwork] | None = None
    direct: Callable[[], Any] | None = None


def brief(error: Exception | str) -> str:
    """Return what a library said, on one line and not for ever."""
    return " ".join(str(error).split())[:300]


def network_key(network: Network) -> str:
    """Return the SHA-256 of identity and outputs, in hex; the outputs' order does not matter."""
    value = [dict(network.identity), sorted(network.outputs)]
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
