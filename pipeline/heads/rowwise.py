"""What is done to each row of features by itself before anything is learnt: length and root.

Nothing here depends on other rows, so it needs no fitting; but it is not linear either, so it
cannot be folded into a Dense layer and stays beside the weights of a head.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np

from pipeline.errors import InputError

ROWWISE = ("none", "l2", "sqrt-l2")

SHORTEST = 1e-6
"""Rows that are shorter than this are divided by it: a row of zeros stays one."""

SOFTENING = 1e-6
"""The root is x / sqrt(|x| + this): its slope at 0 is 1,000 and not infinite, for fine-tuning."""


def apply_rowwise(features: np.ndarray, rowwise: str, blocks: Sequence[int] = ()) -> np.ndarray:
    """Return rows of unit length, of the features or of their signed square roots.

    The root takes weight from the few large values that otherwise decide every distance (Perronnin,
    Sánchez and Mensink 2010, section 3). Several cuts side by side are brought to unit length each
    for itself, else the one with the most channels would drown the others.

    Args:
        features: (n, d) float.
        rowwise: One of `ROWWISE`; ``none`` gives the features back as they are.
        blocks: Widths of the cuts that lie side by side; none means one block of all d.

    Returns:
        (n, d) float32, same row order.
    """
    values: np.ndarray = np.asarray(features, np.float32)
    if rowwise == "none":
        return values
    if rowwise == "sqrt-l2":
        values = values / np.sqrt(np.abs(values) + np.float32(SOFTENING))
    scaled = np.empty_like(values)
    for start, end in spans(blocks, values.shape[1]):
        part = values[:, start:end]
        squared = np.einsum("nd,nd->n", part, part)[:, None]
        scaled[:, start:end] = part / np.sqrt(np.maximum(squared, np.float32(SHORTEST**2)))
    return scaled


def spans(blocks: Sequence[int], width: int) -> list[tuple[int, int]]:
    """Return where each block lies: (start, end) of its columns.

    Raises:
        InputError: The blocks do not add up to the width.
    """
    widths = tuple(blocks) or (width,)
    if sum(widths) != width or min(widths) < 1:
        raise InputError(
            f"expected blocks that add up to the {width} features, received blocks={widths}; "
            f"give the width of each cut, in order"
        )
    return list(pairwise(accumulate(widths, initial=0)))
