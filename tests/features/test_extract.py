"""Stage 1 with a stub for the base: what is told of pictures, computed now or cached."""

import logging

import numpy as np
import pytest
from PIL import Image

from pipeline.config import FeaturesConfig
from pipeline.errors import InputError
from pipeline.features import Computation, Forecast, Outcome
from pipeline.features.base import MOST_CUTS, frozen_base, resolve
from pipeline.features.extract import extract
from pipeline.features.passes import Passes, PictureRows
from pipeline.images import index
from pipeline.system.progress import SILENT
from tests.features.test_computation import Engine

WIDTH = 1280


class Stubbed(Computation):
    """The same without a base: its features are nought."""

    def run(self, reporter=SILENT):
        outcome = Outcome("stub", Forecast(len(self.work), 0, 0, 0, None))
        dataset = self.dataset
        pictures = PictureRows(dataset.files, dataset.paths, dataset.digests)
        Passes(self.config, self.base, pictures, self.work).run(Engine((WIDTH,)), outcome, reporter)
        self.caches.clean.quarantine(outcome.bad)
        self.caches.refresh()
        return outcome


@pytest.fixture
def folder(tmp_path):
    """Two classes of two pictures of 12 bits stored in 16, two of 16 bits and one animation."""
    for seed, label in enumerate(("a", "b")):
        place = tmp_path / "data" / label
        place.mkdir(parents=True)
        rng = np.random.default_rng(seed)
        for number in range(4):
            values = rng.integers(0, 4096 if number < 2 else 65536, (24, 24))
            values[0, :2] = 0, 4095
            Image.fromarray(values.astype(np.uint16)).save(place / f"{number}.png")
        frames = [Image.new("L", (8, 8), 99 + 10 * seed + number) for number in range(2)]
        frames[0].save(place / "moving.gif", save_all=True, append_images=frames[1:])
        (place / "broken.png").write_bytes(b"")
    return tmp_path / "data"


def run(folder, tmp_path):
    config = FeaturesConfig(cache=tmp_path / "cache")
    return extract(config, resolve(config), index(folder), compute=Stubbed)


def test_what_pictures_lose_is_told_each_time(folder, tmp_path, caplog):
    expected = [
        "4 of 8 16-bit pictures use less than a quarter of their value range (0–4,095 of "
        "0–65,535): they are scaled as 0–65,535 and look almost black; stretch their values to "
        "0–65,535, or save them as 8-bit",
        "2 pictures have several frames or pages, of which the first is used",
    ]
    for computed in (10, 0):
        caplog.clear()
        cached = run(folder, tmp_path)
        assert cached.extraction.computed == computed
        assert cached.extraction.to_dict()["remarks"] == expected
        warned = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
        assert warned == expected


def test_features_are_what_they_were(folder, tmp_path):
    """A picture that is told of is in the cache like any other."""
    cached = run(folder, tmp_path)
    dataset, clean = cached.dataset, cached.caches.clean
    read = [path for path in dataset.paths if not path.endswith("broken.png")]
    assert clean.has(dataset.digests).sum() == len(read) == 10
    assert [failure["reason"] for failure in cached.extraction.failed] == ["the file is empty"] * 2


def test_more_layers_than_a_shard_holds():
    layers = ",".join(f"layer_{number}" for number in range(MOST_CUTS + 1))
    with pytest.raises(InputError, match="at most 600 layers, times their poolings, received 601"):
        frozen_base(FeaturesConfig(layers=layers))
