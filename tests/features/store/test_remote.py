"""A cache that several machines share: two local folders, and a server or a folder between them."""

import json
import logging
import shutil
import threading
from collections import namedtuple
from dataclasses import replace

import fsspec
import h5py
import numpy as np
import pytest

from pipeline.cli import run
from pipeline.config import FeaturesConfig, FinetuneConfig, to_dict
from pipeline.errors import InputError, StoreError
from pipeline.features.store import FeatureCache
from pipeline.features.store.remote import RemoteCache
from pipeline.features.store.remote_folder import FILE_SYSTEMS, OBJECT_STORES, RemoteFolder
from pipeline.features.store.writer import ShardWriter
from pipeline.finetune.settings import maps_config
from pipeline.system.files import canonical_json
from tests.conftest import write_picture
from tests.stored import RECIPE, A, B, assert_holds, digests, features, fill, shard_of

BASE = ["--backbone", "MobileNet(alpha=0.25)", "--weights", "none", "--image-size", "32"]
Request = namedtuple("Request", "method path query")


class ObjectStore:
    """An S3 server of our own, which notes every request."""

    def __init__(self):
        from moto.server import ThreadedMotoServer

        self.requests = []
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        self.address = "http://{}:{}".format(*self._server.get_host_and_port())
        application = self._server._server.app

        def noted(environ, start_response):
            values = (environ[name] for name in ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING"))
            self.requests.append(Request(*values))
            return application(environ, start_response)

        self._server._server.app = noted

    def puts(self):
        return [one for one in self.requests if one.method in ("PUT", "POST", "DELETE")]

    def stop(self):
        self._server.stop()


@pytest.fixture(scope="module")
def store():
    pytest.importorskip("s3fs")
    pytest.importorskip("moto")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ObjectStore()
    yield server
    server.stop()


@pytest.fixture
def bucket(store, monkeypatch, tmp_path):
    """A fresh bucket; the credentials come from the environment, as everywhere."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": store.address,
    }.items():
        monkeypatch.setenv(name, value)
    system = fsspec.filesystem("s3")
    name = f"bucket{abs(hash(tmp_path))}"
    system.mkdir(name)
    store.requests.clear()
    return f"s3://{name}"


@pytest.fixture
def memory():
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


@pytest.fixture(params=["s3", "file", "memory"])
def url(request, tmp_path):
    """Every kind of storage that can be had here."""
    if request.param == "s3":
        return f"{request.getfixturevalue('bucket')}/features"
    if request.param == "file":
        return f"file://{tmp_path}/shared/features"
    request.getfixturevalue("memory")
    return "memory://shared/features"


@pytest.fixture
def warnings():
    """What is told as a warning, whoever has set up logging before."""
    told = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: told.append(record.getMessage())
    logger = logging.getLogger("pipeline")
    logger.addHandler(handler)
    yield told
    logger.removeHandler(handler)


@pytest.fixture
def folder(tmp_path):
    """The remote folder of a recipe on a file system, and its URL's."""
    return tmp_path / "shared" / RECIPE.id


@pytest.fixture
def machine(tmp_path):
    """Makes the local cache of a machine."""

    def make(name, recipe=RECIPE):
        return FeatureCache(tmp_path / name, recipe, set_aside_damaged=True)

    return make


def exchange(cache, url):
    remote = RemoteCache(url, cache.root)
    came = remote.exchange([cache.recipe])
    cache.refresh()
    return came


def shared(tmp_path):
    return f"file://{tmp_path}/shared"


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_two_machines_have_the_union(url, machine):
    one, two = machine("one"), machine("two")
    fill(one, 1, 2)
    fill(two, 2, 3)
    assert not exchange(one, url)
    assert exchange(two, url)
    assert exchange(one, url)
    for cache in (one, two):
        assert_holds(cache, 1, 2, 3)
    assert files(one.folder) == files(two.folder)
    assert not exchange(one, url)


def test_it_has_the_layout_of_a_cache(tmp_path, machine):
    one = machine("one")
    fill(one, 1, 2)
    exchange(one, shared(tmp_path))
    assert_holds(machine("shared"), 1, 2)
    assert files(machine("shared").folder) == files(one.folder)


def test_what_is_fetched_is_bit_for_bit_what_was_sent(url, machine):
    one, two = machine("one"), machine("two")
    fill(one, *range(300))
    exchange(one, url)
    exchange(two, url)
    assert shard_of(one).read_bytes() == shard_of(two).read_bytes()


def test_wider_recipe_is_fetched_and_sent(url, machine):
    wide, narrow = machine("one"), machine("one", replace(RECIPE, cuts=(A,)))
    fill(wide, 1)
    exchange(narrow, url)
    other = machine("two", replace(RECIPE, cuts=(B,)))
    exchange(other, url)
    np.testing.assert_array_equal(other.read(B, digests(1)), features(1)[B])


@pytest.mark.parametrize("change", [{"image_size": 64}, {"cuts": (A,)}, {"backbone": "VGG19"}])
def test_recipes_that_do_not_serve_are_not_fetched(tmp_path, machine, change):
    one, two = machine("one", replace(RECIPE, **change)), machine("two")
    with one.writer("tensorflow", {}) as writer:
        rows = features(1)
        writer.add(digests(1), {cut: rows[cut] for cut in one.recipe.cuts})
    exchange(one, shared(tmp_path))
    assert not exchange(two, shared(tmp_path))
    assert not two.folder.exists()


def test_quarantine_is_shared(url, machine):
    one, two = machine("one"), machine("two")
    one.quarantine({digests(7)[0].tobytes().hex(): "truncated"})
    exchange(one, url)
    exchange(two, url)
    assert two.reason(digests(7)[0].tobytes()) == "truncated"


def test_shards_are_sent_when_they_are_finished(url, machine):
    one, two = machine("one"), machine("two")
    remote = RemoteCache(url, one.root)
    remote.exchange([RECIPE])
    with ShardWriter(one.folder, RECIPE, "tensorflow", {}, remote.send) as writer:
        for number in (1, 2):
            writer.add(digests(number), features(number))
            writer.flush()
        writer._wait()
        exchange(two, url)
        assert_holds(two, 1, 2)


def test_object_store_sees_one_put_of_each_file_and_no_other_name(store, bucket, machine):
    one = machine("one")
    fill(one, 1, 2)
    exchange(one, f"{bucket}/features")
    root = f"/{bucket.removeprefix('s3://')}/features/{RECIPE.id}"
    expected = [("PUT", f"{root}/{name}", "") for name in ("recipe.json", shard_of(one).name)]
    assert [tuple(request) for request in store.puts()] == expected


def test_file_system_is_given_a_temporary_name_then_renamed(tmp_path, machine, folder, monkeypatch):
    one, steps = machine("one"), []
    fill(one, 1)
    system = type(fsspec.filesystem("file"))
    pipe, move = system.pipe_file, system.mv

    def noted_pipe(self, path, value, **options):
        pipe(self, path, value, **options)
        steps.append(("write", path, files(folder)))

    def noted_move(self, path, to, **options):
        steps.append(("move", path, to))
        move(self, path, to, **options)

    monkeypatch.setattr(system, "pipe_file", noted_pipe)
    monkeypatch.setattr(system, "mv", noted_move)
    exchange(one, shared(tmp_path))
    assert [step[0] for step in steps] == ["write", "move"] * 2
    for written, moved, name in zip(
        steps[::2], steps[1::2], ("recipe.json", shard_of(one).name), strict=True
    ):
        assert written[1] == moved[1]
        assert written[1].startswith(f"{folder}/.tmp-")
        assert moved[2] == f"{folder}/{name}"
        assert name not in written[2]
    assert files(folder) == files(one.folder)


def test_write_that_fails_leaves_nothing_on_a_file_system(tmp_path, machine, folder, monkeypatch):
    one = machine("one")
    exchange(one, shared(tmp_path))
    fill(one, 1)
    monkeypatch.setattr(type(fsspec.filesystem("file")), "mv", fails("disk on fire"))
    remote = RemoteCache(shared(tmp_path), one.root)
    remote.exchange([RECIPE])
    assert files(folder) == ["recipe.json"]


def fails(reason):
    def fail(*arguments, **options):
        raise OSError(5, reason)

    return fail


def test_interrupted_fetch_leaves_nothing_half_and_goes_on(tmp_path, machine, monkeypatch):
    one, two = machine("one"), machine("two")
    for number in (1, 2, 3):
        fill(one, number)
    exchange(one, shared(tmp_path))
    read, n_read = RemoteFolder.read, []

    def interrupted(self, path):
        n_read.append(path)
        if len(n_read) == 3:  # the recipe, a shard, and then this
            raise KeyboardInterrupt
        return read(self, path)

    with monkeypatch.context() as patched:
        patched.setattr(RemoteFolder, "read", interrupted)
        with pytest.raises(KeyboardInterrupt):
            exchange(two, shared(tmp_path))
    assert len(files(two.folder)) == 2
    exchange(two, shared(tmp_path))
    assert_holds(two, 1, 2, 3)


def test_connection_lost_while_fetching_is_one_sentence(tmp_path, machine, monkeypatch):
    one, two = machine("one"), machine("two")
    fill(one, 1)
    exchange(one, shared(tmp_path))
    system = type(fsspec.filesystem("file"))
    cat, lost = system.cat_file, fails("connection lost")
    monkeypatch.setattr(
        system, "cat_file", lambda self, path: (cat if "recipe" in path else lost)(self, path)
    )
    with pytest.raises(StoreError, match=r"cannot read file://.*shard-.*: connection lost; check"):
        exchange(two, shared(tmp_path))
    assert not two.folder.exists()


def halve(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    data = bytearray(path.read_bytes())
    place = data.index(features(5)[B].tobytes())
    data[place] ^= 1
    path.write_bytes(data)


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [halve, flip, empty])
def test_damaged_shard_is_refused_and_told_once(tmp_path, machine, folder, warnings, damage):
    one, two = machine("one"), machine("two")
    fill(one, 5)
    exchange(one, shared(tmp_path))
    fill(one, 6)
    exchange(one, shared(tmp_path))
    (bad,) = (path for path in folder.glob("shard-*.h5") if damages(path, damage, 5, machine))
    exchange(two, shared(tmp_path))
    assert two.has(digests(5, 6)).tolist() == [False, True]
    assert len(warnings) == 1
    assert f"1 file of {shared(tmp_path)} cannot be used, first {shared(tmp_path)}" in warnings[0]
    assert bad.name in warnings[0]
    assert ".tmp-" not in warnings[0]
    assert not [name for name in files(two.folder) if name.startswith((".tmp", "damaged"))]


def damages(path, damage, number, machine):
    """Damage the shard if it is the one that holds a number."""
    from pipeline.features.store.reader import read_index

    if not (read_index(path).digests == digests(number)).all():
        return False
    damage(path)
    return True


def test_damaged_local_shard_is_fetched_again_and_never_sent(tmp_path, machine, folder):
    one = machine("one")
    fill(one, 5)
    exchange(one, shared(tmp_path))
    flip(shard_of(one))
    exchange(machine("one"), f"file://{tmp_path}/another")
    assert not list((tmp_path / "another").glob("*/shard-*"))
    halve(shard_of(one))
    again = machine("one")
    assert not again.has(digests(5)).any()
    exchange(again, shared(tmp_path))
    assert_holds(again, 5)


def test_shard_of_another_recipe_is_refused(tmp_path, machine, folder, warnings):
    other, two = machine("one", replace(RECIPE, image_size=64)), machine("two")
    fill(other, 1)
    folder.mkdir(parents=True)
    shutil.copy(shard_of(other), folder)
    exchange(two, shared(tmp_path))
    assert not two.has(digests(1)).any()
    assert "it is of another recipe, VGG16-" in warnings[0]


def test_shard_of_other_shapes_is_refused(tmp_path, machine, folder, warnings):
    two, three = machine("two"), machine("three")
    fill(two, 2)
    wide = features(3)
    wide[A] = np.ones((1, 6), np.float32)
    with three.writer("tensorflow", {}) as writer:
        writer.add(digests(3), wide)
    exchange(three, shared(tmp_path))
    exchange(two, shared(tmp_path))
    assert two.has(digests(2, 3)).tolist() == [True, False]
    assert "its rows have other shapes than those that are here" in warnings[0]


def test_shard_of_another_structure_is_refused(tmp_path, machine, folder, warnings):
    one, two = machine("one"), machine("two")
    fill(one, 1)
    exchange(one, shared(tmp_path))
    (path,) = folder.glob("shard-*.h5")
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        file["features/more"] = h5py.ExternalLink("/etc/hostname", "/x")
    exchange(two, shared(tmp_path))
    assert not two.has(digests(1)).any()
    assert "a link that leads elsewhere, which no shard has" in warnings[0]
    assert not list(two.folder.glob("*shard-*"))


def test_names_that_are_not_ours_are_left_alone(tmp_path, machine, folder):
    one, two = machine("one"), machine("two")
    fill(one, 1)
    exchange(one, shared(tmp_path))
    for name in (".tmp-0-shard-1.h5", "notes.txt", "damaged-shard-1.h5"):
        (folder / name).write_bytes(b"?")
        (one.folder / f"own-{name}").write_bytes(b"?")
    exchange(two, shared(tmp_path))
    exchange(one, shared(tmp_path))
    assert files(two.folder) == ["recipe.json", shard_of(one).name]
    assert not list(folder.glob("own-*"))


@pytest.mark.parametrize("text", ["{", "other", "newer"])
def test_recipe_that_is_not_that_of_its_folder_is_refused(tmp_path, machine, folder, text):
    one, two = machine("one"), machine("two")
    fill(one, 1)
    exchange(one, shared(tmp_path))
    path = folder / "recipe.json"
    value = json.loads(path.read_text())
    change = {"other": {"image_size": 64}, "newer": {"format_version": 99}}.get(text)
    path.write_text(text if change is None else canonical_json({**value, **change}))
    with pytest.raises(StoreError, match=r"expected the recipe of VGG16-.* remove that file there"):
        exchange(two, shared(tmp_path))
    assert not two.folder.exists()
    path.unlink()
    exchange(two, shared(tmp_path))
    assert_holds(two, 1)


def test_failed_send_is_told_once_and_made_good_by_the_next_run(
    url, machine, monkeypatch, warnings
):
    one, two = machine("one"), machine("two")
    remote = RemoteCache(url, one.root)
    remote.exchange([RECIPE])
    tried = []

    def full(path, data, **options):
        tried.append(path)
        raise OSError(28, "no room")

    with monkeypatch.context() as patched:
        patched.setattr(remote._folder._system, "pipe_file", full)
        with ShardWriter(one.folder, RECIPE, "tensorflow", {}, remote.send) as writer:
            for number in (1, 2):
                writer.add(digests(number), features(number))
                writer.flush()
        assert len(tried) == 1  # each try may take minutes
        remote.send_missing([RECIPE])
    assert len(tried) == 2
    assert len(warnings) == 1
    assert "no room; check --remote-cache" in warnings[0]
    assert warnings[0].endswith("what is computed is kept here, the next run sends it")
    exchange(two, url)
    assert not two.has(digests(1, 2)).any()
    exchange(one, url)
    exchange(two, url)
    for cache in (one, two):
        assert_holds(cache, 1, 2)


def test_failure_that_passes_is_made_good_at_the_end_of_the_run(tmp_path, machine, monkeypatch):
    one, two = machine("one"), machine("two")
    remote = RemoteCache(shared(tmp_path), one.root)
    remote.exchange([RECIPE])
    with monkeypatch.context() as patched:
        patched.setattr(remote._folder._system, "pipe_file", fails("no room"))
        with ShardWriter(one.folder, RECIPE, "tensorflow", {}, remote.send) as writer:
            writer.add(digests(1), features(1))
    remote.send_missing([RECIPE])
    exchange(two, shared(tmp_path))
    assert_holds(two, 1)


def test_machines_at_the_same_time_have_the_union(url, machine):
    caches = [machine(f"m{i}") for i in range(3)]

    def work(number):
        remote = RemoteCache(url, caches[number].root)
        remote.exchange([RECIPE])
        with ShardWriter(caches[number].folder, RECIPE, "tensorflow", {}, remote.send) as writer:
            for part in range(3):
                writer.add(digests(10 * number + part), features(10 * number + part))
                writer.flush()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = machine("last")
    exchange(last, url)
    assert_holds(last, *(10 * number + part for number in range(3) for part in range(3)))


def test_bucket_that_is_not_there_is_one_sentence(bucket, machine):
    with pytest.raises(StoreError, match=r"cannot write s3://nobucket/f/.*NoSuchBucket.*; check"):
        exchange(machine("one"), "s3://nobucket/f")


def test_place_that_cannot_be_reached_is_one_sentence(tmp_path, machine):
    (tmp_path / "shared").write_text("no folder")
    with pytest.raises(StoreError, match="expected a folder, received a file: file://"):
        exchange(machine("one"), shared(tmp_path))
    with pytest.raises(StoreError, match=r"cannot list file://.*/below: Not a directory; check"):
        exchange(machine("one"), f"{shared(tmp_path)}/below")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("nonsense://x/y", r"one of s3, .* hdfs before ://, received remote_cache=nonsense://x/y"),
        ("https://me:pass@x/y", "received remote_cache=https://me@x/y"),
        ("/mnt/features", "as a URL with one of .*, received remote_cache=/mnt/features"),
        ("memory://", "expected a folder, as in s3://bucket/features, received"),
    ],
)
def test_url_that_is_of_no_use(tmp_path, wrong, words):
    with pytest.raises(InputError, match=words):
        RemoteCache(wrong, tmp_path)


