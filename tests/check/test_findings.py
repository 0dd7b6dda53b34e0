import numpy as np
import pytest

from pipeline.check import (
    accuracy_without,
    class_balance,
    components,
    duplicate_groups,
    find_leaks,
    suspect_labels,
    unseen_probabilities,
)
from pipeline.check.suspects import by_chance, check_apart, confident_thresholds
from pipeline.errors import DataError

NONE = np.empty((0, 2), int), np.empty(0)


def pairs(*given):
    rows = np.array([pair[:2] for pair in given]).reshape(-1, 2).astype(int)
    return rows, np.array([pair[2] for pair in given], float)


def test_chains_join():
    numbers = components(6, np.array([[0, 1], [1, 4], [2, 5]]))
    assert numbers[0] == numbers[1] == numbers[4]
    assert numbers[2] == numbers[5]
    assert len(set(numbers.tolist())) == 3
    assert len(set(components(3, NONE[0]).tolist())) == 3


def test_groups_of_copies_and_of_near_duplicates():
    contents = np.array([0, 1, 0, 2, 3, 4])
    exact, near = duplicate_groups(contents, *pairs((0, 2, 0.9), (2, 4, 0.85)))
    assert [group.rows.tolist() for group in exact] == [[0, 2]]
    assert [group.rows.tolist() for group in near] == [[0, 2, 3, 5]]
    assert (exact[0].similarity, near[0].similarity) == (1.0, 0.85)
    assert exact[0].exact
    assert not near[0].exact


def test_no_pictures_alike():
    assert duplicate_groups(np.arange(4), *NONE) == ([], [])


SPLITS = np.array(["train", "test", "train", "validation", "test", "test"])


def test_copies_leak_before_look_alikes():
    contents = np.array([0, 0, 1, 2, 3, 4])
    leaks = find_leaks(contents, SPLITS, *pairs((1, 3, 0.9), (2, 3, 0.95), (3, 4, 0.99)))
    assert [(leak.row, leak.other, leak.exact, leak.similarity) for leak in leaks] == [
        (1, 0, True, 1.0),
        (4, 3, False, 0.95),
    ]
    assert leaks[1].n_others == 2  # the look-alike in train, too; what is in test gives nothing


def test_validation_leaks_from_train_only():
    contents = np.array([0, 1, 2, 0, 3, 4])
    (leak,) = find_leaks(contents, SPLITS, *NONE)
    assert (leak.row, leak.other) == (3, 0)


def test_nothing_leaks_inside_a_split():
    contents = np.array([0, 1, 0, 2, 3, 3])
    assert find_leaks(contents, SPLITS, *NONE) == []


