import json

import numpy as np
import pytest

from pipeline.runs import leaderboard, list_runs
from tests.runs.test_folder import HITS, make_run


def flipped(hits, *rows):
    other = hits.copy()
    other[list(rows)] ^= True
    return other


def test_one_comparison_needs_no_correction(tmp_path):
    right = np.flatnonzero(HITS)
    make_run(tmp_path, "first", 0.9, HITS)
    make_run(tmp_path, "second", 0.8, flipped(HITS, *right[:7]))
    _, second = leaderboard(list_runs(tmp_path))[0]
    assert second.behind.p_value == second.p_uncorrected == pytest.approx(2 / 2**7)
    assert second.distinguishable
    assert second.behind.value == pytest.approx(-7 / 60)


def test_many_comparisons_are_corrected(tmp_path):
    right = np.flatnonzero(HITS)
    make_run(tmp_path, "leader", 0.9, HITS)
    for number in range(8):
        make_run(tmp_path, f"other-{number}", 0.8, flipped(HITS, *right[number : number + 7]))
    leader, *others = leaderboard(list_runs(tmp_path))[0]
    assert leader.with_leader
    assert {other.behind.p_value for other in others} == {8 * 2 / 2**7}
    assert all(other.with_leader and not other.distinguishable for other in others)


def test_group_of_the_leader_is_in_the_json_value(tmp_path):
    make_run(tmp_path, "leader", 0.9, HITS)
    make_run(tmp_path, "near", 0.8, flipped(HITS, 1))
    make_run(tmp_path, "far", 0.7, ~HITS)
    make_run(tmp_path, "other-pictures", 0.6, HITS[:30])
    rows = [one.to_dict() for table in leaderboard(list_runs(tmp_path)) for one in table]
    assert json.loads(json.dumps(rows)) == rows
    assert [row["with_leader"] for row in rows] == [True, True, False, None]
    assert rows[0]["difference"] is rows[3]["difference"] is None
    assert rows[2]["difference"]["test"] == "McNemar's exact test, corrected by Holm's method"
    assert rows[2]["difference"]["p_value"] >= rows[2]["difference"]["p_value_uncorrected"]
