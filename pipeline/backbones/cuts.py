"""Where features are taken, and how a spatial map becomes a vector."""

import dataclasses

from pipeline.errors import UnknownNameError

BLOCKS, EACH, CONCAT, BEST = "blocks", "each", "concat", "best"
SEVERAL = (BEST, EACH, CONCAT, BLOCKS)
"""Words that stand for several layers."""
POOLINGS = ("avg", "max", "avg+max", "gem", "none")


@dataclasses.dataclass(frozen=True)
class Cut:
    """One output of an extractor.

    Args:
        layer: A named cut point (``"block3"``, ``"top"``) or a Keras layer name.
        pooling: ``"avg"``, ``"max"``, ``"avg+max"`` (both, concatenated), ``"gem"`` (generalised
            mean with p = 3, Radenović et al. 2018) or ``"none"`` (the map as it is).

    Raises:
        UnknownNameError: If the pooling is none of these.
    """

    layer: str
    pooling: str = "avg"

    def __post_init__(self) -> None:
        if self.pooling not in POOLINGS:
            known = f"choose one of {', '.join(POOLINGS)}"
            raise UnknownNameError("pooling", self.pooling, POOLINGS, known)
