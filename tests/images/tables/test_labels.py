"""One label for a picture: a 1 in one of several columns, one in a cell, one spelling."""

import re

import pytest

from pipeline.config import DataConfig
from pipeline.errors import DataError, InputError
from pipeline.images import scan
from pipeline.images.tables.labels import several_labels
from tests.images.tables.written import LABELS, NAMES, SPLITS, put, text_of

CAT, DOG = "111000", "000111"


def read(root, header, *columns, name="t.csv", files=NAMES, **settings):
    return scan(put(root, text_of(header, *columns), *files, name=name), DataConfig(**settings))


def test_a_table_of_a_labelling_service(tmp_path):
    files = [f"train/{name}" for name in NAMES]
    header = ("filename", " cat", " dog")
    source = read(tmp_path, header, NAMES, CAT, DOG, name="train/_classes.csv", files=files)
    assert (source.paths, source.labels) == (NAMES, LABELS)
    assert source.reading.columns == {"path": "filename", "label": "one-hot"}
    assert source.reading.sentence == "path from column 'filename'; label from the column with a 1"


@pytest.mark.parametrize("marks", [("1.0", "0.0"), ("True", "False"), ("1", "0")])
def test_ways_to_write_a_mark(tmp_path, marks):
    columns = [
        [marks[0] if label == one else marks[1] for label in LABELS] for one in ("cat", "dog")
    ]
    assert read(tmp_path, ("image", "cat", "dog"), NAMES, *columns).labels == LABELS


def test_columns_of_splits_and_groups_are_no_classes(tmp_path):
    header = ("image", "cat", "dog", "is_train", "set")
    columns = (NAMES, CAT, DOG, "110110", SPLITS)
    source = read(tmp_path, header, *columns)
    assert (source.labels, source.splits) == (LABELS, ("train", "train", "test") * 2)


@pytest.mark.parametrize(
    ("dog", "message"),
    [
        ("010111", "received a 1 in 'cat', 'dog' of 'cat', 'dog' in row 3 of .* has one label"),
        ("000110", "received a 1 in none of 'cat', 'dog' in row 7 of .*--label-column NAME"),
    ],
)
def test_a_picture_has_one_label(tmp_path, dog, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, ("image", "cat", "dog"), NAMES, CAT, dog)


def test_classes_whose_names_say_other_things(tmp_path):
    for names in (("train", "bus"), ("person", "dog"), ("None", "nan"), ("video", "is_test")):
        source = read(tmp_path, ("image", *names), NAMES, CAT, DOG)
        assert source.labels == (names[0],) * 3 + (names[1],) * 3
        assert (set(source.splits), source.groups) == ({None}, None)
    source = read(
        tmp_path, ("image", "cat", "dog"), NAMES, *[["1"] * 3 + ["-1"] * 3, ["-1"] * 3 + ["1"] * 3]
    )
    assert source.labels == LABELS


@pytest.mark.parametrize(
    "label",
    [
        "cat|dog",
        "dog; cat",
        "cat,dog",
        "dog cat",
        "cat+dog",
        "cat / dog",
        "cat & dog",
        "cat and dog",
    ],
)
def test_several_labels_in_a_cell(tmp_path, label):
    labels = (*LABELS[:5], f'"{label}"')
    with pytest.raises(
        DataError, match=r"one label for a picture, received .* in row 7 of .*'dog'.* are labels as"
    ):
        read(tmp_path, ("image", "label"), NAMES, labels)


@pytest.mark.parametrize(
    ("labels", "several"),
    [
        (["['a', 'b']", "['c']"], "['a', 'b']"),
        (["['a' 'b']", "['a']"], "['a' 'b']"),
        (["(a, b)", "b"], "(a, b)"),
        (["a|b", "a|c"], "a|b"),
        (["a;b", "b"], "a;b"),
        (["cat/dog", "dog/bird", "bird/cat"], "cat/dog"),
        (["bird cat", "bird dog", "cat dog"], "bird cat"),
        (["scab", "rust", "complex", "rust scab complex"], "rust scab complex"),
    ],
)
def test_lists_of_labels(labels, several):
    assert several_labels(dict.fromkeys(labels))[0] == several


