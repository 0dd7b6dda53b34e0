"""The dataset index and its splits."""

import hashlib
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import DataConfig
from pipeline.errors import InputError
from pipeline.images import index, validation_slice
from pipeline.images.digests import digest_files
from pipeline.images.sources import scan
from pipeline.images.splits import content_numbers, draws, hold_out
from tests.conftest import Told


def write(root, files):
    for path, content in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else str(content).encode())
    return root


def many(n_pictures=60, classes=("cats", "dogs")):
    return {f"{name}/{i}.jpg": f"{name}{i}" for name in classes for i in range(n_pictures)}


def split_of(dataset):
    """Map content digest to split."""
    keys = (row.tobytes() for row in dataset.digests)
    return dict(zip(keys, dataset.splits.tolist(), strict=True))


def test_rows_are_ordered_by_path_and_aligned(tmp_path):
    dataset = index(write(tmp_path, {"b/2.jpg": 1, "a/1.jpg": 2, "b/1.jpg": 3, "a/2.jpg": 4}))
    assert dataset.paths == ("a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg")
    assert dataset.classes == ("a", "b")
    assert dataset.labels.tolist() == [0, 0, 1, 1]
    assert dataset.labels.dtype == np.int64
    assert dataset.digests.shape == (4, 32)
    for row, digest in enumerate(dataset.digests):
        content = dataset.read(row)
        assert digest.tobytes() == hashlib.sha256(content).digest()
    assert len(dataset) == 4


def test_class_order_is_sorted(tmp_path):
    dataset = index(write(tmp_path, many(2, ("zebra", "Ant", "bee"))))
    assert dataset.classes == ("Ant", "bee", "zebra")


def test_given_splits_are_kept(tmp_path):
    files = {f"{s}/{p}": f"{s}{p}" for s in ("train", "val", "test") for p in many(3)}
    dataset = index(write(tmp_path, files))
    assert dataset.given_splits
    assert dataset.test_name == "test"
    for split, folder in (("train", "train"), ("validation", "val"), ("test", "test")):
        rows = dataset.select(split)
        assert len(rows) == 6
        assert all(dataset.paths[row].startswith(f"{folder}/") for row in rows)


def test_validation_is_the_final_test_where_there_is_no_other(tmp_path):
    files = {f"{s}/{p}": f"{s}{p}" for s in ("train", "val") for p in many(3)}
    dataset = index(write(tmp_path, files))
    assert dataset.test_name == "validation"
    assert dataset.given_splits
    assert len(dataset.select("test")) == 6
    assert len(dataset.select("validation")) == 0


def test_train_alone_is_split_like_plain_class_folders(tmp_path):
    plain = index(write(tmp_path / "plain", many()))
    alone = index(write(tmp_path / "alone", {f"train/{p}": c for p, c in many().items()}))
    assert not alone.given_splits
    assert alone.splits.tolist() == plain.splits.tolist()


def test_made_split_is_near_the_fraction_and_follows_the_seed(tmp_path):
    write(tmp_path, many(500))
    dataset = index(tmp_path)
    assert not dataset.given_splits
    assert 0.16 < len(dataset.select("test")) / 1000 < 0.24
    assert index(tmp_path).splits.tolist() == dataset.splits.tolist()
    assert index(tmp_path, DataConfig(seed=1)).splits.tolist() != dataset.splits.tolist()
    assert 0.45 < len(index(tmp_path, DataConfig(test_fraction=0.5)).select("test")) / 1000 < 0.55


def test_moving_renaming_and_adding_reshuffle_nothing(tmp_path):
    before = split_of(index(write(tmp_path / "a", many())))
    moved = {f"{p.split('/')[0]}/sub/x{p.split('/')[1]}": c for p, c in many().items()}
    after = index(
        write(
            tmp_path / "b",
            moved
            | {"cats/new.jpg": "new", "rats/1.jpg": "r"}
            | {f"rats/{i}.jpg": f"r{i}" for i in range(9)},
        )
    )
    now = split_of(after)
    assert {key: now[key] for key in before} == before


def test_copies_land_on_one_side(tmp_path):
    copies = {f"copy/{p.replace('/', '-')}": c for p, c in many().items()}
    dataset = index(write(tmp_path, many() | copies))
    assert dataset.n_leaked == 0
    keys = [row.tobytes() for row in dataset.digests]
    assert len(set(zip(keys, dataset.splits.tolist(), strict=True))) == len(set(keys)) == 120


def test_leaks_in_given_splits_are_counted(tmp_path):
    files = {f"train/{p}": c for p, c in many(5).items()}
    files |= {"test/cats/1.jpg": "cats1", "test/cats/2.jpg": "cats1", "test/dogs/1.jpg": "other"}
    assert index(write(tmp_path, files)).n_leaked == 2


