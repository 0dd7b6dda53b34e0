"""Pictures inside Parquet files, as data-set hubs write them."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.config import DataConfig
from pipeline.errors import DataError, InputError
from pipeline.images import index, scan
from pipeline.images.find import open_reader
from pipeline.images.sources import opened_files, sent_files
from pipeline.images.tables import parquet

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

N = 40


def bytes_of(number):
    return b"\xff\xd8picture %d" % number


def hub(path, numbers=range(N), names=str, classes=("cat", "dog"), group_size=7, **columns):
    """Write pictures with their labels; ``names`` makes the paths beside them."""
    pictures = [{"bytes": bytes_of(i), "path": names(i) and f"{names(i):0>4}.jpg"} for i in numbers]
    labels = [i % 2 for i in numbers]
    values = {"image": pa.array(pictures), "label": pa.array(labels), **columns}
    about = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": classes}}
    described = {"huggingface": json.dumps({"info": {"features": about}})} if classes else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(values).replace_schema_metadata(described)
    pq.write_table(table, path, row_group_size=group_size)
    return path


def test_pictures_and_names_of_classes(tmp_path):
    dataset = index(hub(tmp_path / "pets.parquet"))
    assert dataset.paths == tuple(f"{i:04}.jpg" for i in range(N))
    assert dataset.classes == ("cat", "dog")
    assert dataset.labels.tolist() == [0, 1] * (N // 2)
    assert [dataset.read(row) for row in range(N)] == list(map(bytes_of, range(N)))
    assert dataset.reading.columns == {"path": "image", "label": "label"}
    assert dataset.digest == index(hub(tmp_path / "b.parquet", names=lambda i: None)).digest


def test_names_of_pictures(tmp_path):
    assert scan(hub(tmp_path / "a.parquet", names=lambda i: "")).paths[3] == "row-000003"
    same = scan(hub(tmp_path / "b.parquet", names=lambda i: "x"))
    assert same.paths[3] == "row-000003-000x.jpg"
    assert same.files.read("row-000003-000x.jpg") == bytes_of(3)


def test_names_in_another_order(tmp_path, monkeypatch):
    path = hub(tmp_path / "a.parquet", names=lambda i: str(i * 7 % N))
    source = scan(path)
    assert source.paths[:2] == ("0000.jpg", "0001.jpg")
    assert source.files.read("0007.jpg") == bytes_of(1)
    monkeypatch.setattr(parquet, "CACHE_BYTES", 10)
    assert scan(path).paths[:2] == ("row-000000-0000.jpg", "row-000001-0007.jpg")


def test_any_order_within_bounds(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "CACHE_BYTES", 100)
    for group_size in (1, 7, 1000):
        path = hub(tmp_path / f"{group_size}.parquet", range(200), group_size=group_size)
        column = parquet.PictureColumn(str(path), "image")
        rows = [(i * 67) % 200 for i in range(200)]
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(column.read, rows)) == list(map(bytes_of, rows))
        column.read(150)
        assert column._n_kept == sum(len(data) for data in column._kept.values()) <= 100


def test_labels_without_names_and_plain_bytes(tmp_path):
    assert index(hub(tmp_path / "a.parquet", classes=None)).classes == ("0", "1")
    values = {"photo": [bytes_of(i) for i in range(N)], "breed": ["cat", "dog"] * (N // 2)}
    pq.write_table(pa.table(values), tmp_path / "b.parquet")
    plain = index(tmp_path / "b.parquet")
    assert plain.classes == ("cat", "dog")
    assert plain.read(5) == bytes_of(5)


def test_a_label_that_is_not_told(tmp_path):
    label = pa.array([-1] + [0, 1] * 19 + [0])
    with pytest.raises(DataError, match="expected a label in row 0 of"):
        scan(hub(tmp_path / "a.parquet", label=label))


def test_a_row_without_a_picture(tmp_path):
    pictures = [{"bytes": None if i == 3 else bytes_of(i), "path": None} for i in range(N)]
    dataset = index(hub(tmp_path / "a.parquet", image=pa.array(pictures)))
    assert dataset.unreadable == (("row-000003", "No picture in this row"),)


def test_columns_beside_the_pictures(tmp_path):
    columns = {
        "image_id": [f"x{i}" for i in range(N)],
        "split": ["train", "train", "test", "test"] * (N // 4),
        "box": [[1.0, 2.0]] * N,
        "mask": [{"bytes": bytes_of(i), "path": None} for i in range(N)],
    }
    dataset = index(hub(tmp_path / "a.parquet", **columns))
    assert dataset.given_splits
    assert dataset.read(2) == bytes_of(2)
    photo = {"photo": columns["mask"]}
    with pytest.raises(InputError, match="--path-column image or --path-column photo"):
        scan(hub(tmp_path / "b.parquet", **photo))
    assert len(scan(tmp_path / "b.parquet", DataConfig(path_column="photo")).paths) == N
    with pytest.raises(
        InputError, match=r"expected no root with .*, which holds the pictures thems"
    ):
        scan(tmp_path / "a.parquet", DataConfig(root=str(tmp_path)))


def test_texts_that_are_written_as_bytes_and_paths_in_a_struct(tmp_path):
    for i in range(4):
        (tmp_path / f"{i}.jpg").write_bytes(bytes_of(i))
    names = [f"{i}.jpg" for i in range(4)]
    labels = ["cat", "cat", "dog", "dog"]
    pq.write_table(
        pa.table({"path": [n.encode() for n in names], "label": labels}), tmp_path / "a.parquet"
    )
    assert index(tmp_path / "a.parquet").read(1) == bytes_of(1)
    structs = pa.array([{"bytes": None, "path": name} for name in names])
    pq.write_table(pa.table({"image": structs, "label": labels}), tmp_path / "b.parquet")
    assert index(tmp_path / "b.parquet").read(1) == bytes_of(1)


def test_digests_are_remembered_while_the_file_is_the_same(tmp_path, monkeypatch):
    path = hub(tmp_path / "a.parquet", range(300))
    monkeypatch.setattr("pipeline.images.identity.LOCAL_SETTLE_NS", -(10**12))
    first = index(path, memory=tmp_path / "memory")
    reads = []
    real = parquet.ParquetFiles.read
    monkeypatch.setattr(
        parquet.ParquetFiles, "read", lambda self, name: reads.append(name) or real(self, name)
    )
    assert index(path, memory=tmp_path / "memory").digest == first.digest
    assert reads == []
    hub(path, range(1, 301))
    assert index(path, memory=tmp_path / "memory").digest != first.digest
    assert len(reads) == 300


def test_workers_and_reports_read_them_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = scan(hub(tmp_path / "a.parquet").name)
    sent = json.loads(json.dumps(sent_files(source.files, source.paths[3:5])))
    monkeypatch.chdir("/")
    files = opened_files(sent)
    assert [files.read(path) for path in source.paths[3:5]] == [bytes_of(3), bytes_of(4)]
    assert open_reader(source.location)("0003.jpg") == bytes_of(3)


@pytest.mark.parametrize(
    ("files", "prefix"),
    [
        ({"train": "data/train-00000-of-00001", "test": "data/test-00000-of-00001"}, "data/"),
        ({"train": "train-0", "test": "test-0"}, ""),
        ({"train": "train/0000", "test": "test/0000"}, ""),
    ],
)
def test_shards_in_a_folder(tmp_path, files, prefix):
    hub(tmp_path / f"{files['train']}.parquet", range(20), names=lambda i: "")
    hub(tmp_path / f"{files['test']}.parquet", range(20, 30), names=lambda i: "")
    (tmp_path / "README.md").write_text("about")
    dataset = index(tmp_path)
    assert dataset.counts()["splits"] == {"train": 20, "test": 10}
    assert dataset.paths[0] == f"{files['test']}.parquet/row-000000"
    assert dataset.read(0) == bytes_of(20)
    assert dataset.reading.sentence == (
        "splits: test → test, train → train; path from column 'image'; label from column 'label'"
    )
    assert open_reader(str(tmp_path))(dataset.paths[0]) == bytes_of(20)
    sent = sent_files(dataset.files, dataset.paths[-1:])
    assert opened_files(sent).read(dataset.paths[-1]) == bytes_of(19)


def test_shards_without_splits_and_of_other_columns(tmp_path):
    hub(tmp_path / "part-0.parquet", range(20), names=lambda i: "")
    hub(tmp_path / "part-1.parquet", range(20, 40), names=lambda i: "")
    assert not index(tmp_path).given_splits
    pq.write_table(pa.table({"a": [1]}), tmp_path / "meta.parquet")
    with pytest.raises(
        InputError, match=r"tables of the same columns .*give one of them by its fil"
    ):
        scan(tmp_path)


def test_behind_a_url(tmp_path):
    memory = pytest.importorskip("fsspec").filesystem("memory")
    memory.pipe_file("/far/a.parquet", hub(tmp_path / "a.parquet").read_bytes())
    dataset = index("memory://far/a.parquet")
    assert dataset.files.waits
    assert dataset.read(9) == bytes_of(9)
    memory.rm("/", recursive=True)


def test_a_file_that_is_cut_off_after_it_was_listed(tmp_path):
    path = hub(tmp_path / "a.parquet", range(2000))
    source = scan(path)
    with path.open("r+b") as file:
        file.write(b"\0" * (path.stat().st_size - 40_000))
    with pytest.raises(OSError, match="Damaged Parquet file"):
        source.files.read(source.paths[5])
