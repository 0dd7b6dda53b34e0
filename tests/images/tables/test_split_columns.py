"""Columns of splits, whatever their names and words."""

import pytest

from pipeline.config import DataConfig
from pipeline.errors import InputError, UnknownNameError
from pipeline.images import scan
from tests.images.tables.written import LABELS, NAMES, SPLITS, put, text_of

TAKEN = ("train", "train", "test") * 2


def read(root, names, *columns, **settings):
    text = text_of(("file", "label", *names), NAMES, LABELS, *columns)
    return scan(put(root, text, *NAMES), DataConfig(**settings))


@pytest.mark.parametrize("name", ["split", "set", "subset", "data set", "Usage", "remark"])
def test_a_column_of_split_words(tmp_path, name):
    source = read(tmp_path, [name], SPLITS)
    assert source.splits == TAKEN
    assert source.reading.splits == {"Training": "train", "Testing": "test"}
    assert source.reading.columns["split"] == name
    assert source.reading.sentence.startswith("splits: Training → train, Testing → test; path")


@pytest.mark.parametrize(
    ("words", "split"),
    [
        (("train", "val"), "validation"),
        (("TRAIN", "DEV"), "validation"),
        (("01_train", "02_test"), "test"),
        (("training_set", "test_set"), "test"),
    ],
)
def test_words_for_splits(tmp_path, words, split):
    assert set(read(tmp_path, ["x"], [words[0], words[0], words[1]] * 2).splits) == {"train", split}


@pytest.mark.parametrize(
    ("name", "values", "splits"),
    [
        ("is_training_image", "110110", TAKEN),
        ("is_test", ("False", "False", "True") * 2, TAKEN),
        ("is_valid", ("no", "no", "yes") * 2, ("train", "train", "validation") * 2),
    ],
)
def test_a_column_of_yes_and_no(tmp_path, name, values, splits):
    assert read(tmp_path, [name], values).splits == splits
    assert read(tmp_path, [name], values, split_column=name).splits == splits


def test_two_columns_that_say_the_same(tmp_path):
    assert read(tmp_path, ["train", "test"], "110110", "001001").splits == TAKEN


@pytest.mark.parametrize(
    ("names", "columns", "message"),
    [
        (["set", "part"], [SPLITS, SPLITS[::-1]], "--split-column set or --split-column part"),
        (["partition"], ["001012"], "received 'partition', the first with '0', '1', '2': say"),
        (["Usage"], [["Training", "PublicTest", "PrivateTest"] * 2], "'Usage', the first with"),
        (["part"], [["train", "test", "extra"] * 2], "'train', 'test', 'extra'"),
        (["train", "val", "test"], ["100100", "010010", "001001"], "--split-column train or --spl"),
    ],
)
def test_questions(tmp_path, names, columns, message):
    with pytest.raises(InputError, match=f"expected one column of splits.*{message}"):
        read(tmp_path, names, *columns)
    assert read(tmp_path, names, *columns, split_column="none").splits == (None,) * 6


def test_a_word_that_is_no_split(tmp_path):
    with pytest.raises(UnknownNameError, match="unknown split 'PublicTest'; nearest: test; in row"):
        read(tmp_path, ["Usage"], ["Training", "PublicTest", "Test"] * 2, split_column="Usage")


def test_what_is_no_split_is_left_alone(tmp_path):
    columns = ("012340", ("trained", "bus", "car") * 2, ("a", "b") * 3)
    assert read(tmp_path, ["fold", "vehicle", "colour"], *columns).splits == (None,) * 6
