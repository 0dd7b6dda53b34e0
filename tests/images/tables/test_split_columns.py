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
        ("isTrain", "YYNYYN", TAKEN),
        ("train", ("1", "1", "-1") * 2, TAKEN),
        ("used_for_training", ("1.0", "1.0", "0.0") * 2, TAKEN),
    ],
)
def test_a_column_of_yes_and_no(tmp_path, name, values, splits):
    assert read(tmp_path, [name], values).splits == splits
    assert read(tmp_path, [name], values, split_column=name).splits == splits


NAMES_OF_SPLITS = "Menge Teilmenge Datensatz Sous-ensemble conjunto Sottoinsieme Выборка 子集 usage"


@pytest.mark.parametrize("name", NAMES_OF_SPLITS.split())
def test_words_that_nobody_knows_in_a_column_of_splits_are_asked_about(tmp_path, name):
    words = ("Übung", "Übung", "Prüfung") * 2
    with pytest.raises(
        InputError, match=f"splits in .* received '{name}' with 'Übung', 'Prüfung': write"
    ):
        read(tmp_path, [name], words)
    assert set(read(tmp_path, [name], words, split_column="none").splits) == {None}


@pytest.mark.parametrize("values", ["112112", ["3.5", "3.5", "7"] * 2, ["low"] * 3 + ["high"] * 3])
def test_an_amount_is_no_split(tmp_path, values):
    assert set(read(tmp_path, ["Menge"], values).splits) == {None}


def test_two_columns_that_say_the_same(tmp_path):
    assert read(tmp_path, ["train", "set"], "110110", SPLITS).splits == TAKEN


@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("is_train", "is_valid", "is_test"), ("test", "dev", "trn")]
)
def test_a_one_in_the_column_of_the_split(tmp_path, names):
    columns = ["100100", "010010", "001001"]
    source = read(tmp_path, names, *columns)
    order = ("train", "validation", "test")
    order = order if names[0] != "test" else order[::-1]
    assert source.splits == order * 2
    assert source.reading.sentence.endswith("split from the column with a 1")
    header = ("file", *names, "cat", "dog")
    text = text_of(header, NAMES, *columns, "111000", "000111")
    assert scan(put(tmp_path, text, *NAMES)).labels == LABELS
    with pytest.raises(InputError, match="name the column of labels 'label'"):
        scan(put(tmp_path, text_of(header[:4], NAMES, *columns), *NAMES))


@pytest.mark.parametrize(
    ("names", "columns", "message"),
    [
        (
            ["set", "part"],
            [SPLITS, SPLITS[::-1]],
            "received 'set' with 'Training', 'Testing'; 'part' with 'Testing', 'Training': say "
            "--split-column set or --split-column part, or say --split-column none, and the split",
        ),
        (["partition"], ["001012"], "received 'partition' with '0', '1', '2': write train, valid"),
        (["Usage"], [["Training", "PublicTest", "PrivateTest"] * 2], "received 'Usage' with 'Tr"),
        (["part"], [["train", "test", "extra"] * 2], "'train', 'test', 'extra'"),
        (["stage"], [["train", "query", "gallery"] * 2], "'train', 'query', 'gallery': write"),
        (["x"], [["val", "rest", "rest"] * 2], "received 'x' with 'val', 'rest'"),
        (["fold"], ["012340"], "received 'fold' with '0', '1', '2' and 2 more"),
        (["cv"], ["aabbcc"], "received 'cv' with 'a', 'b', 'c'"),
        (["k_fold_id"], ["001122"], "received 'k_fold_id'"),
        (["is_test"], [["x", "", ""] * 2], "received 'is_test' with 'x'"),
        (["is_train"], ["10?10?"], "received 'is_train' with '1', '0', '[?]'"),
        (["train", "test"], ["110110", "101001"], "--split-column train or --split-column test"),
    ],
)
def test_questions(tmp_path, names, columns, message):
    with pytest.raises(InputError, match=f"expected one column of splits.*{message}"):
        read(tmp_path, names, *columns)
    assert read(tmp_path, names, *columns, split_column="none").splits == (None,) * 6


