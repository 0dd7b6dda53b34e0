import os
from pathlib import Path

import h5py
import pytest

from pipeline.config import FeaturesConfig
from pipeline.errors import WeightsError
from pipeline.features.base import resolve
from pipeline.features.saved import frozen_from_dict, with_weights

BACKBONE = "MobileNet(alpha=0.25)"


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A file of weights that no command has named yet."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    path = tmp_path / "own.weights.h5"
    with h5py.File(path, "w") as file:
        file.attrs["note"] = "mine"
    return path


def saved(weights="none"):
    config = FeaturesConfig(backbone=BACKBONE, weights=str(weights), image_size=32)
    return resolve(config).to_dict()


def test_weights_that_a_command_has_named_are_found_for_its_runs(own):
    base = saved(own)
    assert frozen_from_dict(base, of_run=True).source.path == own


@pytest.mark.parametrize(
    "place", ["own", "fifo", "/dev/zero", "/etc/hostname", "https://host/w.h5"]
)
def test_what_only_a_run_names_is_not_opened(own, tmp_path, place):
    os.mkfifo(tmp_path / "fifo")
    path = {"own": own, "fifo": tmp_path / "fifo"}.get(place, place)
    with pytest.raises(WeightsError, match="which only the run says; name the file"):
        frozen_from_dict({**saved(), "weights": str(path)}, of_run=True)


def test_weights_that_the_user_names_take_the_place_of_the_runs(own):
    base = {**saved(own), "weights": "/their/place.h5"}
    mine = with_weights(base, os.path.relpath(own))
    assert mine == {**base, "weights": str(own)}
    assert frozen_from_dict(mine, of_run=True).source.path == Path(own)


def test_weights_that_are_none_are_the_commands_fault_and_not_the_runs():
    with pytest.raises(WeightsError, match=r"^expected weights as .*, received weights='nonsense'"):
        with_weights(saved(), "nonsense")


def test_other_weights_than_the_runs_are_told(own):
    with pytest.raises(WeightsError, match=r"expected the weights with digest .* or is another"):
        with_weights(saved(), str(own))
