"""What many tests need: small made pictures, and where real ones are if there are any."""

import atexit
import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.system.progress import Reporter

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# OpenVINO, where a test imports it first, would send events, from processes that it forks.
sys.modules["openvino_telemetry"] = None
# What is remembered of a user's places is not remembered in the home of who runs the tests.
_STATE = tempfile.mkdtemp()
atexit.register(shutil.rmtree, _STATE, ignore_errors=True)
os.environ["XDG_STATE_HOME"] = _STATE
# Nor are models kept there, or one test would find what another has converted.
os.environ["PIPELINE_MODELS_CACHE"] = ""
ROOT = Path(__file__).resolve().parents[1]

# What `make test-fast` leaves out besides tests that are marked slow: files and folders whose tests
# import TensorFlow, convert a base, or run whole commands.
SLOW = (
    "api",
    "backbones/engines",
    "backbones/test_backbones.py",
    "backbones/test_boundary.py",
    "backbones/test_build.py",
    "backbones/test_catalog.py",
    "backbones/test_weights.py",
    "check/test_check.py",
    "classify",
    "cli/test_launch.py",
    "cli/test_listings.py",
    "cluster",
    "end_to_end",
    "features/test_computation.py",
    "features/test_explain.py",
    "features/test_export.py",
    "features/test_verify.py",
    "features/store/test_durability.py",
    "features/store/test_remote.py",
    "finetune",
    "heads/streamed",
    "heads/test_class_weights.py",
    "heads/test_dense_grid.py",
    "heads/test_preparation.py",
    "pool/test_label.py",
    "pool/test_label_browser.py",
    "pool/test_pools.py",
    "predict",
    "report",
    "runs",
    "test_docs.py",
)


def pytest_ignore_collect(collection_path, config) -> bool | None:
    """Do not even import what is left out: importing TensorFlow takes longer than most tests."""
    left_out = config.getoption("markexpr") == "not slow" and any(
        collection_path.is_relative_to(ROOT / "tests" / name) for name in SLOW
    )
    return True if left_out else None


@pytest.fixture(autouse=True)
def _logging_as_imported():
    """Undo what the command line does to the package's log in this process: caplog sees it."""
    logger = logging.getLogger("pipeline")
    logger.propagate, logger.handlers = True, []
    logger.setLevel(logging.NOTSET)


def write_picture(path: Path, seed: int, size: int = 24, hue: int | None = None) -> None:
    """Write a seeded PNG; ``hue`` makes one channel bright, so that classes can be told apart."""
    pixels = np.random.default_rng(seed).integers(0, 120, (size, size, 3), np.uint8)
    if hue is not None:
        pixels[..., hue] += 120
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


class Told(Reporter):
    """Remembers what it was told of, a tuple (part, done, total, unit) a call."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int, int, str]] = []

    def advance(
        self, part: str, done: int, total: int, unit: str = "pictures", where: str = ""
    ) -> None:
        self.calls.append((part, done, total, unit))


@pytest.fixture
def pictures(tmp_path) -> Path:
    """A folder of two classes that colour tells apart: 12 train and 6 test pictures each."""
    root = tmp_path / "pictures"
    for split, count in (("train", 12), ("test", 6)):
        for hue, name in enumerate(("blue", "red")):
            for i in range(count):
                seed = 1000 * hue + 100 * (split == "test") + i
                write_picture(root / split / name / f"{i}.png", seed, hue=2 - 2 * hue)
    return root


@pytest.fixture(scope="session")
def material() -> Path:
    """Real pictures and weights beside the repository, or where PIPELINE_MATERIAL says."""
    path = Path(os.environ.get("PIPELINE_MATERIAL", ROOT.parent / "shared" / "material"))
    if not path.is_dir():
        pytest.skip(f"no real pictures at {path}; PIPELINE_MATERIAL names their folder")
    return path
