"""Names in class folders that begin alike: asked about once, and how groups in names are said."""

import pytest

from pipeline.config import DataConfig
from pipeline.errors import DataError, InputError
from pipeline.images import index, scan
from pipeline.images.groupnames import begins_alike
from pipeline.images.walk import Listing
from tests.images.test_readings import tree

ONCE = DataConfig(group_at=0)


def listed(name, classes=("a", "b"), **values):
    """Return class folders, each with 4 × 3 names of first and second numbers."""
    return [
        Listing(
            label,
            values.get("split"),
            tuple(
                f"{label}/{name.format(4 * at + first, second)}"
                for first in range(1, 5)
                for second in range(1, 4)
            ),
            (),
        )
        for at, label in enumerate(classes)
    ]


def asked(found):
    doubt = begins_alike(found)
    assert doubt is not None
    return [str(way) for way in doubt.ways], doubt


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("patient{:02}_{}.png", "{group}_{*}"),
        ("P{}-{}.png", "{group}-{*}"),
        ("subject-{}.{}.jpg", "{group}.{*}"),
        ("S{} left{}.png", "{group} {*}"),
        ("person{}_bacteria_{}.jpeg", "{group}_{*}"),
        ("mouse_{:02}_{}.png", "{group:*}_{}"),
        ("mouse_{0}_{1}_{1}.png", "mouse_{{group:d}}_{*}"),
        ("Maus {}_{}.png", "{group}_{*}"),
        ("patient199{}_1{}.png", "{group}_{*}"),
    ],
)
def test_a_word_with_a_number_that_comes_again_is_asked_about(name, pattern):
    ways, doubt = asked(listed(name))
    meant = pattern.replace("{{", "{").replace("}}", "}")
    assert ways[0] == f"--label-pattern '{meant}' to keep what begins alike in one split"
    assert ways[1] == "--group-at 0 if every picture stands for itself"
    assert "begin alike, and so do the names in 8 groups" in doubt.seen


@pytest.mark.parametrize(
    "name",
    [
        "img_{}{}.png",
        "cat.{}{}.jpg",
        "photo-{} ({}).jpg",
        "IMG_20{}{}.jpg",
        "DSC0{}{}.JPG",
        "n02085620_{}{}.JPEG",
        "IMG_202301{:02}_11{}.jpg",
        "IMG-20200101-WA{}{}.jpg",
        "photo_2020-05-{:02}_12-0{}.jpg",
        "Screenshot 2020-01-{} at {}.png",
        "{}{}.jpg",
        "{}_{}.jpg",
        "0a{}f3-{}1ab-44de.jpg",
        "WhatsApp Image 2020-01-{} at {}.jpeg",
    ],
)
def test_names_that_cameras_and_collections_give_are_not_asked_about(name):
    assert begins_alike(listed(name)) is None


def test_one_beginning_a_class_says_nothing():
    assert begins_alike(listed("n0208{}", ("x",)) + listed("n0209_{}{}", ("y",))) is None
    for odd in ((), ("other.png", "one_more.png")):
        names = [*(f"rose1_{number}.png" for number in range(9)), *odd]
        found = [Listing(c, None, tuple(f"{c}/{name}" for name in names), ()) for c in "ab"]
        assert begins_alike(found) is None


def test_splits_that_are_given_are_not_asked_about():
    assert begins_alike(listed("patient{}_{}.png", split="train")) is None


def copies(base, *behind, n=6):
    names = [
        [f"{base.format(i + n * at)}{b}.jpg" for i in range(n) for b in behind] for at in (0, 1)
    ]
    return [
        Listing(label, None, tuple(f"{label}/{name}" for name in those), ())
        for label, those in zip("ab", names, strict=True)
    ]


@pytest.mark.parametrize(
    ("base", "behind", "pattern"),
    [
        ("x{}", ("", "_flip", "_rot10"), "{group}_{*}"),
        ("IMG_20{}", ("", "_flip", "_rot10"), "{group:*}_{}"),
        ("IMG_20{}", ("", "_hflip", "_rot_10"), "{group}_{word:a}"),
        ("{}3fa", ("-crop", "-aug2"), "{group}-{*}"),
        ("{}c_jpg", (".rf.0a1b", ".rf.99fe"), "{group}.{*}"),
    ],
)
def test_copies_that_programs_make_are_asked_about(base, behind, pattern):
    assert asked(copies(base, *behind))[0][0].startswith(f"--label-pattern '{pattern}' to keep")


def test_few_copies_among_many_are_asked_about():
    some = Listing("a", None, ("a/cat_1_flip.jpg", "a/cat_2_flip.jpg"), ())
    ways, doubt = asked([*copies("cat_{}", ""), some])
    assert ways[0].startswith("--label-pattern '{group}_{word:a}' to keep")
    assert "'cat_1.jpg', 'cat_1_flip.jpg' begin alike" in doubt.seen


