"""Which candidate to keep, and how good that choice really is.

The best figure among many is too good: it was picked for its luck as well. What is reported of a
choice is therefore the bootstrap bias-corrected cross-validation of Tsamardinos, Greasidou and
Borboudakis (2018): pictures are drawn with replacement, the choice is made anew on those, and is
judged by the pictures that were not drawn. Every prediction in it comes from a head that had not
seen the picture, and no head is fitted again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from pipeline.classify.search.trial import Trial
from pipeline.evaluate import Estimate

N_RESAMPLES, RESAMPLES_PER_BLOCK = 500, 50

CAUTION = 0.5
"""Standard errors that a gain is reduced by. Of 0 to 1.5, on ten classes with 5 pictures each, two
with 10 and digits with 10, a half lost nowhere on average; more of it keeps what is worse."""

EQUAL = 1e-9


@dataclass(frozen=True)
class Choice:
    """The candidate that was kept.

    Args:
        place: Where it is in the list.
        accuracy: What to expect of it on pictures unseen, corrected for choosing, with the
            interval of the same bootstrap.
        log_loss: Likewise.
        uncorrected: Its own cross-validated accuracy.
    """

    place: int
    accuracy: Estimate
    log_loss: float
    uncorrected: float

    @property
    def optimism(self) -> float:
        """How much too good the choice's own figure is, from being the best of many; at least 0."""
        return max(0.0, self.uncorrected - self.accuracy.value)

    def humbled(self, optimism: float) -> "Choice":
        """Return the same choice with at least that much taken off its accuracy.

        What narrowed the field before was chosen on the same pictures, and had its luck as well.
        """
        more = max(0.0, optimism - self.optimism)
        low, high = self.accuracy.ci95
        accuracy = Estimate(self.accuracy.value - more, (low - more, high - more))
        return replace(self, accuracy=accuracy)


def choose(
    trials: Sequence[Trial], default: int = 0, seed: int = 0, groups: np.ndarray | None = None
) -> Choice:
    """Choose among candidates that were judged on the same pictures.

    Whoever gains most over the default, less half the standard error of that gain on the same
    pictures: a candidate has to be better, not only different. Of equals the one with the lowest
    log loss, for accuracy on few pictures is coarse.

    Args:
        trials: At least one.
        default: Place of the candidate that there would be without a search.
        seed: Seed of the bootstrap.
        groups: (m,) int, rows that are drawn together; None where each is by itself.
    """
    right = np.stack([trial.right for trial in trials]).astype(np.float64)
    losses = np.stack([trial.losses for trial in trials]).astype(np.float64)
    gains = right - right[default]
    figures = gains.T, (gains**2).T, losses.T
    place = int(_chosen(*figures, np.ones((1, right.shape[1])))[0])
    accuracies, lost = [], []
    with threadpool_limits(1):  # short products: a second thread would mostly wait
        for drawn in _drawn(right.shape[1], seed, groups):
            chosen = _chosen(*figures, drawn)
            unseen = (drawn == 0) / (drawn == 0).sum(1, keepdims=True)
            accuracies.append(np.einsum("bn,bn->b", unseen, right[chosen]))
            lost.append(np.einsum("bn,bn->b", unseen, losses[chosen]))
    draws = np.concatenate(accuracies)
    return Choice(
        place,
        Estimate.of_draws(draws.mean(), draws),
        float(np.concatenate(lost).mean()),
        float(right[place].mean()),
    )


def _drawn(n_rows: int, seed: int, groups: np.ndarray | None) -> Iterator[np.ndarray]:
    """Yield how often each bootstrap draws each row, (some resamples, n) int; never every row."""
    rng = np.random.default_rng(seed)
    _, members = np.unique(np.arange(n_rows) if groups is None else groups, return_inverse=True)
    n_units = int(members.max()) + 1
    for _ in range(N_RESAMPLES // RESAMPLES_PER_BLOCK):
        units = rng.multinomial(n_units, np.full(n_units, 1 / n_units), RESAMPLES_PER_BLOCK)
        drawn = units[:, members]
        yield drawn[(drawn == 0).any(1)]


def _chosen(
    gains: np.ndarray, squares: np.ndarray, losses: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return which candidate is chosen under each weighting of the rows.

    Args:
        gains: (n, candidates), over the default.
        squares: (n, candidates), of these.
        losses: (n, candidates).
        weights: (weightings, n), each with a sum above 0.

    Returns:
        (weightings,) int.
    """
    n_rows = weights.sum(1, keepdims=True)
    shares = weights / n_rows
    means = shares @ gains
    variances = np.maximum(shares @ squares - means**2, 0)
    scores = means - CAUTION * np.sqrt(variances / n_rows)
    level = np.where(scores >= scores.max(1, keepdims=True) - EQUAL, shares @ losses, np.inf)
    return np.asarray(level.argmin(1))
