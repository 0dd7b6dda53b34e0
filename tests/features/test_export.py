import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline.cli.show.store import exported
from pipeline.config import FeaturesConfig
from pipeline.errors import InputError, StoreError, UnknownNameError
from pipeline.features.base import frozen_base
from pipeline.features.export import export_features
from pipeline.features.store import FeatureCache, export
from pipeline.features.store.export import (
    Column,
    Layout,
    Table,
    _lay_out,
    array_column,
    export_table,
    text_column,
)
from pipeline.images import index
from pipeline.images.indexing import index_pool

SUFFIXES = (".h5", ".npz", ".parquet")


@pytest.fixture
def dataset(pictures):
    return index(pictures)


@pytest.fixture(params=["float32", "float16"])
def config(tmp_path, request):
    return FeaturesConfig(
        cache=tmp_path / "features",
        layers="block4,top",
        pooling="none,max",
        image_size=64,
        dtype=request.param,
    )


def make_features(digests, cut):
    """Features that follow from the content: a map, or a vector."""
    shape = (2, 2, 3) if cut[1] == "none" else (5,)
    values = digests[:, 0].astype(np.float32).reshape(-1, *[1] * len(shape))
    return values + np.arange(np.prod(shape), dtype=np.float32).reshape(shape) / 4


@pytest.fixture
def cache(config, dataset):
    cache = FeatureCache(config.cache, frozen_base(config).recipe)
    with cache.writer("openvino", {}) as writer:
        for rows in np.split(np.random.default_rng(0).permutation(len(dataset)), 3):
            digests = dataset.digests[rows]
            writer.add(digests, {cut: make_features(digests, cut) for cut in cache.recipe.cuts})
            writer.flush()
    cache.refresh()
    return cache


@pytest.fixture(params=SUFFIXES)
def out(tmp_path, request):
    if request.param == ".parquet":
        pytest.importorskip("pyarrow")
    return tmp_path / "out" / f"file{request.param}"


def read_back(path):
    """Return every column of a file as arrays, texts as str."""
    if path.suffix == ".h5":
        with h5py.File(path) as file:
            names = [f"X/{name}" for name in file["X"]] + sorted({*file} - {"X", "classes"})
            read = {name: file[name] for name in [*names, "classes"]}
            return {
                name: item.asstr()[:] if item.dtype.kind == "S" else item[:]
                for name, item in read.items()
            }
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    import json

    from pyarrow import parquet

    table = parquet.read_table(path)
    found = {"classes": np.array(json.loads(table.schema.metadata[b"classes"]))}
    for name in table.column_names:
        values = table[name].combine_chunks()
        if hasattr(values, "flatten") and name.startswith("X/"):
            shape = json.loads(table.schema.field(name).metadata[b"shape"])
            found[name] = values.flatten().to_numpy().reshape(-1, *shape)
        else:
            found[name] = values.to_numpy(zero_copy_only=False)
    return found


@pytest.mark.parametrize("block_bytes", [64 << 20, 300])
def test_round_trip(config, dataset, cache, out, monkeypatch, block_bytes):
    monkeypatch.setattr(export, "BLOCK_BYTES", block_bytes)
    result = export_features(config, frozen_base(config), dataset, out)
    found = read_back(out)
    assert found["path"].tolist() == list(dataset.paths)
    assert found["split"].tolist() == dataset.splits.tolist()
    assert found["classes"].tolist() == ["blue", "red"]
    assert found["digest"].tolist() == [digest.tobytes().hex() for digest in dataset.digests]
    np.testing.assert_array_equal(found["y"], dataset.labels)
    layers = ("block4:none", "block4:max", "top:none", "top:max")
    assert tuple(result.layers) == layers
    for name, cut in zip(layers, cache.recipe.cuts, strict=True):
        values = found[f"X/{name}"]
        assert values.dtype == config.dtype
        np.testing.assert_array_equal(values, make_features(dataset.digests, cut))
    assert result.rows == len(dataset)
    assert result.bytes == out.stat().st_size
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_pictures_without_labels_have_none_in_the_file(config, pictures, cache, out, capsys):
    result = export_features(config, frozen_base(config), index_pool(pictures), out)
    found = read_back(out)
    assert not {"y", "split"} & set(found)
    assert len(found["classes"]) == 0
    assert len(found["path"]) == len(found["digest"]) == len(found["X/top:max"]) == result.rows
    exported(result.to_dict())
    assert "with path and digest, " in capsys.readouterr().out


def test_pictures_that_do_not_decode_are_left_out_and_named(config, dataset, out):
    recipe = frozen_base(config).recipe
    cache = FeatureCache(config.cache, recipe)
    with cache.writer("openvino", {}) as writer:
        rest = dataset.digests[1:]
        writer.add(rest, {cut: make_features(rest, cut) for cut in recipe.cuts})
    cache.quarantine({dataset.digests[0].tobytes().hex(): "truncated"})
    result = export_features(config, frozen_base(config), dataset, out)
    assert result.left_out == [{"path": dataset.paths[0], "reason": "truncated"}]
    assert read_back(out)["path"].tolist() == list(dataset.paths[1:])


def test_missing_features_are_one_sentence_and_no_file(config, dataset, out):
    with pytest.raises(StoreError, match="36 are missing: run `pipeline features` first"):
        export_features(config, frozen_base(config), dataset, out)
    assert not out.exists()


