"""Opened features: rows, splits, layers, views, blocks, and other libraries' containers."""

import doctest
import os
import shutil
import sys

import numpy as np
import pytest

import pipeline
from pipeline.api import opened as module
from pipeline.errors import InputError, UnknownNameError
from tests.api.conftest import BASE


def test_examples_run():
    assert doctest.testmod(module).failed == 0


def test_features_are_read_when_they_are_asked_for(opened):
    assert "X" not in vars(opened)
    assert opened.X is opened.X


def test_splits_are_parts_in_the_same_order(opened):
    train, test = opened.split("train"), opened.split("test")
    assert [path.split("/")[0] for path in train.paths] == ["train"] * 72
    np.testing.assert_array_equal(train.X, opened.X[opened.splits == "train"])
    np.testing.assert_array_equal(test.y, opened.y[opened.splits == "test"])
    with pytest.raises(InputError, match=r"split 'validation' .* received only test, train"):
        opened.split("validation")
    with pytest.raises(UnknownNameError, match="unknown split 'tests'; nearest: test"):
        opened.split("tests")


def test_blocks_come_in_row_order(opened):
    blocks = list(opened.blocks(40))
    assert [len(y) for _, y in blocks] == [40, 40, 16]
    np.testing.assert_array_equal(np.concatenate([X for X, _ in blocks]), opened.X)
    np.testing.assert_array_equal(np.concatenate([y for _, y in blocks]), opened.y)
    assert "X" in vars(opened)
    with pytest.raises(InputError, match="at least 1 row in a block, received n_rows=0"):
        opened.blocks(0)


def test_blocks_hold_nothing_else(opened):
    next(opened.blocks(8))
    assert "X" not in vars(opened)


def test_byte_identical_pictures_are_one_group(trained, folder):
    shutil.copytree("digits", "twins", dirs_exist_ok=True)
    shutil.copy("twins/train/0/" + sorted(os.listdir("twins/train/0"))[0], "twins/train/0/z.png")
    features = pipeline.open_features("twins", **BASE)
    first = features.paths.index("train/0/z.png")
    twin = next(i for i in np.flatnonzero(features.groups == features.groups[first]) if i != first)
    np.testing.assert_array_equal(features.X[first], features.X[twin])
    assert len(set(features.groups.tolist())) == len(features) - 1


def test_layers_and_views(trained, folder):
    settings = {**BASE, "layers": ["block2", "block3"], "pooling": "avg", "views": 1}
    assert pipeline.extract_features("digits", **settings).computed_views == 72
    features = pipeline.open_features("digits", **settings)
    assert features.layers == ("block2", "block3")
    parts = [features.layer(name).X for name in features.layers]
    np.testing.assert_array_equal(features.X, np.concatenate(parts, axis=1))
    assert features.feature_names()[0] == "block2_0"
    assert features.feature_names()[-1] == "block3_39"
    train = features.split("train")
    assert train.view(1).shape == train.X.shape
    assert not np.array_equal(train.view(1), train.X)
    np.testing.assert_array_equal(train.view(0), train.X)
    with pytest.raises(InputError, match="view 1 of all 96 pictures, 24 have none"):
        features.view(1)
    with pytest.raises(InputError, match="number of a view from 0 to 1, received 2"):
        train.view(2)
    with pytest.raises(UnknownNameError, match="unknown layer 'block4'; nearest: block"):
        features.layer("block4")


def test_a_table_for_pandas(opened):
    pytest.importorskip("pandas")
    table = opened.to_pandas()
    assert list(table.columns) == ["label", "split", *opened.feature_names()]
    assert list(table.index) == list(opened.paths)
    assert table["label"].tolist() == [opened.classes[label] for label in opened.y]
    np.testing.assert_array_equal(table.drop(columns=["label", "split"]).to_numpy(), opened.X)


def test_without_pandas_the_sentence_says_so(opened, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match=r"expected pandas .* run: pip install pandas"):
        opened.to_pandas()


def test_batches_for_tensorflow(opened):
    batches = list(opened.to_tf_data(batch_size=40).as_numpy_iterator())
    assert [len(y) for _, y in batches] == [40, 40, 16]
    np.testing.assert_array_equal(np.concatenate([X for X, _ in batches]), opened.X)
    with pytest.raises(InputError, match="at least 1 row a batch, received batch_size=0"):
        opened.to_tf_data(0)


def test_shuffled_batches_hold_every_row_once(opened):
    def order(batches):
        X = np.concatenate([X for X, _ in batches])
        y = np.concatenate([y for _, y in batches])
        places = [int(np.flatnonzero((row == opened.X).all(axis=1))[0]) for row in X]
        np.testing.assert_array_equal(opened.y[places], y)
        return places

    data = opened.to_tf_data(batch_size=40, shuffle=True, seed=1)
    assert int(data.cardinality()) == 3
    passes = [order(list(data.as_numpy_iterator())) for _ in range(2)]
    assert sorted(passes[0]) == sorted(passes[1]) == list(range(96))
    assert passes[0] != passes[1]
    assert passes[0] != list(range(96))
    again = opened.to_tf_data(batch_size=40, shuffle=True, seed=1)
    assert order(list(again.as_numpy_iterator())) == passes[0]
