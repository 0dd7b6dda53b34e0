from dataclasses import replace

import numpy as np
import pytest

from pipeline.cli.show.store import explanation
from pipeline.config import FeaturesConfig
from pipeline.errors import DamagedShardError
from pipeline.features.base import frozen_base
from pipeline.features.explain import changes, explain
from pipeline.features.store import FeatureCache
from pipeline.images import ViewRecipe, index


@pytest.fixture
def dataset(pictures):
    (pictures / "train" / "red" / "copy.png").write_bytes(
        (pictures / "train" / "red" / "0.png").read_bytes()
    )
    return index(pictures)


@pytest.fixture
def config(tmp_path):
    return FeaturesConfig(cache=tmp_path / "features", layers="block4,top", image_size=64)


def pretend(config, digests, views=None, recipe=None):
    """Put made features into the cache, as if they had been computed."""
    recipe = recipe or frozen_base(config).recipe
    cache = FeatureCache(config.cache, recipe)
    values = np.ones((len(digests), 3), np.float32)
    with cache.writer("openvino", {}) as writer:
        writer.add(digests, dict.fromkeys(recipe.cuts, values), views)
    return cache


def test_empty_cache_has_nothing_and_nothing_near(dataset, config):
    result = explain(config, frozen_base(config), dataset)
    assert (result.images, result.distinct, result.cached, result.missing) == (37, 36, 0, 36)
    assert (result.served_by, result.nearest, result.changed) == ({}, None, {})
    assert len(result.missing_paths) == 20
    assert not config.cache.exists()


def test_cached_missing_and_quarantined_add_up(dataset, config):
    cache = pretend(config, dataset.digests[:10])
    cache.quarantine({dataset.digests[12].tobytes().hex(): "truncated"})
    result = explain(config, frozen_base(config), dataset)
    assert result.cached + result.missing + result.quarantined == result.distinct
    assert (result.cached, result.quarantined) == (10, 1)
    assert dataset.paths[12] not in result.missing_paths
    assert dataset.paths[13] in result.missing_paths
    assert result.to_dict()["served_by"] == [result.recipe]


def test_wider_recipe_serves_and_is_named(dataset, config):
    pretend(config, dataset.digests)
    narrow = replace(config, layers="top")
    result = explain(narrow, frozen_base(narrow), dataset)
    assert result.missing == 0
    assert result.nearest is None
    assert result.to_dict()["served_by"] == [explain(config, frozen_base(config), dataset).recipe]


def test_nearest_is_the_one_with_most_pictures_and_then_the_least_changed(dataset, config):
    pretend(replace(config, resize="crop"), dataset.digests[:30])
    pretend(replace(config, image_size=96, resize="crop"), dataset.digests[:30])
    pretend(replace(config, interpolation="bicubic"), dataset.digests[:5])
    result = explain(config, frozen_base(config), dataset)
    assert result.nearest == frozen_base(replace(config, resize="crop")).recipe.id
    assert result.changed == {"decoding.resize": {"cached": "crop", "wanted": "squash"}}


def test_recipes_of_other_pictures_are_not_near(dataset, config):
    pretend(replace(config, resize="crop"), 255 - dataset.digests[:30])
    assert explain(config, frozen_base(config), dataset).nearest is None


def test_changes_are_in_words(config):
    wanted = frozen_base(config).recipe
    cached = replace(
        wanted,
        weights="ab" * 32,
        cuts=wanted.cuts[:1],
        image_size=96,
        decoding={**wanted.decoding, "size": 96},
        dtype="float16",
    )
    found = changes(cached, wanted)
    assert found["weights"] == {"cached": "abababababab…", "wanted": f"{wanted.weights[:12]}…"}
    assert found["cuts"]["cached"] == [":".join(wanted.cuts[0])]
    assert len(found["cuts"]["wanted"]) == 2
    assert found["image_size"] == {"cached": 96, "wanted": 64}
    assert set(found) == {"weights", "cuts", "image_size", "dtype"}
    assert "cuts" not in changes(wanted, replace(wanted, cuts=wanted.cuts[:1], dtype="float16"))


