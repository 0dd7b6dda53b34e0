import json
from dataclasses import replace

import numpy as np
import pytest

from pipeline.cli import run
from pipeline.runs import FINETUNE, leaderboard, list_runs
from pipeline.runs.choose import best_run
from tests.runs.test_folder import HITS, make_run
from tests.stored import reseal


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


def test_of_equal_accuracy_a_head_comes_before_a_fine_tuned_run(tmp_path):
    """Its log loss is of the few pictures by which it was stopped, and says little."""
    make_run(tmp_path, "head", 0.65, HITS, loss=0.9)
    make_run(tmp_path, "later", 0.65, HITS, loss=1.0)
    make_run(tmp_path, "tuned", 0.65, HITS, loss=0.1)
    make_run(tmp_path, "better", 0.66, HITS, loss=2.0)
    kinds = {"tuned": FINETUNE, "better": FINETUNE}
    runs = [replace(one, kind=kinds.get(one.name, one.kind)) for one in list_runs(tmp_path)]
    (table,) = leaderboard(runs)
    assert [one.run.name for one in table] == ["better", "head", "later", "tuned"]
    assert best_run(runs[::-1], tmp_path).name == "better"


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


def test_compare_ranks_the_others_and_names_what_was_altered(tmp_path, capsys):
    for number in range(6):
        make_run(tmp_path, f"run-{number}", 0.9 - number / 10, HITS)
    assert run(["compare", "--runs", str(tmp_path)]) == 0
    for name in ("run-0", "run-2", "run-3", "run-4"):
        (tmp_path / name / "predictions.csv").write_text("path\n")
    reseal(tmp_path / "run-2")
    capsys.readouterr()
    assert run(["compare", "--runs", str(tmp_path), "--json"]) == 1
    told = capsys.readouterr()
    value = json.loads(told.out)
    assert [row["run"] for row in value["runs"]] == ["run-1", "run-5"]
    assert len(value["left_out"]) == 4
    lines = told.err.splitlines()
    assert [line.count("left out: expected") for line in lines] == [1, 1, 1, 0]
    assert "run-0, received predictions.csv damaged" in lines[0]
    assert lines[-1].endswith("left out: 1 more that were altered")


def test_nothing_whole_is_nothing_to_compare(tmp_path, capsys):
    make_run(tmp_path, "only", 0.9, HITS)
    (tmp_path / "only" / "metrics.json").write_text("{}")
    assert run(["compare", "--runs", str(tmp_path)]) == 2
    assert "only, received run.json or metrics.json damaged" in capsys.readouterr().err
