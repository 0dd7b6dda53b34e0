"""What no shard has is refused before HDF5 reads it; what our writer writes passes, always."""

import os
import struct
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline.errors import DamagedShardError, PipelineError
from pipeline.features.base import MOST_CUTS
from pipeline.features.store import FeatureCache
from pipeline.features.store.checksum import CHUNK_SUMS, FILE_SUM, chunk_sums, file_sum
from pipeline.features.store.reader import checked_shard, read_index
from pipeline.features.store.shard import Rows, dataset_names, write_shard
from tests.stored import RECIPE, A, digests, features, fill, shard_of

V110 = {"libver": ("v110", "v110")}
FEATURES = "features/layer_a"


@pytest.fixture
def cache(tmp_path):
    cache = FeatureCache(tmp_path / "features", RECIPE)
    fill(cache, *range(40))
    return cache


@pytest.fixture
def path(cache):
    return shard_of(cache)


def written(path, cuts, n_rows, width=5):
    """Write a shard of some cuts, all ones."""
    rows = dict.fromkeys(cuts, np.ones((n_rows, width), np.float32))
    views = np.zeros(n_rows, np.int32)
    recipe = replace(RECIPE, cuts=tuple(cuts))
    write_shard(path, recipe, Rows(digests(*range(n_rows)), views, rows), "tensorflow", {})
    return path


@pytest.mark.parametrize("n_cuts", [1, 8, 9, 60, 200, MOST_CUTS])
def test_any_number_of_layers_passes(tmp_path, n_cuts):
    """From the ninth on the links lie in a heap, beyond forty in a tree, later in many blocks."""
    cuts = [(f"a_layer_with_a_long_name_{i}", "avg") for i in range(n_cuts)]
    assert checked_shard(written(tmp_path / "shard-x.h5", cuts, 2)).recipe.cuts == tuple(cuts)


@pytest.mark.parametrize("n_chunks", [1, 2, 1024, 1025, 2100])
def test_any_number_of_chunks_passes(tmp_path, monkeypatch, n_chunks):
    monkeypatch.setattr("pipeline.features.store.shard.CHUNK_BYTES", 20)
    path = written(tmp_path / "shard-x.h5", [A], n_chunks)
    with h5py.File(path) as file:
        assert file[FEATURES].id.get_num_chunks() == n_chunks
    assert checked_shard(path).n_rows == n_chunks


def replaced(file, name, **options):
    """Make a dataset anew, in another way."""
    data = file[name][:]
    del file[name]
    file.create_dataset(name, data=data, **({"chunks": data.shape, "fletcher32": True} | options))


def link_to_outside(file):
    file["features/more"] = h5py.ExternalLink("/etc/hostname", "/x")


def link_by_name(file):
    file["features/more"] = h5py.SoftLink("/digest")


def link_to_the_root(file):
    file["features/more"] = file["/"]


def one_object_twice(file):
    file["features/more"] = file["digest"]


def bytes_of_another_file(file):
    del file[FEATURES]
    there = [("/etc/hostname", 0, h5py.h5f.UNLIMITED)]
    file.create_dataset(FEATURES, (40, 5), np.float32, external=there)


def rows_of_another_file(file):
    del file[FEATURES]
    layout = h5py.VirtualLayout((40, 5), np.float32)
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "x", (40, 5))
    file.create_virtual_dataset(FEATURES, layout)


def compressed(file):
    replaced(file, FEATURES, compression="gzip")


def shuffled(file):
    replaced(file, FEATURES, shuffle=True)


def without_filters(file):
    replaced(file, FEATURES, fletcher32=False)


def not_chunked(file):
    replaced(file, FEATURES, chunks=None, fletcher32=False)


def chunks_of_parts_of_rows(file):
    replaced(file, FEATURES, chunks=(40, 2))


def without_limit(file):
    replaced(file, FEATURES, maxshape=(None, 5))


def far_too_many_rows(file):
    del file[FEATURES]
    file.create_dataset(FEATURES, (1 << 38, 5), np.float32, chunks=(1 << 16, 5), fletcher32=True)


def rows_that_were_never_written(file):
    del file[FEATURES]
    file.create_dataset(FEATURES, (40, 5), np.float32, chunks=(8, 5), fletcher32=True)


def filled_with_a_value(file):
    del file[FEATURES]
    options = {"chunks": (40, 5), "fletcher32": True, "fillvalue": 7.0}
    file.create_dataset(FEATURES, (40, 5), np.float32, **options)


def texts_for_features(file):
    del file[FEATURES]
    data = np.array(["x"] * 40, object)
    file.create_dataset(FEATURES, data=data, dtype=h5py.string_dtype(), chunks=(40,))


def a_named_type(file):
    file["features/more"] = np.dtype("f4")


