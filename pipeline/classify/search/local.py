"""Measuring units on this machine, so that all cores work and nothing is computed twice.

Heads that follow from sums over rows go through in groups that share those sums, fold by fold;
others unit by unit. All of it in processes: threads wait for each other inside of linear algebra
(ridge, two cores: 109 s of CPU time in two threads, 39 s in one).
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from statistics import median
from time import monotonic
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from pipeline.classify.search.trial import Cuts, Pool, Trial, Unit, judged, measure
from pipeline.heads import HeadSpec
from pipeline.heads.shared import SHARING, SharedFits, SharedInput
from pipeline.system.processes import end_with_parent

Measured = tuple[int, list[Trial]]
"""The place of a unit among those asked for, and its trials."""
Placed = Sequence[tuple[int, Unit]]

_MOST_NUMBERS = 2**25
"""Scores that a group holds at once, in float64: 256 MiB."""

_WIDEST = 4096
"""Columns of all cuts up to which their products are held for each core: 128 MiB."""

_MOST_KEPT = 3
"""Preparations whose products are kept from one round of a search to the next."""


class ThisMachine:
    """Measures units on some cores of this machine, -1 for all; yields them as they come."""

    def __init__(self, n_jobs: int) -> None:
        self._n_jobs = n_jobs
        self._kept: tuple[Pool | None, dict[Any, SharedFits]] = None, {}

    def __call__(self, pool: Pool, units: Placed) -> Iterator[Measured]:
        """Yield each unit's place and trials."""
        import scipy.linalg  # noqa: F401  # a library that is loaded later would not be limited
        from joblib import Parallel, delayed, effective_n_jobs, parallel_config

        groups = list(_groups([one for one in units if _can_share(one[1], pool)], pool))
        alone = [one for one in units if not _can_share(one[1], pool)]
        tasks = chain(  # the long ones first, so that no core is left with one at the end
            (delayed(measured)(*one, pool.only(one[1].cuts)) for one in alone),
            (task for at, group in enumerate(groups) for task in self._fold_tasks(pool, at, group)),
        )
        n_tasks = len(alone) + len(groups) * len(pool.folds)
        # One thread of linear algebra each, or the processes would stand in each other's way.
        threads = max(1, effective_n_jobs(self._n_jobs) // n_tasks)
        ending = {"initializer": end_with_parent, "initargs": (os.getpid(),)}
        with parallel_config("loky", inner_max_num_threads=threads, **ending), threadpool_limits(1):
            found: list[dict[int, Any]] = [{} for _ in groups]
            for done in Parallel(n_jobs=self._n_jobs, return_as="generator_unordered")(tasks):
                if not isinstance(done, _Fold):
                    yield done
                    continue
                found[done.group][done.fold] = done
                if len(found[done.group]) == len(pool.folds):
                    yield from _judge(pool, groups[done.group], found[done.group])
                    found[done.group].clear()

    def _fold_tasks(self, pool: Pool, at: int, group: Placed) -> Iterator[Any]:
        """Yield a task for each fold; products are summed when the first one is taken."""
        from joblib import delayed

        cuts = tuple(range(len(pool.features)))
        if sum(part.shape[1] for part in pool.features) > _WIDEST:
            cuts = tuple(sorted({cut for _, unit in group for cut in unit.cuts}))
        fits = self._fits(pool, cuts, group[0][1].specs[0])
        inputs = [
            SharedInput(tuple(sorted(cuts.index(cut) for cut in unit.cuts)), unit.specs)
            for _, unit in group
        ]
        for fold, (fit, held_out) in enumerate(pool.folds):
            yield delayed(_scores)(at, fold, fits, fit, held_out, inputs)

    def _fits(self, pool: Pool, cuts: Cuts, spec: HeadSpec) -> SharedFits:
        """Return what a search's rounds share; that of another pool is let go."""
        if self._kept[0] is not pool:
            self._kept = pool, {}
        key = cuts, spec.head.name, spec.preparation, spec.class_weight
        fits = self._kept[1]
        if key not in fits:
            if len(fits) >= _MOST_KEPT:
                fits.clear()
            fits[key] = SharedFits(pool.sample(cuts), spec)
        return fits[key]


def measured(place: int, unit: Unit, pool: Pool) -> Measured:
    """Measure a unit on the pool of its cuts alone, in their order; return it with its place."""
    inside = replace(unit, cuts=tuple(range(len(unit.cuts))))
    return place, [replace(trial, cuts=unit.cuts) for trial in measure(inside, pool)]


def _can_share(unit: Unit, pool: Pool) -> bool:
    """Say whether products of features are the smaller way, and there are no components to find."""
    least = min(len(fit) for fit, _ in pool.folds) * (1 + pool.n_views)
    width = sum(pool.features[cut].shape[1] for cut in unit.cuts)
    if unit.specs[0].head.name not in SHARING:
        return False
    return width <= min(least, _WIDEST) and unit.specs[0].preparation.pca is None


def _groups(units: Placed, pool: Pool) -> Iterator[list[tuple[int, Unit]]]:
    """Yield units of one kind of head and preparation together, as many as can be held."""
    kinds: dict[Any, list[tuple[int, Unit]]] = {}
    for place, unit in units:
        spec = unit.specs[0]
        kinds.setdefault((spec.head.name, spec.preparation, spec.class_weight), []).append(
            (place, unit)
        )
    n_scores = sum(len(held_out) for _, held_out in pool.folds) * pool.n_classes
    for some in kinds.values():
        group: list[tuple[int, Unit]] = []
        for place, unit in some:
            cuts = {cut for _, one in group for cut in one.cuts} | set(unit.cuts)
            width = sum(pool.features[cut].shape[1] for cut in cuts)
            held = n_scores * sum(len(one.specs) for _, one in [*group, (place, unit)])
            if group and (width > _WIDEST or held > _MOST_NUMBERS):
                yield group
                group = []
            group.append((place, unit))
        yield group


class _Fold(NamedTuple):
    """What a group's heads say of one fold: scores of each input, and the seconds that took."""

    group: int
    fold: int
    scores: list[np.ndarray]
    seconds: float


def _scores(
    group: int,
    fold: int,
    fits: SharedFits,
    fit: np.ndarray,
    held_out: np.ndarray,
    inputs: Sequence[SharedInput],
) -> _Fold:
    began = monotonic()
    return _Fold(group, fold, fits.scores(fit, held_out, inputs), monotonic() - began)


def _judge(pool: Pool, group: Placed, folds: Mapping[int, _Fold]) -> Iterator[Measured]:
    rows = np.concatenate([held_out for _, held_out in pool.folds])
    n_heads = sum(len(unit.specs) for _, unit in group)
    # What a process takes for its first one is mostly loading libraries.
    seconds = len(folds) * median(fold.seconds for fold in folds.values()) / n_heads
    for i, (place, unit) in enumerate(group):
        scores = np.concatenate([folds[fold].scores[i] for fold in sorted(folds)], axis=1)
        yield place, judged(unit, [rows] * len(scores), list(scores), pool, seconds)