@pytest.mark.parametrize(("scheme", "package"), [("gs", "gcsfs"), ("sftp", "paramiko")])
def test_missing_package_is_named(tmp_path, monkeypatch, scheme, package):
    def missing(url):
        raise ImportError(f"Please install {package}")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(InputError, match=rf"which is not installed: pip install {package}$"):
        RemoteCache(f"{scheme}://place/features", tmp_path)


def test_password_is_shown_and_saved_nowhere(tmp_path, monkeypatch):
    url = "sftp://me:s3cret@host/features"

    def refused(url):
        raise OSError(f"login of {url} failed")

    monkeypatch.setattr("fsspec.core.url_to_fs", refused)
    with pytest.raises(StoreError, match="cannot reach sftp://me@host/features") as caught:
        RemoteCache(url, tmp_path)
    assert "s3cret" not in str(caught.value)
    assert to_dict(FeaturesConfig(remote_cache=url))["remote_cache"] == "sftp://me@host/features"


def test_every_file_system_renames_and_no_object_store_does():
    """What fsspec does for a move: one call of the file system, or a copy and a deletion."""
    from fsspec import AbstractFileSystem

    for name in FILE_SYSTEMS:
        try:
            kind = fsspec.get_filesystem_class(name)
        except ImportError:
            continue
        assert kind.mv is not AbstractFileSystem.mv
    assert fsspec.get_filesystem_class("memory").mv is AbstractFileSystem.mv
    assert not OBJECT_STORES.keys() & FILE_SYSTEMS.keys()