@pytest.mark.parametrize(
    "labels",
    [
        ["Golden Retriever", "Labrador Retriever", "n/a"],
        ["bed|room", "dog", "[x, y]"],
        ["left/benign", "left/malignant", "right/benign", "right/malignant"],
        ["red apple", "green apple", "red pear", "green pear"],
        ["English Setter", "Irish Setter", "Irish Red and White Setter", "Old English Sheepdog"],
        ["bison bison", "bison"],
        ["C++", "C", "R&D", "AC/DC", "TCP/IP", "UDP/IP"],
        ["tench, Tinca tinca", "goldfish, Carassius auratus"],
        ['["a"]', '["b"]'],
    ],
)
def test_names_that_are_one_label(labels):
    assert several_labels(dict.fromkeys(labels)) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [("1", "1.0"), ("1", "01"), ("Cat", "cat"), ("a cat", "A_cat"), ("caf\u00e9", "cafe\u0301")],
)
def test_one_label_in_two_spellings(tmp_path, one, other):
    labels = (one, one, other, "2", "2", "2")
    said = f"class names that differ clearly, but '({one}|{other})' and .* differ only by case, s"
    with pytest.raises(DataError, match=said):
        read(tmp_path, ("image", "label"), NAMES, labels)


@pytest.mark.parametrize("labels", [("-1", "1"), (" cat", "dog "), ("A-", "A"), ("C", "C++")])
def test_labels_that_differ(tmp_path, labels):
    expected = tuple(label.strip() for label in labels) * 3
    assert read(tmp_path, ("image", "label"), NAMES, labels * 3).labels == expected


MISSING = (
    "None NaN NA null #N/A N/A n/a n.a. -nan (null) 1.#IND #NV #ND #VALUE! #WERT! #DIV/0! #NAME? "
    "#¿NOMBRE? k.A. k/A - -- ? ??? . … –"
)


@pytest.mark.parametrize("label", [*MISSING.split(), "keine Angabe", "k. A.", "#N/A N/A"])
def test_what_programs_write_for_no_label(tmp_path, label):
    with pytest.raises(
        DataError,
        match=f"label in row 7 of .*{re.escape(label)}', as for no value .write another w",
    ):
        read(tmp_path, ("image", "label"), NAMES, (*LABELS[:5], label))


def test_words_for_no_class_are_classes(tmp_path):
    for pair in (("none", "Na"), ("unknown", "other"), ("+", "-"), ("?", "!"), ("#1", "#tag")):
        labels = pair * 3
        assert read(tmp_path, ("image", "label"), NAMES, labels).labels == labels


@pytest.mark.parametrize("header", ["label", "grade"])
@pytest.mark.parametrize("number", ["0.{:02}", "{}.5", "-{}e-3", '"0,{:02}"'])
def test_a_measure_is_no_class_of_its_own(tmp_path, header, number):
    names = [f"{at}.jpg" for at in range(26)]
    values = [number.format(at // 2 + 1) for at in range(26)]
    root = put(tmp_path, text_of(("image", header), names, values), *names)
    with pytest.raises(
        InputError, match=f"received 13 numbers such as .* --label-column {header} if"
    ):
        scan(root)
    assert len(set(scan(root, DataConfig(label_column=header)).labels)) == 13


@pytest.mark.parametrize("values", ["0.5 1.0 1.5", "1 2 3", "1.0 2.0 3.0", "v1.5 v2.5 v3.5"])
def test_grades_and_numbers_of_classes_are_classes(tmp_path, values):
    labels = tuple(values.split()) * 2
    assert read(tmp_path, ("image", "label"), NAMES, labels).labels == labels


def test_a_label_beside_marks(tmp_path):
    header = ("image", "diagnosis", "cat", "dog")
    assert read(tmp_path, header, NAMES, LABELS, CAT, DOG).reading.columns["label"] == "diagnosis"
    assert read(tmp_path, header, NAMES, LABELS, "101010", DOG).labels == LABELS
    with pytest.raises(InputError, match="--label-column diagnosis or --label-column one-hot"):
        read(tmp_path, header, NAMES, "aabbab", CAT, DOG)
    chosen = read(tmp_path, header, NAMES, "aabbab", CAT, DOG, label_column="one-hot")
    assert chosen.labels == LABELS
    with pytest.raises(InputError, match=r"expected columns of 0 and 1 in .*, received none: say"):
        read(tmp_path, ("image", "label"), NAMES, LABELS, label_column="one-hot")
