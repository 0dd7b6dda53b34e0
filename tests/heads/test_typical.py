"""How typical pictures are: other domains are told, and as many like train as was asked for."""

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.heads.typical import MOST_PICTURES, Density, check_unknown, fit_density, sampled


def test_no_class_is_called_as_what_is_not_typical():
    check_unknown(None, ("drop", "unknown"))
    check_unknown(0.3, ("Unknown", "drop"))
    with pytest.raises(InputError, match=r"called 'unknown' beside min_typical=0\.3"):
        check_unknown(0.3, ("drop", "unknown"))


def drawn(n, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(4, 40)) * 2
    pictures = centres[rng.integers(0, 4, n)] + rng.normal(size=(n, 40))
    return (pictures + shift * np.arange(40) % 3).astype(np.float32)


def test_pictures_like_those_of_train_fall_below_a_limit_as_often_as_it_says():
    density = fit_density(drawn(600, 1))
    assert density is not None
    typical = density.typical(drawn(4000, 2))
    assert typical.min() > 0
    assert typical.max() <= 1
    for least in (0.02, 0.1, 0.5):
        assert np.mean(typical < least) == pytest.approx(least, abs=0.03)


def test_pictures_of_another_kind_are_not_typical():
    density = fit_density(drawn(600, 1))
    others = np.random.default_rng(5).normal(size=(300, 40)).astype(np.float32) * 2
    assert np.mean(density.typical(others) < 0.02) > 0.95


def test_no_limit_is_reached_that_so_few_pictures_cannot_show():
    density = fit_density(drawn(50, 1))
    assert density.typical(np.full((1, 40), 1e6, np.float32)).tolist() == [1 / 51]


@pytest.mark.parametrize("shape", [(19, 4), (30, 16385)])
def test_where_too_little_or_too_much_is_known_nothing_is_said(shape):
    assert fit_density(np.zeros(shape, np.float32)) is None


def test_a_feature_that_never_varies_says_nothing():
    train = drawn(100, 1)
    train[:, 7] = 3
    density = fit_density(train)
    new = drawn(10, 2)
    other = new.copy()
    other[:, 7] = 99
    assert (density.typical(new) == density.typical(other)).all()


def test_a_sample_is_enough_and_always_the_same():
    assert len(sampled(5000, 0)) == MOST_PICTURES
    assert (sampled(5000, 0) == sampled(5000, 0)).all()
    assert (np.diff(sampled(5000, 3)) > 0).all()
    assert sampled(5, 0).tolist() == [0, 1, 2, 3, 4]


def test_features_of_another_base_are_refused():
    with pytest.raises(InputError, match="expected 40 features for this run, received 3"):
        fit_density(drawn(100, 1)).typical(np.zeros((2, 3)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"held_out": np.zeros(3, np.float32)},
        {"mean": np.full(40, np.nan, np.float32)},
        {"scale": np.zeros(40, np.float32)},
        {"pictures": np.zeros((100, 40))},
        {"held_out": np.arange(100, 0, -1, dtype=np.float32)},
    ],
)
def test_arrays_of_something_else_are_refused(wrong):
    good = vars(fit_density(drawn(100, 1)))
    Density(**good).check()
    with pytest.raises(ValueError, match="training pictures"):
        Density(**{**good, **wrong}).check()
