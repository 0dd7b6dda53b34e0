"""Heads on many inputs at once against each of them alone."""

import numpy as np
import pytest

from pipeline.heads import parse_head
from pipeline.heads.fit import fit_head
from pipeline.heads.sample import Sample, make_folds
from pipeline.heads.shared import SharedFits, SharedInput

WIDTHS, K = (12, 5, 3, 6), 4
INPUTS = ((0,), (0, 1), (0, 2, 3), (1, 3), (0, 1, 2, 3))
PARAMS = {
    "ridge": ("alpha=0.1", "alpha=100.0", "alpha=100000.0"),
    "lda": ("shrinkage='auto'", "shrinkage=0.0", "shrinkage=0.3", "shrinkage=1.0"),
}


def sample_of(blocks=(0, 1, 2, 3), views=0, noise=1.0):
    """Features of all scales, with a constant column and one that is there twice."""
    rng, labels = np.random.default_rng(0), np.repeat(np.arange(K), (40, 30, 20, 10))
    centres, width = rng.normal(size=(K, sum(WIDTHS))), sum(WIDTHS)
    rows = [
        centres[labels] + noise * rng.normal(size=(len(labels), width)) for _ in range(1 + views)
    ]
    features = (np.concatenate(rows) * np.logspace(-1, 1, width) + 3).astype(np.float32)
    features[:, 3], features[:, 5] = 7, features[:, 4]
    parts = np.split(features, np.cumsum(WIDTHS)[:-1], axis=1)
    joined = np.concatenate([parts[block] for block in blocks], axis=1)
    return Sample(joined, labels, K, 0, views, tuple(WIDTHS[block] for block in blocks))


def check(specs, folds, tolerance, **made):
    fits = SharedFits(sample_of(**made), specs[0])
    for fit, held_out in folds:
        inputs = [SharedInput(blocks, specs) for blocks in INPUTS]
        for one, found in zip(inputs, fits.scores(fit, held_out, inputs), strict=True):
            sample = sample_of(one.blocks, **made)
            for spec, scores in zip(specs, found, strict=True):
                head = fit_head(spec, sample.only(fit))
                expected = head.scores(sample.features[held_out])
                if spec.head.name == "lda":  # what all classes share is left out
                    expected = expected - expected.mean(1, keepdims=True)
                scale = np.abs(expected).max()
                np.testing.assert_allclose(scores / scale, expected / scale, atol=tolerance)


@pytest.mark.parametrize("views", [0, 1])
@pytest.mark.parametrize("weight", ["", ", class_weight='balanced'"])
@pytest.mark.parametrize("prepare", ["standard", "l2", "sqrt-l2,standard"])
@pytest.mark.parametrize("name", list(PARAMS))
def test_scores_are_those_of_each_head_alone(name, prepare, weight, views):
    texts = [f"{name}({one}, prepare='{prepare}'{weight})" for one in PARAMS[name]]
    folds = make_folds(sample_of().labels, 3, 0)
    tolerance = 1e-3 if "l2" in prepare else 1e-4
    check([parse_head(text) for text in texts], folds, tolerance, views=views)


def test_a_class_that_a_fold_has_not_seen_gets_no_say():
    rows = np.arange(100)
    specs = [parse_head("lda"), parse_head("lda(shrinkage=0.5)")]
    fits = SharedFits(sample_of(), specs[0])
    (found,) = fits.scores(rows[:90], rows[90:], [SharedInput((0, 1), specs)])
    assert (found[:, :, 3] == -1000).all()
    assert (found.argmax(2) != 3).all()


def test_a_discriminant_of_rows_that_do_not_vary_is_the_nearest_mean():
    specs, rows = [parse_head("lda"), parse_head("lda(shrinkage=0.2)")], np.arange(100)
    sample = sample_of(noise=0.0)
    (found,) = SharedFits(sample, specs[0]).scores(rows, rows, [SharedInput((0, 1), specs)])
    assert (found.argmax(2) == sample.labels).all()
