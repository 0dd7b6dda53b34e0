"""Saying "don't know": the promise, what it costs, and what is told where it cannot be kept."""

import numpy as np
import pytest
from scipy.stats import binomtest

from pipeline.errors import InputError
from pipeline.evaluate import NEVER, choose_threshold, judge_threshold
from pipeline.evaluate.threshold import least_pictures


def drawn(n, seed, sharpness=8):
    """Draw calibrated probabilities of two classes, called 0 always, and labels."""
    rng = np.random.default_rng(seed)
    confidence = 0.5 + 0.5 * rng.beta(sharpness, 1, n)
    return two_classes(confidence), (rng.random(n) > confidence).astype(int)


def two_classes(confidence):
    return np.stack([confidence, 1 - np.asarray(confidence)], 1)


def true_error(threshold, sharpness=8):
    """Return the share of wrong answers of pictures without number."""
    confidence = 0.5 + 0.5 * np.random.default_rng(0).beta(sharpness, 1, 200_000)
    return np.mean(1 - confidence[confidence >= threshold])


def test_the_promise_is_kept_where_the_share_counted_would_break_it():
    broken = counted_broken = answered = 0
    for seed in range(60):
        probabilities, labels = drawn(600, seed)
        chosen = choose_threshold(probabilities, labels, 0.05)
        if chosen.reached:
            answered += 1
            broken += true_error(chosen.value) > 0.05
        order = np.argsort(-probabilities[:, 0])
        shares = np.cumsum(labels[order]) / np.arange(1, 601)
        counted = probabilities[order[np.flatnonzero(shares <= 0.05)[-1]], 0]
        counted_broken += true_error(counted) > 0.05
    assert answered > 30
    assert broken <= 3
    assert counted_broken > 15


def test_what_is_answered_is_what_was_counted():
    probabilities, labels = drawn(2000, 1)
    chosen = choose_threshold(probabilities, labels, 0.05)
    judged = judge_threshold(chosen.value, probabilities, labels)
    assert 0.5 < chosen.coverage < 1
    assert judged.coverage.value == chosen.coverage
    assert judged.error.value == chosen.error
    assert chosen.n == 2000
    assert "answers from a probability of" in chosen.describe()


def test_no_lower_threshold_could_be_chosen_from_there():
    """The next picture after the last one answered is what breaks the test."""
    confidence = np.linspace(1, 0.5, 400)
    labels = (np.arange(400) >= 200).astype(int)
    chosen = choose_threshold(two_classes(confidence), labels, 0.05)
    n_answered = round(chosen.coverage * 400)
    level = 0.05 / 3  # starts at 400, 200 and 100 pictures; 59 without a mistake would not do at 50
    assert binomtest(n_answered - 200, n_answered, 0.05, "less").pvalue <= level
    assert binomtest(n_answered - 199, n_answered + 1, 0.05, "less").pvalue > level
    assert confidence[n_answered - 1] >= chosen.value > confidence[n_answered]


def test_order_of_pictures_does_not_matter():
    probabilities, labels = drawn(500, 3)
    order = np.random.default_rng(0).permutation(500)
    ours, other = (
        choose_threshold(probabilities[rows], labels[rows], 0.05) for rows in (slice(None), order)
    )
    assert ours == other


def test_a_greater_share_answers_no_fewer():
    probabilities, labels = drawn(3000, 5)
    shares = (0.01, 0.02, 0.05, 0.06, 0.2)
    coverages = [choose_threshold(probabilities, labels, share).coverage for share in shares]
    assert coverages == sorted(coverages)
    assert coverages[-1] == 1


def test_more_confidence_answers_no_more():
    probabilities, labels = drawn(3000, 5)
    coverages = [
        choose_threshold(probabilities, labels, 0.03, level).coverage for level in (0.5, 0.9, 0.999)
    ]
    assert coverages == sorted(coverages, reverse=True)


