"""Heads that learn in blocks: the same as in memory, from real shards, a block at a time."""

import logging
import threading
from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.features.store import FeatureCache
from pipeline.heads import parse_head
from pipeline.heads.fit import fit_head, out_of_fold_scores
from pipeline.heads.fitted import softmax
from pipeline.heads.sample import Sample, make_folds
from pipeline.heads.streamed import (
    STREAMABLE,
    BlockSample,
    check_fits,
    fit_streamed,
    fits_in_memory,
    score_blocks,
)
from pipeline.heads.streamed.capacity import check_products
from pipeline.heads.streamed.fits import Fits
from pipeline.system.progress import Reporter
from tests.stored import RECIPE, A

SUMMED = (
    "ridge",
    "ridge(alpha=0.5, class_weight='balanced')",
    "lda",
    "lda(shrinkage=0.2)",
    "lda(class_weight='balanced')",
    "centroid",
    "centroid(metric='euclidean')",
)
DESCENDED = (
    "logistic",
    "logistic(C=0.01, class_weight='balanced')",
    "linear-svm",
    "linear-svm(C=0.1, class_weight='balanced')",
)
PREPARATIONS = ("standard", "sqrt-l2", "l2,standard", "pca(8)", "l2,pca(0.9)")


def made(n, d, n_classes, seed=0):
    """Features of very different scales, correlated, far from zero; classes of unequal size."""
    rng = np.random.default_rng(seed)
    labels = np.minimum(rng.integers(0, n_classes + 1, n), n_classes - 1)
    mixed = rng.normal(size=(n, d)) @ (np.eye(d) + 0.3 * rng.normal(size=(d, d)))
    rows = mixed + 0.7 * rng.normal(size=(n_classes, d))[labels]
    return (rows * np.logspace(-2, 2, d) + 5).astype(np.float32), labels


class ArrayBlocks:
    """Rows of an array in a drawn order, in blocks; counts passes and the rows alive at once."""

    def __init__(self, rows, size=64):
        self._rows, self._size = rows, size
        self.n_rows, self.n_features = rows.shape
        self.passes = 0
        self._order = np.random.default_rng(7).permutation(len(rows))

    def __iter__(self):
        self.passes += 1
        for start in range(0, self.n_rows, self._size):
            places = self._order[start : start + self._size]
            yield places, self._rows[places]

    def shuffled(self, seed):
        return iter(self)


def with_preparation(head, preparation):
    text = f"prepare={preparation!r}"
    return parse_head(f"{head[:-1]}, {text})" if head.endswith(")") else f"{head}({text})")


def assert_agrees(spec, features, labels, n_classes, tolerance, n_views=0, widths=None):
    folds = make_folds(labels, 3, 0)
    sample = Sample(features, labels, n_classes, 0, n_views, widths)
    head, unseen = fit_head(spec, sample), out_of_fold_scores(spec, sample, folds)
    blocks = BlockSample(ArrayBlocks(features), labels, n_classes, widths=widths)
    found = fit_streamed(spec, blocks, folds)
    clean = features[: len(labels)]
    for theirs, ours in (
        (head.scores(clean), found.head.scores(clean)),
        (unseen, found.scores),
    ):
        # Of the logits only differences count.
        theirs, ours = (each - each.mean(1, keepdims=True) for each in (theirs, ours))
        assert np.abs(ours - theirs).max() <= tolerance * np.abs(theirs).max()
        assert np.mean(ours.argmax(1) == theirs.argmax(1)) >= (1 if tolerance < 1e-3 else 0.99)
    assert found.scores.dtype == np.float32


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("preparation", PREPARATIONS)
@pytest.mark.parametrize("head", SUMMED)
def test_summed_heads_are_those_in_memory(head, preparation, n_classes):
    features, labels = made(400, 20, n_classes)
    assert_agrees(with_preparation(head, preparation), features, labels, n_classes, 2e-4)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("preparation", PREPARATIONS)
@pytest.mark.parametrize("head", DESCENDED)
def test_descended_heads_are_those_in_memory(head, preparation, n_classes):
    """As far as scikit-learn takes them, whose tolerance is the wider one."""
    features, labels = made(400, 20, n_classes)
    assert_agrees(with_preparation(head, preparation), features, labels, n_classes, 2e-2)


