"""Scores together with where in the picture they come from, for heads of which that is exact.

One engine computes the pooled features and the maps that they were pooled from in one pass. The
scores are the head's, of the pooled features, as `pipeline predict` has them; what the places of
the maps add up to is held against them, picture by picture.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from pipeline.backbones.cuts import Cut
from pipeline.backbones.engines import Engine, open_engine
from pipeline.backbones.engines.precision import is_quantised
from pipeline.errors import RunError
from pipeline.features.store.blocks import side_by_side
from pipeline.heads import NetworkHead
from pipeline.heads.fitted import centred
from pipeline.heads.positions import contributions, is_sum
from pipeline.predict.labelling import base_network
from pipeline.runs import Bundle

LIMIT = 1e-3
"""Of a score, or of 1: how far the sum over all places may be from the score."""
STEP_BYTES = 64 << 20
"""Of outputs that are held of one step, or of one picture where that has more."""


@dataclass(frozen=True)
class Origin:
    """A picture's scores, and where they come from.

    Args:
        scores: (k,) float, of every class.
        of: From numbers of classes to what each cell of the picture adds to their scores,
            (h, w, n); cells are equal parts of the square that the base sees.
        bias: (k,) what is added wherever one looks; None where the cells are no parts of a sum.
    """

    scores: np.ndarray
    of: Callable[[Sequence[int]], np.ndarray]
    bias: np.ndarray | None = None

    def checked(self, classes: Sequence[int]) -> np.ndarray:
        """Return ``of(classes)``, whose sum with the bias is the score where there is a bias.

        Raises:
            RunError: It is not.
        """
        cells, chosen = self.of(classes), list(classes)
        if self.bias is not None:
            found, wanted = cells.sum((0, 1)) + self.bias[chosen], self.scores[chosen]
            if not (np.abs(found - wanted) <= LIMIT * np.maximum(1, np.abs(wanted))).all():
                raise RunError(
                    f"expected evidence whose sum is the score {wanted.tolist()}, received "
                    f"{found.tolist()}: this base gives other maps than it pools; choose another "
                    f"run"
                )
        return cells


@dataclass(frozen=True)
class ExactOrigins:
    """A run whose scores are sums over places.

    Args:
        head: Its only layer, centred as for prediction.
        cuts: What it sees.
        given: Every output of the engine, in order: these cuts, then their maps.
        engine: What computes them.
        step: Pictures to give it at a time.
    """

    head: NetworkHead
    cuts: tuple[Cut, ...]
    given: tuple[Cut, ...]
    engine: Engine
    step: int

    method, passes = "exact", 1

    @property
    def about(self) -> str:
        """Say how the cells came to their values."""
        return "exact: a picture's cells and the bias add up to the score"

    def run(self, batches: Iterator[np.ndarray]) -> Generator[list[Origin], None, None]:
        """Yield what is known of the pictures of each batch (n, s, s, 3) uint8, in order."""
        for outputs in self.engine.run(batches):
            if not len(outputs[0]):  # no picture could be decoded
                yield []
                continue
            by_cut = dict(zip(self.given, outputs, strict=True))
            pooled = side_by_side([by_cut[cut] for cut in self.cuts])
            maps = [by_cut[replace(cut, pooling="none")] for cut in self.cuts]
            scores = self.head.scores(pooled)
            yield [
                Origin(one, partial(self._of, pooled[row], [m[row] for m in maps]), self.bias)
                for row, one in enumerate(scores)
            ]

    def _of(
        self, pooled: np.ndarray, maps: Sequence[np.ndarray], classes: Sequence[int]
    ) -> np.ndarray:
        poolings = [cut.pooling for cut in self.cuts]
        return contributions(self.head, pooled, maps, poolings, classes)

    @property
    def bias(self) -> np.ndarray:
        """(k,) what no place adds."""
        return self.head.biases[0]


def open_origins(bundle: Bundle, models: Path, batch_size: int) -> ExactOrigins | None:
    """Make a bundle ready to say where its scores come from; None where they are no such sums.

    The engine gets fewer pictures than ``batch_size`` where their maps are large. Raises
    WeightsError if the base has to be built, and its weights are gone, or not what they were.
    """
    if not is_sum(bundle.head) or is_quantised(bundle.frozen(look=True).precision):
        return None  # a quantised model gives no maps
    assert isinstance(bundle.head, NetworkHead)
    seen = bundle.frozen(look=True).cuts
    given = tuple(dict.fromkeys([*seen, *(replace(cut, pooling="none") for cut in seen)]))
    base = bundle.frozen(look=True).with_cuts(given)
    engine = open_engine(base_network(bundle, base), "auto", base.precision, batch_size, models)
    shapes = dict(zip(given, engine.output_shapes, strict=True))
    if any(len(shape) != 3 for cut, shape in shapes.items() if cut.pooling == "none"):
        return None  # a vector of the base's own classifier, say, comes from no place
    n_bytes = 4 * sum(int(np.prod(shape)) for shape in shapes.values())
    step = max(1, min(batch_size, STEP_BYTES // n_bytes))
    return ExactOrigins(centred(bundle.head), seen, given, engine, step)
