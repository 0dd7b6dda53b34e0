"""Which pictures to label next, of features and of what a head says of them.

Each strategy takes candidates of unit length (n, d), those that are labelled (m, d), and
probabilities (n, k), and returns row numbers, the most wanted first.
"""

import warnings
from collections.abc import Callable

import numpy as np

Strategy = Callable[[np.ndarray, np.ndarray, np.ndarray, int, int], np.ndarray]
"""From candidates, labelled ones, probabilities, how many, and a seed, to rows, at most so many."""

NEAR = 20
"""Neighbours by which a picture is typical of its surroundings."""
MOST_CLUSTERS = 500
WIDER = 10
"""So many times more uncertain pictures are looked at than are suggested."""


def margins(probabilities: np.ndarray) -> np.ndarray:
    """Return how much likelier the likeliest class is than the next one: (n,)."""
    top = np.partition(probabilities, -2, axis=1)[:, -2:]
    margin: np.ndarray = top[:, 1] - top[:, 0]
    return margin


def by_margin(
    unit: np.ndarray, labelled: np.ndarray, probabilities: np.ndarray, n: int, seed: int
) -> np.ndarray:
    """Take what the head is least sure of (Scheffer et al. 2001)."""
    return np.argsort(margins(probabilities), kind="stable")[:n]


def by_uncertain_clusters(
    unit: np.ndarray, labelled: np.ndarray, probabilities: np.ndarray, n: int, seed: int
) -> np.ndarray:
    """Take the least sure of each of n groups of unsure ones (Citovsky et al. 2021, in small)."""
    margin = margins(probabilities)
    unsure = np.argsort(margin, kind="stable")[: WIDER * n]
    groups = _clusters(unit[unsure], min(n, len(unsure)), seed)
    first = [unsure[groups == group][0] for group in range(groups.max() + 1)]
    return np.array(sorted(first, key=lambda row: margin[row]))


def by_badge(
    unit: np.ndarray, labelled: np.ndarray, probabilities: np.ndarray, n: int, seed: int
) -> np.ndarray:
    """Take pictures whose gradients of a linear head are long and unlike (BADGE, Ash et al. 2020).

    A gradient is the product of probabilities less the class called, and features: distances are
    those of k-means++, without the products being made.
    """
    residual = probabilities.copy()
    residual[np.arange(len(unit)), probabilities.argmax(axis=1)] -= 1
    squares = (residual**2).sum(axis=1) * (unit**2).sum(axis=1)
    rng = np.random.default_rng(seed)
    chosen = [int(squares.argmax())]
    far = np.full(len(unit), np.inf)
    while len(chosen) < min(n, len(unit)):
        last = chosen[-1]
        products = (residual @ residual[last]) * (unit @ unit[last])
        far = np.minimum(far, np.maximum(squares + squares[last] - 2 * products, 0))
        far[chosen] = 0
        total = far.sum()
        if total <= 0:
            break
        chosen.append(int(rng.choice(len(unit), p=far / total)))
    return np.array(chosen)


def by_typicality(
    unit: np.ndarray, labelled: np.ndarray, probabilities: np.ndarray, n: int, seed: int
) -> np.ndarray:
    """Take the most typical of the largest groups without a label (TypiClust, Hacohen et al. 2022).

    There are as many groups as labels when these are given.
    """
    both = np.concatenate([unit, labelled])
    groups = _clusters(both, min(len(labelled) + n, MOST_CLUSTERS, len(both)), seed)
    taken = np.bincount(groups[len(unit) :], minlength=groups.max() + 1)
    members = [np.flatnonzero(groups[: len(unit)] == group) for group in range(groups.max() + 1)]
    waiting = {group: _by_density(unit[rows], rows) for group, rows in enumerate(members)}
    chosen: list[int] = []
    while len(chosen) < n and any(map(len, waiting.values())):
        group = min(
            (one for one in waiting if len(waiting[one])),
            key=lambda one: (taken[one], -len(members[one])),
        )
        chosen.append(int(waiting[group][0]))
        waiting[group] = waiting[group][1:]
        taken[group] += 1
    return np.array(chosen)


def _by_density(unit: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return rows with those first that are nearest to their surroundings."""
    if len(rows) < 3:
        return rows
    similar = unit @ unit.T if len(rows) <= 5000 else unit @ unit[:: len(rows) // 2000].T
    near = min(NEAR + 1, similar.shape[1])
    mean = np.partition(similar, -near, axis=1)[:, -near:].mean(axis=1)
    return rows[np.argsort(-mean, kind="stable")]


def by_centres(
    unit: np.ndarray, labelled: np.ndarray, probabilities: np.ndarray, n: int, seed: int
) -> np.ndarray:
    """Take again and again what is farthest from all that is labelled (k-centre, Sener 2018)."""
    return _farthest(unit, labelled, n)


def by_unsure_centres(
    unit: np.ndarray, labelled: np.ndarray, probabilities: np.ndarray, n: int, seed: int
) -> np.ndarray:
    """Take what is farthest from all that is labelled, of the half that the head is less sure of.

    What it is sure of is left alone, however odd.
    """
    order = np.argsort(margins(probabilities), kind="stable")
    unsure = order[: max(n, len(order) // 2)]
    return unsure[_farthest(unit[unsure], labelled, n)]


def _farthest(unit: np.ndarray, labelled: np.ndarray, n: int) -> np.ndarray:
    """Return rows, each the farthest from labelled ones and from those before it.

    The first is what is most like all others where nothing is labelled.
    """
    nearest = np.full(len(unit), -np.inf)
    for block in np.array_split(labelled, max(1, len(labelled) // 1000)):
        if len(block):
            nearest = np.maximum(nearest, (unit @ block.T).max(axis=1))
    chosen: list[int] = []
    for _ in range(min(n, len(unit))):
        if chosen or len(labelled):
            place = int(nearest.argmin())
        else:
            place = int((unit @ unit.mean(axis=0)).argmax())
        chosen.append(place)
        nearest = np.maximum(nearest, unit @ unit[place])
        nearest[chosen] = np.inf
    return np.array(chosen)


def _clusters(unit: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Number rows by the group that they are in: (n,) int, every number from 0 on once or more."""
    from sklearn.cluster import KMeans, MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

    kind = KMeans if len(unit) <= 20_000 else MiniBatchKMeans
    with warnings.catch_warnings():  # pictures may have the very same features
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = kind(n, n_init=1, random_state=seed).fit_predict(unit)
    numbers: np.ndarray = np.unique(found, return_inverse=True)[1]
    return numbers


STRATEGIES: dict[str, Strategy] = {
    "both": by_unsure_centres,
    "uncertain": by_uncertain_clusters,
    "margin": by_margin,
    "badge": by_badge,
    "typical": by_typicality,
    "centres": by_centres,
}
