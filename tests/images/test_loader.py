"""The loader: order, full batches, failures, bounds, shutting down."""

import errno
import hashlib
import io
import threading
import time

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import InputError, StoreError
from pipeline.images import DecodeRecipe, Failure, RowLoader, load_batches

RECIPE = DecodeRecipe(4)


def png(value):
    buffer = io.BytesIO()
    Image.new("RGB", (5, 5), (value, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


FILES = [png(value) for value in range(40)]


def read(row):
    return FILES[row]


def decoding_threads():
    return [t for t in threading.enumerate() if t.name.startswith("decode")]


@pytest.fixture(autouse=True)
def _no_threads_stay():
    yield
    assert decoding_threads() == []


def reader_without(*bad):
    return lambda row: b"junk" if row in bad else FILES[row]


def test_a_machine_that_is_used_up_leaves_no_picture_out():
    def read_none(row):
        raise OSError(errno.EMFILE, "Too many open files", "a.png")

    with pytest.raises(StoreError, match=r"cannot read a.png: Too many open files; allow more"):
        list(load_batches(RowLoader(read_none, RECIPE), [1, 2], 2))


def test_rows_keep_their_order_and_their_pictures():
    rows = np.random.default_rng(0).permutation(40)

    def read_slowly(row):
        time.sleep(0.002 * (row % 3))
        return FILES[row]

    batches = list(load_batches(RowLoader(read_slowly, RECIPE), rows, 16, n_threads=4))
    assert [len(batch.rows) for batch in batches] == [16, 16, 8]
    np.testing.assert_array_equal(np.concatenate([batch.rows for batch in batches]), rows)
    for batch in batches:
        assert batch.rows.dtype == np.int64
        assert batch.images.shape == (len(batch.rows), 4, 4, 3)
        assert batch.images.dtype == np.uint8
        np.testing.assert_array_equal(batch.images[:, 0, 0, 0], batch.rows)
        assert batch.failed == ()


def test_batches_do_not_share_memory():
    first, second = load_batches(RowLoader(read, RECIPE), range(8), 4)
    second.images[:] = 0
    np.testing.assert_array_equal(first.images[:, 0, 0, 0], [0, 1, 2, 3])


def test_failed_rows_are_replaced_by_the_next_good_ones():
    batches = list(load_batches(RowLoader(reader_without(0, 2, 9), RECIPE), range(10), 3))
    assert [batch.rows.tolist() for batch in batches] == [[1, 3, 4], [5, 6, 7], [8]]
    assert [[failure.row for failure in batch.failed] for batch in batches] == [[0, 2], [], [9]]
    assert batches[0].failed[0].reason.startswith("not a picture in a known format")


def test_what_pictures_lose_comes_with_them():
    """Greys of 8 bits whose values lie close together are remarked upon."""

    def read_grey(row):
        if row == 3:
            return b"junk"
        buffer = io.BytesIO()
        last = 255 if row % 2 else row
        Image.fromarray(np.array([[0, last]], np.uint8)).save(buffer, "PNG")
        return buffer.getvalue()

    batches = list(load_batches(RowLoader(read_grey, RECIPE), range(7), 3))
    remarks = np.concatenate([batch.remarks for batch in batches])
    assert remarks[:, 2].tolist() == [0, 0, 2, 4, 0, 6]
    assert remarks[:, 0].tolist() == [8, 0, 8, 8, 0, 8]


def test_failures_at_the_very_end_make_no_empty_batch():
    batches = list(load_batches(RowLoader(reader_without(4, 5), RECIPE), range(6), 4))
    assert [batch.rows.tolist() for batch in batches] == [[0, 1, 2, 3]]
    assert [failure.row for failure in batches[0].failed] == [4, 5]


def test_only_failures_are_still_reported():
    (batch,) = load_batches(RowLoader(reader_without(0, 1), RECIPE), range(2), 4)
    assert batch.images.shape == (0, 4, 4, 3)
    assert [failure.row for failure in batch.failed] == [0, 1]


def test_no_rows_no_batches():
    assert list(load_batches(RowLoader(read, RECIPE), [], 4)) == []


def test_files_that_changed_or_vanished_fail():
    digests = np.array([list(hashlib.sha256(data).digest()) for data in FILES], np.uint8)

    def read_changed(row):
        if row == 5:
            return FILES[6]
        if row == 7:
            raise FileNotFoundError(2, "No such file or directory")
        return FILES[row]

    (batch,) = load_batches(RowLoader(read_changed, RECIPE, digests), [4, 5, 6, 7], 4)
    assert batch.rows.tolist() == [4, 6]
    assert batch.failed == (
        Failure(5, "changed since it was indexed", transient=True),
        Failure(7, "cannot be read: No such file or directory", transient=True),
    )


def test_look_ahead_is_bounded():
    lock, n_read = threading.Lock(), 0

    def counting(row):
        nonlocal n_read
        with lock:
            n_read += 1
        return FILES[row]

    batches = load_batches(RowLoader(counting, RECIPE), range(40), 4, n_threads=2, prefetch=2)
    next(batches)
    time.sleep(0.1)
    # The batch, the picture that showed it to be full, and two batches ahead.
    assert n_read <= 4 + 1 + 8
    batches.close()


def test_closing_early_ends_the_threads():
    batches = load_batches(RowLoader(read, RECIPE), range(40), 2, n_threads=3)
    next(batches)
    assert decoding_threads()
    batches.close()
    assert decoding_threads() == []


def test_an_exception_of_the_consumer_ends_the_threads():
    def consume():
        for _ in load_batches(RowLoader(read, RECIPE), range(40), 2):
            raise KeyError("consumer")

    with pytest.raises(KeyError, match="consumer"):
        consume()


def test_programming_mistakes_come_through():
    def broken(row):
        raise ZeroDivisionError("mistake")

    with pytest.raises(ZeroDivisionError, match="mistake"):
        list(load_batches(RowLoader(broken, RECIPE), range(40), 4))


@pytest.mark.parametrize("name", ["batch_size", "prefetch", "n_threads"])
def test_counts_below_one_are_refused_at_once(name):
    arguments = {"batch_size": 4, name: 0}
    with pytest.raises(InputError, match=f"{name}=0"):
        load_batches(RowLoader(read, RECIPE), range(4), **arguments)