@pytest.mark.parametrize("seed", range(10))
def test_every_tiny_class_is_on_both_sides(tmp_path, seed):
    dataset = index(write(tmp_path, many(2, ("a", "b", "c", "d"))), DataConfig(seed=seed))
    for split in ("train", "test"):
        assert sorted(dataset.labels[dataset.select(split)].tolist()) == [0, 1, 2, 3]


def test_unreadable_files_are_left_out_and_listed(tmp_path):
    write(tmp_path, many(5))
    (tmp_path / "cats/gone.jpg").symlink_to(tmp_path / "nowhere")
    dataset = index(tmp_path)
    assert dataset.unreadable == (("cats/gone.jpg", "No such file or directory"),)
    assert "cats/gone.jpg" not in dataset.paths
    assert len(dataset.paths) == len(dataset.digests) == len(dataset.labels) == 10


def test_digest_ignores_paths_but_no_content_label_or_split(tmp_path):
    base = index(write(tmp_path / "a", many())).digest
    renamed = {p.replace("/", "/sub/x"): c for p, c in many().items()}
    assert index(write(tmp_path / "b", renamed)).digest == base
    assert index(tmp_path / "a", DataConfig(seed=1)).digest != base
    assert index(write(tmp_path / "c", many() | {"cats/0.jpg": "else"})).digest != base
    relabelled = {p.replace("cats", "lions"): c for p, c in many().items()}
    assert index(write(tmp_path / "d", relabelled)).digest != base
    assert index(write(tmp_path / "e", many() | {"cats/copy.jpg": "cats0"})).digest != base


def test_progress_counts_every_file(tmp_path):
    told = Told()
    index(write(tmp_path, many(3)), reporter=told)
    assert told.calls == [("index", n, 6, "files") for n in range(7)]


def test_select_knows_three_splits(tmp_path):
    with pytest.raises(
        InputError, match="unknown split 'tests'; nearest: test; choose one of train"
    ):
        index(write(tmp_path, many())).select("tests")


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 2])
def test_fractions_that_hold_out_nothing_or_all(tmp_path, fraction):
    with pytest.raises(InputError, match=f"between 0 and 1.*received test_fraction={fraction}"):
        index(write(tmp_path, many(2)), DataConfig(test_fraction=fraction))


def test_no_threads(tmp_path):
    with pytest.raises(InputError, match="received n_threads=0"):
        digest_files(scan(write(tmp_path, many(2))), None, n_threads=0)


def test_validation_slice_divides_the_rows_it_is_given(tmp_path):
    dataset = index(write(tmp_path, many(300)))
    rows = dataset.select("train")[::-1]
    fit, held = validation_slice(dataset, rows, 0.2, seed=3)
    assert sorted([*fit, *held]) == sorted(rows)
    assert list(fit) == [row for row in rows if row in set(fit)]
    # Its draw is independent of the one that made the test split.
    assert 0.14 < len(held) / len(rows) < 0.26
    assert set(dataset.labels[held]) == {0, 1}
    again = validation_slice(dataset, rows, 0.2, seed=3)
    assert [part.tolist() for part in again] == [fit.tolist(), held.tolist()]
    assert validation_slice(dataset, rows, 0.2, seed=4)[1].tolist() != held.tolist()


def test_validation_slice_is_stable_and_keeps_copies_together(tmp_path):
    files = many(50) | {f"cats/copy{i}.jpg": f"cats{i}" for i in range(50)}
    dataset = index(write(tmp_path, files))
    rows = np.arange(len(dataset))
    fit, held = validation_slice(dataset, rows, 0.3, seed=0)
    digests = [{dataset.digests[row].tobytes() for row in part} for part in (fit, held)]
    assert not digests[0] & digests[1]
    _, fewer = validation_slice(dataset, rows[::2], 0.3, seed=0)
    assert set(fewer) == set(held) & set(rows[::2])


def digest_rows(numbers):
    digests = [hashlib.sha256(bytes([number])).digest() for number in numbers]
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32)


pictures = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3)), min_size=1, max_size=40)


@settings(deadline=None, max_examples=200)
@given(pictures, st.floats(0.05, 0.95), st.integers(0, 5))
def test_hold_out_properties(drawn, fraction, seed):
    numbers, labels = (np.array(column) for column in zip(*drawn, strict=True))
    held = hold_out(digest_rows(numbers), labels, fraction, purpose="test", seed=seed)
    assert not set(numbers[held]) & set(numbers[~held])
    for label in set(labels):
        of_class = labels == label
        assert (of_class & ~held).any()
        shared = set(numbers[of_class]) & set(numbers[~of_class])
        if len(set(numbers[of_class]) - shared) >= 2:
            assert (of_class & held).any()
    order = np.random.default_rng(seed).permutation(len(numbers))
    again = hold_out(
        digest_rows(numbers[order]), labels[order], fraction, purpose="test", seed=seed
    )
    assert again.tolist() == held[order].tolist()


