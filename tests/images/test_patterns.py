"""Labels that stand in file names."""

import json
import logging
import shutil

import pytest

from pipeline.cli import run
from pipeline.config import DataConfig
from pipeline.errors import DataError, InputError
from pipeline.images import index, scan
from pipeline.images.patterns import label_pictures, parse_pattern
from pipeline.images.walk import Listing
from pipeline.runs import index_settings
from tests.images.test_sources import PLAIN, make
from tests.runs.test_folder import HITS, make_run
from tests.stored import reseal

KAGGLE = tuple(f"{label}.{number}.jpg" for label in ("cat", "dog") for number in range(4))


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, "pipeline")
    return caplog


@pytest.mark.parametrize(
    ("pattern", "stem", "label"),
    [
        ("{label}.{}", "cat.0", "cat"),
        ("{label}.{}", "cat.0.1", "cat"),
        ("{}_{label}", "IMG_7_dog", "7_dog"),
        ("{}-{}-{label}", "IMG-7-dog", "dog"),
        ("x{label}", "x.y", ".y"),
        ("x{label}", "yy", None),
        ("{label}.{}", "cat", None),
        ("{label}.*", "cat.0", None),
        ("[{label}]{{name}}", "[cat]{name}", "cat"),
        ("[{label}]{name}", "[cat]7", "cat"),
        ("{label}_{number:d}", "american_pit_bull_terrier_12", "american_pit_bull_terrier"),
        ("{label}_{number:d}", "american_pit_bull_x", None),
        ("{label}_{:d}", "pit_bull_12", "pit_bull"),
        ("{label:*}_{}", "pit_bull_12a", "pit_bull"),
        ("{label}_{*}", "pit_bull_12a", "pit"),
        ("{*}_{label}", "IMG_7_dog", "dog"),
        ("{id:*}_{label}", "IMG_7_dog", "dog"),
        ("{id}_{label:d}", "img_7", "7"),
        ("{label:d}_{}", "cat_7", None),
        ("{label}{number:d}", "route66cat12", "route66cat"),
        ("{number:d}{label}", "12cat", "cat"),
        ("{label}.{}.jpg", "cat.0", "cat"),
        ("{label}.{}.PNG", "cat.0.1", "cat"),
        ("{group}_{number:d}_{label}", "patient12_3_cat", "cat"),
        ("{label}{}", "cat", "c"),
        ("{label}", "two\nlines", "two\nlines"),
    ],
)
def test_templates(pattern, stem, label):
    assert parse_pattern(pattern)(stem) == label


@pytest.mark.parametrize("pattern", ["", "{}", "label", "{label}{label}", "{Label}.{}"])
def test_templates_without_a_place_for_the_label(pattern):
    with pytest.raises(InputError, match=r"expected \{label\} once .* received label_pattern="):
        parse_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("{label", "every brace closed, or written twice if it stands for itself"),
        ("label}_{}", "every brace closed"),
        ("{la{bel}}", "every brace closed"),
        ("{label}_{number:x}", r"d \(digits\), a .* or \* .* behind the colon of \{number:x\}"),
        ("{label:04d}", r"d .* behind the colon of \{label:04d\}"),
        ("{group}_{group}_{label}", r"\{group\} once or not at all"),
        ("{split}_{label}_{}", r"no \{split\}, which folders or a column of a table say"),
        ("{label}/{group}_{}", r"no folders .*'\{group\}_\{\}' groups inside them\)"),
        ("{label}/{}", r"no folders \(--classes-at says which .*\) in the pattern of file names"),
    ],
)
def test_patterns_that_cannot_be_read(pattern, expected):
    with pytest.raises(InputError, match=f"expected {expected}.* received label_pattern="):
        parse_pattern(pattern)


DOGS = ("american_pit_bull_1.jpg", "american_bulldog_3.jpg", "pug_2.jpg", "pug_4.jpg")


def ambiguous(pattern, names):
    with pytest.raises(DataError, match=r"^more than one reading of label_pattern=") as raised:
        label_pictures([(None, name) for name in names], parse_pattern(pattern))
    return str(raised.value).partition("--label-pattern ")[2]


