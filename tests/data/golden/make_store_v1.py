"""Make ``store-v1/``, a small feature cache of format 1, which every later version must read.

Run once, from the root of the repository: ``python tests/data/golden/make_store_v1.py``. It is not
to be made again: a change of the format makes a new folder beside it.
"""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from pipeline.features.store import Recipe
from pipeline.features.store.folders import prepare_folder, write_quarantine
from pipeline.features.store.shard import Rows, write_shard
from pipeline.system.files import canonical_json

ROOT = Path(__file__).parent / "store-v1"
POOLED, MAP = ("block4", "avg"), ("top", "none")
CLEAN = Recipe(
    backbone="MobileNet(alpha=0.25)",
    weights="0123456789abcdef" * 4,
    cuts=(POOLED, MAP),
    image_size=96,
    preprocessing="tf",
    decoding={"size": 96, "resize": "squash", "interpolation": "bilinear", "version": 1},
    view={"policy": "clean"},
)
VIEWED = replace(CLEAN, view={"policy": "crop,flip", "seed": 0, "version": 1}, dtype="float16")


def rows(numbers: list[int], views: list[int]) -> Rows:
    """Features that follow from the number of the picture and of the view."""
    values = np.array(numbers, np.float32) + np.array(views, np.float32) / 8
    features = {
        POOLED: values[:, None] + np.arange(3, dtype=np.float32) / 4,
        MAP: values[:, None, None, None] * np.array([1, -1], np.float32) * np.ones((2, 2, 1)),
    }
    digests = np.array([[number] * 32 for number in numbers], np.uint8)
    return Rows(digests, np.array(views, np.int32), features)


def write_earlier(path: Path, recipe: Recipe, content: Rows) -> None:
    """Write a shard as the first programs did: no checksums of ours, texts of variable length."""
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        file.attrs.update(
            {
                "format": "bottleneck-features",
                "format_version": 1,
                "recipe": canonical_json(recipe.to_dict()),
                "versions": canonical_json({"numpy": "2"}),
                "engine": "tensorflow",
                "n_rows": len(content.digests),
            }
        )
        columns = {"digest": content.digests, "view": content.views}
        columns |= {recipe.dataset_name(cut): part for cut, part in content.features.items()}
        for name, column in columns.items():
            kind = recipe.dtype if name.startswith("features/") else column.dtype
            data = column.astype(kind)
            file.create_dataset(name, data=data, chunks=data.shape, fletcher32=True)


def main() -> None:
    """Write both recipes."""
    for recipe in (CLEAN, VIEWED):
        prepare_folder(ROOT / recipe.id, recipe)
    clean, viewed = ROOT / CLEAN.id, ROOT / VIEWED.id
    write_earlier(clean / "shard-earlier.h5", CLEAN, rows([1, 2], [0, 0]))
    write_shard(clean / "shard-today.h5", CLEAN, rows([3, 250], [0, 0]), "openvino", {"numpy": "2"})
    views = rows([1, 1, 250], [1, 2, 1])
    write_shard(viewed / "shard-views.h5", VIEWED, views, "openvino", {"numpy": "2"})
    write_quarantine(clean, {"07" * 32: "truncated"})
    (quarantine,) = clean.glob("quarantine-*.json")
    quarantine.rename(clean / "quarantine-golden.json")


if __name__ == "__main__":
    main()
