"""The order of a search: screen inputs with ridge, join cuts, then try every head on the best."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median

from pipeline.classify.pace import Pace, Portion
from pipeline.classify.search.ahead import Ahead, pieces_of
from pipeline.classify.search.choose import Choice, choose
from pipeline.classify.search.grids import (
    MOST_JOINED,
    WAYS_JOINED,
    grid,
    preparations,
    shortlisted,
)
from pipeline.classify.search.local import Measured, measured
from pipeline.classify.search.memory import SearchMemory
from pipeline.classify.search.trial import Cuts, Pool, Trial, Unit
from pipeline.heads import HeadSpec, Preparation, parse_head
from pipeline.system.progress import SILENT, Reporter

MeasureUnits = Callable[[Pool, Sequence[tuple[int, Unit]]], Iterator[Measured]]
"""Measures units, each with its place, on a pool, wherever that is; yields them as they come."""

SCREENED_ROWS = 5000
"""Pictures on which inputs are screened; more tell them no better apart."""

PCA_SHARE = 0.95


@dataclass(frozen=True)
class FoundHead:
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


def search(
    runner: "UnitRunner",
    inputs: Sequence[Cuts],
    specs: Sequence[HeadSpec],
    preparation: Preparation | None = None,
    *,
    whole: bool = True,
) -> list[FoundHead]:
    """Find for every head what it should see, and how it should be set.

    Ridge regression is cheap (one decomposition serves every strength), so it screens: every input
    in every preparation, then the best input joined with one cut more as long as that helps. Each
    head is then tried on what came out best and on the default, with its own parameters. Where
    screening sees all pictures, each head begins with the default beside it, so that it is soon
    known what the heads take.

    Args:
        runner: Measures on what there is to learn from; the test split is not in it.
        inputs: Inputs to start from; the first one is the default.
        specs: Heads; what is not at its default in them is kept as it is.
        preparation: That of the default, for heads that do not say their own; standardised if left
            out.
        whole: Whether preparations, parameters and joined cuts are searched too, or inputs alone.

    Returns:
        One for each head, in their order.
    """
    preparation, pool = preparation or Preparation(), runner.pool
    defaults = [spec.or_prepared(preparation) for spec in specs]
    ahead = Ahead(pool.widths, specs, whole)
    early = [
        _units(spec, default, (), inputs[0], whole)[0]
        for spec, default in zip(specs, defaults, strict=True)
        if runner.screening_pool is pool and spec.head.name != "ridge"
    ]
    finalists, optimism = _screen(runner, inputs, preparation, early, ahead)
    units = [
        _units(spec, default, finalists, inputs[0], whole)
        for spec, default in zip(specs, defaults, strict=True)
    ]
    wanted = [unit for some in units for unit in some]
    measured = iter(runner.measure(wanted, pool))
    found = []
    for spec, some in zip(defaults, units, strict=True):
        trials = [trial for _ in some for trial in next(measured)]
        candidates = [(trial.cuts, str(trial.spec)) for trial in trials]
        default = candidates.index((inputs[0], str(spec)))
        choice = choose(trials, default, pool.seed, pool.judged_groups)
        found.append(FoundHead(tuple(trials), choice.humbled(optimism)))
    return found


def _screen(
    runner: "UnitRunner",
    inputs: Sequence[Cuts],
    default: Preparation,
    early: Sequence[Unit],
    ahead: Ahead,
) -> tuple[list[tuple[Cuts, Preparation]], float]:
    """Return inputs with preparations, best first, and how much too good the best one looks."""
    if len(inputs) == 1 and not ahead.whole:
        return [], 0.0
    ways = [default, *preparations(parse_head("ridge"))] if ahead.whole else [default]
    trials = _screened(runner, inputs, list(dict.fromkeys(ways)), ahead, early)
    if ahead.whole:
        trials = _join(runner, trials, ahead)
    ranked = sorted(trials, key=standing)
    pool = runner.screening_pool
    choice = choose(trials, 0, pool.seed, pool.judged_groups)
    return [(trial.cuts, trial.spec.preparation) for trial in ranked], choice.optimism


def _screened(
    runner: "UnitRunner",
    inputs: Sequence[Cuts],
    ways: Sequence[Preparation],
    ahead: Ahead,
    early: Sequence[Unit] = (),
) -> list[Trial]:
    """Return the best ridge on each input in each preparation; what else is measured is kept."""
    ridge, pool = parse_head("ridge"), runner.screening_pool
    units = [Unit(cuts, grid(ridge.prepared(way))) for cuts in inputs for way in ways]
    width = median(sum(pool.widths[cut] for cut in cuts) for cuts in inputs)
    later = ahead.after(len(inputs[0]), width)
    measured = runner.measure([*units, *early], pool, later)
    return [best_of(trials) for trials in measured[: len(units)]]


def _join(runner: "UnitRunner", trials: list[Trial], ahead: Ahead) -> list[Trial]:
    """Join the best input with one cut more, as long as that is better on these pictures.

    After the inputs alone only the two best preparations go on.

    Returns:
        The trials that were given, and after them those of joined cuts.
    """
    ranked = sorted(trials, key=standing)
    ways = list(dict.fromkeys(trial.spec.preparation for trial in ranked))[:WAYS_JOINED]
    best, all_cuts = ranked[0], range(len(runner.screening_pool.features))
    while len(best.cuts) < MOST_JOINED:
        known = {trial.cuts for trial in trials}
        wider = [tuple(sorted((*best.cuts, cut))) for cut in all_cuts if cut not in best.cuts]
        fresh = [cuts for cuts in wider if cuts not in known]
        if not fresh:
            break
        joined = _screened(runner, fresh, ways, ahead)
        trials = trials + joined
        if standing(best_of(joined)) >= standing(best):
            break
        best = best_of(joined)
    return trials


def standing(trial: Trial) -> tuple[float, float]:
    """Sort key that puts the best candidate first: accuracy, then log loss."""
    return -trial.accuracy, trial.log_loss


def best_of(trials: Sequence[Trial]) -> Trial:
    """Return the best of some candidates by their own figures."""
    return min(trials, key=standing)


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
    made = [Unit(cuts, grid(spec.prepared(way))) for cuts, way in dict.fromkeys(pairs)]
    return [replace(made[0], needed=default), *made[1:]]


class UnitRunner:
    """Measures units in parallel, and what was measured before not again.

    Args:
        pool: What there is to learn from.
        memory: Keeps what was measured, so that a search that was interrupted goes on.
        spread: Measures units, on this machine or elsewhere.
        reporter: Told how many units were measured, of how many at most, and what is left.
        workers: How many units are measured at a time; None where nobody can know.
    """

    def __init__(
        self,
        pool: Pool,
        memory: SearchMemory,
        spread: MeasureUnits,
        reporter: Reporter = SILENT,
        workers: int | None = None,
    ) -> None:
        self.pool, self._memory, self._spread, self._reporter = pool, memory, spread, reporter
        self._workers = workers
        small = len(pool.labels) <= SCREENED_ROWS
        self.screening_pool = pool if small else pool.subset(SCREENED_ROWS)
        """What inputs are screened on."""
        self._done, self._pace = 0, Pace(workers=workers)

    def measure(
        self, units: Sequence[Unit], pool: Pool, later: Sequence[Portion] = ()
    ) -> list[list[Trial]]:
        """Return the trials of each unit on a pool, in their order.

        Args:
            units: What is tried.
            pool: What there is to learn from.
            later: What may be tried after these, for what is told.
        """
        n_rows, pieces = len(pool.labels), pieces_of(units, pool.widths)
        known = [self._memory.get(unit, n_rows) for unit in units]
        missing = [(place, units[place]) for place, one in enumerate(known) if one is None]
        for piece, one in zip(pieces, known, strict=True):
            if one is not None:
                self._pace.learn(piece, _seconds(one))
        self._pace.expect([*(pieces[place] for place, _ in missing), *later])
        total = self._done + len(missing) + len(later)
        if missing:
            self._tell(total)
        for place, trials in self._in_parallel(pool, _heads_in_turn(missing)):
            self._memory.put(units[place], n_rows, trials)
            known[place] = trials
            self._done += 1
            seconds = _seconds(trials)
            if _head_of(units[place]) == "dense":  # one at a time
                seconds *= self._workers or 1
            self._pace.finish(pieces[place], seconds)
            self._tell(total)
        return [trials for trials in known if trials is not None]

    def _tell(self, total: int) -> None:
        left = self._pace.seconds_left
        self._reporter.advance_unlike("search", self._done, total, "steps", left)

    def _in_parallel(self, pool: Pool, units: Sequence[tuple[int, Unit]]) -> Iterator[Measured]:
        # Dense heads first and here: TensorFlow takes all cores by itself.
        alone = [one for one in units if one[1].specs[0].head.name == "dense"]
        for one in alone:
            yield measured(*one, pool.only(one[1].cuts))
        others = [one for one in units if one[1].specs[0].head.name != "dense"]
        if others:
            yield from self._spread(pool, others)


def _seconds(trials: Sequence[Trial]) -> float:
    return sum(trial.seconds for trial in trials)


def _head_of(unit: Unit) -> str:
    return unit.specs[0].head.name


def _heads_in_turn(units: Sequence[tuple[int, Unit]]) -> list[tuple[int, Unit]]:
    """Return units with one of each head first, so that it is soon known what each takes."""
    before = Counter[str]()
    turns = []
    for _, unit in units:
        turns.append(before[_head_of(unit)])
        before[_head_of(unit)] += 1
    return [unit for _, unit in sorted(zip(turns, units, strict=True), key=lambda pair: pair[0])]
