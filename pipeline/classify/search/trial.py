"""What a search tries, and how each try is measured on pictures that it has not seen."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import monotonic

import numpy as np

from pipeline.features.store.blocks import side_by_side
from pipeline.heads import HeadSpec
from pipeline.heads.fit import fitting_factor
from pipeline.heads.grid import grid_scores
from pipeline.heads.sample import Folds, Sample

Cuts = tuple[int, ...]
"""An input: places of cuts in the pool, side by side in this order."""


@dataclass(frozen=True)
class Pool:
    """Everything that a search learns from.

    Args:
        features: One array ((1 + n_views) · n, d) float32 per cut: n pictures, then view 1 of
            each, ….
        labels: (n,) int in 0 … n_classes-1.
        n_classes: k.
        folds: Rows to fit on and rows held out, of all repeats one after the other. Rows that are
            held out nowhere, or fitted on nowhere, may be among the n.
        groups: (n,) int, rows that belong together; None where each is by itself.
        seed: Seed of everything random.
        n_views: Augmented views of each picture.
    """

    features: tuple[np.ndarray, ...]
    labels: np.ndarray
    n_classes: int
    folds: Folds
    groups: np.ndarray | None = None
    seed: int = 0
    n_views: int = 0

    @property
    def widths(self) -> tuple[int, ...]:
        """Columns of each cut."""
        return tuple(part.shape[1] for part in self.features)

    @property
    def judged(self) -> np.ndarray:
        """The rows that some fold holds out: (m,) int, ascending."""
        return np.unique(np.concatenate([held_out for _, held_out in self.folds]))

    @property
    def judged_groups(self) -> np.ndarray | None:
        """The groups of these rows: (m,) int; None where each is by itself."""
        return None if self.groups is None else self.groups[self.judged]

    def sample(self, cuts: Cuts) -> Sample:
        """Return one input as heads learn from it."""
        parts = [self.features[cut] for cut in cuts]
        widths = tuple(part.shape[1] for part in parts)
        given = (self.labels, self.n_classes, self.seed, self.n_views, widths, self.groups)
        return Sample(side_by_side(parts), *given)

    def only(self, cuts: Cuts) -> "Pool":
        """Return the pool of some cuts alone, in that order: what one unit of work needs."""
        return replace(self, features=tuple(self.features[cut] for cut in cuts))

    def subset(self, n_rows: int) -> "Pool":
        """Return about ``n_rows`` of the rows, each class in its share, in the same folds."""
        rows = stratified_rows(self.labels, n_rows, self.seed)
        place = np.full(len(self.labels), -1)
        place[rows] = np.arange(len(rows))
        cut = [(place[fit], place[held_out]) for fit, held_out in self.folds]
        folds = [(fit[fit >= 0], held_out[held_out >= 0]) for fit, held_out in cut]
        step = len(self.labels)
        viewed = np.concatenate([rows + view * step for view in range(1 + self.n_views)])
        return replace(
            self,
            features=tuple(part[viewed] for part in self.features),
            labels=self.labels[rows],
            folds=folds,
            groups=None if self.groups is None else self.groups[rows],
        )


def stratified_rows(labels: np.ndarray, n_rows: int, seed: int) -> np.ndarray:
    """Draw about ``n_rows`` rows, at least ten of each class where it has them: int, ascending."""
    rng, drawn = np.random.default_rng(seed), []
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        drawn.append(members[: max(10, round(n_rows * len(members) / len(labels)))])
    return np.sort(np.concatenate(drawn))


@dataclass(frozen=True)
class Unit:
    """A piece of work: one input and heads that differ in their own parameters only.

    Args:
        cuts: The input.
        specs: The heads.
        needed: One of them that is measured even where those before it show that it is worse.
    """

    cuts: Cuts
    specs: tuple[HeadSpec, ...]
    needed: HeadSpec | None = None


@dataclass(frozen=True)
class Trial:
    """One candidate, measured.

    Args:
        cuts: Its input.
        spec: Its head with all parameters and its preparation.
        right: (m,) float32, for each judged row the share of repeats that called it right.
        losses: (m,) float32, its mean negative log probability of the given label, in nats.
        factor: What its scores are multiplied with to become log probabilities.
        seconds: Its share of the time that its unit took.
    """

    cuts: Cuts
    spec: HeadSpec
    right: np.ndarray
    losses: np.ndarray
    factor: float
    seconds: float

    @property
    def accuracy(self) -> float:
        """Share of the judged rows that were called right."""
        return float(self.right.mean())

    @property
    def log_loss(self) -> float:
        """Mean of the losses."""
        return float(self.losses.mean())


def measure(unit: Unit, pool: Pool) -> list[Trial]:
    """Fit every head of a unit on every fold, and judge it on what the fold holds out.

    Args:
        unit: Its cuts are places in ``pool``.
        pool: What there is to learn from.

    Returns:
        One trial per head, in their order, less those that are clearly worse than others.
    """
    began, specs = monotonic(), unit.specs
    rows: list[list[np.ndarray]] = [[] for _ in specs]
    scores: list[list[np.ndarray]] = [[] for _ in specs]
    for place, held_out, some in grid_scores(
        specs, pool.sample(unit.cuts), pool.folds, unit.needed
    ):
        rows[place].append(held_out)
        scores[place].append(some)
    tried = [place for place, its_rows in enumerate(rows) if its_rows]
    seconds = (monotonic() - began) / len(tried)
    return judged(
        replace(unit, specs=tuple(specs[place] for place in tried)),
        [np.concatenate(rows[place]) for place in tried],
        [np.concatenate(scores[place]) for place in tried],
        pool,
        seconds,
    )


def judged(
    unit: Unit,
    rows: Sequence[np.ndarray],
    scores: Sequence[np.ndarray],
    pool: Pool,
    seconds: float,
) -> list[Trial]:
    """Return a trial for each head of a unit, from scores of rows that it had not seen.

    Args:
        unit: Its cuts and heads.
        rows: (m,) int for each head, as folds count them.
        scores: (m, k) for each head, row-aligned.
        pool: Where the labels are.
        seconds: What measuring one head took.
    """
    places = pool.judged
    return [
        Trial(unit.cuts, spec, *_judge(spec, its_rows, some, pool.labels, places), seconds)
        for spec, its_rows, some in zip(unit.specs, rows, scores, strict=True)
    ]


def _judge(
    spec: HeadSpec, rows: np.ndarray, scores: np.ndarray, labels: np.ndarray, judged: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    from scipy.special import log_softmax  # slow to import

    given = labels[rows]
    factor = 1.0 if spec.head.calibrated else fitting_factor(scores, given)
    losses = -log_softmax(scores * factor, axis=1)[np.arange(len(rows)), given]
    places = np.searchsorted(judged, rows)
    repeats = np.bincount(places, minlength=len(judged))
    right = np.bincount(places, scores.argmax(1) == given, len(judged)) / repeats
    losses = np.bincount(places, losses, len(judged)) / repeats
    return right.astype(np.float32), losses.astype(np.float32), factor
