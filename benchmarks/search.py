"""What a search costs: its CPU time in decompositions of the widest input, and unit by unit.

``python -m benchmarks search``: made-up features of 3,460 pictures, with EfficientNet-Lite0's cuts.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from joblib import parallel_config
from scipy.linalg import eigh
from threadpoolctl import threadpool_limits

from benchmarks.heads import made_up
from pipeline.classify.search import Measured, Pool, Unit, measured
from pipeline.classify.search.local import ThisMachine
from pipeline.classify.search.searcher import FoundHead, UnitRunner, search
from pipeline.classify.search.trial import Trial
from pipeline.heads import parse_heads
from pipeline.heads.sample import make_folds

WIDTHS = (1280, 16, 24, 40, 80, 112, 192, 320)
N_ROWS, N_CLASSES, N_FOLDS = 3460, 12, 5
SMALLER = 4
"""By what the smaller search has fewer rows and columns: unit by unit takes many minutes."""

HEADS = ("ridge", "lda", "logistic")


class Nothing:
    """A memory that keeps what this search measured, and nothing of the search before."""

    def __init__(self) -> None:
        self._kept: dict[Any, list[Trial]] = {}

    def get(self, unit: Unit, n_rows: int) -> list[Trial] | None:
        """Return what was put there."""
        return self._kept.get((unit.cuts, tuple(map(str, unit.specs)), n_rows))

    def put(self, unit: Unit, n_rows: int, trials: list[Trial]) -> None:
        """Keep it."""
        self._kept[unit.cuts, tuple(map(str, unit.specs)), n_rows] = trials


def unit_by_unit(pool: Pool, units: Sequence[tuple[int, Unit]]) -> Iterator[Measured]:
    """Measure units in turn, each by itself, on one thread."""
    with threadpool_limits(1), parallel_config("sequential"):
        for place, unit in units:
            yield measured(place, unit, pool.only(unit.cuts))


def main() -> None:
    """Print for each head what a search costs, and on a smaller one the same unit by unit."""
    small, large = _pool(N_ROWS // SMALLER, SMALLER), _pool(N_ROWS, 1)
    rows = np.concatenate(large.features, axis=1).astype(np.float64)
    rows -= rows.mean(0)
    _, one, _ = _timed(partial(_decomposed, rows.T @ rows))
    for head in HEADS:
        shared, cpu_shared, _ = _timed(partial(_searched, small, head, ThisMachine(1)))
        alone, cpu_alone, _ = _timed(partial(_searched, small, head, unit_by_unit))
        same = all(
            (a.cuts, str(a.spec), a.accuracy) == (b.cuts, str(b.spec), b.accuracy)
            for a, b in zip(shared.trials, alone.trials, strict=True)
        )
        print(
            f"{head}, {len(small.labels)} rows: {cpu_shared:.1f} s of CPU time, unit by unit "
            f"{cpu_alone:.1f} s, ratio {cpu_alone / cpu_shared:.1f}; the same figures: {same}",
            flush=True,
        )
        found, cpu, wall = _timed(partial(_searched, large, head, ThisMachine(1)))
        _, _, wall_all = _timed(partial(_searched, large, head, ThisMachine(-1)))
        print(
            f"{head}, {N_ROWS} rows: {cpu:.1f} s of CPU time, {cpu / one:.0f} decompositions of "
            f"{rows.shape[1]} columns ({one:.2f} s); wall {wall:.1f} s on one core, {wall_all:.1f} "
            f"s on all {os.cpu_count()}; chosen {found.chosen.spec} on {found.chosen.cuts}",
            flush=True,
        )


def _pool(n_rows: int, narrower: int) -> Pool:
    widths = [width // narrower for width in WIDTHS]
    features, labels = made_up(n_rows, sum(widths), N_CLASSES)
    parts = np.split(features, np.cumsum(widths)[:-1], axis=1)
    return Pool(tuple(parts), labels, N_CLASSES, make_folds(labels, N_FOLDS, 0))


def _searched(pool: Pool, head: str, measure: Any) -> FoundHead:
    runner = UnitRunner(pool, Nothing(), measure)  # type: ignore[arg-type]
    (found,) = search(runner, [(cut,) for cut in range(len(WIDTHS))], parse_heads(head))
    return found


def _decomposed(gram: np.ndarray) -> Any:
    with threadpool_limits(1):
        return eigh(gram, check_finite=False)


def _timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return what came of it, CPU seconds of this process, and seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    made = work()
    return made, time.process_time() - cpu, time.perf_counter() - wall
