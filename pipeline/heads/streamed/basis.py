"""The affine parts of a preparation, from moments: where a fit's prepared rows live."""

from dataclasses import dataclass

import numpy as np
import scipy

from pipeline.heads.affine import common_scale, kept_components
from pipeline.heads.fitted import safe_scale
from pipeline.heads.preparation import Preparation
from pipeline.heads.streamed.sums import FitMoments


@dataclass(frozen=True)
class Basis:
    """A map from rows x, less the source's shift, to prepared rows z = ((x - mean) / scale)·R.

    Args:
        mean: (d,).
        scale: (d,).
        rotation: R (d, r), orthonormal columns; None for the identity.
    """

    mean: np.ndarray
    scale: np.ndarray
    rotation: np.ndarray | None = None

    @property
    def width(self) -> int:
        """How many values r a prepared row has."""
        return len(self.mean) if self.rotation is None else self.rotation.shape[1]

    def apply(self, rows: np.ndarray) -> np.ndarray:
        """Prepare rows (b, d): (b, r), in their dtype."""
        return self.turned((rows - self.mean.astype(rows.dtype)) / self.scale.astype(rows.dtype))

    def turned(self, rows: np.ndarray) -> np.ndarray:
        """Turn rows (b, d) that have been standardised: (b, r)."""
        return rows if self.rotation is None else rows @ self.rotation.astype(rows.dtype)

    def outward(self, kernel: np.ndarray) -> np.ndarray:
        """Return the kernel (d, u) on rows x that equals the kernel (r, u) on prepared ones."""
        turned = kernel if self.rotation is None else self.rotation @ kernel
        return turned / self.scale[:, None]

    def inward(self, slope: np.ndarray) -> np.ndarray:
        """Return the slope by a kernel on prepared rows, (r, u), from that by ``outward`` of it."""
        scaled = slope / self.scale[:, None]
        return scaled if self.rotation is None else self.rotation.T @ scaled

    def products(self, products: np.ndarray) -> np.ndarray:
        """Return the sums of z·zᵀ, (r, r), from those of x·xᵀ over centred rows, (d, d)."""
        scaled = products / self.scale / self.scale[:, None]
        return scaled if self.rotation is None else self.rotation.T @ scaled @ self.rotation

    def fold(
        self, kernel: np.ndarray, bias: np.ndarray, shift: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the layer on rows as they are that equals a layer (r, u), (u,) on prepared."""
        outer = self.outward(np.asarray(kernel, np.float64))
        return outer, bias - (shift.astype(np.float64) + self.mean) @ outer


def fit_basis(preparation: Preparation, moments: FitMoments, shift: np.ndarray) -> Basis:
    """Return what `fit_affine` fits to the same rows; signs of components are arbitrary.

    The affine parts of the preparation count. Moments have products where there is a PCA; the shift
    is the source's, (d,).
    """
    shift = shift.astype(np.float64)
    if preparation.standardise:
        mean = moments.mean
        scale = safe_scale(shift + mean, np.sqrt(moments.variances))
    else:  # one factor, and only a PCA moves rows
        mean = -shift if preparation.pca is None else moments.mean
        scale = np.full(len(mean), common_scale(moments.variances))
    basis = Basis(mean, scale)
    if preparation.pca is None:
        return basis
    assert moments.products is not None, "components without products"
    values, vectors = scipy.linalg.eigh(basis.products(moments.products), overwrite_a=True)
    shape = int(moments.counts.sum()), len(values)
    n_kept = kept_components(preparation.pca, values, *shape)
    return Basis(mean, scale, np.ascontiguousarray(vectors[:, ::-1][:, :n_kept]))