def attribute_of_variable_texts(file):
    file["digest"].attrs["more"] = "text"


def attribute_of_references(file):
    file.attrs["more"] = file["digest"].ref


def more_attributes_than_fit(file):
    file.attrs.update({f"more{i}": i for i in range(9)})


CRAFTED = {
    link_to_outside: "a link that leads elsewhere",
    link_by_name: "a link that leads elsewhere",
    link_to_the_root: "two links to one object",
    one_object_twice: "two links to one object",
    bytes_of_another_file: "another kind of storage|bytes of another file",
    rows_of_another_file: "a dataset that is not whole",
    compressed: "other filters",
    shuffled: "other filters",
    without_filters: "a dataset that is not whole",
    not_chunked: "a dataset that is not whole",
    chunks_of_parts_of_rows: r"chunks of \(40, 2, 4\) in a dataset of \(40, 5\)",
    without_limit: "a shape of a kind that no shard has",
    far_too_many_rows: r"a dataset of \(274877906944, 5\) in a file of \d+ bytes",
    rows_that_were_never_written: "it announces|a chunk of",
    filled_with_a_value: "another kind of storage",
    texts_for_features: "a dataset that is not whole",
    a_named_type: "which no shard has",
    attribute_of_variable_texts: "the attribute 'more' of a type that no shard has",
    attribute_of_references: "the attribute 'more' of a type that no shard has",
    more_attributes_than_fit: "more attributes at byte",
}


@pytest.mark.parametrize(("craft", "words"), CRAFTED.items())
def test_what_no_shard_has_is_refused_before_hdf5_opens_it(path, monkeypatch, craft, words):
    with h5py.File(path, "r+", **V110) as file:
        craft(file)
    for name in ("File", "h5f"):
        monkeypatch.setattr(f"pipeline.features.store.reader.h5py.{name}", None)
    with pytest.raises(DamagedShardError, match=f"received a damaged file .*{words}"):
        read_index(path)


def test_file_of_an_old_layout_is_refused_before_hdf5_opens_it(path, monkeypatch):
    with h5py.File(path, "w", libver="earliest") as file:
        file["digest"] = np.zeros(3)
    monkeypatch.setattr("pipeline.features.store.reader.h5py.h5f", None)
    with pytest.raises(DamagedShardError, match="it does not begin as a shard does"):
        read_index(path)


def forge(path, change):
    """Change a shard and make every checksum of ours right again."""
    with h5py.File(path, "r+", **V110) as file:
        change(file)
        for name in dataset_names(RECIPE):
            if name in file:
                rows = file[name][:]
                file[name].attrs[CHUNK_SUMS] = chunk_sums(rows, file[name].chunks[0])
        file.attrs[FILE_SUM] = np.bytes_(file_sum(file, dataset_names(RECIPE)).encode())


def one_dataset_more(file):
    file.create_dataset("features/more", data=np.ones((40, 5)), chunks=(40, 5), fletcher32=True)


def one_column_more(file):
    file.create_dataset("more", data=np.ones((40, 5)), chunks=(40, 5), fletcher32=True)


def short_digests(file):
    rows = file["digest"][:, :31]
    del file["digest"]
    file.create_dataset("digest", data=rows, chunks=(40, 31), fletcher32=True)


def doubles(file):
    replaced(file, FEATURES, dtype="f8")


def whole_numbers(file):
    replaced(file, FEATURES, dtype="i4")


def rows_of_three_sides(file):
    rows = file["features/layer_b"][:, 0]
    del file["features/layer_b"]
    file.create_dataset("features/layer_b", data=rows, chunks=rows.shape, fletcher32=True)


def views_below_zero(file):
    file["view"][3] = -1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (one_dataset_more, "datasets .*features/more.* where its recipe has others"),
        (one_column_more, "datasets .*more.* where its recipe has others"),
        (short_digests, r"digest of \(40, 31\) uint8 where uint8 is expected"),
        (doubles, r"features/layer_a of \(40, 5\) float64 where float32 is expected"),
        (whole_numbers, r"features/layer_a of \(40, 5\) int32 where float32 is expected"),
        (rows_of_three_sides, r"features/layer_b of \(40, 2, 3\) float32 where"),
        (views_below_zero, "view numbers below 0"),
    ],
)
def test_another_schema_is_refused_though_all_checksums_hold(path, change, words):
    forge(path, change)
    with pytest.raises(DamagedShardError, match=words):
        read_index(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image_size": "32"}, "values of other types"),
        ({"backbone": 5}, "values of other types"),
        ({"view": []}, "values of other types"),
        ({"cuts": [["layer_a", "avg"]] * 2}, "values of other types"),
        ({"dtype": "float64"}, "dtype='float64'"),
        ({"more": 1}, "unexpected keyword argument"),
    ],
)
def test_recipe_of_other_types_is_refused(change, words):
    with pytest.raises((TypeError, ValueError), match=words):
        type(RECIPE).from_dict(RECIPE.to_dict() | change)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"cuts":' * 100_000])
