"""Which bases are dropped, on figures whose right answer is known."""

import numpy as np
import pytest

from pipeline.classify.bases import BaseRow, contenders, mark_pareto
from pipeline.classify.screening import (
    ComparedBases,
    Judged,
    ScreeningPlan,
    clearly_worse,
    sample_rows,
    worse_half,
)
from pipeline.classify.search.trial import Trial
from pipeline.config import ClassifyConfig
from pipeline.errors import InputError
from pipeline.heads import parse_head


def trial(n_right, n=100, seed=None):
    right = np.arange(n) < n_right
    if seed is not None:
        right = np.random.default_rng(seed).permutation(right)
    right = right.astype(np.float32)
    return Trial((0,), parse_head("ridge"), right, 1 - right, 1.0, 0.0)


def test_clearly_worse_is_by_pairs():
    """Three errors more are much where all others are the same pictures, little where not."""
    same = {0: trial(90), 1: trial(80), 2: trial(89)}
    assert clearly_worse(same) == {1: "clearly worse than the best: 0.800 against 0.900 (± 0.060)"}
    assert clearly_worse({0: trial(90, seed=1), 1: trial(86, seed=2)}) == {}
    assert clearly_worse({0: trial(90), 1: trial(90)}) == {}


def test_the_worse_half_is_rounded_down():
    trials = {5: trial(80), 2: trial(90), 7: trial(85)}
    assert worse_half(trials) == [5]
    assert worse_half({2: trial(90), 7: trial(85)}) == [7]


def test_the_budget_decides_how_many_pictures_come_first():
    plan = ScreeningPlan.of(ClassifyConfig(), 6000, 10, [0.01, 0.02])
    assert plan.budget == pytest.approx(90)  # half of 6,000 · 0.03 s
    assert plan.n_per_class == 100  # 90 s / 3 / 0.03 s / 10
    asked = ScreeningPlan.of(ClassifyConfig(budget="1h", sample=7), 6000, 10, [0.01])
    assert asked == ScreeningPlan(3600.0, 7)
    assert ScreeningPlan.of(ClassifyConfig(), 60, 10, [0.01]).n_per_class == 5
    assert ScreeningPlan.of(ClassifyConfig(), 60, 10, [0.0]).n_per_class == 60


@pytest.mark.parametrize("text", ["soon", "10", "0m", "-3s", ""])
def test_a_budget_is_a_duration(text):
    with pytest.raises(InputError, match="expected budget as 90s, 10m or 2h, received budget="):
        ClassifyConfig(budget=text)


def test_those_of_few_are_among_those_of_many():
    labels = np.repeat([0, 1], [30, 4])
    splits = np.array((["train"] * 20 + ["test"] * 10) + ["train"] * 3 + ["test"])
    few, many = (sample_rows(Pictures(labels, splits), n, 0) for n in (5, 12))
    assert (few <= many).all()
    assert np.bincount(labels[few]).tolist() == [5, 3]
    assert not few[splits == "test"].any()


class Pictures:
    """What of a data set is asked for."""

    classes = ("a", "b")

    def __init__(self, labels, splits):
        self.labels, self.splits = labels, splits

    def select(self, split):
        return np.flatnonzero(self.splits == split)

    def __len__(self):
        return len(self.labels)


def rows():
    return [BaseRow(name, "none", 1) for name in ("A", "B", "C")]


def test_rounds_drop_and_say_why():
    compared = ComparedBases(ClassifyConfig(), rows())
    compared.note(
        {place: Judged(10, one, 40) for place, one in enumerate(map(trial, (90, 70, 89)))}
    )
    assert compared.alive == [0, 2]
    assert compared.rows[1].dropped.startswith("after 10 pictures a class, clearly worse")
    assert [row.sample_accuracy for row in compared.rows] == pytest.approx([0.9, 0.7, 0.89])
    assert {row.bytes_per_image for row in compared.rows} == {40}
    compared.halve(12.0)
    assert compared.alive == [0]
    assert compared.rows[2].dropped == (
        "after 10 pictures a class, behind (0.890, the best 0.900) with 12 s left for all that "
        "remained"
    )


def test_the_luck_of_the_first_round_counts_by_its_share():
    compared = ComparedBases(ClassifyConfig(), rows())
    trials = [trial(60, seed=number) for number in range(3)]
    compared.note({place: Judged(10, one, 40) for place, one in enumerate(trials)})
    alone = compared.optimism(100, [])
    assert alone > 0.005
    assert compared.optimism(1000, []) == pytest.approx(alone / 10)
    assert compared.optimism(1000, trials) == pytest.approx(alone)


def test_the_front_is_what_nothing_beats_in_both():
    some = rows()
    for row, rate, accuracy in zip(some, (100, 50, 40), (0.8, 0.9, 0.85), strict=True):
        row.images_per_second, row.sample_accuracy = rate, accuracy
    mark_pareto(some)
    assert [row.pareto for row in some] == [True, True, False]


def test_precisions_are_compared_as_bases_are(tmp_path):
    asked = {"cache": tmp_path, "weights": "none", "backbone": "MobileNet(alpha=0.25)"}
    found = contenders(ClassifyConfig(precision="float32, int8,bfloat16", **asked))
    names = ["MobileNet(alpha=0.25)", "MobileNet(alpha=0.25) in int8"]
    assert [one.row().backbone for one in found][:2] == names
    assert [one.config.precision for one in found] == ["float32", "int8", "bfloat16"]
    with pytest.raises(InputError, match=r"bases that differ, received .* in int8 twice"):
        contenders(ClassifyConfig(precision="int8,int8", **asked))
    with pytest.raises(InputError, match=r"expected several bases for --budget, received backbone"):
        contenders(ClassifyConfig(precision="int8", budget="1m", **asked))