def test_views_of_training_pictures_are_counted(dataset, config):
    config = replace(config, views=2)
    base = frozen_base(config)
    recipe = base.viewed(ViewRecipe(config.view_policy, config.seed)).recipe
    pretend(config, dataset.digests)
    trained = dataset.digests[dataset.select("train")][:4]
    pretend(config, np.repeat(trained, 2, axis=0), np.tile([1, 2], 4), recipe)
    result = explain(config, frozen_base(config), dataset)
    assert result.views == {"recipe": recipe.id, "cached": 8, "missing": 2 * 24 - 8}
    assert result.missing == 0


def test_damaged_shard_of_another_recipe_does_not_hide_the_rest(dataset, config):
    other = pretend(replace(config, resize="crop"), dataset.digests[:30])
    pretend(replace(config, resize="pad"), dataset.digests[:5])
    (path,) = other.folder.glob("shard-*")
    path.write_bytes(b"")
    result = explain(config, frozen_base(config), dataset)
    assert [item["path"] for item in result.unreadable] == [str(other.folder)]
    assert result.changed == {"decoding.resize": {"cached": "pad", "wanted": "squash"}}
    assert path.exists()


def test_damaged_shard_of_the_wanted_recipe_is_an_error_that_says_what_to_do(dataset, config):
    cache = pretend(config, dataset.digests)
    (path,) = cache.folder.glob("shard-*")
    path.write_bytes(b"")
    with pytest.raises(
        DamagedShardError, match=r"`pipeline verify --cache .*`pipeline features` then"
    ):
        explain(config, frozen_base(config), dataset)


def test_what_people_see(dataset, config, capsys):
    pretend(replace(config, resize="crop", layers="top"), dataset.digests[:30])
    explanation(explain(config, frozen_base(config), dataset).to_dict())
    said = capsys.readouterr().out
    assert "37 pictures, 1 of them copies: 0 cached, 36 missing, 0 cannot be decoded" in said
    assert "decoding.resize: cached crop, wanted squash" in said
    assert "… and 16 more" in said


def by_version_1(config):
    base = frozen_base(config)
    return replace(base, decoding=replace(base.decoding, version=1)).recipe


def test_a_cache_goes_on_with_the_decoder_that_it_was_begun_with(dataset, config, capsys):
    old = by_version_1(config)
    assert frozen_base(config).decoding.version == 2
    pretend(config, dataset.digests[:30], recipe=old)
    result = explain(config, frozen_base(config), dataset)
    assert (result.recipe, result.cached, result.missing) == (old.id, 30, 6)
    explanation(result.to_dict())
    assert "decoder version 1, with which this cache was begun" in capsys.readouterr().out
    elsewhere = replace(config, cache=config.cache / "new")
    result = explain(elsewhere, frozen_base(elsewhere), dataset)
    assert (result.older_decoder, result.missing) == (False, 36)


def test_a_wider_cache_of_version_1_goes_on_too(dataset, config):
    pretend(config, dataset.digests, recipe=by_version_1(config))
    narrow = replace(config, layers="top")
    assert explain(narrow, frozen_base(narrow), dataset).missing == 0
    wide = replace(config, layers="block1,block4,top")
    assert frozen_base(wide).decoding.version == 2
    changed = explain(wide, frozen_base(wide), dataset).changed
    assert changed["decoding.version"] == {"cached": 1, "wanted": 2}


def test_where_both_versions_are_cached_the_newest_is_read(dataset, config):
    old = by_version_1(config)
    pretend(config, dataset.digests[:10])
    pretend(config, dataset.digests, recipe=old)
    result = explain(config, frozen_base(config), dataset)
    assert (result.cached, result.nearest, result.older_decoder) == (10, old.id, False)
    assert result.changed == {"decoding.version": {"cached": 1, "wanted": 2}}