@pytest.mark.parametrize("n_classes", [2, 5])
def test_logistic_says_what_it_says_in_memory(n_classes):
    features, labels = made(1500, 60, n_classes)
    spec = parse_head("logistic")
    there = fit_head(spec, Sample(features, labels, n_classes, 0)).scores(features)
    here = fit_streamed(spec, BlockSample(ArrayBlocks(features), labels, n_classes, 0)).head
    np.testing.assert_allclose(softmax(here.scores(features)), softmax(there), atol=1e-3)


@pytest.mark.parametrize("head", ["ridge", "lda", "centroid", "logistic", "linear-svm"])
def test_views_count_where_heads_learn_and_not_where_they_are_judged(head):
    features, labels = made(300, 12, 3)
    noise = np.random.default_rng(1).normal(size=(2, *features.shape)) * features.std(0) / 4
    everything = np.concatenate([features, *(features + noise).astype(np.float32)])
    tolerance = 2e-2 if head in ("logistic", "linear-svm") else 2e-4
    assert_agrees(parse_head(head), everything, labels, 3, tolerance, n_views=2)


def test_cuts_side_by_side_each_have_their_own_length():
    features, labels = made(300, 12, 3)
    spec = parse_head("ridge(prepare='l2')")
    assert_agrees(spec, features, labels, 3, 2e-4, widths=(5, 7))


def test_wide_features_are_standardised_only(monkeypatch):
    monkeypatch.setattr("pipeline.heads.streamed.fit.MOST_ROTATED", 10)
    features, labels = made(400, 20, 3)
    assert_agrees(parse_head("logistic(C=0.01)"), features, labels, 3, 2e-2)


@pytest.mark.parametrize("head", ["ridge", "lda", "centroid", "logistic", "linear-svm"])
def test_classes_that_are_absent_are_never_predicted(head):
    features, labels = made(300, 12, 3)
    labels = 2 * labels  # of six classes there are 0, 2 and 4
    folds = [*make_folds(labels, 3, 0), (np.flatnonzero(labels < 4), np.flatnonzero(labels == 4))]
    found = fit_streamed(parse_head(head), BlockSample(ArrayBlocks(features), labels, 6, 0), folds)
    assert set(np.unique(found.head.scores(features).argmax(1))) == {0, 2, 4}
    assert set(np.unique(found.scores[labels == 4].argmax(1))) <= {0, 2}


@pytest.mark.parametrize("head", ["lda", "logistic"])
def test_feature_that_is_alive_in_the_first_block_only_does_no_harm(head):
    features, labels = made(400, 8, 2)
    blocks = ArrayBlocks(features)
    features[:, 3] = 0
    features[blocks._order[:64], 3] = 40.0
    folds = [(blocks._order[64:], blocks._order[:64])]
    found = fit_streamed(parse_head(head), BlockSample(blocks, labels, 2, 0), folds)
    assert np.mean(found.scores.argmax(1)[folds[0][1]] == labels[folds[0][1]]) > 0.8


@pytest.mark.parametrize(
    ("head", "n_passes"), [("ridge", 2), ("lda(shrinkage=0.1)", 2), ("lda", 3), ("centroid", 3)]
)
def test_folds_cost_no_pass_but_that_of_scoring(head, n_passes):
    features, labels = made(300, 10, 3)
    for folds in (make_folds(labels, 2, 0), make_folds(labels, 5, 0)):
        blocks = ArrayBlocks(features)
        fit_streamed(parse_head(head), BlockSample(blocks, labels, 3, 0), folds)
        assert blocks.passes == n_passes + 1  # and a look at the first block


class CountedBlocks(ArrayBlocks):
    """Blocks that count how many of them are alive."""

    def __init__(self, rows, size):
        super().__init__(rows, size)
        self.alive = self.most_alive = 0
        self._lock = threading.Lock()

    def __iter__(self):
        for places, rows in super().__iter__():
            counted = np.empty(rows.shape, np.float32).view(_Counted)
            counted[:] = rows
            counted.source = self
            with self._lock:
                self.alive += 1
                self.most_alive = max(self.most_alive, self.alive)
            yield places, counted
            del counted


class _Counted(np.ndarray):
    source = None

    def __del__(self):
        if self.source is not None:
            with self.source._lock:
                self.source.alive -= 1


