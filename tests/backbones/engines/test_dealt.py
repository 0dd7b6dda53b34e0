"""One process that feeds all devices, each framework in a process of its own."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.backbones.engines.dealt import SIZES
from tests.backbones.engines.trial import batches, small_model

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("framework", ["jax", "torch", "tensorflow"])
def test_batches_are_dealt_to_all_devices_and_come_back_in_order(framework, tmp_path):
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    process = subprocess.run(
        [sys.executable, "-m", "tests.backbones.engines.dealt", framework, tmp_path / "out.npz"],
        env=os.environ | {"XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    with np.load(tmp_path / "out.npz") as file:
        found = dict(file)
    assert json.loads(str(found.pop("described"))) == {
        "device": "2 × the processor",
        "steps": [4, 4],  # of one of 20 pictures there are three, of none there is none
        "trial": 16,
        "halved": 4,
    }
    model = small_model()
    given = {str(at): images for at, images in enumerate(batches(16, *SIZES))}
    given |= {f"halved_{at}": images for at, images in enumerate(batches(16, 16, 16, 16, 7))}
    assert set(found) == set(given)
    for name, images in given.items():
        expected = model(images.astype("float32"))[0].numpy() if len(images) else np.empty((0, 4))
        np.testing.assert_allclose(found[name], expected, rtol=1e-5)