def in_paths(root, paths, names=(), *columns, labels=LABELS, **settings):
    text = text_of(("path", "label", *names), paths, labels, *columns)
    return scan(put(root, text, *paths), DataConfig(**settings))


PATHS = tuple(f"{word}/{name}" for word, name in zip(TAKEN, NAMES, strict=True))


@pytest.mark.parametrize(
    "form", ["{}/{}", "images/{}/{}", "{}2017/x/{}", "{0}/{0}/{1}", "{}_{}", "coco_{}_{}"]
)
def test_splits_in_the_paths(tmp_path, form):
    paths = [form.format(word, name) for word, name in zip(TAKEN, NAMES, strict=True)]
    source = in_paths(tmp_path, paths)
    assert dict(zip(source.paths, source.splits, strict=True)) == dict(
        zip(paths, TAKEN, strict=True)
    )
    assert source.reading.columns["split"] == "path"
    assert in_paths(tmp_path, paths, split_column="none").splits == (None,) * 6


def test_splits_in_the_paths_of_files_that_are_meant(tmp_path):
    text = text_of(("id", "label"), "012345", LABELS)
    source = scan(put(tmp_path, text, *PATHS))
    assert source.reading.sentence == (
        "splits: train → train, test → test; path from column 'id'; label from column 'label'; "
        "split from column 'id'"
    )
    assert source.splits == tuple(sorted(TAKEN))


def test_splits_in_the_paths_beside_a_column(tmp_path):
    assert in_paths(tmp_path, PATHS, ["set"], SPLITS).reading.columns["split"] == "set"
    other = ["set"], SPLITS[::-1]
    with pytest.raises(InputError, match="say --split-column set or --split-column path, or say"):
        in_paths(tmp_path, PATHS, *other)
    words = dict(zip(PATHS, TAKEN, strict=True))
    source = in_paths(tmp_path, PATHS, *other, split_column="path")
    assert dict(zip(source.paths, source.splits, strict=True)) == words
    assert in_paths(tmp_path, PATHS, ["split"], TAKEN[::-1]).reading.columns["split"] == "split"
    with pytest.raises(
        InputError, match=r"splits in the folders or names of 'path' in .*none: say"
    ):
        in_paths(tmp_path, NAMES, split_column="path")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train", "query", "gallery"), "'path' with 'train', 'query', 'gallery': write"),
        (("test", "extra", "extra"), "'path' with 'test', 'extra': write train"),
        (("a/train", "test", "test"), "'path' with 'train': write train"),
        (("train/test", "test/train", "test/test"), "'path' with 'train', 'test'; 'path' with"),
        (("train/val", "train/val", "train/x"), "'path' with 'val', 'x': write"),
    ],
)
def test_questions_about_paths(tmp_path, words, message):
    paths = [f"{word}/{name}" for word, name in zip(words * 2, NAMES, strict=True)]
    with pytest.raises(InputError, match=f"expected one column of splits.*{message}"):
        in_paths(tmp_path, paths)


def test_labels_and_splits_in_one_folder_are_asked_about(tmp_path):
    names = zip(LABELS, TAKEN, NAMES, strict=True)
    with pytest.raises(InputError, match="'cat_train', 'cat_test', 'dog_train' and 1 more: write"):
        in_paths(tmp_path, [f"{label}_{word}/{name}" for label, word, name in names])


@pytest.mark.parametrize("form", ["train/{1}", "{0}/{1}", "{0}_train/{1}"])
def test_folders_that_are_no_splits(tmp_path, form):
    labels = ("train", "bus") * 3
    paths = [form.format(label, name) for label, name in zip(labels, NAMES, strict=True)]
    assert in_paths(tmp_path, paths, labels=labels).splits == (None,) * 6


def test_a_word_that_is_no_split(tmp_path):
    with pytest.raises(UnknownNameError, match="unknown split 'PublicTest'; nearest: test; in row"):
        read(tmp_path, ["Usage"], ["Training", "PublicTest", "Test"] * 2, split_column="Usage")


def test_what_is_no_split_is_left_alone(tmp_path):
    columns = ("012340", ("trained", "bus", "car") * 2, ("a", "b") * 3)
    assert read(tmp_path, ["age", "vehicle", "colour"], *columns).splits == (None,) * 6
