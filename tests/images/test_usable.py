"""Data sets of which too little can be used: what is said, and the way out that is named."""

import numpy as np
import pytest

from pipeline.config import DataConfig
from pipeline.errors import DataError
from pipeline.images import index
from pipeline.images.leftout import LeftOut
from pipeline.images.usable import check_different, check_every_class, check_left, usable_rows
from tests.images.test_dataset import many, write

GIVEN = {f"{split}/{path}": f"{split}{path}" for split in ("train", "test") for path in many(3)}


def gone(root, *paths):
    """Let files be dangling links, whose bytes cannot be read."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).unlink(missing_ok=True)
        (root / path).symlink_to(root / "nowhere")
    return root


def lost(dataset, *paths, reason="damaged"):
    """What cannot be decoded, as stage 1 finds it out."""
    rows = [dataset.paths.index(path) for path in paths]
    return [
        LeftOut(
            dataset.paths[row],
            reason,
            dataset.classes[dataset.labels[row]],
            str(dataset.splits[row]),
        )
        for row in rows
    ]


def those(dataset, beginning):
    return [path for path in dataset.paths if path.startswith(beginning)]


def in_test(dataset):
    return {dataset.paths[row] for row in dataset.select("test")}


def test_not_one_file_that_can_be_read(tmp_path):
    gone(tmp_path, "a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg")
    with pytest.raises(
        DataError, match=r'received 4 of which none can: 4 × "No such file .*" \(e.g. a/1.jpg\)'
    ):
        index(tmp_path)


def test_a_class_of_which_nothing_can_be_read(tmp_path):
    gone(write(tmp_path, many(3)), "rats/1.jpg", "rats/2.jpg")
    with pytest.raises(
        DataError,
        match=r"of every class in .* received 2 pictures of 'rats' of which none can: 2 × "
        r'"No such file or directory" \(e.g. rats/1.jpg\); .* --min-per-class 2',
    ):
        index(tmp_path)
    dataset = index(tmp_path, DataConfig(min_per_class=2))
    assert dataset.classes == ("cats", "dogs")
    assert dataset.left_out == ()


def test_many_classes_of_which_nothing_can_be_read_are_cut_to_three(tmp_path):
    names = [f"bad{i}/{j}.jpg" for i in range(5) for j in range(2)]
    gone(write(tmp_path, many(3)), *names)
    with pytest.raises(DataError, match="10 pictures of 'bad0', 'bad1', 'bad2' and 2 more of whi"):
        index(tmp_path)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_given_split_of_which_nothing_can_be_read(tmp_path, split):
    gone(write(tmp_path, GIVEN), *(path for path in GIVEN if path.startswith(split)))
    with pytest.raises(
        DataError, match=f"of every split in .* received 6 pictures of '{split}' of which none"
    ):
        index(tmp_path)


def test_the_final_test_is_called_as_the_source_calls_it(tmp_path):
    files = {path.replace("test/", "val/"): content for path, content in GIVEN.items()}
    gone(write(tmp_path, files), *(path for path in files if path.startswith("val")))
    with pytest.raises(DataError, match="6 pictures of 'validation' of which none"):
        index(tmp_path)


def test_a_class_that_lost_its_train_pictures(tmp_path):
    gone(write(tmp_path, GIVEN), *(f"train/cats/{i}.jpg" for i in range(3)))
    with pytest.raises(
        DataError,
        match=r"every class in train of .* received none of 'cats': 3 pictures were left out, "
        r'3 × "No such file or directory" \(e.g. train/cats/0.jpg\); mend or replace these',
    ):
        index(tmp_path)


def test_what_cannot_be_decoded_counts_as_what_cannot_be_read(tmp_path):
    dataset = index(gone(write(tmp_path, many(5)), "cats/gone.jpg"))
    assert dataset.n_found == 11
    check_left(dataset, dataset.left_out)
    cats = [*dataset.left_out, *lost(dataset, *those(dataset, "cats"))]
    with pytest.raises(DataError, match=r"received 6 pictures of 'cats' .* or move the class away"):
        check_left(dataset, cats)
    with pytest.raises(DataError, match="received 11 of which none can"):
        check_left(dataset, [*cats, *lost(dataset, *those(dataset, "dogs"))])


def test_a_drawn_test_of_which_nothing_can_be_decoded(tmp_path):
    dataset = index(write(tmp_path, many(10)))
    held = [dataset.paths[row] for row in dataset.select("test")]
    with pytest.raises(DataError, match=f"received {len(held)} pictures of 'test' of which none"):
        check_left(dataset, lost(dataset, *held))


def test_a_class_without_test_pictures_says_what_was_left_out(tmp_path):
    dataset = index(write(tmp_path, GIVEN))
    check_every_class(dataset, [])
    with pytest.raises(
        DataError,
        match=r"in test of .* received none of 'dogs': 3 pictures were left out, 3 × \"damaged\" "
        r"\(e.g. test/dogs/0.jpg\); mend or replace these$",
    ):
        check_every_class(dataset, lost(dataset, *those(dataset, "test/dogs")))


def test_a_class_that_a_given_test_never_had(tmp_path):
    write(tmp_path, {path: text for path, text in GIVEN.items() if "test/cats" not in path})
    with pytest.raises(
        DataError, match=r"in test of .* none of 'cats'; add some, or move some the"
    ):
        check_every_class(index(tmp_path), [])


@pytest.mark.parametrize("n", [2, 3, 7])
def test_a_class_of_copies(tmp_path, n):
    dataset = index(write(tmp_path, many(5) | {f"rats/{i}.jpg": "rat" for i in range(n)}))
    with pytest.raises(
        DataError,
        match=rf"in test of .* none of 'rats': its {n} pictures are copies of one file, e.g. "
        r"rats/0.jpg; add different ones, or leave such classes out with --min-per-class 2",
    ):
        check_every_class(dataset, [])
    assert index(tmp_path, DataConfig(min_per_class=2)).classes == ("cats", "dogs")


def test_copies_beside_what_was_left_out(tmp_path):
    files = many(5) | {"rats/1.jpg": "rat", "rats/2.jpg": "rat"}
    dataset = index(gone(write(tmp_path, files), "rats/3.jpg"))
    with pytest.raises(
        DataError, match=r"1 picture was left out, .*, and its 2 pictures are copies"
    ):
        check_every_class(dataset, dataset.left_out)


def test_nothing_but_copies_leaves_nothing_to_test_with(tmp_path):
    write(tmp_path, {"a/1.jpg": 1, "a/2.jpg": 1, "b/1.jpg": 2, "b/2.jpg": 2})
    with pytest.raises(
        DataError,
        match=r"none of 'a', 'b': the pictures of each are copies of one file, e.g. a/1.jpg",
    ) as raised:
        index(tmp_path)
    assert "min-per-class" not in str(raised.value)  # it would leave nothing


def test_a_whole_data_set_of_copies_of_one_file(tmp_path):
    write(tmp_path, {f"{name}/{i}.jpg": "same" for name in ("a", "b") for i in range(4)})
    with pytest.raises(DataError, match=r"'a', 'b': all their 8 pictures are copies .* a/0.jpg"):
        index(tmp_path)
    write(tmp_path, {f"{name}/{i}.jpg": "" for name in ("a", "b") for i in range(4)})
    with pytest.raises(DataError, match=r"all their 8 pictures are empty files, e.g. a/0.jpg; add"):
        index(tmp_path)


def test_what_of_a_drawn_split_may_go(tmp_path):
    dataset = index(write(tmp_path, many(10)))
    held = [path for path in those(dataset, "cats") if path in in_test(dataset)]
    with pytest.raises(DataError, match=r"none of 'cats': .* \(.*cats/.*; mend or remove these$"):
        check_every_class(dataset, lost(dataset, *held))


@pytest.mark.parametrize("given", [True, False])
def test_classes_of_the_same_pictures(tmp_path, given):
    files = {f"{name}/{i}.jpg": i for name in ("a", "b", "c") for i in range(6)}
    if given:
        files = {f"{('test', 'train')[i % 2]}/{path}": i for path, i in files.items()}
    with pytest.raises(DataError, match="received 'a', 'b', 'c', whose pictures are byte for byte"):
        check_different(index(write(tmp_path, files)))


def test_classes_that_share_some_pictures_are_told_apart(tmp_path):
    shared = {f"{name}/{i}.jpg": i for name in ("a", "b") for i in range(6)}
    check_different(index(write(tmp_path, shared | {"b/more.jpg": "more"})))


def test_rows_that_are_left(tmp_path):
    dataset = index(write(tmp_path, many(2)))
    assert usable_rows(dataset, []).all()
    assert usable_rows(dataset, ["cats/1.jpg"]).tolist() == [True, False, True, True]
    used = dataset.taking(np.array([True, False, True, True]))
    assert used.paths == ("cats/0.jpg", "dogs/0.jpg", "dogs/1.jpg")
    assert used.counts()["classes"] == {"cats": 1, "dogs": 2}
    assert dataset.taking(np.ones(4, bool)) is dataset


def test_contents_of_many_classes(tmp_path):
    files = {f"{label}/{i}.jpg": (label * i) % 5 for label in range(7) for i in range(6)}
    dataset = index(write(tmp_path, files))
    for number, name in enumerate(dataset.classes):
        of_class = {
            dataset.digests[row].tobytes() for row in np.flatnonzero(dataset.labels == number)
        }
        contents = dataset.contents_of(number)
        assert len(contents) == len(of_class) == len({files[p] for p in files if p[0] == name})
        assert (np.diff(contents) > 0).all()
