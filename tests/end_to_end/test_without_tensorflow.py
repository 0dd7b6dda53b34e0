"""Stages 1 and 2 and `predict` where TensorFlow is not installed, and Keras runs on JAX."""

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import sys
from tests.blocked import block
block("tensorflow")
import pipeline
assert "keras" not in sys.modules
from pipeline.cli import run
small = ["--image-size", "32", "--cache", "cache"]
assert run(["features", "pictures", *small]) == 0
assert run(["classify", "pictures", *small, "--heads", "logistic,ridge"]) == 0
assert run(["predict", "best", "pictures/test/red", "--cache", "cache"]) == 0
assert run(["summary", "EfficientNetLite0"]) == 0
assert run(["classify", "pictures", *small, "--heads", "logistic,dense"]) == 2
assert run(["finetune", "pictures", "--cache", "cache"]) == 2
assert run(["features", "pictures", *small, "--engine", "tensorflow"]) == 2
assert run(["features", "pictures", "--image-size", "40", "--engine", "openvino"]) == 0
other = ["--backbone", "MobileNet(alpha=0.25)", "--weights", "none", "--image-size", "32"]
assert run(["features", "pictures", *other]) == 0
assert run(["features", "pictures", *other, "--seed", "1", "--engine", "openvino"]) == 2
assert not any(name.startswith("tensorflow") for name in sys.modules)
"""
SAID = (
    "engine: openvino",
    "engine: jax {version} on the processor (no GPU is seen; OpenVINO would need TensorFlow once, "
    "to convert the base)",
    "expected tensorflow for the head dense, which is not installed; run: pip install tensorflow",
    "expected tensorflow for fine-tuning, which is not installed",
    "expected tensorflow to be installed, received engine=tensorflow; run: pip install "
    "'bottleneck-pipeline[gpu]', or use --engine auto",
    "expected tensorflow for converting MobileNet(alpha=0.25)-top for OpenVINO, once, which is not",
)


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
def test_everything_but_dense_heads_and_fine_tuning_works(pictures, tmp_path):
    given = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=given | {"XDG_CACHE_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    version = importlib.metadata.version("jax")
    for sentence in SAID:
        assert sentence.format(version=version) in process.stderr
