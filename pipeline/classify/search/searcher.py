"""The order of a search: screen inputs with ridge, join cuts, then try every head on the best."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from joblib import Parallel, delayed, parallel_config
from threadpoolctl import threadpool_limits

from pipeline.classify.search.choose import Choice, choose
from pipeline.classify.search.grids import grid, preparations, shortlisted
from pipeline.classify.search.trial import Cuts, Pool, Trial, Unit, measure
from pipeline.heads import HeadSpec, Preparation, parse_head
from pipeline.heads.catalog import PREPARE

Progress = Callable[[int, int], None]
Measured = tuple[int, list[Trial]]
"""The place of a unit among those asked for, and its trials."""
Spread = Callable[[Pool, Sequence[tuple[int, Unit]]], Iterator[Measured]]
"""Measures units, each with its place, on a pool, wherever that is; yields them as they come."""

SCREENED_ROWS = 5000
"""Pictures on which inputs are screened; more tell them no better apart."""

MOST_JOINED = 4
PCA_SHARE = 0.95


class Memory(Protocol):
    """Keeps what was measured, so that a search that was interrupted goes on."""

    def get(self, unit: Unit, n_rows: int) -> list[Trial] | None:
        """Return what was measured of a unit on that many pictures, or None."""
        ...

    def put(self, unit: Unit, n_rows: int, trials: Sequence[Trial]) -> None:
        """Keep it; raises StoreError where that cannot be."""
        ...


@dataclass(frozen=True)
class Found:
    """What a search found for one head.

    Args:
        trials: Everything that was tried of it, judged on the same pictures.
        choice: Which was kept, and how good that is.
    """

    trials: tuple[Trial, ...]
    choice: Choice

    @property
    def chosen(self) -> Trial:
        """The candidate that was kept."""
        return self.trials[self.choice.place]


@dataclass(frozen=True)
class Search:
    """What a search found, one for each head, in the order of the heads."""

    found: tuple[Found, ...]


def search(
    pool: Pool,
    inputs: Sequence[Cuts],
    specs: Sequence[HeadSpec],
    memory: Memory,
    preparation: Preparation | None = None,
    *,
    whole: bool = True,
    n_jobs: int = -1,
    progress: Progress | None = None,
    spread: Spread | None = None,
) -> Search:
    """Find for every head what it should see, and how it should be set.

    Ridge regression is cheap (one decomposition serves every strength), so it screens: every input
    in every preparation, then the best input joined with one cut more as long as that helps. Each
    head is then tried on what came out best and on the default, with its own parameters.

    Args:
        pool: What there is to learn from; the test split is not in it.
        inputs: Inputs to start from; the first one is the default.
        specs: Heads; what is not at its default in them is kept as it is.
        memory: Keeps what was measured.
        preparation: That of the default, for heads that do not say their own; standardised if left
            out.
        whole: Whether preparations, parameters and joined cuts are searched too, or inputs alone.
        n_jobs: Processes; -1 for as many as there are cores.
        progress: Told how many pieces of work are done, and of how many so far.
        spread: What measures units elsewhere; processes of this machine if left out.
    """
    preparation = preparation or Preparation()
    work = _Work(pool, memory, spread or _Processes(n_jobs).measure, progress)
    screening = _screen(work, inputs, preparation, whole)
    defaults = [spec if PREPARE in spec.params else spec.prepared(preparation) for spec in specs]
    units = [
        _units(spec, default, screening.finalists, inputs[0], whole)
        for spec, default in zip(specs, defaults, strict=True)
    ]
    measured = iter(work.measure([unit for some in units for unit in some]))
    found = []
    for spec, some in zip(defaults, units, strict=True):
        trials = [trial for _ in some for trial in next(measured)]
        default = _place(trials, inputs[0], spec)
        choice = choose(trials, default, pool.seed, work.groups(len(pool.labels)))
        found.append(Found(tuple(trials), choice.humbled(screening.optimism)))
    return Search(tuple(found))


def _place(trials: Sequence[Trial], cuts: Cuts, spec: HeadSpec) -> int:
    """Return where the default is: the first input, and the head as it was given."""
    given = [(trial.cuts, str(trial.spec)) for trial in trials]
    return given.index((cuts, str(spec)))


class _Work:
    """Measures units in parallel, and what was measured before not again."""

    def __init__(
        self, pool: Pool, memory: Memory, spread: Spread, progress: Progress | None
    ) -> None:
        self._pool, self._memory, self._spread, self._progress = pool, memory, spread, progress
        small = len(pool.labels) <= SCREENED_ROWS
        self._small = pool if small else pool.subset(SCREENED_ROWS)
        self._done = self._total = 0

    def groups(self, n_rows: int) -> np.ndarray | None:
        """Return the groups of the judged rows of the pool, or of its subset."""
        pool = self._pool if n_rows == len(self._pool.labels) else self._small
        return None if pool.groups is None else pool.groups[pool.judged]

    @property
    def screening_pool(self) -> Pool:
        """What inputs are screened on."""
        return self._small

    def measure(self, units: Sequence[Unit], pool: Pool | None = None) -> list[list[Trial]]:
        """Return the trials of each unit, in their order."""
        pool = pool or self._pool
        n_rows = len(pool.labels)
        known = [self._memory.get(unit, n_rows) for unit in units]
        missing = [place for place, trials in enumerate(known) if trials is None]
        self._total += len(units)
        self._tell(len(units) - len(missing))
        for place, trials in self._in_parallel(pool, [(at, units[at]) for at in missing]):
            self._memory.put(units[place], n_rows, trials)
            known[place] = trials
            self._tell(1)
        return [trials for trials in known if trials is not None]

    def _tell(self, more: int) -> None:
        self._done += more
        if self._progress is not None:
            self._progress(self._done, self._total)

    def _in_parallel(self, pool: Pool, units: Sequence[tuple[int, Unit]]) -> Iterator[Measured]:
        # Dense heads first and here: TensorFlow takes all cores by itself.
        alone = [one for one in units if one[1].specs[0].head.name == "dense"]
        for one in alone:
            yield measured(*one, pool.only(one[1].cuts))
        others = [one for one in units if one[1].specs[0].head.name != "dense"]
        if others:
            yield from self._spread(pool, others)


@dataclass(frozen=True)
class _Processes:
    """Processes of this machine, as many as asked for."""

    n_jobs: int

    def measure(self, pool: Pool, units: Sequence[tuple[int, Unit]]) -> Iterator[Measured]:
        tasks = (delayed(measured)(*one, pool.only(one[1].cuts)) for one in units)
        # One thread of linear algebra each, or the processes would stand in each other's way.
        with parallel_config("loky", inner_max_num_threads=1), threadpool_limits(1):
            yield from Parallel(n_jobs=self.n_jobs, return_as="generator_unordered")(tasks)


def measured(place: int, unit: Unit, pool: Pool) -> Measured:
    """Measure a unit on the pool of its cuts alone, in their order; return it with its place."""
    inside = Unit(tuple(range(len(unit.cuts))), unit.specs)
    return place, [replace(trial, cuts=unit.cuts) for trial in measure(inside, pool)]


@dataclass
class _Screening:
    """Inputs and preparations, best first, and how much too good the best one looks."""

    trials: list[Trial] = field(default_factory=list)
    finalists: list[tuple[Cuts, Preparation]] = field(default_factory=list)
    optimism: float = 0.0


def _screen(work: _Work, inputs: Sequence[Cuts], default: Preparation, whole: bool) -> _Screening:
    ridge, result = parse_head("ridge"), _Screening()
    prepared = dict.fromkeys((default, *preparations(ridge))) if whole else (default,)

    def tried(candidates: Sequence[Cuts], ways: Sequence[Preparation]) -> list[Trial]:
        units = [Unit(cuts, grid(ridge.prepared(way))) for cuts in candidates for way in ways]
        trials = [best_of(some) for some in work.measure(units, work.screening_pool)]
        result.trials += trials
        return trials

    if len(inputs) > 1 or whole:
        tried(inputs, tuple(prepared))
        if whole:
            _join(result, tried, range(len(work.screening_pool.features)))
        ranked = sorted(result.trials, key=standing)
        result.finalists = [(trial.cuts, trial.spec.preparation) for trial in ranked]
        n_rows = len(work.screening_pool.labels)
        choice = choose(result.trials, 0, work.screening_pool.seed, work.groups(n_rows))
        result.optimism = choice.optimism
    return result


def standing(trial: Trial) -> tuple[float, float]:
    """Sort key that puts the best candidate first: accuracy, then log loss."""
    return -trial.accuracy, trial.log_loss


def best_of(trials: Sequence[Trial]) -> Trial:
    """Return the best of some candidates by their own figures."""
    return min(trials, key=standing)


def _join(
    result: _Screening,
    tried: Callable[[Sequence[Cuts], Sequence[Preparation]], list[Trial]],
    cuts: Sequence[int],
) -> None:
    """Join the best input with one cut more, as long as that is better on these pictures.

    After the inputs alone only the two best preparations go on.
    """
    ranked = sorted(result.trials, key=standing)
    ways = list(dict.fromkeys(trial.spec.preparation for trial in ranked))[:2]
    best = ranked[0]
    while len(best.cuts) < MOST_JOINED:
        known = {trial.cuts for trial in result.trials}
        wider = [tuple(sorted((*best.cuts, cut))) for cut in cuts if cut not in best.cuts]
        trials = tried([joined for joined in wider if joined not in known], ways)
        if not trials or standing(best_of(trials)) >= standing(best):
            return
        best = best_of(trials)


def _units(
    spec: HeadSpec,
    default: HeadSpec,
    finalists: Sequence[tuple[Cuts, Preparation]],
    first: Cuts,
    whole: bool,
) -> list[Unit]:
    """Return what is tried of a head: the default on the first input, then the shortlist."""
    if not whole:
        inputs = dict.fromkeys([first, *(cuts for cuts, _ in finalists)])
        return [Unit(cuts, (default,)) for cuts in list(inputs)[: 1 + shortlisted(spec.head.name)]]
    allowed = preparations(spec)
    pairs = [(first, default.preparation)]
    pairs += [
        (cuts, way if len(allowed) > 1 else spec.preparation)
        for cuts, way in finalists[: shortlisted(spec.head.name)]
    ]
    if len(allowed) > 1 and finalists:
        cuts, way = finalists[0]
        pairs.append((cuts, replace(way, pca=PCA_SHARE)))
    return [Unit(cuts, grid(spec.prepared(way))) for cuts, way in dict.fromkeys(pairs)]