@pytest.mark.parametrize(
    ("pattern", "names", "ways"),
    [
        (
            "{label}_{}",
            DOGS,
            "'{label}_{*}' for 'american' (2 labels in all), or "
            "'{label}_{number:d}' for 'american_pit_bull' (3 labels in all)",
        ),
        (
            "{label}_{id}",
            ("pug_1.jpg", "pit_bull_1a.jpg"),
            "'{label}_{id:*}' for 'pit' (2 labels in all), or "
            "'{label:*}_{id}' for 'pit_bull' (2 labels in all)",
        ),
        (
            "{}_{label}",
            ("IMG_7_dog.jpg", "IMG_8_cat.jpg"),
            "'{}_{label:*}' for '7_dog' (2 labels in all), or "
            "'{*}_{label}' for 'dog' (2 labels in all)",
        ),
        (
            "{{{label}{}",
            ("{cat.jpg",),
            "'{{{label}{*}' for 'c' (1 label in all), or '{{{label:*}{}' for 'cat' (1 label in "
            "all)",
        ),
        (
            "{}_{label}_{}",
            ("a_b_c_d.jpg",),
            "'{}_{label}_{*}' for 'b' (1 label in all), or '{}_{label:*}_{}' for 'b_c' (1 label "
            "in all), or '{*}_{label}_{}' for 'c' (1 label in all)",
        ),
    ],
)
def test_of_two_readings_none_is_taken(pattern, names, ways):
    assert ambiguous(pattern, names) == ways


@pytest.mark.parametrize(
    ("pattern", "labels"),
    [
        ("{label}_{*}", {"american", "pug"}),
        ("{label:*}_{}", {"american_pit_bull", "american_bulldog", "pug"}),
        ("{label}_{number:d}", {"american_pit_bull", "american_bulldog", "pug"}),
        ("{breed:*}_{label}", {"1", "2", "3", "4"}),
    ],
)
def test_a_field_that_says_how_much_it_takes_settles_it(pattern, labels):
    found = label_pictures([(None, name) for name in DOGS], parse_pattern(pattern))
    assert {part.label for part in found} == labels


def test_groups_stand_in_file_names():
    pictures = [("train", "a/p1_3_cat.jpg"), ("train", "p1_4_dog.jpg"), (None, "p2_1_cat.jpg")]
    assert label_pictures(pictures, parse_pattern("{group}_{:d}_{label}")) == [
        Listing("cat", "train", ("a/p1_3_cat.jpg",), (), "p1"),
        Listing("dog", "train", ("p1_4_dog.jpg",), (), "p1"),
        Listing("cat", None, ("p2_1_cat.jpg",), (), "p2"),
    ]


def test_a_word_begins_with_a_letter():
    pattern = parse_pattern("{group}_{word:a}-{label}")
    assert pattern.read("IMG_12_left_1-cat") == ("cat", "IMG_12")
    assert pattern.read("IMG_12-cat") is None


def test_names_without_a_suffix_are_read_whole():
    found = label_pictures([(None, "cat.0"), (None, "dog.1.jpg")], parse_pattern("{label}.{:d}"))
    assert [part.label for part in found] == ["cat", "dog"]


def test_two_readings_end_a_command_with_a_question(tmp_path, capsys):
    make(tmp_path / "data", *DOGS)
    assert run(["check", str(tmp_path / "data"), "--label-pattern", "{label}_{}"]) == 2
    assert "fits file names such as 'american_" in capsys.readouterr().err


def test_a_flat_folder_by_pattern(tmp_path):
    names = ("img_1_cat.jpg", "img_2_cat.jpg", "more/img_1_dog.png", "img_2_dog.png", "notes.txt")
    source = scan(make(tmp_path, *names), DataConfig(label_pattern="img_{}_{label}"))
    assert dict(zip(source.paths, source.labels, strict=True)) == {
        "img_1_cat.jpg": "cat",
        "img_2_cat.jpg": "cat",
        "img_2_dog.png": "dog",
        "more/img_1_dog.png": "dog",
    }
    assert source.splits == (None,) * 4
    assert source.ignored == ("notes.txt",)


def test_split_folders_by_pattern(tmp_path):
    names = [f"{split}/{name}" for split in ("train", "Valid", "test") for name in KAGGLE]
    source = scan(make(tmp_path, *names, "loose.jpg"), DataConfig(label_pattern="{label}.{}"))
    rows = set(zip(source.paths, source.labels, source.splits, strict=True))
    assert ("Valid/dog.3.jpg", "dog", "validation") in rows
    assert ("test/cat.0.jpg", "cat", "test") in rows
    assert len(rows) == 24
    assert source.ignored == ("loose.jpg",)


def test_a_picture_that_does_not_fit_is_named(tmp_path):
    make(tmp_path, *KAGGLE, "odd.jpg")
    with pytest.raises(DataError, match=r"'\{label\}.\{\}' in .*, received odd.jpg: rename or"):
        scan(tmp_path, DataConfig(label_pattern="{label}.{}"))


def test_a_pattern_for_nothing(tmp_path):
    with pytest.raises(DataError, match=r"expected pictures in .* received none"):
        scan(make(tmp_path, "notes.txt"), DataConfig(label_pattern="{label}.{}"))