def test_existing_file_stays_unless_asked(config, dataset, cache, out):
    out.parent.mkdir()
    out.write_text("mine")
    with pytest.raises(InputError, match=r"expected a new file, .*or use --overwrite"):
        export_features(config, frozen_base(config), dataset, out)
    assert out.read_text() == "mine"
    export_features(config, frozen_base(config), dataset, out, overwrite=True)
    assert len(read_back(out)["y"]) == 36


@pytest.mark.parametrize("config", ["float32"], indirect=True)
@pytest.mark.parametrize("name", ["x.csv", "x", "x.hdf"])
def test_unknown_suffix_is_refused_at_once(config, dataset, tmp_path, name):
    with pytest.raises(UnknownNameError, match=r"unknown kind of file .*\.h5, \.npz, \.parquet"):
        export_features(config, frozen_base(config), dataset, tmp_path / name)


@pytest.mark.parametrize("config", ["float32"], indirect=True)
def test_folder_is_refused_even_with_overwrite(config, dataset, tmp_path):
    (tmp_path / "x.h5").mkdir()
    with pytest.raises(InputError, match="a folder that exists; name another one"):
        export_features(config, frozen_base(config), dataset, tmp_path / "x.h5", overwrite=True)


@pytest.mark.parametrize("config", ["float32"], indirect=True)
def test_parquet_without_pyarrow_says_how_to_get_it(config, dataset, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"pip install 'bottleneck-pipeline\[parquet\]'"):
        export_features(config, frozen_base(config), dataset, tmp_path / "x.parquet")


def table_of(n_rows):
    paths = [f"bild-{row}-ü.png" for row in range(n_rows)]
    values = np.arange(n_rows * 8, dtype=np.float32).reshape(n_rows, 8)
    parts = [array_column("X/top", values), text_column("path", paths)]
    return Table(n_rows, parts, ("a", "ß"), {"recipe": "r"})


@pytest.mark.parametrize("n_rows", [0, 1, 1000])
def test_tables_of_any_length(out, n_rows):
    export_table(out, table_of(n_rows))
    if out.suffix == ".npz":
        with np.load(out) as file:
            assert len(file["X/top"]) == n_rows
            assert file["classes"].tolist() == ["a", "ß"]
            assert file["path"].tolist() == [f"bild-{row}-ü.png" for row in range(n_rows)]
    elif out.suffix == ".h5":
        with h5py.File(out) as file:
            assert file["X/top"].shape == (n_rows, 8)
            assert [name.decode() for name in file["classes"]] == ["a", "ß"]
            assert file.attrs["recipe"] == "r"
            assert file["path"].asstr()[:].tolist() == [f"bild-{i}-ü.png" for i in range(n_rows)]


def test_names_that_are_no_valid_text_are_written_readably(out):
    name = os.fsdecode(b"caf\xe9.png")
    export_table(out, Table(1, [text_column("path", [name])], ("a",), {}))
    if out.suffix == ".npz":
        assert np.load(out)["path"].tolist() == ["caf\\xe9.png"]


def test_disk_that_is_too_small_is_told_before_writing(out, monkeypatch):
    usage = type("Usage", (), {"free": 5 << 20})
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    with pytest.raises(StoreError, match=r"expected \d+ MiB of free space .*received 5 MiB"):
        export_table(out, table_of(100_000))
    assert not out.exists()


@pytest.mark.parametrize("where", [0, 2_000, 100_000, 700_000])
def test_write_that_fails_is_one_sentence_and_leaves_nothing(out, where):
    """In a process of its own: HDF5 would end it."""
    script = """
    import resource, signal, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[2])
    from tests.features.test_export import table_of
    from pipeline.errors import StoreError
    from pipeline.features.store.export import export_table
    table, limit = table_of(20_000), int(sys.argv[3])
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    if sys.argv[1].endswith("parquet"):
        import pyarrow.parquet
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        export_table(Path(sys.argv[1]), table)
    except StoreError as error:
        print(error)
    """
    limit = where if out.suffix != ".parquet" else min(where, 50_000)
    here = str(Path(__file__).resolve().parents[2])
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script), str(out), here, str(limit)],
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    assert "File too large; free some space and start again" in process.stdout
    assert process.stderr == ""
    assert list(out.parent.iterdir()) == []


def test_interruption_leaves_nothing(out):
    table = table_of(10)

    def interrupted(start, stop):
        raise KeyboardInterrupt

    bad = replace(table.columns[0], name="X/more", read=interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_table(out, replace(table, columns=[*table.columns, bad]))
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize("config", ["float32"], indirect=True)
def test_what_people_see(config, dataset, cache, tmp_path, capsys):
    exported(export_features(config, frozen_base(config), dataset, tmp_path / "x.npz").to_dict())
    said = capsys.readouterr().out
    assert "36 rows of X/block4:none 2×2×3, X/block4:max 5," in said


def test_hdf5_file_of_any_size_is_laid_out_in_little_memory():
    n_rows = 10_000_000
    read = table_of(1).columns[0].read
    wide = [Column(f"X/{name}", np.dtype("f4"), (7, 7, 1280), read) for name in ("a", "b", "c")]
    layout = Layout()
    places = _lay_out(layout, Table(n_rows, wide, ("a",), {"recipe": "r"}))
    assert layout.size > 3 * n_rows * 7 * 7 * 1280 * 4
    assert sum(len(piece) for _, piece in layout.pieces) < 20_000
    data = [(place, place + n_rows * 7 * 7 * 1280 * 4) for place in places.values()]
    taken = sorted([*data, *((place, place + len(piece)) for place, piece in layout.pieces[:-2])])
    assert all(end <= begin for (_, end), (begin, _) in pairwise(taken))