def test_finetune_hands_it_on(tmp_path):
    changed = namedtuple("Changed", "view")(None)
    base = namedtuple("Base", "precision")("float32")
    config = FinetuneConfig(remote_cache="memory://x", cache=tmp_path)
    assert maps_config(config, base, changed).remote_cache == "memory://x"


@pytest.fixture
def data(tmp_path):
    """Two classes of 8 pictures, and one that cannot be decoded."""
    root = tmp_path / "data"
    for i in range(16):
        write_picture(root / "ab"[i % 2] / f"{i}.png", i, hue=i % 2)
    (root / "b" / "broken.png").write_bytes(b"no picture")
    return root


def answer(capsys, name, data, cache, url, *flags):
    capsys.readouterr()
    command = [name, str(data), *BASE, "--cache", str(cache), "--remote-cache", url, *flags]
    assert run([*command, "--json"]) == 0, capsys.readouterr().err
    told = capsys.readouterr()
    return json.loads(told.out), told.err


def test_second_machine_computes_nothing(tmp_path, data, bucket, capsys, monkeypatch):
    url, one, two = f"{bucket}/features", tmp_path / "one", tmp_path / "two"
    first, told = answer(capsys, "features", data, one, url, "--views", "1")
    assert (first["computed"], first["computed_views"], first["views"]) == (16, 13, 13)
    assert "sent 2 shards (" in told
    monkeypatch.setattr("pipeline.features.passes.open_engine", fails("nothing to compute"))
    second, told = answer(capsys, "features", data, two, url, "--views", "1")
    assert (second["computed"], second["reused"], second["views"]) == (0, 16, 13)
    assert second["failed"] == first["failed"]
    assert "fetched 2 shards (" in told
    assert url in told
    for path in one.glob("MobileNet*/shard-*"):
        assert (two / path.relative_to(one)).read_bytes() == path.read_bytes()
    value, _ = answer(
        capsys, "classify", data, tmp_path / "three", url, "--heads", "ridge", "--folds", "2",
        "--runs", str(tmp_path / "runs"),
    )  # fmt: skip
    assert value["data"]["computed"] == 0
    check, _ = answer(capsys, "check", data, tmp_path / "four", url)
    assert check["classes"]


