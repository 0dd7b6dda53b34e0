import json
from functools import partial

import numpy as np
import pytest

from pipeline.classify.learning_curve import learning_curve
from pipeline.errors import DataError, InputError
from pipeline.heads import parse_head
from pipeline.heads.fit import out_of_fold_scores
from pipeline.heads.sample import Sample

RIDGE = parse_head("ridge")


def blobs(n, spread, d=150, k=4, seed=0):
    """Classes around centres; the wider the spread, the more pictures it takes to tell them."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % k
    centres = rng.normal(size=(k, d))
    return (centres[labels] + spread * rng.normal(size=(n, d))).astype(np.float32), labels


def curve_of(spec, features, labels, groups=None, **more):
    """The curve of a head in memory."""
    sample = Sample(features, labels, labels.max() + 1, more.get("seed", 0), groups=groups)
    return learning_curve(partial(out_of_fold_scores, spec, sample), labels, groups, **more)


def test_a_hard_task_asks_for_more_pictures():
    curve = curve_of(RIDGE, *blobs(800, 6.0))
    accuracies = [point.accuracy for point in curve.points]
    assert [point.n for point in curve.points] == [40, 80, 160, 320, 640]
    assert accuracies[-1] > accuracies[0] + 0.1
    assert curve.answer == "yes"
    assert curve.gain_ci95[0] > 0
    assert curve.sentence.startswith("more pictures would help: from 320 to 640 training pictures")
    assert "1280 pictures may reach about" in curve.sentence


def test_what_is_learnt_already_needs_no_more():
    curve = curve_of(RIDGE, *blobs(800, 0.3))
    assert curve.points[-1].accuracy == 1.0
    assert curve.answer == "hardly"
    assert curve.gain_ci95[0] < 0 < curve.gain_ci95[1]


def test_few_pictures_cannot_say():
    curve = curve_of(RIDGE, *blobs(48, 1.2))
    assert curve.answer == "unknown"
    assert "cannot be said" in curve.sentence


def test_noise_is_rarely_taken_for_a_gain():
    answers = []
    for seed in range(40):
        features, labels = blobs(200, 1.0, seed=seed)
        shuffled = np.random.default_rng(seed).permutation(labels)  # nothing can be learnt
        answers.append(curve_of(RIDGE, features, shuffled, sizes=(0.5, 1)).answer)
    assert answers.count("yes") <= 4  # 2.5 % and the noise of 40 draws


def test_figures_add_up_and_are_plain_json():
    curve = curve_of(RIDGE, *blobs(400, 3), folds=4)
    first, last = curve.points[0], curve.points[-1]
    assert len(first.accuracies) == 4
    assert first.accuracy == pytest.approx(np.mean(first.accuracies))
    assert 0 <= last.ci95[0] <= last.accuracy <= last.ci95[1] <= 1
    steps = np.subtract(last.accuracies, curve.points[-2].accuracies)
    assert curve.gain == pytest.approx(steps.mean())  # folds are equally large
    assert curve.gain_ci95[0] <= curve.gain - 3 / 400
    value = curve.to_dict()
    assert json.loads(json.dumps(value)) == value


def test_a_step_that_is_no_doubling_is_scaled_to_one():
    curve = curve_of(RIDGE, *blobs(400, 3), sizes=(0.25, 1))
    assert curve.gain == pytest.approx((curve.points[1].accuracy - curve.points[0].accuracy) / 2)


def test_same_seed_same_curve():
    data = blobs(200, 3)
    assert curve_of(RIDGE, *data, seed=1) == curve_of(RIDGE, *data, seed=1)
    assert curve_of(RIDGE, *data, seed=1) != curve_of(RIDGE, *data, seed=2)


def test_parts_hold_two_pictures_of_a_rare_class():
    features, labels = blobs(400, 0.3, k=2)
    rare = np.append(np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)[:10])
    curve = curve_of(RIDGE, features[rare], labels[rare])
    assert curve.points[0].n < 20
    assert curve.points[0].accuracy > 0.98


def test_groups_stay_together():
    features, _ = blobs(200, 1.0)
    doubled = np.repeat(features, 2, axis=0)
    groups = np.arange(400) // 2
    shuffled = np.random.default_rng(0).permutation(200).repeat(2) % 4  # only copies tell labels
    apart = curve_of(parse_head("knn(k=1)"), doubled, shuffled, groups)
    torn = curve_of(parse_head("knn(k=1)"), doubled, shuffled)
    assert apart.points[-1].accuracy < 0.4 < 0.6 < torn.points[-1].accuracy


@pytest.mark.parametrize("sizes", [(1,), (0.5, 0.25, 1), (0, 1), (0.2, 0.9)])
def test_sizes_that_do_not_grow(sizes):
    with pytest.raises(InputError, match="expected at least two growing shares of train"):
        curve_of(RIDGE, *blobs(100, 1), sizes=sizes)


def test_too_few_pictures():
    with pytest.raises(InputError, match=r"expected at least 16 training pictures in each fold"):
        curve_of(RIDGE, *blobs(12, 1))
    with pytest.raises(DataError, match="expected at least 2 different training pictures"):
        curve_of(RIDGE, *blobs(5, 1))
