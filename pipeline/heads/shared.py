"""Ridge and Fisher's discriminant on many inputs of the same pictures, from one matrix of products.

The products of an input's features are a part of those of all cuts side by side, and those of a
fold's fit are those of all rows less those of the rows held out. So rows are multiplied once,
whatever is tried of them; what remains is a system for each input (`shifted`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pipeline.heads.affine import common_scale
from pipeline.heads.catalog import HeadSpec
from pipeline.heads.class_weights import class_weights
from pipeline.heads.discriminant import LEAST_SHRINKAGE, ledoit_wolf
from pipeline.heads.fitted import ABSENT, safe_scale
from pipeline.heads.moments import Moments, MomentSource, stretches, weighted_moments
from pipeline.heads.preparation import apply_rowwise, spans
from pipeline.heads.ridge import Targets
from pipeline.heads.sample import Sample
from pipeline.heads.shifted import System, products

SHARING = ("ridge", "lda")
"""Heads that follow from sums over rows."""

_ALL_BUT_IDENTITY = 1 - 1e-10
"""A share of the identity that stands for all of it, and leaves a system to solve."""


class SharedInput(NamedTuple):
    """Blocks of a sample side by side, and heads of one name that are tried on them."""

    blocks: tuple[int, ...]
    specs: Sequence[HeadSpec]


class SharedFits:
    """Fits heads of one name, one preparation without PCA, and one class weight, as ``spec`` says.

    The sample has all cuts side by side; its ``blocks`` say where each lies.
    """

    def __init__(self, sample: Sample, spec: HeadSpec) -> None:
        self._sample, self._preparation, self._weight = sample, spec.preparation, spec.class_weight
        widths = sample.blocks or (sample.features.shape[1],)
        self._spans = [np.arange(*span) for span in spans(widths, sample.features.shape[1])]
        self._rows = apply_rowwise(sample.features, spec.preparation.rowwise, widths)
        self._labels, self._ridge = sample.row_labels, spec.head.name == "ridge"
        self._source: MomentSource | None = None
        if not (self._ridge and self._weight):  # weights differ from fold to fold
            self._source = MomentSource(self._rows, self._labels, sample.n_classes)

    def scores(
        self, fit: np.ndarray, held_out: np.ndarray, inputs: Sequence[SharedInput]
    ) -> list[np.ndarray]:
        """Fit every head of every input, with all views, and score the pictures (h,) held out.

        Returns:
            For each input, (its heads, h, k) float64.
        """
        rows = self._sample.with_views(fit)
        moments, shift, variances = self._moments(rows)
        centre = shift + moments.mean
        scale = np.ones_like(centre)
        if self._preparation.standardise:
            scale = safe_scale(centre, np.sqrt(variances))
        left, gram = (self._rows[held_out] - centre) / scale, moments.products / scale
        gram /= scale[:, None]
        solve = self._ridges if self._ridge else self._discriminants
        return solve(_Fit(rows, moments, centre, variances, scale, gram, left), inputs)

    def _moments(self, rows: np.ndarray) -> tuple[Moments, np.ndarray, np.ndarray]:
        """Return the moments of a fit, the shift (d,) they are about, and plain variances (d,)."""
        if self._source is not None:
            moments = self._source.of(rows)
            return moments, self._source.shift, moments.variances
        weights = class_weights(self._labels[rows], self._sample.n_classes, self._weight)
        assert weights is not None, "rows that all count alike have one source"
        return weighted_moments(self._rows, self._labels, weights, rows)

    def _columns(self, one: SharedInput) -> np.ndarray:
        return np.concatenate([self._spans[block] for block in sorted(one.blocks)])

    def _ridges(self, of: "_Fit", inputs: Sequence[SharedInput]) -> list[np.ndarray]:
        targets, systems = Targets(of.moments.counts), []
        for one in inputs:
            columns, alphas = self._columns(one), [spec.params["alpha"] for spec in one.specs]
            # What divides all features alike multiplies the penalty.
            penalties = np.array(alphas) * self._unit(of.variances[columns])
            systems.append(System(columns, penalties))
        cross = targets.height * of.moments.rows / of.scale[:, None]
        return [targets.scores(found) for found in products(of.gram, of.left, cross, systems)]

    def _unit(self, variances: np.ndarray) -> float:
        """Return the square of what all features of an input are divided by alike."""
        return 1.0 if self._preparation.standardise else common_scale(variances) ** 2

    def _discriminants(self, of: "_Fit", inputs: Sequence[SharedInput]) -> list[np.ndarray]:
        """Solve for class means; see `discriminant.PooledDiscriminant`."""
        seen, n_rows = np.flatnonzero(of.moments.counts), len(of.rows)
        counts = of.moments.counts[seen]
        means = of.moments.rows[:, seen] / counts / of.scale[:, None]
        between = means * np.sqrt(counts)
        within, fourths = of.gram - between @ between.T, self._fourths(of, inputs)
        systems, factors = [], []
        for one, fourth in zip(inputs, fourths, strict=True):
            columns = self._columns(one)
            own, shape = within[np.ix_(columns, columns)], (n_rows, len(columns))
            level = float(np.trace(own)) / n_rows / len(columns)
            if level <= 1e-12 * np.mean(means[columns] ** 2):  # nothing varies: nearest mean
                shifts = np.full(len(one.specs), 1e12 * max(float(np.trace(own)), 1e-100))
                factor = shifts / self._unit(of.variances[columns])
            else:
                auto = ledoit_wolf(own, shape, level, fourth) if fourth else 0.0
                given = [spec.params["shrinkage"] for spec in one.specs]
                share = np.array([auto if value == "auto" else value for value in given])
                share = np.minimum(share.astype(np.float64), _ALL_BUT_IDENTITY)
                factor = n_rows / (1 - share)
                shifts = np.maximum(share, LEAST_SHRINKAGE) * level * factor
            systems.append(System(columns, shifts))
            factors.append(factor)
        priors = np.log(np.full(len(seen), 1 / len(seen)) if self._weight else counts / n_rows)
        left, n_held = np.concatenate([of.left, means.T]), len(of.left)
        found = []
        for factor, some in zip(factors, products(within, left, means, systems), strict=True):
            scores = np.full((len(factor), n_held, len(of.moments.counts)), ABSENT)
            solved = some * factor[:, None, None]
            own_scores = np.einsum("acc->ac", solved[:, n_held:])
            linear = solved[:, :n_held] + (priors - 0.5 * own_scores)[:, None]
            scores[:, :, seen] = linear - linear.mean(2, keepdims=True)
            found.append(scores)
        return found

    def _fourths(self, of: "_Fit", inputs: Sequence[SharedInput]) -> list[float]:
        """Return the mean of |z - its class mean|⁴ for each input; 0 where nobody asks for it."""
        asked = [any(spec.params["shrinkage"] == "auto" for spec in one.specs) for one in inputs]
        if not any(asked):
            return [0.0] * len(inputs)
        moments, shares = of.moments, np.maximum(of.moments.counts, 1)
        class_means = (of.centre[:, None] + moments.rows / shares).T
        starts = [columns[0] for columns in self._spans]
        lengths = np.empty((len(of.rows), len(starts)))
        for some in stretches(len(of.rows), len(of.centre)):
            rows = of.rows[some]
            centred = (self._rows[rows] - class_means[self._labels[rows]]) / of.scale
            lengths[some] = np.add.reduceat(np.square(centred, out=centred), starts, axis=1)
        joined = [lengths[:, list(one.blocks)].sum(1) for one in inputs]
        return [float(np.mean(one**2)) for one in joined]


@dataclass(frozen=True)
class _Fit:
    """One fold's fit, and what it holds out.

    Args:
        rows: Rows that are fitted on.
        moments: Of these rows as they are.
        centre: (d,) their mean.
        variances: (d,) their plain variances.
        scale: (d,) what each feature is divided by.
        gram: (d, d) products of the rows so prepared.
        left: (h, d) what is held out, prepared likewise.
    """

    rows: np.ndarray
    moments: Moments
    centre: np.ndarray
    variances: np.ndarray
    scale: np.ndarray
    gram: np.ndarray
    left: np.ndarray
