"""What is missing, what it will take, what it waits for."""

from collections import namedtuple
from pathlib import Path
from time import sleep

import numpy as np
import pytest

from pipeline.backbones.engines import Device
from pipeline.config import EvidenceConfig, FeaturesConfig, FinetuneConfig, PredictConfig
from pipeline.errors import InputError, StoreError
from pipeline.features import preflight
from pipeline.features.passes import Waits
from pipeline.features.preflight import forecast, free_bytes, sample
from pipeline.features.worklist import Work

Usage = namedtuple("Usage", "total used free")


class Engine:
    """Stands in for a base: shapes are all that a forecast needs, and a moment of work."""

    name, trial_size, batch_size = "stub", 4, 8

    def __init__(self, *shapes, n_devices=1):
        self.output_shapes, self.ran = shapes, 0
        self.device = Device("a card", count=n_devices)

    def empty(self, shape):
        return np.empty(shape, np.uint8)

    def run(self, batches):
        for images in batches:
            self.ran += len(images)
            yield tuple(np.zeros((len(images), *shape)) for shape in self.output_shapes)


def foresee(engine, n_rows, dtype="float32", cache=Path("nowhere"), batch=(8, 32, 32, 3)):
    work = Work(np.arange(n_rows), [(0,)] * n_rows)
    return forecast(engine, work, dtype, cache, batch, lambda: 0.001)


def test_disk_is_rows_times_features(tmp_path):
    assert foresee(Engine((10,), (2, 2, 5)), 100).disk_bytes == 105 * (4 * 30 + 36)
    assert foresee(Engine((10,)), 100, "float16").disk_bytes == 105 * (2 * 10 + 36)


def test_small_work_is_not_tried_first():
    engine = Engine((10,))
    assert foresee(engine, 100).seconds is foresee(engine, 100).engine_rate is None
    assert engine.ran == 0


def test_large_work_is_tried():
    engine = Engine((10,))
    seen = foresee(engine, 4 * preflight.MIN_TRIALS)
    assert seen.seconds >= 0.001 * 800
    assert seen.seconds == pytest.approx(0.001 * 800 + 800 / seen.engine_rate)
    assert engine.ran == 4 * (1 + preflight.TRIAL_BATCHES)


def test_features_that_the_disk_cannot_hold_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage(0, 0, 10**9))
    with pytest.raises(StoreError, match=r"expected 1\.7 TB free for 1,000,000 times 1\.6 MB"):
        foresee(Engine((28, 28, 512)), 1_000_000, cache=tmp_path)
    with pytest.raises(StoreError, match=r"received 1\.0 GB: name fewer --layers, use --pooling"):
        foresee(Engine((28, 28, 512)), 1_000_000, cache=tmp_path)


def test_batch_that_the_memory_cannot_hold_is_refused(monkeypatch):
    monkeypatch.setattr(preflight, "available_memory", lambda: 10**9)
    assert foresee(Engine((10,)), 10).memory_bytes < 10**9
    monkeypatch.setattr(preflight, "available_memory", lambda: 10**8)
    foresee(Engine((10,)), 10)  # the program itself is there already
    monkeypatch.setattr(preflight, "available_memory", lambda: 10**9)
    with pytest.raises(
        InputError, match=r"for batches of 4096 pictures, received 1\.0 GB; choose a smaller"
    ):
        foresee(Engine((10,)), 10_000, batch=(4096, 299, 299, 3))


def test_a_step_is_no_larger_than_the_work():
    assert preflight.step_size(65536, 100) == 100
    assert preflight.step_size(65536, 3) == 32  # few pictures run as they always did
    assert preflight.step_size(8, 100) == 8


@pytest.mark.parametrize("size", [0, 65537, 99999999999999999999])
@pytest.mark.parametrize(
    "kind", [FeaturesConfig, FinetuneConfig, PredictConfig, EvidenceConfig], ids=str
)
def test_a_batch_that_no_memory_holds_is_refused_by_name(kind, size):
    assert kind(batch_size=65536).batch_size == 65536
    told = f"expected batch_size from 1 to 65536, received batch_size={size}"
    with pytest.raises(InputError, match=told):
        kind(batch_size=size)


def test_each_device_needs_batches_of_its_own(monkeypatch):
    monkeypatch.setattr(preflight, "available_memory", lambda: 10**9)
    one, two = (foresee(Engine((10,), n_devices=n), 10).memory_bytes for n in (1, 2))
    assert two - one == preflight.BATCHES_IN_MEMORY * 8 * (32 * 32 * 3 + 40)


def test_free_disk_of_a_folder_that_is_not_there_yet(tmp_path):
    free = free_bytes(tmp_path / "not" / "yet")
    assert free == pytest.approx(free_bytes(tmp_path), rel=0.1)


def test_decoding_is_counted_once_for_all_views():
    engine = Engine((10,))
    rows = np.arange(preflight.MIN_TRIALS)
    work = Work(rows, [(0, 1, 2, 3)] * len(rows))
    seen = forecast(engine, work, "float32", Path("nowhere"), (8, 32, 32, 3), lambda: 10.0)
    assert 10 * len(rows) <= seen.seconds < 11 * len(rows)


def test_sample_is_spread_over_all_rows():
    assert list(sample(np.arange(100))) == [0, 12, 24, 36, 48, 60, 72, 84]
    assert list(sample(np.arange(3))) == [0, 1, 2]


def slowly(items, seconds):
    for item in items:
        sleep(seconds)
        yield item


def pulling(items, seconds):
    for item in items:
        sleep(seconds)
        yield item


def test_waiting_is_counted_where_it_happens():
    waits = Waits()
    pictures = waits.counted("pictures", slowly(range(5), 0.02))
    assert list(waits.counted("engine", pulling(pictures, 0.001))) == list(range(5))
    assert waits.seconds["pictures"] > 4 * waits.seconds["engine"] > 0
    assert waits.seconds["disk"] == 0
    assert waits.describe().startswith("waiting for pictures ")


def test_closing_reaches_the_source():
    closed = []

    def source():
        try:
            yield from range(5)
        finally:
            closed.append(True)

    waits = Waits()
    items = waits.counted("engine", waits.counted("pictures", source()))
    next(items)
    items.close()
    assert closed == [True]