def test_copies_in_one_class_of_many_are_asked_about():
    many = [Listing(f"c{i}", None, tuple(f"c{i}/{j}.jpg" for j in range(9)), ()) for i in range(9)]
    assert asked([*many, copies("x{}", "", "_hflip")[0]])[0][0].startswith(
        "--label-pattern '{group}"
    )


def test_words_that_begin_like_changes_are_none():
    assert begins_alike(copies("{}rotkehlchen", "_august", "_origami")) is None


def test_where_no_pattern_divides_so_a_table_is_the_way_out():
    found = listed("mouse_{0}_{1}_{1}.png", "a") + listed("rat_{0}_{1}_{1}.png", "b")
    ways, doubt = asked(found)
    assert ways == ["--group-at 0 if every picture stands for itself"]
    assert doubt.rest == "give a table with a column group"


def patients(tmp_path, *more):
    names = [f"a/patient{i}_{{1,2,3}}.png" for i in range(1, 6)]
    return tree(
        tmp_path, *names, *(name.replace("a/patient", "b/patient1") for name in names), *more
    )


def test_it_is_asked_once_and_every_answer_is_taken(tmp_path):
    root = patients(tmp_path)
    with pytest.raises(
        DataError, match=r"--label-pattern '\{group\}_\{\*\}' to keep .* --group-at 0"
    ):
        scan(root)
    assert scan(root, ONCE).groups is None
    source = scan(root, DataConfig(label_pattern="{group}_{*}"))
    assert source.labels == scan(root, ONCE).labels
    assert set(source.groups) == {f"patient{i}" for i in (1, 2, 3, 4, 5, 11, 12, 13, 14, 15)}
    assert source.reading.sentence == "classes at level 1; groups from file names"


def test_a_group_is_in_one_split(tmp_path):
    dataset = index(patients(tmp_path), DataConfig(label_pattern="{group}_{}"))
    for group in range(10):
        assert len(set(dataset.splits[dataset.groups == group])) == 1


def test_a_name_without_a_group_is_told_and_one_that_is_a_group_joins_it(tmp_path, caplog):
    root = patients(tmp_path, "a/odd.png", "a/patient1.png")
    source = scan(root, DataConfig(label_pattern="{group}_{}"))
    groups = dict(zip(source.paths, source.groups, strict=True))
    assert groups["a/odd.png"] == "odd"
    assert groups["a/patient1.png"] == groups["a/patient1_2.png"] == "patient1"
    assert (
        "1 picture of a group of its own by label_pattern='{group}_{}', e.g. a/odd.png"
        in caplog.text
    )


def test_what_lies_beside_is_listed_once(tmp_path):
    root = patients(tmp_path, "a/notes.txt", "loose.png")
    said = DataConfig(label_pattern="{group}_{}")
    assert scan(root, said).ignored == scan(root, ONCE).ignored == ("a/notes.txt", "loose.png")


@pytest.mark.parametrize(
    ("said", "expected", "kind"),
    [
        (
            {"label_pattern": "{group}-{}"},
            "expected several pictures of one group by label_p",
            DataError,
        ),
        ({"label_pattern": "{group}"}, "received none in 30 file names", DataError),
        (
            {"label_pattern": "{group}_{}", "group_at": 0},
            "expected groups from file names or",
            InputError,
        ),
        (
            {"label_pattern": "{group}_{}", "group_at": 1},
            "classes in .* beside those of groups",
            DataError,
        ),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, said, expected, kind):
    with pytest.raises(kind, match=expected):
        scan(patients(tmp_path), DataConfig(**said))


def test_two_readings_of_groups_are_asked_about(tmp_path):
    root = tree(tmp_path, "{a,b}/mouse_{1,2,3,4,5}_{1,2}.png")
    expected = (
        r"'\{group\}_\{\*\}' for 'mouse' \(1 group in all\), or '\{group\}_\{number:d\}' for 'mous"
    )
    with pytest.raises(DataError, match=expected):
        scan(root, DataConfig(label_pattern="{group}_{}"))


@pytest.mark.parametrize("word", ["mouse_", "P0", "Maus "])
def test_folders_of_one_word_and_numbers_in_classes_are_asked_about(tmp_path, word):
    root = tree(tmp_path, f"a/{word}{{1,2,3,4}}/{{1,2}}.png", f"b/{word}{{5,6,7,8}}/{{1,2}}.png")
    with pytest.raises(DataError, match=r"may be groups .* --group-at 2 to keep each in one split"):
        scan(root)
    assert scan(root, ONCE).groups is None
    mixed = tree(tmp_path / "other", f"a/{word}{{1,2}}/1.png", "b/{red3,blue4}/{1,2}.png")
    assert scan(mixed).groups is None