def test_halves_on_two_machines_make_the_whole(tmp_path, data, capsys, memory, monkeypatch):
    url, halves = "memory://shared/features", [tmp_path / "half0", tmp_path / "half1"]
    for number, half in enumerate(halves):
        shutil.copytree(data, half)
        for path in half.glob("*/*.png"):
            if path.stem.isdigit() and int(path.stem) // 8 != number:
                path.unlink()
        value, _ = answer(capsys, "features", half, tmp_path / f"m{number}", url)
        assert value["computed"] == 8
    assert answer(capsys, "features", data, tmp_path / "m2", url)[0]["computed"] == 0


def test_unreachable_remote_stops_before_anything_is_computed(tmp_path, data, capsys):
    (tmp_path / "shared").write_text("no folder")
    command = ["features", str(data), *BASE, "--cache", str(tmp_path / "one")]
    capsys.readouterr()
    assert run([*command, "--remote-cache", f"{shared(tmp_path)}/x"]) == 2
    assert "pipeline: cannot list file://" in capsys.readouterr().err
    assert not list((tmp_path / "one").glob("*/shard-*"))


def test_run_goes_on_where_nothing_can_be_sent(tmp_path, data, capsys, memory, monkeypatch):
    memory.pipe_file("/shared/features/notes.txt", b"it is there")
    monkeypatch.setattr(type(memory), "pipe_file", fails("read only"))
    value, told = answer(capsys, "features", data, tmp_path / "one", "memory://shared/features")
    assert value["computed"] == 16
    assert told.count("read only") == 1
    monkeypatch.undo()
    value, told = answer(capsys, "features", data, tmp_path / "one", "memory://shared/features")
    assert value["computed"] == 0
    assert "sent 1 shard (" in told
