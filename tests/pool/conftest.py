"""Pictures with labels that look wrong, for the page on which they are mended."""

import shutil

import pytest

from pipeline.cli import run
from tests.conftest import write_picture
from tests.pool.test_pools import BASE, places

FLAGS = [*BASE, "--heads", "ridge", "--folds", "3"]
ODD = "<img src=x onerror='window.ran = true'>"
FORMULA = "=1+2"


@pytest.fixture(scope="session")
def doubtful(tmp_path_factory):
    """Two hues with odd names, four pictures in the wrong folder, copies in both, and a run."""
    root = tmp_path_factory.mktemp("label")
    for hue, name in enumerate((ODD, FORMULA)):
        for i in range(16):
            split = "test" if i > 9 else "train"
            write_picture(root / "data" / split / name / f"{i}.png", 100 * hue + i, 24, hue)
        for i, split in enumerate(("train", "test")):
            wrong = root / "data" / split / name / f"wrong{i}.png"
            write_picture(wrong, 900 + 10 * hue + i, 24, 1 - hue)
    for hue in range(2):
        write_picture(root / "pool" / f'{"ab"[hue]}, "{hue}".png', 700 + hue, 24, hue)
    copied = root / "data" / "train" / ODD / "0.png"
    shutil.copy(copied, root / "data" / "train" / FORMULA / "copy.png")
    assert run(["classify", str(root / "data"), *FLAGS, *places(root), "--quiet"]) == 0
    return root
