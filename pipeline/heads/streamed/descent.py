"""Linear heads by descent: all fits take the same steps, and a step is a pass over the data.

The objectives are scikit-learn's, divided by C·n: the mean loss and |w|² / (2·C·n), of prepared
rows. Fits have nothing in common but the data, so their sum is one objective, whose descent serves
all of them. L-BFGS needs few steps where the objective bends alike in every direction; so weights
are sought along the principal components of the prepared rows, each by the root of its variance.
That changes the way and not the end: a rotation leaves |w|² as it is.

Logits are (b, f, c): rows, fits, columns. A column is a class, or the decision for the second of
two. Weights are (b, f), 0 for a row that a fit does not see.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy
from threadpoolctl import threadpool_limits

from pipeline.heads.fitted import ABSENT
from pipeline.heads.preparation import Preparation
from pipeline.heads.streamed.basis import Basis, fit_basis
from pipeline.heads.streamed.fits import Fits
from pipeline.heads.streamed.source import ChunkSource
from pipeline.heads.streamed.sums import GroupSums
from pipeline.system.machine import core_count

Loss = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Takes logits (b, f, c) float32, which it may overwrite, labels (b,) int in 0 … classes-1, weights
(b, f) float32, and (f, c) bool, which columns a fit has rows of. Returns sums over rows and columns
(f,), and the slopes (b, f, c)."""


