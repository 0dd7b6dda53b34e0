"""Which base sees best what matters in these pictures, judged on few before all are paid for.

Every base is judged by ridge regression on its features of the same pictures in the same folds, so
that bases are compared in pairs. Between rounds those go that are clearly worse; where the time
does not suffice for what is left, so does the worse half, and the rest is judged on twice as many
pictures (successive halving, Jamieson and Talwalkar 2016). The test split has no part in it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.classify.bases import BaseRow
from pipeline.classify.search.choose import choose
from pipeline.classify.search.grids import grid
from pipeline.classify.search.searcher import best_of, standing
from pipeline.classify.search.trial import Pool, Trial, Unit, measure
from pipeline.classify.selection import Selection, default_preparation, select_by
from pipeline.config import ClassifyConfig
from pipeline.errors import DataError
from pipeline.evaluate import proportion
from pipeline.features.inputs import Input
from pipeline.features.store import FeatureCache
from pipeline.features.worklist import undecodable
from pipeline.heads import parse_head
from pipeline.images import Dataset
from pipeline.system.units import counted, time_text

CLEARLY = 2.0
"""Standard errors of a paired difference from which on a base is clearly worse."""
FEWEST = 5
"""Pictures of a class that a round has at least, where there are so many."""
SHARE_OF_ALL, SHARE_OF_ROUND = 0.5, 1 / 3
"""Of the time for all pictures through all bases, what is spent if nothing is said; and of that,
what the first round may take."""


@dataclass(frozen=True)
class Judged:
    """What pictures that a head had not seen say of a base.

    Args:
        n_per_class: Most pictures of a class.
        trial: The best ridge on any of its inputs.
        row_bytes: Of the features of a picture.
    """

    n_per_class: int
    trial: Trial
    row_bytes: int


def sample_rows(dataset: Dataset, n_per_class: int, seed: int) -> np.ndarray:
    """Draw pictures to judge bases on: those of fewer are among those of more.

    Args:
        dataset: The pictures.
        n_per_class: Most of each class, from train; of a validation split as many.
        seed: Of the draw.

    Returns:
        (n,) bool.
    """
    drawn = np.zeros(len(dataset), bool)
    for split in ("train", "validation"):
        rows = dataset.select(split)
        order = np.random.default_rng(seed).permutation(len(rows))
        shuffled = rows[order]
        for label in range(len(dataset.classes)):
            drawn[shuffled[dataset.labels[shuffled] == label][:n_per_class]] = True
    return drawn


def judge(
    config: ClassifyConfig,
    dataset: Dataset,
    cache: FeatureCache,
    inputs: Sequence[Input],
    rows: np.ndarray,
) -> Trial:
    """Judge a base by its cached features of some pictures.

    Args:
        config: Folds, preparation and seed.
        dataset: The pictures.
        cache: Features of these rows.
        inputs: What heads may see of the base.
        rows: (n,) bool, of `sample_rows` or all of train and validation.

    Raises:
        DataError: Nothing can be held out.
    """
    selection = _selection(config, dataset, cache, rows)
    cuts = tuple(dict.fromkeys(cut for joined in inputs for cut in joined))
    digests = dataset.digests[selection.rows]
    pool = Pool(
        tuple(cache.blocks([(cut.layer, cut.pooling)], digests).array() for cut in cuts),
        dataset.labels[selection.rows],
        len(dataset.classes),
        selection.folds,
        dataset.bundles(selection.rows),
        config.seed,
    )
    way = default_preparation(config.prepare, dataset.labels[selection.train])
    ridges = grid(parse_head("ridge").prepared(way))
    places = [tuple(cuts.index(cut) for cut in joined) for joined in inputs]
    return best_of([trial for place in places for trial in measure(Unit(place, ridges), pool)])


def _selection(
    config: ClassifyConfig, dataset: Dataset, cache: FeatureCache, rows: np.ndarray
) -> Selection:
    usable = rows & cache.has(dataset.digests) & ~undecodable(cache, dataset.digests)
    train, judges = (
        picked[usable[picked]] for picked in map(dataset.select, ("train", "validation"))
    )
    selection = select_by(config, dataset, train, judges)
    if not selection.folds:
        raise DataError(
            "expected at least 2 training pictures of every class to compare bases, received a "
            "class with 1; add pictures, leave it out with --min-per-class 2, or name one base"
        )
    return selection


def clearly_worse(trials: Mapping[int, Trial]) -> dict[int, str]:
    """Return which bases are clearly worse than the best, with the figures.

    Args:
        trials: Of each base, on the same pictures.
    """
    best = min(trials, key=lambda place: standing(trials[place]))
    found = {}
    for place, trial in trials.items():
        less = trials[best].right - trial.right
        error = float(less.std(ddof=1) / np.sqrt(len(less)))
        if place != best and error > 0 and float(less.mean()) > CLEARLY * error:
            figures = f"{trial.accuracy:.3f} against {trials[best].accuracy:.3f}"
            found[place] = f"clearly worse than the best: {figures} (± {CLEARLY * error:.3f})"
    return found


def worse_half(trials: Mapping[int, Trial]) -> list[int]:
    """Return the worse half of some bases, rounded down."""
    ranked = sorted(trials, key=lambda place: standing(trials[place]))
    return ranked[(len(ranked) + 1) // 2 :]


@dataclass(frozen=True)
class ScreeningPlan:
    """How much is computed before it is decided which bases see all pictures.

    Args:
        budget: Seconds of computing features.
        n_per_class: Pictures of a class in the first round.
    """

    budget: float
    n_per_class: int

    @classmethod
    def of(
        cls,
        config: ClassifyConfig,
        n_images: int,
        n_classes: int,
        seconds_per_image: Iterable[float],
    ) -> "ScreeningPlan":
        """Make a plan from what a picture takes through each base."""
        a_picture = sum(seconds_per_image)
        budget = config.budget_seconds
        if budget is None:
            budget = SHARE_OF_ALL * n_images * a_picture
        affordable = budget * SHARE_OF_ROUND / a_picture / n_classes if a_picture else n_images
        return cls(budget, config.sample or max(FEWEST, int(min(affordable, n_images))))


@dataclass
class ComparedBases:
    """Bases on their way through the rounds, by their place in the list.

    Args:
        config: Folds and seed.
        rows: What is told of each.
        judged: The last round of each.
        first: The round in which all were judged.
    """

    config: ClassifyConfig
    rows: list[BaseRow]
    judged: dict[int, Judged] = field(default_factory=dict)
    first: dict[int, Judged] = field(default_factory=dict)

    @property
    def alive(self) -> list[int]:
        """Places of the bases that were not dropped."""
        return [place for place, row in enumerate(self.rows) if row.dropped is None]

    def note(self, judged: Mapping[int, Judged]) -> None:
        """Take in a round of all that are alive, and drop those that are clearly worse."""
        if not self.first:
            self.first = dict(judged)
            for place, one in judged.items():
                row, n = self.rows[place], len(one.trial.right)
                accuracy = proportion(one.trial.accuracy, n)
                row.sample_accuracy, row.sample_ci95 = accuracy.value, accuracy.ci95
                row.sample, row.bytes_per_image = one.n_per_class, one.row_bytes
        self.judged |= judged
        for place, why in clearly_worse(self._trials()).items():
            self._drop(place, why)

    def halve(self, seconds: float) -> None:
        """Drop the worse half, as the time that is left does not suffice for all."""
        self._drop_others(worse_half(self._trials()), seconds)

    def keep_best(self, seconds: float) -> None:
        """Drop all but the best, as time is left for one alone."""
        trials = self._trials()
        ranked = sorted(trials, key=lambda place: standing(trials[place]))
        self._drop_others(ranked[1:], seconds)

    def _drop_others(self, places: Sequence[int], seconds: float) -> None:
        trials = self._trials()
        best = max(trial.accuracy for trial in trials.values())
        for place in places:
            figures = f"{trials[place].accuracy:.3f}, the best {best:.3f}"
            left = time_text(max(seconds, 0.0))
            self._drop(place, f"behind ({figures}) with {left} left for all that remained")

    def _trials(self) -> dict[int, Trial]:
        return {place: self.judged[place].trial for place in self.alive}

    def _drop(self, place: int, why: str) -> None:
        n = self.judged[place].n_per_class
        self.rows[place].dropped = f"after {counted(n, 'picture')} a class, {why}"

    def optimism(self, n_pictures: int, whole: Sequence[Trial]) -> float:
        """Return how much too good the best base looks, for being the best of all of them.

        The luck of the first round is that of its own pictures, and counts by their share of all.

        Args:
            n_pictures: All that may judge.
            whole: Of the bases that went through all pictures, where these are several.
        """
        seed, first = self.config.seed, [one.trial for one in self.first.values()]
        share = min(1.0, len(first[0].right) / n_pictures)
        screened = choose(first, 0, seed).optimism * share
        return max(screened, choose(whole, 0, seed).optimism) if whole else screened