def blobs(n=600, k=4, d=30, spread=1.0, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % k
    centres = 1.5 * rng.normal(size=(k, d))
    return (centres[labels] + spread * rng.normal(size=(n, d))).astype(np.float32), labels


def flip(labels, k, share, seed=1):
    rng = np.random.default_rng(seed)
    wrong = rng.choice(len(labels), round(share * len(labels)), replace=False)
    given = labels.copy()
    given[wrong] = (given[wrong] + rng.integers(1, k, len(wrong))) % k
    return given


def test_flipped_labels_are_found():
    features, labels = blobs()
    given = flip(labels, 4, 0.05)
    suspects = suspect_labels(unseen_probabilities(features, given, 4, None, 5, 0), given)
    flipped = set(np.flatnonzero(given != labels).tolist())
    named = {suspect.row for suspect in suspects}
    assert len(named & flipped) / len(named) >= 0.9
    assert len(named & flipped) / len(flipped) >= 0.8
    right = [suspect.suggested == labels[suspect.row] for suspect in suspects]
    assert np.mean(right) >= 0.9
    given_probabilities = [suspect.given_probability for suspect in suspects]
    assert given_probabilities == sorted(given_probabilities)


def test_right_labels_are_left_alone():
    features, labels = blobs()
    assert not suspect_labels(unseen_probabilities(features, labels, 4, None, 5, 0), labels)


def test_copies_with_the_same_wrong_label_do_not_vouch_for_each_other():
    features, labels = blobs(300)
    features[1] = features[0]
    given = labels.copy()
    given[[0, 1]] = 2
    groups = np.arange(300)
    groups[1] = 0
    suspects = suspect_labels(unseen_probabilities(features, given, 4, groups, 5, 0), given)
    assert {0, 1} <= {suspect.row for suspect in suspects}


def test_too_few_pictures_to_judge_labels():
    with pytest.raises(DataError, match="expected at least 2 different training pictures"):
        unseen_probabilities(np.eye(3, dtype=np.float32), np.arange(3), 3, None, 5, 0)


@pytest.mark.parametrize(
    ("called", "labels", "chance"),
    [
        ([0, 1] * 10, [0, 1] * 10, False),
        ([0] * 20, [0] * 19 + [1], True),  # one class is called whatever is seen
        ([0] * 35 + [1] * 36, [0] * 19 + [1] * 33 + [0] * 19, True),
        ([0] * 90 + [1] * 10, [0] * 92 + [1] * 8, False),
        ([0, 1, 0, 1], [0, 1, 1, 0], True),
        ([0, 2, 2, 2], [0, 0, 1, 1], True),
    ],
)
def test_agreement_by_chance_says_nothing_of_labels(called, labels, chance):
    assert by_chance(np.array(called), np.array(labels)) is chance


def test_where_all_are_right_the_interval_has_a_width():
    rng = np.random.default_rng(0)
    labels = np.arange(20) % 2
    features = (10 * labels[:, None] + rng.normal(size=(20, 3))).astype(np.float32)
    told = accuracy_without((features, labels), (features, labels), np.arange(20) > 3, 2, 0)
    assert told["all"]["accuracy"] == told["without_leaks"]["accuracy"] == 1
    assert told["all"]["ci95"] == pytest.approx([0.8389, 1], abs=1e-4)
    assert told["without_leaks"]["ci95"] == pytest.approx([0.5101, 1], abs=1e-4)


def test_threshold_is_the_mean_self_confidence():
    probabilities = np.array([[0.9, 0.1], [0.7, 0.3], [0.6, 0.4]])
    thresholds = confident_thresholds(probabilities, np.array([0, 0, 1]))
    assert thresholds == pytest.approx([0.8, 0.4])
    # The third is labelled 1 and reaches 1's threshold, but not 0's: nothing speaks against it.
    assert suspect_labels(probabilities, np.array([0, 0, 1])) == []


def test_eight_in_ten_is_enough_for_any_class():
    probabilities = np.array([[0.99, 0.01]] * 9 + [[0.9, 0.1], [0.7, 0.3], [0.02, 0.98]])
    labels = np.array([0] * 9 + [1, 1, 1])
    (suspect,) = suspect_labels(probabilities, labels)
    assert (suspect.row, suspect.suggested) == (9, 0)


def test_a_class_without_pictures_is_never_suggested():
    probabilities = np.array([[0.2, 0.3, 0.5], [0.4, 0.3, 0.3], [0.1, 0.8, 0.1]])
    assert confident_thresholds(probabilities, np.array([0, 0, 1]))[2] == np.inf
    assert suspect_labels(probabilities, np.array([0, 0, 1])) == []


def test_accuracy_with_and_without_leaks():
    features, labels = blobs(400, spread=3.0)
    leaked = np.arange(100) < 50
    test = np.where(leaked[:, None], features[:100], features[300:]), labels[:100]
    judged = accuracy_without((features[:300], labels[:300]), test, leaked, 4, 0)
    assert judged["all"]["n"] == 100
    assert judged["leaked"]["n"] == judged["without_leaks"]["n"] == 50
    both = judged["leaked"]["accuracy"] + judged["without_leaks"]["accuracy"]
    assert judged["all"]["accuracy"] == pytest.approx(both / 2)
    assert judged["leaked"]["accuracy"] > judged["without_leaks"]["accuracy"]
    nothing = accuracy_without((features, labels), test, np.zeros(100, bool), 4, 0)
    assert nothing["leaked"] is None
    assert nothing["without_leaks"] == nothing["all"]


NAMES = {"train": "train", "validation": "validation", "test": "test"}


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ((30, 30), "the classes are equally large: 30 training pictures each"),
        ((30, 25), "the classes are about equally large: a has 30 training pictures, b 25"),
        ((90, 30), "the largest class is 3.0 times the smallest.*look at balanced accuracy"),
        ((400, 30), "13.3 times the smallest.*accuracy says little about the small classes"),
        ((25, 5), "1 of 2 classes have fewer than 20 training pictures"),
        ((25, 0), "b has no training picture: it cannot be learnt"),
    ],
)
def test_balance_in_words(counts, sentence):
    labels = np.repeat([0, 1], counts)
    balance = class_balance(labels, np.full(len(labels), "train"), ("a", "b"), NAMES)
    import re

    assert re.search(sentence, balance.sentence)


def test_counts_per_split():
    labels = np.array([0, 0, 1, 0, 1])
    splits = np.array(["train", "train", "train", "test", "test"])
    balance = class_balance(labels, splits, ("a", "b"), NAMES | {"test": "validation"})
    assert balance.counts == {
        "a": {"train": 2, "validation": 1},
        "b": {"train": 1, "validation": 1},
    }
    assert balance.ratio == 2.0


def test_a_class_of_pictures_that_count_as_one_is_told_as_such():
    labels, apart = np.repeat([0, 1], [4, 12]), np.arange(16)
    check_apart("ab", labels, apart)
    alike = np.where(labels == 1, 4, apart)
    words = r"copies of each other, near-duplicates or of one group, received 12 of 'b' that are: "
    with pytest.raises(DataError, match=words):
        check_apart("ab", labels, alike)
    with pytest.raises(DataError, match="received 4 of 'a' that are, and of 1 more classes: add"):
        check_apart("ab", labels, labels)
    with pytest.raises(DataError, match=r"expected two pictures or more .*, received one of 'b'"):
        check_apart("ab", labels[:5], apart[:5])
