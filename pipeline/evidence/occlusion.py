"""Evidence of what cannot be taken apart: squares of a picture are covered, one after another.

Zeiler and Fergus, "Visualizing and understanding convolutional networks", 2014, section 4.2. It
asks another question than the exact maps: what would be lost without this square. Squares that say
the same, of which one is enough, each look worthless.
"""

from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from pipeline.predict.labelling import Predictor
from pipeline.predict.origins import Origin

_SMALLEST = 1e-30


@dataclass(frozen=True)
class Occlusion:
    """Any run that labels.

    Args:
        predictor: What labels.
        grid: Squares a side.
        step: Pictures that are taken at a time.
    """

    predictor: Predictor
    grid: int
    step: int

    method = "occlusion"

    @property
    def passes(self) -> int:
        """How often a picture goes through the base."""
        return self.grid**2 + 1

    @property
    def about(self) -> str:
        """Say how the cells came to their values."""
        return (
            f"occlusion, {self.grid} × {self.grid} squares, {self.passes} passes a picture: what "
            f"the logarithm of the probability loses where a square gets the picture's mean colour"
        )

    def run(self, batches: Iterator[np.ndarray]) -> Generator[list[Origin], None, None]:
        """Yield what is known of the pictures of each batch (n, s, s, 3) uint8, in order."""
        counts: deque[int] = deque()

        def covered() -> Iterator[np.ndarray]:
            for images in batches:
                counts.append(len(images))
                yield from map(self._covered, images)

        origins: list[Origin] = []
        with closing(self.predictor.outputs(covered())) as computed:
            for outputs in computed:
                origins.append(self._origin(outputs))
                if len(origins) == counts[0]:
                    yield origins
                    origins = []
                    counts.popleft()
        yield from ([] for _ in counts)  # batches in which no picture could be decoded

    def _covered(self, image: np.ndarray) -> np.ndarray:
        """Return a picture as it is, and once with each square covered: (grid² + 1, s, s, 3)."""
        edges = np.linspace(0, len(image), self.grid + 1).round().astype(int)
        made = np.repeat(image[None], self.passes, axis=0)
        colour = image.mean((0, 1)).round().astype(np.uint8)
        for cell in range(self.grid**2):
            row, column = divmod(cell, self.grid)
            rows, columns = edges[row : row + 2], edges[column : column + 2]
            made[cell + 1, rows[0] : rows[1], columns[0] : columns[1]] = colour
        return made

    def _origin(self, outputs: np.ndarray) -> Origin:
        probabilities = self.predictor.judge([outputs[:, : len(self.predictor.classes)]])
        scores = np.log(np.maximum(probabilities, _SMALLEST))
        lost = (scores[0] - scores[1:]).reshape(self.grid, self.grid, -1)
        return Origin(scores[0], lambda classes: lost[..., list(classes)])
