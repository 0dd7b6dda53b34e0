"""Linear algebra of the ridge path: all strengths from one decomposition, or one strength alone."""

from collections.abc import Iterator

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from pipeline.heads.affine import fitting_components


def inverses_of(
    values: np.ndarray, lambdas: np.ndarray, wanted: int | float | None, shape: tuple[int, int]
) -> np.ndarray:
    """Return 1 / (w + a), (a, r), and 0 for the directions that a PCA drops.

    Principal components are the very directions that were found, so none has to be fitted.

    Args:
        values: w (r,), ascending, up to rounding not negative.
        lambdas: a.
        wanted: How many components are kept, or the share of the variance that they keep.
        shape: Rows and features of the fit.
    """
    values = np.maximum(values, 0)
    inverses = 1 / (values + lambdas[:, None])
    if wanted is None:
        return inverses
    if isinstance(wanted, float):
        reached = np.cumsum(values[::-1]) / max(values.sum(), 1e-300)
        wanted = int(np.searchsorted(reached, wanted, side="right")) + 1
    else:
        wanted = fitting_components(wanted, *shape)
    inverses[:, : max(0, len(values) - wanted)] = 0
    return inverses


def by_cholesky(gram: np.ndarray, cross: np.ndarray, strength: float) -> np.ndarray | None:
    """Solve for one strength in a tenth of the time; None where the matrix is all but singular."""
    raised = gram.copy()
    raised.flat[:: len(gram) + 1] += strength
    try:
        return cho_solve(cho_factor(raised, overwrite_a=True, check_finite=False), cross)
    except LinAlgError:
        return None


def expand(vectors: np.ndarray, inverses: np.ndarray, projected: np.ndarray) -> np.ndarray:
    """Return vectors · diag(each row of inverses) · projected: (a, n, k), as one product."""
    wide = (inverses.T[:, :, None] * projected[:, None, :]).reshape(len(projected), -1)
    return (vectors @ wide).reshape(len(vectors), len(inverses), -1).transpose(1, 0, 2)


def parts(total: int, size: int) -> Iterator[np.ndarray]:
    """Cut the places 0 … total-1 into stretches of at most ``size``."""
    for start in range(0, total, size):
        yield np.arange(start, min(start + size, total))