def test_one_label_only(tmp_path):
    with pytest.raises(DataError, match="received only 'cat': add pictures with another label in"):
        scan(make(tmp_path, *KAGGLE[:4]), DataConfig(label_pattern="{label}.{}"))


def test_numbered_names_are_taken_by_themselves_and_aloud(tmp_path, said):
    source = scan(make(tmp_path, *KAGGLE, "notes.txt"))
    assert source.labels == ("cat",) * 4 + ("dog",) * 4
    assert source.ignored == ("notes.txt",)
    (line,) = said.messages
    assert line == "labels are taken from file names LABEL.NUMBER, e.g. cat.0.jpg is of 'cat'"
    assert not index(tmp_path).given_splits


def test_numbered_names_in_split_folders(tmp_path, said):
    names = [f"{split}/{name}" for split in ("train", "test") for name in KAGGLE]
    source = scan(make(tmp_path, *names, "loose.jpg"))
    assert source.splits == ("test",) * 8 + ("train",) * 8
    assert source.ignored == ("loose.jpg",)
    assert "labels are taken from file names" in said.text


@pytest.mark.parametrize("odd", ["cat.x.jpg", "cat.jpg", "a.cat.1.jpg", "rats/1.jpg"])
def test_one_other_name_and_folders_are_the_classes(tmp_path, said, odd):
    with pytest.raises(DataError, match="expected"):
        scan(make(tmp_path, *KAGGLE, odd))
    assert not said.messages


def test_numbered_names_of_one_label_do_not_count(tmp_path):
    with pytest.raises(
        DataError, match=r"expected class folders in .* received 4 pictures without"
    ):
        scan(make(tmp_path, *KAGGLE[:4]))


def test_loose_numbered_names_beside_classes_do_not_count(tmp_path):
    source = scan(make(tmp_path, *PLAIN, *KAGGLE))
    assert source.paths == PLAIN
    assert source.ignored == KAGGLE


def test_a_test_folder_without_labels(tmp_path):
    make(tmp_path, *(f"train/{name}" for name in KAGGLE), "test/1.jpg")
    with pytest.raises(DataError, match=r"test, received pictures without any, e.g. test/1.jpg:"):
        scan(tmp_path)


def test_the_flag_reaches_the_index(tmp_path, capsys):
    make(tmp_path / "data", "1-cat.jpg", "2-cat.jpg", "1-dog.jpg", "2-dog.jpg", "rat.jpg")
    arguments = ["features", str(tmp_path / "data"), "--cache", str(tmp_path / "cache")]
    assert run([*arguments, "--label-pattern", "{}-{label}"]) == 2
    assert "received rat.jpg: rename or move it" in capsys.readouterr().err


def test_stage_3_finds_labels_as_the_run_did(tmp_path):
    make_run(tmp_path / "runs", "one", 0.9, HITS, root=str(tmp_path))
    path = tmp_path / "runs" / "one" / "run.json"
    for config, seed in (({}, 3), ({"label_pattern": "{}-{label}", "test_fraction": 0.4}, 4)):
        path.write_text(
            json.dumps({**json.loads(path.read_text()), "config": config, "seed": seed})
        )
        reseal(path.parent)
        found = {"seed": seed, **config}
        for text in ("one", "best"):
            assert index_settings(tmp_path / "runs", text, f"{tmp_path}/x/..") == found
    elsewhere = index_settings(tmp_path / "runs", "best", str(tmp_path / "x"))
    assert elsewhere == {}


def test_the_same_experiment_in_an_archive(pictures, tmp_path, capsys):
    """A folder, an archive of it, and a flat folder of the same pictures share all features."""
    shutil.make_archive(str(tmp_path / "packed"), "zip", pictures.parent, pictures.name)
    for path in sorted(pictures.rglob("*.png")):
        split, label, name = path.relative_to(pictures).parts
        target = tmp_path / "flat" / split / f"{label}.{name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    flags = ["--backbone", "MobileNet(alpha=0.25)", "--weights", "none", "--image-size", "32"]
    flags += ["--engine", "tensorflow", "--cache", str(tmp_path / "cache"), "--json"]
    computed = []
    for data in (pictures, tmp_path / "packed.zip", tmp_path / "flat"):
        assert run(["features", str(data), *flags]) == 0
        value = json.loads(capsys.readouterr().out)
        assert value["classes"] == {"blue": 18, "red": 18}
        assert value["splits"] == {"train": 24, "test": 12}
        computed.append(value["computed"])
    assert computed == [36, 0, 0]
