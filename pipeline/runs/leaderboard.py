"""The leaderboard: runs ranked by selection, with what of their differences is noise.

Every run is compared with the leader on the same test pictures: McNemar's exact test, corrected by
Holm's method for the number of runs in the table. Those that are not told apart from the leader
form one group with it: to choose among them by their test accuracy would be to choose by luck.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.runs.choose import order
from pipeline.runs.folder import Run

if TYPE_CHECKING:
    # Slow to import, for SciPy's sake: choosing a run to predict with does without.
    from pipeline.evaluate import Comparison

CORRECTION = "McNemar's exact test, corrected by Holm's method"


@dataclass(frozen=True)
class Standing:
    """A run's place on the leaderboard.

    Args:
        run: The run.
        behind: Test accuracy minus the leader's on the same pictures, with its paired interval and
            a p-value that is corrected for the number of runs; None for the leader, and where the
            two did not see the same pictures.
        p_uncorrected: The same p-value as if this were the only comparison.
        is_leader: Whether this is the first of its table.
    """

    run: Run
    behind: "Comparison | None"
    p_uncorrected: float | None = None
    is_leader: bool = False

    @property
    def distinguishable(self) -> bool | None:
        """Whether the difference from the leader's accuracy is more than noise."""
        return None if self.behind is None else self.behind.distinguishable

    @property
    def with_leader(self) -> bool | None:
        """Whether it is the leader or not told apart from it; None where that is not known."""
        if self.is_leader:
            return True
        return None if self.distinguishable is None else not self.distinguishable


def leaderboard(runs: Sequence[Run]) -> list[list[Standing]]:
    """Rank runs by selection accuracy, one table per data set.

    The order never looks at the test split: it comes from cross-validation or the validation split.
    """
    tables: dict[str, list[Run]] = {}
    for run in runs:
        tables.setdefault(run.data, []).append(run)
    return [_ranked(sorted(table, key=order)) for table in tables.values()]


def _ranked(runs: list[Run]) -> list[Standing]:
    from pipeline.evaluate import SIGNIFICANCE, holm

    leader = runs[0].correct()
    behind = [_behind(run, leader) for run in runs[1:]]
    corrected = iter(holm([one.p_value for one in behind if one is not None]))
    standings = [Standing(runs[0], None, is_leader=True)]
    for run, one in zip(runs[1:], behind, strict=True):
        if one is None:
            standings.append(Standing(run, None))
            continue
        p_value = next(corrected)
        apart = p_value <= SIGNIFICANCE
        corrected_one = replace(one, p_value=p_value, distinguishable=apart)
        standings.append(Standing(run, corrected_one, one.p_value))
    return standings


def _behind(run: Run, leader: Mapping[Any, bool]) -> "Comparison | None":
    from pipeline.evaluate import compare_paired

    ours = run.correct()
    if ours.keys() != leader.keys():
        return None
    return compare_paired(
        np.array([ours[picture] for picture in leader]), np.array(list(leader.values()))
    )


def describe_leaderboard(tables: Sequence[Sequence[Standing]]) -> list[dict[str, Any]]:
    """Return the rows of the ``--json`` value, table after table, best first."""
    return [_describe_standing(standing) for table in tables for standing in table]


def _describe_standing(standing: Standing) -> dict[str, Any]:
    run = standing.run
    data = run.info["dataset"]
    return {
        "run": run.name,
        "kind": run.info["kind"],
        "head": run.info["head"],
        "layers": run.info["layers"],
        "data": data["digest"],
        "data_root": data["root"],
        "selected_by": run.metrics["selection"]["by"],
        "selection_accuracy": run.selection_accuracy,
        "test": run.test(),
        "with_leader": standing.with_leader,
        "difference": _describe_difference(standing),
    }


def _describe_difference(standing: Standing) -> dict[str, Any] | None:
    behind = standing.behind
    if behind is None:
        return None
    return {
        "value": behind.value,
        "ci95": list(behind.ci95),
        "p_value": behind.p_value,
        "p_value_uncorrected": standing.p_uncorrected,
        "test": CORRECTION,
        "distinguishable": behind.distinguishable,
    }
