import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from pipeline.check.check import check
from pipeline.cli.show.check import checked
from pipeline.config import CheckConfig
from pipeline.errors import InputError
from pipeline.features import Caches
from pipeline.features.base import resolve
from pipeline.features.extract import CachedFeatures, Extraction, extract
from pipeline.features.store import FeatureCache
from pipeline.images import index
from tests.conftest import write_picture

D = 96
CENTRES = np.random.default_rng(5).normal(size=(2, D))


@pytest.fixture
def config(tmp_path):
    return CheckConfig(cache=tmp_path / "cache")


@pytest.fixture
def folder(tmp_path):
    """Two classes of 30 train and 10 test pictures; the number in a name decides its features."""
    root = tmp_path / "data"
    for split, count in (("train", 30), ("test", 10)):
        for number, name in enumerate(("cat", "dog")):
            for i in range(count):
                seed = 1000 * number + 100 * (split == "test") + i
                write_picture(root / split / name / f"{seed:04d}.png", seed)
    return root


def cache_features(config, dataset, likes=(), remarks=None):
    """Cache made features: a class' centre and noise; ``likes`` are (path, path it looks like)."""
    base = resolve(config)
    contents = np.unique(dataset.digests, axis=0, return_index=True)[1]
    features = {}
    for row in contents.tolist():
        name = dataset.paths[row].rsplit("/", 1)[-1]
        seed = int(name.split(".")[0])
        noise = np.random.default_rng(seed).normal(size=D)
        features[name] = CENTRES[seed // 1000] + noise
    for name, like in likes:
        noise = np.random.default_rng(7).normal(size=D)
        features[name] = features[like] + 0.1 * noise
    values = np.array([features[dataset.paths[row].rsplit("/", 1)[-1]] for row in contents])
    with FeatureCache(config.cache, base.recipe).writer("tensorflow", {}) as writer:
        features = {base.recipe.cuts[0]: values.astype(np.float32)}
        writer.add(dataset.digests[contents], features, remarks=remarks)


def looked(config, dataset, failed=()):
    """Look at what is cached, without computing what is not."""
    base = resolve(config)
    done = Extraction(base.recipe.id, len(dataset), failed=list(failed))
    return check(config, CachedFeatures(dataset, base, Caches(config, base), done)).to_dict()


def found_in(config, folder, likes=(), **settings):
    dataset = index(folder)
    cache_features(config, dataset, likes)
    value = looked(replace(config, **settings), dataset)
    assert json.loads(json.dumps(value)) == value
    return value


def paths(rows):
    return [row["path"] for row in rows]


def test_nothing_suspicious(config, folder, capsys):
    value = found_in(config, folder)
    assert value["classes"] == {
        "cat": {"train": 30, "test": 10},
        "dog": {"train": 30, "test": 10},
    }
    assert value["splits"] == {"train": 60, "test": 20}
    assert value["imbalance"]["ratio"] == 1.0
    for name in ("duplicates", "leaks", "suspects", "unreadable", "unused", "notes", "remarks"):
        assert value[name] == [], name
    assert value["test"]["leaked"] is None
    assert value["test"]["all"] == value["test"]["without_leaks"]
    checked(value)
    assert "nothing suspicious was found" in capsys.readouterr().out


def test_what_pictures_lose_is_listed(config, folder, capsys):
    dataset = index(folder)
    contents = np.unique(dataset.digests, axis=0, return_index=True)[1]
    remarks = np.zeros((len(contents), 4), np.int32)
    remarks[contents == 5] = 16, 0, 4095, 0
    remarks[contents == 7] = 16, 0, 65535, 1
    cache_features(config, dataset, remarks=remarks)
    value = looked(config, dataset)
    assert value["remarks"] == [
        {"path": dataset.paths[5], "reason": "16-bit values 0–4,095 of 0–65,535"},
        {"path": dataset.paths[7], "reason": "several frames or pages, of which the first is used"},
    ]
    checked(value)
    printed = capsys.readouterr().out
    assert "2 pictures of which something is lost or hardly seen:" in printed
    assert "nothing suspicious" not in printed


def test_copies_across_splits_and_labels(config, folder):
    shutil.copy(folder / "train" / "cat" / "0003.png", folder / "test" / "cat" / "0003.png")
    shutil.copy(folder / "train" / "dog" / "1004.png", folder / "train" / "cat" / "1004.png")
    value = found_in(config, folder)
    contradiction, copy = value["duplicates"]
    assert contradiction["contradictory"]
    assert [(p["path"], p["label"]) for p in contradiction["pictures"]] == [
        ("train/cat/1004.png", "cat"),
        ("train/dog/1004.png", "dog"),
    ]
    assert copy["across_splits"]
    assert copy["exact"]
    (leak,) = value["leaks"]
    assert leak["path"] == "test/cat/0003.png"
    assert leak["other"] == {"path": "train/cat/0003.png", "split": "train", "label": "cat"}
    assert value["test"]["leaked"] == {
        "n": 1,
        "accuracy": 1.0,
        "ci95": [pytest.approx(0.2065, abs=1e-4), 1],
    }
    assert value["test"]["without_leaks"]["n"] == 20
    assert paths(value["suspects"]) == ["train/cat/1004.png"]


def test_look_alikes_across_splits(config, folder, capsys):
    value = found_in(config, folder, likes=[("0105.png", "0007.png"), ("1001.png", "1000.png")])
    assert [paths(group["pictures"]) for group in value["duplicates"]] == [
        ["test/cat/0105.png", "train/cat/0007.png"],
        ["train/dog/1000.png", "train/dog/1001.png"],
    ]
    assert paths(value["leaks"]) == ["test/cat/0105.png"]
    assert not value["leaks"][0]["exact"]
    assert 0.9 < value["leaks"][0]["similarity"] < 1
    checked(value)
    printed = capsys.readouterr().out
    assert "test/cat/0105.png is 0.99" in printed
    assert "on the 19 that are not given away" in printed


def test_the_rule_can_be_replaced(config, folder):
    likes = [("0105.png", "0007.png")]
    value = found_in(config, folder, likes, similarity=0.9999)
    assert value["leaks"] == []
    assert value["near"]["floor"] == 0.9999
    with pytest.raises(InputError, match="received similarity=2"):
        looked(replace(config, similarity=2), index(folder))


def test_wrong_labels_are_named_with_what_they_look_like(config, folder, capsys):
    moved = folder / "train" / "dog" / "0011.png"
    (folder / "train" / "cat" / "0011.png").rename(moved)
    value = found_in(config, folder)
    (suspect,) = value["suspects"]
    assert suspect["path"] == "train/dog/0011.png"
    assert (suspect["label"], suspect["suggested"]) == ("dog", "cat")
    assert suspect["probability"] < 0.5 < suspect["suggested_probability"]
    assert value["label_agreement"] == pytest.approx(79 / 80)
    checked(value)
    assert "train/dog/0011.png: labelled dog" in capsys.readouterr().out


def test_where_heads_are_at_chance_no_label_looks_wrong(config, folder, capsys):
    for path in sorted(folder.rglob("*.png"))[::2]:
        other = {"cat": "dog", "dog": "cat"}[path.parent.name]
        path.rename(path.parent.parent / other / path.name)
    value = found_in(config, folder)
    assert value["suspects"] == []
    assert 0.3 < value["label_agreement"] < 0.7
    checked(value)
    printed = capsys.readouterr().out
    assert "labels cannot be judged from these pictures: heads call" in printed
    assert "nothing suspicious" not in printed


def test_a_mislabelled_pair_of_look_alikes_is_named_twice(config, folder):
    for name in ("0011.png", "0012.png"):
        (folder / "train" / "cat" / name).rename(folder / "train" / "dog" / name)
    value = found_in(config, folder, likes=[("0012.png", "0011.png")])
    assert sorted(paths(value["suspects"])) == ["train/dog/0011.png", "train/dog/0012.png"]


def test_same_data_same_findings(config, folder):
    (folder / "train" / "cat" / "0011.png").rename(folder / "train" / "dog" / "0011.png")
    dataset = index(folder)
    cache_features(config, dataset, [("0105.png", "0007.png")])
    assert looked(config, dataset) == looked(config, dataset)


def test_without_features_the_rest_is_said(config, folder, capsys):
    shutil.copy(folder / "train" / "cat" / "0003.png", folder / "test" / "cat" / "0003.png")
    value = looked(config, index(folder))
    assert paths(value["leaks"]) == ["test/cat/0003.png"]
    assert value["test"] is value["near"] is value["label_agreement"] is None
    assert value["suspects"] == []
    assert value["notes"][0].startswith("features were not looked at: expected features of every")
    checked(value)
    assert "beware: features were not looked at" in capsys.readouterr().out


def test_unreadable_pictures_are_named_once(config, folder):
    bad = folder / "train" / "cat" / "bad.png"
    bad.write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    dataset = index(folder)
    base = resolve(config)
    row = dataset.paths.index("train/cat/bad.png")
    keep = [path for path in dataset.paths if path != "train/cat/bad.png"]
    FeatureCache(config.cache, base.recipe).quarantine(
        {dataset.digests[row].tobytes().hex(): "truncated"}
    )
    bad.rename(folder / "bad.png")
    cache_features(config, index(folder))
    (folder / "bad.png").rename(bad)
    failed = [{"path": "train/cat/bad.png", "reason": "truncated"}]
    value = looked(config, index(folder), failed)
    assert value["unreadable"] == failed
    assert value["images"] == value["found"] - 1 == len(keep)
    assert value["classes"]["cat"] == {"train": 30, "test": 10}
    assert value["splits"] == {"train": 60, "test": 20}
    assert value["near"] is not None


def test_validation_as_the_final_test_is_called_so(config, folder):
    (folder / "test").rename(folder / "validation")
    value = found_in(config, folder, likes=[("0105.png", "0007.png")])
    assert value["splits"] == {"train": 60, "validation": 20}
    assert value["test"]["split"] == value["leaks"][0]["split"] == "validation"


def test_too_few_pictures_for_folds(config, tmp_path):
    for number, name in enumerate(("cat", "dog")):
        for split, seed in (("train", 1000 * number), ("test", 1000 * number + 1)):
            write_picture(tmp_path / "few" / split / name / f"{seed:04d}.png", seed)
    value = found_in(config, tmp_path / "few", likes=[("1001.png", "1000.png")])
    assert value["suspects"] == []
    assert "labels were not looked at: expected" in value["notes"][0]
    assert "2 of 2 classes have fewer than 20" in value["imbalance"]["sentence"]


def test_lists_are_cut_for_people(config, folder, capsys):
    for i in range(25):
        name = f"{i:04d}.png"
        shutil.copy(folder / "train" / "cat" / name, folder / "test" / "cat" / name)
    value = found_in(config, folder)
    assert len(value["leaks"]) == 25
    checked(value)
    printed = capsys.readouterr().out
    assert printed.count("is the same bytes as") == 20
    assert "… and 5 more (--json lists all)" in printed


def test_real_photographs(config, material, tmp_path):
    """Caltech's leopards are there twice, the second time mirrored: 101 is 1, 102 is 2, …."""
    folder, source = tmp_path / "real", material / "caltech10"
    for path in sorted(source.rglob("*.jpg")):
        name, number = path.parent.name, int(path.stem[-4:])
        if name == "Leopards" and number % 100 not in range(1, 31):
            continue
        if name not in ("Leopards", "bonsai", "watch", "ketch") or 45 < number <= 100:
            continue
        if name != "Leopards" and number > 45:
            continue
        split = "test" if number > 100 or (name != "Leopards" and number > 30) else "train"
        # Two of thirty lie in the wrong folder.
        label = "watch" if (name, number) in {("ketch", 7), ("bonsai", 12)} else name
        target = folder / split / label / f"{name}-{number:04d}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    dataset = index(folder)
    value = check(config, extract(config, resolve(config), dataset)).to_dict()
    leaked = {row["path"] for row in value["leaks"]}
    mirrored = {f"test/Leopards/Leopards-{number:04d}.jpg" for number in range(101, 131)}
    assert len(leaked & mirrored) >= 28
    assert len(leaked - mirrored) <= 4
    assert {"train/watch/ketch-0007.jpg", "train/watch/bonsai-0012.jpg"} == set(
        paths(value["suspects"])
    )
    assert value["test"]["leaked"]["n"] == len(leaked)
