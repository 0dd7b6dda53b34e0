"""The leaderboard: runs ranked by selection, with what of their differences is noise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.evaluate import Estimate, paired_difference
from pipeline.runs.choose import order
from pipeline.runs.folder import Run


@dataclass(frozen=True)
class Standing:
    """A run's place on the leaderboard.

    Args:
        run: The run.
        behind: Test accuracy minus the leader's on the same pictures, with its paired interval;
            None for the leader, and where the two did not see the same pictures.
    """

    run: Run
    behind: Estimate | None

    @property
    def distinguishable(self) -> bool | None:
        """Whether the difference from the leader's accuracy is more than noise."""
        if self.behind is None:
            return None
        low, high = self.behind.ci95
        return not low <= 0 <= high


def leaderboard(runs: Sequence[Run]) -> list[list[Standing]]:
    """Rank runs by selection accuracy, one table per data set.

    The order never looks at the test split: it comes from cross-validation or the validation split.
    """
    tables: dict[str, list[Run]] = {}
    for run in runs:
        tables.setdefault(run.data, []).append(run)
    return [_ranked(sorted(table, key=order)) for table in tables.values()]


def _ranked(runs: list[Run]) -> list[Standing]:
    leader = runs[0].correct()
    return [Standing(runs[0], None), *(Standing(run, _behind(run, leader)) for run in runs[1:])]


def _behind(run: Run, leader: Mapping[Any, bool]) -> Estimate | None:
    ours = run.correct()
    if ours.keys() != leader.keys():
        return None
    return paired_difference(
        np.array([ours[picture] for picture in leader]), np.array(list(leader.values()))
    )


def describe_leaderboard(tables: Sequence[Sequence[Standing]]) -> list[dict[str, Any]]:
    """Return the rows of the ``--json`` value, table after table, best first."""
    return [_describe_standing(standing) for table in tables for standing in table]


def _describe_standing(standing: Standing) -> dict[str, Any]:
    run, behind = standing.run, standing.behind
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
        "difference": None
        if behind is None
        else {
            "value": behind.value,
            "ci95": list(behind.ci95),
            "distinguishable": standing.distinguishable,
        },
    }
