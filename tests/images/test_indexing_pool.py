"""Pools: all pictures are taken as they lie; what can be nothing else needs no word."""

import shutil
import zipfile

import pytest

from pipeline.config import DataConfig
from pipeline.errors import DataError, InputError, UnclearError
from pipeline.images import find_pictures, index, scan
from pipeline.images.indexing import index_pool
from tests.conftest import write_picture

TREE = ("a/1.png", "a/deep/2.png", "b/3.png", "4.png")


@pytest.fixture
def tree(tmp_path):
    for seed, path in enumerate(TREE):
        write_picture(tmp_path / "pool" / path, seed)
    (tmp_path / "pool" / "notes.txt").write_text("nothing")
    return tmp_path / "pool"


def zipped(tree):
    with zipfile.ZipFile(tree.parent / "pool.zip", "w") as file:
        for path in TREE:
            file.write(tree / path, path)
    return tree.parent / "pool.zip"


def listed(tree):
    rows = [f"pool/{path},{'cat' if seed else ''}" for seed, path in enumerate(TREE)]
    (tree.parent / "list.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    return tree.parent / "list.csv"


def bare(tree):
    text = "\n".join(["path", *(f"pool/{path}" for path in TREE)]) + "\n"
    (tree.parent / "bare.csv").write_text(text)
    return tree.parent / "bare.csv"


@pytest.mark.parametrize("place", [lambda tree: tree, zipped, listed, bare])
def test_all_pictures_are_taken_whatever_is_said_beside(tree, place):
    pool = index_pool(place(tree))
    assert [path.removeprefix("pool/") for path in pool.paths] == sorted(TREE)
    assert pool.classes == ("",)
    assert set(pool.splits) == {"train"}
    assert pool.digests.any(axis=1).all()


def test_what_is_no_picture_is_told(tree):
    assert index_pool(tree).ignored == ("notes.txt",)


@pytest.mark.parametrize("names", [("IMG1.png", "IMG22.png"), ("x.png",), ("p q.png", "ü.png")])
def test_loose_pictures_are_a_pool(tmp_path, names):
    for seed, name in enumerate(names):
        write_picture(tmp_path / name, seed)
    with pytest.raises(UnclearError, match="pictures without any") as told:
        scan(tmp_path)
    assert told.value.is_pool


def test_a_table_of_nothing_but_paths_is_a_pool(tree):
    with pytest.raises(UnclearError, match="received the one column") as told:
        scan(bare(tree))
    assert told.value.is_pool


def test_what_may_say_labels_is_asked_about(tmp_path):
    for seed, name in enumerate(("cat_1.png", "cat_2.png", "dog_1.png", "dog_2.png")):
        write_picture(tmp_path / "names" / name, seed)
        write_picture(tmp_path / "listed" / f"{seed}.png", seed)
        write_picture(tmp_path / "nested" / "2019" / f"{seed}.png", seed)
    rows = "".join(f"{seed}.png,cat\n" for seed in range(4))
    (tmp_path / "listed" / "labels.csv").write_text(f"path,label\n{rows}")
    for place, seen in (
        ("names", "--label-pattern"),
        ("listed", "give that table"),
        ("nested", "received only '2019'"),
    ):
        with pytest.raises(UnclearError, match=seen) as told:
            scan(tmp_path / place)
        assert not told.value.is_pool, place


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"label_pattern": "{label}_{}"}, "taken without labels, received label_pattern="),
        ({"classes_at": 1}, "taken without labels, received classes_at=1: leave it out"),
        ({"label_column": "x"}, "taken without labels, received label_column='x'"),
        ({"split_column": "none"}, "taken without labels, received split_column='none'"),
        ({"corrections": "x.csv"}, "taken without labels, received corrections='/"),
        ({"min_per_class": 3}, "taken without labels, received min_per_class=3"),
        ({"test_fraction": 0.9}, "taken without labels, received test_fraction=0.9"),
        ({"path_column": "x"}, "which is no table; received path_column="),
    ],
)
def test_settings_of_labels_are_refused(tree, said, sentence):
    with pytest.raises(InputError, match=sentence):
        index_pool(tree, DataConfig(**said))


def test_a_table_without_labels_takes_no_word_on_them_either(tree):
    with pytest.raises(InputError, match="taken without labels, received min_per_class=3"):
        index_pool(bare(tree), DataConfig(min_per_class=3))
    assert len(index_pool(bare(tree), DataConfig(path_column="path", seed=3))) == len(TREE)


def test_an_empty_place_is_no_pool(tmp_path):
    with pytest.raises(DataError, match="received none: check the path"):
        index_pool(tmp_path)


def test_a_file_that_is_gone_is_left_out(tree):
    (tree / "4.png").unlink()
    (tree / "4.png").symlink_to(tree / "nowhere.png")
    pool = index_pool(tree)
    assert [one.path for one in pool.left_out] == ["4.png"]
    assert len(pool) == 3
    assert pool.n_found == 4


def test_digests_of_what_is_predicted_are_those_of_the_index(tree, tmp_path):
    shutil.copytree(tree, tmp_path / "data" / "train" / "x")
    write_picture(tmp_path / "data" / "train" / "y" / "1.png", 9)
    write_picture(tmp_path / "data" / "test" / "x" / "5.png", 10)
    write_picture(tmp_path / "data" / "test" / "y" / "5.png", 11)
    indexed = index(tmp_path / "data")
    found = find_pictures([tmp_path / "data", tree / "4.png", zipped(tree)])
    digests = found.digests(tmp_path / "memory")
    assert (digests[: len(indexed)] == indexed.digests).all()
    assert not (tmp_path / "memory").exists()
    by_name = {found.name(row): digests[row].tobytes() for row in range(len(found))}
    assert by_name[str(tree / "4.png")] == by_name[f"{tree.parent / 'pool.zip'}/4.png"]
