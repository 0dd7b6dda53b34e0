"""Which runs a report is about, and which of them it shows in detail."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.config import ReportConfig
from pipeline.errors import InputError
from pipeline.runs import RunFolder, best_run, find_run, leaderboard, list_runs
from pipeline.runs.leaderboard import Standing


@dataclass(frozen=True)
class Chosen:
    """The runs on one data set.

    Args:
        standings: All of them, best first, as `pipeline compare` ranks them.
        detailed: Those that are shown in detail, in that order.
    """

    standings: tuple[Standing, ...]
    detailed: tuple[RunFolder, ...]

    @property
    def runs(self) -> list[RunFolder]:
        """All runs, best first."""
        return [standing.run for standing in self.standings]

    @property
    def first(self) -> RunFolder:
        """The run whose data set, and whose features, speak for the table."""
        return self.detailed[0]


def choose_runs(config: ReportConfig, names: Sequence[str]) -> list[Chosen]:
    """Find the runs that a report is about, one group a data set.

    Args:
        config: Where they are.
        names: Names or folders of runs, each shown in detail; none for all runs, of which the best
            on each data set is.

    Raises:
        InputError: There are none.
        RunError: There is no such run, or one is damaged.
    """
    if names:
        found = {run.path.resolve(): run for run in (find_run(config.runs, name) for name in names)}
        runs = list(found.values())
    else:
        runs = list_runs(config.runs)
    if not runs:
        raise InputError(
            f"expected at least one run in {config.runs}, received none: run `pipeline classify "
            f"DATA` first, or name another folder with --runs"
        )
    chosen = []
    for table in leaderboard(runs):
        ranked = [standing.run for standing in table]
        detailed = ranked if names else [best_run(ranked, config.runs)]
        chosen.append(Chosen(tuple(table), tuple(detailed)))
    return chosen