@settings(deadline=None, max_examples=25)
@given(st.sets(st.integers(0, 400), min_size=60, max_size=90), st.sets(st.integers(401, 500)))
def test_adding_pictures_never_reshuffles(first, added):
    root = Path(tempfile.mkdtemp())
    try:
        before = index(
            write(
                root,
                {f"{'ab'[n % 2]}/{n}.jpg": n for n in [*first, 1000, 1001]}
                | {f"a/z{n}.jpg": f"a{n}" for n in range(20)}
                | {f"b/z{n}.jpg": f"b{n}" for n in range(20)},
            )
        )
        after = split_of(index(write(root, {f"{'ab'[n % 2]}/0{n}.jpg": n for n in added})))
        assert {key: after[key] for key in split_of(before)} == split_of(before)
    finally:
        shutil.rmtree(root)


def test_draws_are_fixed_for_ever():
    # SHA-256 of b"test:0:" and 32 zero bytes, its first 53 bits. Another value would reshuffle
    # every split that was ever made.
    assert draws(np.zeros((1, 32), np.uint8), "test", 0) == [0.4790356704124661]


def test_splits_and_digests_are_fixed_for_ever(tmp_path):
    # What the first version of this program gave for these pictures. Other values would reshuffle
    # every split, and make every experiment again.
    dataset = index(write(tmp_path, many()))
    assert dataset.digest == "af751252ddb7a99941d958164cbc6e72ac90bb6cc584447e2942fa077c2c1774"
    splits = hashlib.sha256("".join(dataset.splits.tolist()).encode()).hexdigest()
    assert splits == "6afa328fb058bc601fc158aa71331cea5aa98617a791d8f0da3687a1529963f5"
    _, held = validation_slice(dataset, dataset.select("train"), 0.2, seed=3)
    assert held.tolist()[:8] == [7, 11, 24, 27, 32, 38, 47, 55]
    assert len(held) == 27


def first_rule(digests, labels, fraction, purpose, seed):
    """The rule of splits picture by picture, as it was first written down."""
    keys = [row.tobytes() for row in digests]
    stacked = np.array([list(key) for key in keys], np.uint8)
    drawn = dict(zip(keys, draws(stacked, purpose, seed).tolist(), strict=True))
    held = {key for key in keys if drawn[key] < fraction}
    members = [
        {key for key, its in zip(keys, labels, strict=True) if its == label}
        for label in sorted(set(labels.tolist()))
    ]
    for pictures in members:
        if pictures <= held:
            held.remove(max(pictures, key=lambda key: (drawn[key], key)))
    for pictures in members:
        if len(pictures) < 2 or pictures & held:
            continue
        for key in sorted(pictures, key=lambda key: (drawn[key], key)):
            if not any(other - held == {key} for other in members if key in other):
                held.add(key)
                break
    return [key in held for key in keys]


@settings(deadline=None, max_examples=300)
@given(pictures, st.floats(0.02, 0.98), st.integers(0, 5))
def test_hold_out_is_the_first_rule(drawn, fraction, seed):
    numbers, labels = (np.array(column) for column in zip(*drawn, strict=True))
    digests = digest_rows(numbers)
    held = hold_out(digests, labels, fraction, purpose="test", seed=seed)
    assert held.tolist() == first_rule(digests, labels, fraction, "test", seed)


def test_contents_are_told_apart_by_every_byte():
    digests = np.zeros((33, 32), np.uint8)
    digests[np.arange(32), np.arange(32)] = 1
    assert sorted(content_numbers(digests).tolist()) == list(range(33))
    again = content_numbers(np.concatenate([digests, digests]))
    assert again[:33].tolist() == again[33:].tolist() == content_numbers(digests).tolist()
    assert content_numbers(np.zeros((0, 32), np.uint8)).tolist() == []


def test_copies_are_one_bundle(tmp_path):
    dataset = index(write(tmp_path, many(3) | {"cats/copy.jpg": "cats1"}))
    numbers = dataset.bundles(np.arange(len(dataset)))
    assert dataset.paths[1] == "cats/1.jpg"
    assert [row for row, number in enumerate(numbers) if number == numbers[1]] == [1, 3]
    assert dataset.bundles(np.array([0, 1, 2])) is None


def test_contradictions_are_counted(tmp_path):
    files = many(3) | {"cats/copy.jpg": "cats1", "dogs/copy.jpg": "cats1"}
    assert index(write(tmp_path, files)).n_contradictory == 3
