"""How typical a picture is of those that a head learnt from: distance to the third nearest of them.

Sun et al. 2022 ("Out-of-Distribution Detection with Deep Nearest Neighbors"), on standardised
features, clipped and brought to unit length. Distances are told as the share of training-like
pictures that are less typical: how far each training picture is from the others, which have not
seen it, says how far such pictures are. So of new pictures like these a share of at most about
``least`` is less typical than ``least`` (conformal prediction, Vovk et al. 2005).

Shared-covariance Mahalanobis distance (Lee et al. 2018) tells other domains as well on features of
unit length, and worse on standardised ones (AUROC 0.95 to 0.99 against 0.999), and needs a matrix
of all features; principal components save time, and break the calibration.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.errors import InputError

NEIGHBOUR = 3
MOST_PICTURES, LEAST_PICTURES = 1000, 20
MOST_WIDTH = 16384
CLIP = 5.0
BLOCK = 4096
UNKNOWN = "unknown"
"""What a picture is called that is too little typical for any class."""


def check_unknown(least: float | None, classes: Sequence[str]) -> None:
    """Raise InputError where pictures may be called unknown, and a class is called so as well."""
    if least is not None and UNKNOWN in classes:
        raise InputError(
            f"expected no class called {UNKNOWN!r} beside min_typical={least}, which gives that "
            f"answer to pictures that are not typical: rename the class"
        )


@dataclass(frozen=True, eq=False)
class Density:
    """What a head's training pictures look like.

    Args:
        mean: (d,) float32, of each feature.
        scale: (d,) float32, its standard deviation, infinite where it does not vary.
        pictures: (m, d) float16, at most `MOST_PICTURES` of them, of unit length.
        held_out: (m,) float32, ascending: how far each is from the others.
    """

    mean: np.ndarray
    scale: np.ndarray
    pictures: np.ndarray
    held_out: np.ndarray

    def check(self) -> None:
        """Raise ValueError where arrays are not what `fit_density` makes."""
        m, d = self.pictures.shape
        fits = self.mean.shape == self.scale.shape == (d,) and self.held_out.shape == (m,)
        fits &= LEAST_PICTURES <= m <= MOST_PICTURES and 0 < d <= MOST_WIDTH
        kinds = [self.mean.dtype, self.scale.dtype, self.held_out.dtype, self.pictures.dtype]
        fits &= list(map(str, kinds)) == ["float32"] * 3 + ["float16"]
        if not fits or not (self.scale > 0).all() or (np.diff(self.held_out) < 0).any():
            raise ValueError("arrays that say nothing of training pictures")
        if not all(np.isfinite(one).all() for one in (self.mean, self.held_out, self.pictures)):
            raise ValueError("NaN or infinity among training pictures")

    def typical(self, features: np.ndarray) -> np.ndarray:
        """Return the share of training-like pictures that are less typical: (n,) from 0 to 1.

        Features (n, d) are as the head scores them.
        """
        if features.shape[1] != len(self.mean):
            raise InputError(
                f"expected {len(self.mean)} features for this run, received {features.shape[1]}: "
                f"its training pictures were of another base"
            )
        others = self.pictures.astype(np.float32)
        shares = np.empty(len(features))
        for begin in range(0, len(features), BLOCK):
            rows = slice(begin, begin + BLOCK)
            similar = _unit(features[rows], self.mean, self.scale) @ others.T
            far = 1 - np.partition(similar, -NEIGHBOUR, axis=1)[:, -NEIGHBOUR]
            farther = len(self.held_out) - np.searchsorted(self.held_out, far)
            shares[rows] = (1 + farther) / (1 + len(self.held_out))
        return shares


def fit_density(features: np.ndarray) -> Density | None:
    """Describe training pictures by their features (n, d), each content once; a sample will do.

    Returns:
        None where they are too few, or their features too many.
    """
    if len(features) < LEAST_PICTURES or features.shape[1] > MOST_WIDTH:
        return None
    mean, deviation = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=float)
    varies = deviation > 1e-5 * np.abs(mean)
    scale = np.where(varies & (deviation > 0), deviation, np.inf).astype(np.float32)
    mean = mean.astype(np.float32)
    pictures = _unit(features, mean, scale).astype(np.float16)
    similar = pictures.astype(np.float32) @ pictures.astype(np.float32).T
    np.fill_diagonal(similar, -np.inf)
    held_out = 1 - np.partition(similar, -NEIGHBOUR, axis=1)[:, -NEIGHBOUR]
    return Density(mean, scale, pictures, np.sort(held_out).astype(np.float32))


def sampled(n: int, seed: int) -> np.ndarray:
    """Return which of n training pictures describe them all: int, ascending."""
    drawn = np.random.default_rng(seed).permutation(n)[:MOST_PICTURES]
    return np.sort(drawn)


def _unit(features: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    unit = (features - mean) / scale
    np.clip(unit, -CLIP, CLIP, out=unit)
    length = np.linalg.norm(unit, axis=1, keepdims=True)
    return unit / np.where(length > 0, length, 1)
