"""Once a command: the weights are hashed, the base is resolved, each shard's index is read."""

from collections import Counter

import pytest

from pipeline.backbones import weights
from pipeline.cli import run
from pipeline.features.store import cache
from tests.conftest import write_picture

BASE = ["--image-size", "32", "--layers", "block2"]
TRAINING = ["--mode", "tail", "--unfreeze", "block2", "--epochs", "1", "--batch-size", "8"]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    for split, count in (("train", 10), ("test", 4)):
        for hue, name in enumerate(("blue", "red")):
            for i in range(count):
                seed = 1000 * hue + 100 * (split == "test") + i
                write_picture(root / "data" / split / name / f"{i}.png", seed, hue=2 - 2 * hue)
    assert run(["features", str(root / "data"), *BASE, "--cache", str(root / "features")]) == 0
    return root


@pytest.fixture
def counted(monkeypatch):
    """Count weights files that are hashed, and indexes of shards that are read."""
    counts = Counter()
    hashed, read = weights._from_file, cache.read_index

    def hashing(kind, path):
        counts["weights"] += 1
        return hashed(kind, path)

    def reading(path):
        counts[path.name] += 1
        return read(path)

    monkeypatch.setattr(weights, "_from_file", hashing)
    monkeypatch.setattr(cache, "read_index", reading)
    return counts


def command(root, name, *more, runs=True):
    places = ["--cache", str(root / "features"), *(["--runs", str(root / "runs")] * runs)]
    return [name, str(root / "data"), *more, *places, "--quiet"]


COMMANDS = {
    "features": (BASE, False),
    "check": (BASE, False),
    "explain": (BASE, False),
    "classify": ([*BASE, "--heads", "logistic,lda", "--folds", "2"], True),
    "finetune": (TRAINING, True),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_once_a_command(project, counted, name):
    flags, runs = COMMANDS[name]
    if name == "finetune":
        assert run(command(project, "classify", *COMMANDS["classify"][0])) == 0
        counted.clear()
    assert run(command(project, name, *flags, runs=runs)) == 0
    assert counted["weights"] == 1
    assert len(counted) > 1
    assert set(counted.values()) == {1}, counted