@pytest.mark.parametrize("head", STREAMABLE)
@pytest.mark.parametrize("n_rows", [320, 1280])
def test_few_blocks_are_alive_however_many_there_are(head, n_rows):
    features, labels = made(n_rows, 6, 2)
    blocks = CountedBlocks(features, size=32)
    spec = parse_head("dense(hidden=4, epochs=2)" if head == "dense" else head)
    fit_streamed(spec, BlockSample(blocks, labels, 2, 0), make_folds(labels, 2, 0))
    assert 1 <= blocks.most_alive <= 4


@pytest.mark.parametrize(
    "params", ["", ", class_weight='balanced', weight_decay=0.1", ", prepare='l2', hidden=(8,8)"]
)
def test_dense_of_one_block_is_that_in_memory(params):
    """Steps, dropout, held-out pictures and early stopping are the same; the order is as well."""
    features, labels = made(200, 10, 3)
    spec = parse_head(f"dense(epochs=4, batch_size=32{params})")
    blocks = ArrayBlocks(features, 200)
    blocks._order = np.arange(200)
    ours = fit_streamed(spec, BlockSample(blocks, labels, 3, 0)).head.scores(features)
    theirs = fit_head(spec, Sample(features, labels, 3, 0)).scores(features)
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3 * np.abs(theirs).max())


def test_dense_learns_in_blocks_what_it_learns_in_memory():
    features, labels = made(600, 10, 3)
    spec = parse_head("dense(hidden=32, epochs=15, batch_size=32)")
    folds = make_folds(labels, 2, 0)
    blocks = ArrayBlocks(features, 150)
    found = fit_streamed(spec, BlockSample(blocks, labels, 3, 0), folds)
    unseen = out_of_fold_scores(spec, Sample(features, labels, 3, 0), folds)
    right, theirs = (np.mean(each.argmax(1) == labels) for each in (found.scores, unseen))
    assert right > theirs - 0.03
    assert [kernel.shape for kernel in found.head.kernels] == [(10, 32), (32, 3)]
    again = fit_streamed(spec, BlockSample(blocks, labels, 3, 0), folds)
    np.testing.assert_array_equal(found.scores, again.scores)


def test_dense_keeps_groups_together_and_leaves_views_of_the_held_out_alone():
    features, labels = made(200, 6, 2)
    spec = parse_head("dense(hidden=4, epochs=2, prepare='pca(4)', class_weight='balanced')")
    blocks = ArrayBlocks(np.concatenate([features, features + 1]))
    groups = np.arange(200) // 4
    found = fit_streamed(spec, BlockSample(blocks, labels, 2, 0, groups=groups))
    assert found.scores is None
    assert [kernel.shape for kernel in found.head.kernels] == [(6, 4), (4, 2)]


def test_heads_learn_from_shards(tmp_path):
    features, labels = made(500, 20, 3)
    stored = FeatureCache(tmp_path, replace(RECIPE, cuts=(A,)))
    digests = np.random.default_rng(2).integers(0, 256, (500, 32), np.uint8)
    for rows in np.array_split(np.random.default_rng(3).permutation(500), 4):
        with stored.writer("openvino", {}) as writer:
            writer.add(digests[rows], {A: features[rows]})
    stored.refresh()
    blocks, folds = stored.blocks((A,), digests, n_rows=70), make_folds(labels, 4, 0)
    for head in ("ridge", "logistic"):
        spec = parse_head(head)
        found = fit_streamed(spec, BlockSample(blocks, labels, 3, 0), folds)
        expected = out_of_fold_scores(spec, Sample(features, labels, 3, 0), folds)
        assert np.abs(found.scores - expected).max() < 1e-2 * np.abs(expected).max()
        scores = score_blocks(found.head, blocks, 3)
        np.testing.assert_allclose(scores, found.head.scores(features), rtol=1e-4, atol=1e-4)


class Told(Reporter):
    """Keeps what it is told."""

    def __init__(self):
        self.told = []

    def advance(self, part, done, total, unit="pictures", where=""):
        self.told.append((part, done, total, unit))


