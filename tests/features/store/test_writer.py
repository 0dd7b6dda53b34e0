"""When shards close: the first ones of a run soon, so that a short run loses little."""

import numpy as np
import pytest

from pipeline.features.store import Recipe, ShardWriter, writer


def test_the_first_shards_close_soon_and_later_ones_after_a_minute(tmp_path, monkeypatch):
    now = 0.0
    monkeypatch.setattr(writer, "monotonic", lambda: now)
    cut = ("top", "avg")
    recipe = Recipe("B", "0" * 64, (cut,), 32, "none", {"version": 2}, {"policy": "clean"})
    ends = []
    with ShardWriter(tmp_path / recipe.id, recipe, "stub", {}) as shards:
        for now in np.arange(1.0, 200.0):
            digests = np.full((1, 32), int(now), np.uint8)
            shards.add(digests, {cut: np.ones((1, 2), np.float32)})
            if shards._pending is not None and not shards._parts:
                ends.append(now)
    assert np.diff([0, *ends]).tolist() == pytest.approx([10, 20, 40, 60, 60])
    assert len(list((tmp_path / recipe.id).glob("shard-*.h5"))) == 6