def test_depth_of_json_is_one_sentence(cache, text):
    for name in ("recipe.json", "quarantine-x.json"):
        (cache.folder / name).write_text(text)
        with pytest.raises(DamagedShardError, match=f"expected .* in .*{name}"):
            FeatureCache(cache.root, RECIPE)
        (cache.folder / name).unlink()


@pytest.mark.parametrize("name", ["shard-x.h5", "recipe.json", "quarantine-x.json"])
def test_what_is_no_file_is_not_waited_for(cache, name):
    place = cache.folder / name
    place.unlink(missing_ok=True)
    os.mkfifo(place)
    with pytest.raises(DamagedShardError, match="no file"):
        FeatureCache(cache.root, RECIPE)
    place.unlink()
    place.symlink_to("/dev/zero")
    with pytest.raises(DamagedShardError, match="no file"):
        FeatureCache(cache.root, RECIPE)


def test_continuation_that_leads_to_itself_is_found(path):
    data = bytearray(path.read_bytes())
    place = data.index(b"OCHK")
    pointer = data.index(struct.pack("<Q", place))
    begin = data.index(b"\x10\x10\x00\x00", place)  # a continuation inside it
    data[begin + 4 : begin + 20] = data[pointer : pointer + 16]
    path.write_bytes(data)
    with pytest.raises(DamagedShardError, match="is used twice"):
        read_index(path)


@pytest.mark.parametrize("content", [b"", b"\x10", b"\x10\x08\0\0", b"\x13\0"])
def test_type_that_is_cut_short_is_refused(path, content):
    data = bytearray(path.read_bytes())
    begin = data.index(b"\x03\x0c\0\x01\x10\x00")  # of the digests, 12 bytes
    data[begin + 1] = len(content)
    data[begin + 4 : begin + 16] = content + b"\0" * (12 - len(content))
    path.write_bytes(data)
    with pytest.raises(DamagedShardError, match="received a damaged file"):
        read_index(path)


MUTATING = """
import random, signal, sys
from pathlib import Path
from pipeline.errors import PipelineError
from pipeline.features.store.reader import checked_shard, read_index
path, target, rng = Path(sys.argv[1]), Path(sys.argv[2]), random.Random(int(sys.argv[3]))
whole = path.read_bytes()
signal.alarm(300)
for number in range(400):
    data = bytearray(whole)
    for _ in range(rng.randint(1, 6)):
        begin = rng.randrange(len(data))
        other = rng.randrange(len(data))
        data[begin : begin + 8] = rng.choice(
            (bytes(8), b"\\xff" * 8, data[other : other + 8], rng.randbytes(8))
        )
    target.write_bytes(data[: rng.choice((len(whole), rng.randrange(len(whole))))])
    try:
        checked_shard(target)
        read_index(target)
    except PipelineError as error:
        assert str(target) in str(error), error
"""


@pytest.mark.parametrize("seed", [0, 1])
def test_mutations_are_one_sentence_each_and_end_no_process(tmp_path, seed):
    cuts = [(f"layer_{i}", "avg") for i in (range(2) if seed else range(12))]
    path, target = written(tmp_path / "whole.h5", cuts, 4), tmp_path / "shard-x.h5"
    call = [sys.executable, "-c", textwrap.dedent(MUTATING), path, target, str(seed)]
    ended = subprocess.run(call, capture_output=True, text=True, cwd=Path(__file__).parents[3])
    assert ended.returncode == 0, ended.stderr


def test_shards_of_two_widths_never_mix(cache):
    wide = features(77)
    wide[A] = np.ones((1, 6), np.float32)
    with cache.writer("tensorflow", {}) as writer:
        writer.add(digests(77), wide)
    with pytest.raises(PipelineError, match=r"one shape of layer_a:avg, received \([56],\) in"):
        cache.refresh()


def test_wider_recipe_of_another_width_does_not_mix(cache):
    narrow = FeatureCache(cache.root, replace(RECIPE, cuts=(A,)))
    with narrow.writer("tensorflow", {}) as writer:
        writer.add(digests(77), {A: np.ones((1, 6), np.float32)})
    with pytest.raises(PipelineError, match="move that one out of the cache"):
        narrow.refresh()


def test_structure_is_looked_at_once(cache, monkeypatch):
    looked = []
    from pipeline.features.store import reader

    look = reader.Structure.check
    monkeypatch.setattr(reader.Structure, "check", lambda self: looked.append(1) or look(self))
    fill(cache, *range(50, 60))
    for _ in range(3):
        cache.read(A, digests(50, 3))
    assert len(looked) == 1