def test_progress_is_told_before_each_pass_and_after_each_block():
    features, labels = made(100, 4, 2)
    blocks = ArrayBlocks(np.concatenate([features, features + 1]), 80)  # a view of each picture
    told = Told()
    sample = BlockSample(blocks, labels, 2)
    found = fit_streamed(parse_head("ridge"), sample, make_folds(labels, 2, 0), told)
    fitted = [("learning", done, 200, "rows") for done in (0, 80, 160, 200)]
    clean = np.cumsum([np.sum(blocks._order[i : i + 80] < 100) for i in (0, 80, 160)])
    judged = [("learning", done, 100, "rows") for done in (0, *clean)]
    assert told.told == [*fitted, *judged]
    told.told.clear()
    score_blocks(found.head, blocks, 2, told)
    assert told.told == fitted


def test_what_a_reporter_raises_comes_out_as_it_is():
    class Failing(Reporter):
        def advance(self, part, done, total, unit="pictures", where=""):
            if done:
                raise ValueError("the printer is gone")

    features, labels = made(100, 4, 2)
    sample = BlockSample(ArrayBlocks(features, 40), labels, 2)
    with pytest.raises(ValueError, match=r"^the printer is gone$"):
        fit_streamed(parse_head("ridge"), sample, reporter=Failing())


def test_failure_of_reading_is_told():
    features, labels = made(100, 4, 2)

    class Failing(ArrayBlocks):
        def __iter__(self):
            for number, block in enumerate(super().__iter__()):
                if number == 2:
                    raise InputError("a disk is gone")
                yield block

    with pytest.raises(InputError, match="a disk is gone"):
        fit_streamed(parse_head("ridge"), BlockSample(Failing(features, 30), labels, 2, 0))


def test_solver_that_stops_early_is_reported(caplog):
    features, labels = made(200, 10, 3)
    with caplog.at_level(logging.WARNING, "pipeline"):
        fit_streamed(
            parse_head("logistic(max_iter=2)"), BlockSample(ArrayBlocks(features), labels, 3, 0)
        )
    assert "stopped before it converged" in caplog.text


def test_sums_of_folds_are_of_disjoint_groups():
    labels = np.arange(40) % 4
    fits = Fits.of(labels, 4, make_folds(labels, 5, 0), None)
    assert (fits.n_fits, fits.n_groups) == (6, 5)
    assert fits.members[:, 0].all()
    assert (fits.members[:, 1:].sum(0) == 4).all()
    np.testing.assert_array_equal(fits.counts.sum(1), [40, *[32] * 5])


def test_head_that_cannot_stream_is_refused():
    features, labels = made(50, 4, 2)
    with pytest.raises(InputError, match=r"expected a head that learns in blocks, received knn; "):
        fit_streamed(parse_head("knn"), BlockSample(ArrayBlocks(features), labels, 2, 0))


def test_features_too_large_for_memory_are_refused_with_the_ways_out():
    message = (
        r"expected features that fit in memory for rbf-svm, .* received 5.1 GB of features with "
        r"8.0 GB of memory free; use logistic, .* or dense, which learn in blocks"
    )
    with pytest.raises(InputError, match=message):
        check_fits(parse_head("rbf-svm"), 5_120_000_000, 8_000_000_000)
    check_fits(parse_head("rbf-svm"), 1_000_000_000, 8_000_000_000)
    check_fits(parse_head("logistic"), 5_120_000_000, 8_000_000_000)
    assert fits_in_memory(1000)


def test_products_too_large_for_memory_are_refused():
    message = r"expected products of features .* received 25088 features, .* take 40.3 GB with 8.0"
    with pytest.raises(InputError, match=message):
        check_products(parse_head("lda"), 25_088, 8, 8_000_000_000)


def test_one_class_is_refused():
    features, _ = made(50, 4, 2)
    with pytest.raises(InputError, match=r"two classes or more .* received one class"):
        fit_streamed(
            parse_head("logistic"), BlockSample(ArrayBlocks(features), np.zeros(50, int), 2, 0)
        )


def test_rows_that_are_not_aligned_are_refused():
    features, labels = made(50, 4, 2)
    with pytest.raises(InputError, match="received 50 rows and 40 labels"):
        fit_streamed(parse_head("ridge"), BlockSample(ArrayBlocks(features), labels[:40], 2, 0))


def test_features_that_are_not_finite_are_refused():
    features, labels = made(50, 4, 2)
    features[31, 2] = np.nan
    with pytest.raises(InputError, match="expected finite features, received NaN or infinity"):
        fit_streamed(parse_head("logistic"), BlockSample(ArrayBlocks(features), labels, 2, 0))