def test_a_good_head_answers_everything():
    probabilities, labels = drawn(400, 0, sharpness=500)
    chosen = choose_threshold(probabilities, labels, 0.05)
    assert (chosen.value, chosen.coverage) == (0.0, 1.0)
    assert "answers from any probability: 100.0% of 400" in chosen.describe()


def test_equal_confidences_are_answered_together_or_not_at_all():
    """As nearest neighbours give them: most are quite sure, and the others in a few steps."""
    confidence = np.repeat([1.0, 0.8, 0.6], [300, 100, 100])
    labels = np.concatenate([np.zeros(300), np.arange(100) % 20 == 0, np.arange(100) % 3 == 0])
    chosen = choose_threshold(two_classes(confidence), labels.astype(int), 0.05)
    assert 0.6 < chosen.value <= 0.8
    assert chosen.coverage == 0.8
    everything = choose_threshold(two_classes(np.ones(300)), np.zeros(300, int), 0.05)
    assert everything.coverage == 1


@pytest.mark.parametrize(("n", "max_error"), [(298, 0.01), (58, 0.05), (1, 0.5), (1, 0.96)])
def test_too_few_pictures_even_without_a_mistake(n, max_error):
    perfect = two_classes(np.linspace(0.9, 1, n))
    chosen = choose_threshold(perfect, np.zeros(n, int), max_error)
    assert chosen.reached == (n >= least_pictures(max_error))
    more = two_classes(np.linspace(0.9, 1, least_pictures(max_error)))
    assert choose_threshold(more, np.zeros(len(more), int), max_error).coverage == 1


def test_where_nothing_can_be_promised_nothing_is_answered():
    probabilities, labels = drawn(300, 2)
    chosen = choose_threshold(probabilities, labels, 0.005)
    assert not chosen.reached
    assert (chosen.value, chosen.coverage, chosen.error) == (NEVER, 0.0, None)
    assert "takes at least 598 answered pictures without a mistake" in chosen.describe()
    assert f"or allow {chosen.possible:.1%}" in chosen.describe()
    assert choose_threshold(probabilities, labels, chosen.possible).reached
    judged = judge_threshold(chosen.value, np.eye(2)[labels], labels)
    assert (judged.answered, judged.error) == (0, None)
    assert chosen.to_dict()["reached"] is False


def test_nothing_is_possible_with_a_head_that_guesses():
    probabilities = np.full((200, 2), 0.5)
    chosen = choose_threshold(probabilities, np.arange(200) % 2, 0.1)
    assert chosen.possible is None
    assert chosen.describe().endswith("choose a better head")


@pytest.mark.parametrize("share", [0, 1, -0.1, float("nan")])
def test_shares_that_are_none(share):
    probabilities, labels = drawn(10, 0)
    with pytest.raises(InputError, match="max_error between 0 and 1, received max_error="):
        choose_threshold(probabilities, labels, share)
    with pytest.raises(InputError, match="confidence between 0 and 1, received confidence="):
        choose_threshold(probabilities, labels, 0.1, share)


def test_judging_counts_and_has_intervals():
    probabilities = two_classes([0.9, 0.8, 0.7, 0.6])
    judged = judge_threshold(0.7, probabilities, np.array([0, 1, 0, 1]))
    assert (judged.n, judged.answered, judged.wrong) == (4, 3, 1)
    assert judged.error.value == pytest.approx(1 / 3)
    assert judged.coverage.value == 0.75
    none_wrong = judge_threshold(0.5, two_classes(np.ones(20)), np.zeros(20, int)).to_dict()
    assert list(none_wrong) == ["n", "answered", "wrong", "coverage", "error"]
    error = none_wrong["error"]
    assert error["value"] == error["ci95"][0] == 0
    assert 0.1 < error["ci95"][1] < 0.2


def test_least_pictures():
    assert [least_pictures(share) for share in (0.01, 0.02, 0.05)] == [299, 149, 59]
    assert least_pictures(0.01, 0.9) == 230