def cross_entropy(
    logits: np.ndarray, labels: np.ndarray, weights: np.ndarray, seen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return minus the log probability of each row's class."""
    logits += np.where(seen, 0, ABSENT).astype(logits.dtype)
    logits -= logits.max(axis=2, keepdims=True)
    own, rows = labels[:, None], np.arange(len(labels))[:, None]
    fits = np.arange(logits.shape[1])
    losses = -logits[rows, fits, own]
    slopes = np.exp(logits, out=logits)
    total = slopes.sum(axis=2)
    losses += np.log(total)
    slopes /= total[..., None]
    slopes[rows, fits, own] -= 1
    slopes *= weights[..., None]
    return (losses * weights).sum(axis=0, dtype=np.float64), slopes


def binary_cross_entropy(
    logits: np.ndarray, labels: np.ndarray, weights: np.ndarray, seen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the same of a single decision between two classes."""
    from scipy.special import expit

    signs = (2 * labels[:, None] - 1).astype(logits.dtype)
    margins = signs * logits[..., 0]
    losses = np.logaddexp(np.zeros_like(margins), -margins) * weights
    return losses.sum(axis=0, dtype=np.float64), (-signs * expit(-margins) * weights)[..., None]


def squared_hinge(
    logits: np.ndarray, labels: np.ndarray, weights: np.ndarray, seen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the squared lack of a margin of 1, of each column against the others.

    As in liblinear, the weight of a class counts for its own rows; where several columns each
    decide between one class and the rest, the rest counts 1.
    """
    n_columns = logits.shape[2]
    own = labels[:, None] == (np.arange(n_columns) if n_columns > 1 else 1)
    signs = np.where(own, 1, -1).astype(logits.dtype)[:, None]
    lacking = np.maximum(0, 1 - signs * logits)
    counted = weights[..., None]
    if n_columns > 1:
        counted = np.where(own[:, None], counted, counted > 0) * seen
    counted = counted.astype(logits.dtype, copy=False)
    slopes = -2 * counted * signs * lacking
    return (counted * lacking**2).sum(axis=2).sum(axis=0, dtype=np.float64), slopes


logger = logging.getLogger(__name__)

MOST_ROTATED = 4096
"""Features whose components are worth finding; with more, rows are only standardised."""

GRADIENT_TOLERANCE = 1e-5
"""Of the mean loss, in any weight along a component of unit variance: probabilities are then those
of the head in memory to three digits. 1e-4 takes a third fewer passes, and two digits."""

_BEND = 0.1
"""What the second derivative of a loss is about, between 0 and 1/4 for the logistic one."""


@dataclass(frozen=True)
class Start:
    """Where a fit's weights are sought.

    Args:
        basis: Of its prepared rows, turned to their components, and about their mean: else every
            step of a weight would be one of the intercept as well.
        variances: (r,) of the rows along them.
        origin: (r,) where the zero of the prepared rows lies: the mean, or what it is where a
            preparation does not move rows. An intercept that is penalised is the value there.
    """

    basis: Basis
    variances: np.ndarray
    origin: np.ndarray

    def steps(self, floor: float) -> np.ndarray:
        """Return what weights are multiplied with, (r,): all then bend the objective alike."""
        least = 1e-6 * float(self.variances.max(initial=1e-30))
        return 1 / np.sqrt(np.maximum(self.variances, least) + floor / _BEND)


def starts(preparation: Preparation, sums: GroupSums, fits: Fits, shift: np.ndarray) -> list[Start]:
    """Return a start for every fit; without a PCA the components of all rows serve every fit."""
    made = []
    rotation: np.ndarray | None = None
    variances = np.ones(len(shift))
    for fit in range(fits.n_fits):
        moments = sums.moments(fit)
        basis = fit_basis(preparation, moments, shift)
        if preparation.pca is not None:
            assert moments.products is not None, "components without products"
            variances = np.diagonal(basis.products(moments.products)) / moments.counts.sum()
        elif fit == 0 and moments.products is not None:
            variances, rotation = scipy.linalg.eigh(
                basis.products(moments.products), overwrite_a=True
            )
            variances = variances / moments.counts.sum()
        turned = basis if rotation is None else replace(basis, rotation=rotation)
        centred = replace(turned, mean=moments.mean)
        made.append(Start(centred, variances, centred.apply(basis.mean[None])[0]))
    return made


class Descent:
    """The objective of all fits, and its minimum.

    Args:
        source: The rows.
        fits: Which of them each fit sees.
        starts: Where each fit's weights are sought.
        loss: A kind of loss.
        strength: C.
        classes: (c,) class numbers that are there, at least two.
        penalised_bias: Whether the intercept is a weight like any other, as in liblinear.
    """

    def __init__(
        self,
        source: ChunkSource,
        fits: Fits,
        starts: Sequence[Start],
        loss: Loss,
        strength: float,
        classes: np.ndarray,
        penalised_bias: bool,
    ) -> None:
        self._source, self._fits, self._loss, self._classes = source, fits, loss, classes
        self._n_columns = 1 if len(classes) == 2 else len(classes)
        self._seen = fits.counts[:, classes] > 0
        if self._n_columns == 1:
            self._seen = self._seen[:, :1]
        self._n_rows = fits.counts.sum(1) * source.n_versions
        self._penalties = 1 / (strength * self._n_rows)
        self._bases = [start.basis for start in starts]
        self._origins = [start.origin for start in starts]
        pairs = zip(starts, self._penalties, strict=True)
        self._steps = [start.steps(floor) for start, floor in pairs]
        self._penalised_bias = penalised_bias
        self._sizes = [(len(steps) + 1) * self._n_columns for steps in self._steps]

    def solve(self, max_iter: int) -> tuple[list[tuple[np.ndarray, np.ndarray]], bool]:
        """Return each fit's kernel (r, c) and bias (c,) for prepared rows; and whether all is done.

        The columns of classes that a fit has no rows of are zeros.
        """
        from scipy.optimize import minimize  # slow to import

        options = {
            "maxiter": max_iter,
            "maxfun": 2 * max_iter,
            "gtol": GRADIENT_TOLERANCE,
            "ftol": 1e-9,
            "maxls": 50,
        }
        begin = np.zeros(sum(self._sizes))
        # These products are slim: they would wait for a core that is busy reading.
        with threadpool_limits(max(1, core_count() - 1), user_api="blas"):
            found = minimize(self.value, begin, jac=True, method="L-BFGS-B", options=options)
        logger.debug("%d passes, slope %.2g", found.nfev, np.abs(found.jac).max())
        parts = zip(self._parts(found.x), self._steps, strict=True)
        layers = [(steps[:, None] * part[:-1], part[-1]) for part, steps in parts]
        return layers, bool(found.success or np.abs(found.jac).max() <= 10 * GRADIENT_TOLERANCE)

    def _parts(self, flat: np.ndarray) -> list[np.ndarray]:
        """Return each fit's weights, and below them its biases: (r + 1, c)."""
        parts = np.split(flat, np.cumsum(self._sizes)[:-1])
        return [part.reshape(-1, self._n_columns) for part in parts]

    def value(self, flat: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the sum of all objectives, and its slope."""
        parts = self._parts(flat)
        kernels = [
            basis.outward(steps[:, None] * part[:-1])
            for basis, steps, part in zip(self._bases, self._steps, parts, strict=True)
        ]
        triples = zip(self._bases, kernels, parts, strict=True)
        biases = [part[-1] - basis.mean @ kernel for basis, kernel, part in triples]
        losses, slopes, rests = self._pass(np.stack(kernels, 1), np.stack(biases))
        total, gradients = 0.0, []
        for fit, part in enumerate(parts):
            penalty, gradient = self._penalty(fit, part)
            slope = slopes[:, fit] - np.outer(self._bases[fit].mean, rests[fit])
            gradient[:-1] += self._steps[fit][:, None] * self._bases[fit].inward(slope)
            gradient[-1] += rests[fit]
            total += losses[fit] + penalty
            gradients.append(gradient.ravel())
        return total, np.concatenate(gradients)

    def _penalty(self, fit: int, part: np.ndarray) -> tuple[float, np.ndarray]:
        """Return a fit's penalty, and its slope by the weights and biases (r + 1, c)."""
        steps, factor = self._steps[fit][:, None], self._penalties[fit]
        weights = steps * part[:-1]
        squares, slope = float(np.sum(weights**2)), np.zeros_like(part)
        slope[:-1] = steps * weights
        if self._penalised_bias:
            bias = part[-1] + self._origins[fit] @ weights
            squares += float(np.sum(bias**2))
            slope[:-1] += steps * np.outer(self._origins[fit], bias)
            slope[-1] = bias
        return 0.5 * factor * squares, factor * slope

    def _pass(
        self, kernels: np.ndarray, biases: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return mean losses (f,), and their slopes by kernels (d, f, c) and biases (f, c)."""
        d, n_fits, n_columns = kernels.shape
        wide = np.ascontiguousarray(kernels.reshape(d, -1), np.float32)
        offsets = biases.astype(np.float32)
        losses, slopes, rests = np.zeros(n_fits), np.zeros(wide.shape), np.zeros(biases.shape)
        for chunk in self._source:
            logits = (chunk.rows @ wide).reshape(-1, n_fits, n_columns) + offsets
            weights = self._fits.row_weights(chunk.pictures, chunk.labels).astype(np.float32)
            labels = np.searchsorted(self._classes, chunk.labels)
            values, residuals = self._loss(logits, labels, weights, self._seen)
            losses += values
            slopes += chunk.rows.T @ residuals.reshape(len(labels), -1)
            rests += residuals.sum(axis=0, dtype=np.float64)
        shares = (1 / self._n_rows)[:, None]
        return losses / self._n_rows, slopes.reshape(kernels.shape) * shares, rests * shares
