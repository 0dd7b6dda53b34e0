"""The loader with several views of a picture: order, one reading each, bounds, seconds."""

import hashlib
import io
import threading
import time

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import InputError
from pipeline.images import (
    DecodeRecipe,
    Failure,
    LoadTimes,
    RowLoader,
    ViewRecipe,
    decode,
    load_batches,
    make_view,
)

RECIPE = DecodeRecipe(8)
VIEWS = ViewRecipe("crop,flip,brightness", 0)


def png(seed):
    pixels = np.random.default_rng(seed).integers(0, 255, (12, 10, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


FILES = [png(seed) for seed in range(20)]


def expected(row, number):
    image = Image.open(io.BytesIO(FILES[row]))
    digest = hashlib.sha256(FILES[row]).digest()
    if number == 0:
        return decode(FILES[row], RECIPE)
    return make_view(image.convert("RGB"), RECIPE, VIEWS, digest, number)


class Reader:
    """Reads files from memory and counts."""

    def __init__(self, bad=()):
        self.bad = bad
        self.n_read = 0
        self._lock = threading.Lock()

    def __call__(self, row):
        with self._lock:
            self.n_read += 1
        return b"junk" if row in self.bad else FILES[row]


def load(read, rows, views, batch_size=4, digests=None, times=None, **options):
    loader = RowLoader(read, RECIPE, digests, VIEWS, times or LoadTimes())
    return list(load_batches(loader, rows, batch_size, views=views, **options))


def test_rows_and_their_views_come_in_the_order_asked_for():
    read = Reader()
    rows, wanted = [7, 3, 11, 4], [(0, 1, 2), (2,), (1, 0), (5, 6, 7)]
    batches = load(read, rows, wanted, n_threads=3)
    assert [batch.rows.tolist() for batch in batches] == [[7, 7, 7, 3], [11, 11, 4, 4], [4]]
    assert [batch.views.tolist() for batch in batches] == [[0, 1, 2, 2], [1, 0, 5, 6], [7]]
    assert batches[0].views.dtype == np.int32
    assert read.n_read == len(rows)
    for batch in batches:
        assert batch.images.shape == (len(batch.rows), 8, 8, 3)
        for row, number, image in zip(batch.rows, batch.views, batch.images, strict=True):
            np.testing.assert_array_equal(image, expected(row, number))


def test_a_view_depends_on_neither_order_nor_company():
    (together,) = load(Reader(), [1, 2], [(1, 2, 3)] * 2, batch_size=6)
    (apart,) = load(Reader(), [2, 1], [(3,), (2,)], batch_size=6, prefetch=1, n_threads=1)
    np.testing.assert_array_equal(apart.images, together.images[[5, 1]])


def test_without_views_every_picture_is_clean():
    (batch,) = load_batches(RowLoader(Reader(), RECIPE), range(3), 4)
    assert batch.views.tolist() == [0, 0, 0]


def test_a_row_of_which_nothing_is_wanted_is_not_read():
    read = Reader()
    (batch,) = load(read, [0, 1, 2], [(1,), (), (1,)])
    assert batch.rows.tolist() == [0, 2]
    assert read.n_read == 2


def test_arrays_of_numbers_will_do():
    (batch,) = load(Reader(), np.array([5, 6]), np.array([[0, 1], [0, 1]], np.int32))
    assert batch.views.tolist() == [0, 1, 0, 1]


def test_a_bad_row_fails_once_and_is_replaced_by_the_views_of_the_next():
    batches = load(Reader(bad=(1, 3)), range(4), [(0, 1)] * 4, batch_size=3)
    assert [batch.rows.tolist() for batch in batches] == [[0, 0, 2], [2]]
    assert [[failure.row for failure in batch.failed] for batch in batches] == [[1], [3]]


def test_a_changed_file_fails_before_any_view_is_made():
    digests = np.zeros((2, 32), np.uint8)
    digests[1] = np.frombuffer(hashlib.sha256(FILES[1]).digest(), np.uint8)
    (batch,) = load(Reader(), [0, 1], [(1, 2)] * 2, digests=digests)
    assert batch.rows.tolist() == [1, 1]
    assert batch.failed == (Failure(0, "changed since it was indexed", transient=True),)


def test_look_ahead_counts_views():
    read = Reader()
    loader, wanted = RowLoader(read, RECIPE, view_recipe=VIEWS), [(0, 1)] * 20
    batches = load_batches(loader, range(20), 4, views=wanted, prefetch=2, n_threads=2)
    next(batches)
    time.sleep(0.1)
    # The batch has two files, the third showed it to be full, four more are ahead.
    assert read.n_read <= 2 + 1 + 4
    batches.close()


def test_a_row_with_more_views_than_are_decoded_ahead_comes_whole():
    batches = load(Reader(), [0, 1], [range(1, 12)] * 2, batch_size=2, prefetch=1)
    assert [number for batch in batches for number in batch.views] == 2 * list(range(1, 12))


@pytest.mark.parametrize(
    ("views", "recipe", "message"),
    [
        ([(0,)], VIEWS, r"views of each row; received 1 of views, 2 of rows"),
        ([(0,), (0, 1)], None, r"numbers from 0 to 1 and view_recipe=None"),
        ([(0,), (-1,)], VIEWS, r"numbers from -1 to 0"),
    ],
)
def test_views_that_do_not_fit_are_refused_at_once(views, recipe, message):
    with pytest.raises(InputError, match=message):
        load_batches(RowLoader(Reader(), RECIPE, view_recipe=recipe), [0, 1], 4, views=views)


def test_seconds_and_bytes_are_counted_over_all_threads():
    times = LoadTimes()

    def read_slowly(row):
        time.sleep(0.01)
        return b"junk" if row == 2 else FILES[row]

    load(read_slowly, range(6), [(0, 1)] * 6, times=times, n_threads=3)
    assert times.n_files == 6
    assert times.n_bytes == sum(len(FILES[row]) for row in (0, 1, 3, 4, 5)) + len(b"junk")
    assert times.reading >= 0.06
    assert times.decoding > 0


def test_files_that_cannot_be_read_are_not_counted():
    times = LoadTimes()

    def gone(row):
        raise FileNotFoundError(2, "No such file or directory")

    (batch,) = load_batches(RowLoader(gone, RECIPE, times=times), [0], 4)
    assert len(batch.failed) == 1
    assert (times.n_files, times.n_bytes) == (0, 0)
