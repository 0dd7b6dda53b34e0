"""What tests put on disk: features that follow from a number, and runs that were changed."""

import json

import numpy as np

from pipeline.features.store import Recipe
from pipeline.runs.folder import seal_run
from pipeline.runs.seal import write_sealed

A, B = ("layer_a", "avg"), ("layer_b", "none")
RECIPE = Recipe(
    backbone="VGG16",
    weights="00" * 32,
    cuts=(A, B),
    image_size=32,
    preprocessing="caffe",
    decoding={"version": 1},
    view={"policy": "clean"},
)


def digests(*numbers):
    """Digests that end in zero bytes, which a careless string comparison would cut off."""
    return np.array([[n % 256, n // 256, *[0] * 30] for n in numbers], np.uint8).reshape(-1, 32)


def features(*numbers):
    values = np.array(numbers, np.float32)
    return {
        A: values[:, None] + np.arange(5, dtype=np.float32),
        B: np.tile(values[:, None, None, None], (1, 2, 2, 3)),
    }


def fill(cache, *numbers):
    with cache.writer("tensorflow", {"numpy": "2"}) as writer:
        writer.add(digests(*numbers), features(*numbers))
    cache.refresh()


def shard_of(cache):
    (path,) = cache.folder.glob("shard-*.h5")
    return path


def assert_holds(cache, *numbers):
    """Every one of these is there, and is what it should be."""
    for cut in (A, B):
        np.testing.assert_array_equal(cache.read(cut, digests(*numbers)), features(*numbers)[cut])


BASE = {
    "backbone": "MobileNet(alpha=0.25)",
    "weights": "none",
    "weights_digest": "00" * 32,
    "weights_seed": 0,
    "with_top": False,
    "cuts": [["conv_pw_1_relu", "avg"]],
    "image_size": 32,
    "resize": "squash",
    "interpolation": "bilinear",
    "decoder_version": 1,
    "precision": "float32",
}
"""What a run says of its base."""


def change_json(path, change):
    """Let ``change`` change the value of a JSON file, or return another."""
    value = json.loads(path.read_text("utf-8"))
    changed = change(value)
    path.write_text(json.dumps(value if changed is None else changed), "utf-8")


def reseal(folder):
    """Make the files of a run, or of a bundle alone, whole again after a test changed them."""
    bundle = folder / "bundle" if (folder / "run.json").is_file() else folder
    if (bundle / "bundle.json").is_file():
        path = bundle / "bundle.json"
        write_sealed(path, json.loads(path.read_text("utf-8")))
    if bundle != folder:
        seal_run(folder)


def unseal(folder):
    """Make a run one of those from before there were seals."""
    for path in (folder / "run.json", folder / "bundle" / "bundle.json"):
        if path.is_file():
            change_json(path, _without_seal)


def _without_seal(said):
    return {key: value for key, value in said.items() if key not in ("files", "seal")}
