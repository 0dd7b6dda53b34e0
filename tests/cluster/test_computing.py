"""Features and searches on workers: equal to those of one process, whatever dies meanwhile."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli import run
from pipeline.cluster import checks, connection, flight, worker
from pipeline.cluster.batches import Batches
from pipeline.cluster.local import CPUS, visible_gpus, worker_count, worker_options
from pipeline.config import FeaturesConfig
from pipeline.errors import ClusterError
from pipeline.features import Caches, find_work, resolve
from pipeline.features.store.reader import read_index, read_rows
from pipeline.images import index
from pipeline.runs import list_runs
from tests.conftest import write_picture

BASE = ["--backbone", "MobileNet(alpha=0.25)", "--weights", "none", "--image-size", "32"]
HERE = Path(__file__).resolve().parent


class Cluster:
    """A scheduler and workers, each a process of its own."""

    def __init__(self, folder, n_workers=2):
        folder.mkdir(exist_ok=True)
        file = folder / "scheduler.json"
        self.scheduler = self._start("scheduler", "--port", "0", "--scheduler-file", str(file))
        while not file.exists():
            time.sleep(0.05)
        self.address = json.loads(file.read_text())["address"]
        options = ["--nthreads", "1", "--nworkers", str(n_workers), "--local-directory"]
        preload = ["--preload", str(HERE / "worker_preload.py")]
        self.workers = self._start("worker", self.address, *options, str(folder), *preload)

    def _start(self, name, *options):
        command = [sys.executable, "-m", "dask", name, "--no-dashboard", *options]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        # Two decoding threads each, so that slow pictures are equally slow on any machine.
        environment = {**os.environ, "LOKY_MAX_CPU_COUNT": "2"}
        return subprocess.Popen(command, **quiet, env=environment, start_new_session=True)

    def kill(self):
        for process in (self.workers, self.scheduler):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    started = Cluster(tmp_path_factory.mktemp("cluster"))
    yield started
    started.kill()


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The converted base, made once for all tests."""
    root = tmp_path_factory.mktemp("models")
    write_picture(root / "data" / "a" / "0.png", 0)
    write_picture(root / "data" / "b" / "1.png", 1)
    for seed in range(2, 8):
        write_picture(root / "data" / "ab"[seed % 2] / f"{seed}.png", seed)
    assert run(["features", str(root / "data"), *BASE, "--cache", str(root), "--quiet"]) == 0
    return root / "models"


@pytest.fixture
def data(tmp_path):
    """Two classes of 40 small pictures; one is there twice, one cannot be decoded."""
    root = tmp_path / "data"
    for i in range(80):
        write_picture(root / "ab"[i % 2] / f"{i}.png", i, hue=i % 2)
    shutil.copy(root / "a" / "0.png", root / "a" / "copy.png")
    (root / "b" / "broken.png").write_bytes(b"no picture")
    return root


def features(data, cache, models, *flags):
    """Return the arguments of stage 1 on a cache that has the converted base."""
    cache.mkdir(exist_ok=True)
    if not (cache / "models").exists():
        (cache / "models").symlink_to(models)
    return ["features", str(data), *BASE, "--cache", str(cache), *flags]


def answer(capsys, arguments, code=0):
    capsys.readouterr()
    assert run([*arguments, "--json"]) == code, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def refusal(capsys, arguments):
    capsys.readouterr()
    assert run(arguments) == 2
    return capsys.readouterr().err


def content(cache):
    """Return every row of a cache: {(recipe folder, digest, view): bytes of its features}."""
    rows = {}
    for path in cache.glob("*/shard-*.h5"):
        found = read_index(path)
        cuts = found.shard.recipe.cuts
        everything = np.arange(found.shard.n_rows)
        columns = [read_rows(found.shard, cut, everything) for cut in cuts]
        for row, (digest, view) in enumerate(zip(found.digests, found.views, strict=True)):
            key = (path.parent.name, digest.tobytes(), int(view))
            value = b"".join(column[row].tobytes() for column in columns)
            assert rows.setdefault(key, value) == value
    return rows


def slow_pictures(root, n):
    for i in range(n):
        write_picture(root / "ab"[i % 2] / f"slow-{i}.png", i, size=8)
    return root


def worker_ids(cluster):
    """Return the process ids of the workers that the scheduler knows."""
    with connection.connected(cluster.address) as workers:
        return list(workers.client.run(os.getpid).values())


def running(group):
    """Return the processes of a group that have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            found += [path] if int(fields[2]) == group and fields[0] != "Z" else []
    return found


@pytest.mark.parametrize("flags", [(), ("--views", "2"), ("--layers", "block1,top")])
def test_features_are_those_of_one_process_bit_for_bit(
    cluster, data, models, tmp_path, capsys, flags
):
    alone = answer(capsys, features(data, tmp_path / "alone", models, *flags))
    places = (data, tmp_path / "shared", models, "--cluster", cluster.address)
    shared = answer(capsys, features(*places, *flags))
    assert content(tmp_path / "shared") == content(tmp_path / "alone")
    for name in ("recipe", "computed", "computed_views", "views", "copies", "failed", "engine"):
        assert shared[name] == alone[name], name
    assert shared["workers"] == 2


def test_workers_of_this_machine(data, models, tmp_path, capsys):
    before = dict(os.environ)
    value = answer(capsys, features(data, tmp_path / "ours", models, "--cluster", "local:2"))
    assert (value["computed"], value["workers"]) == (80, 2)
    ours = {name: value for name, value in os.environ.items() if not name.startswith("__DASK")}
    assert ours == {name: before[name] for name in ours}  # thread limits were for the workers
    assert set(before) <= set(os.environ)
    answer(capsys, features(data, tmp_path / "alone", models))
    assert content(tmp_path / "ours") == content(tmp_path / "alone")


def test_pictures_that_cannot_be_decoded_are_remembered(cluster, data, models, tmp_path, capsys):
    command = features(data, tmp_path / "cache", models, "--cluster", cluster.address)
    first = answer(capsys, command)
    assert [failure["path"] for failure in first["failed"]] == ["b/broken.png"]
    again = answer(capsys, command)
    assert (again["computed"], again["workers"]) == (0, None)
    assert again["failed"] == first["failed"]


def test_only_what_is_missing_is_computed(cluster, data, models, tmp_path, capsys):
    command = features(data, tmp_path / "cache", models, "--cluster", cluster.address)
    answer(capsys, command)
    whole = content(tmp_path / "cache")
    lost = next((tmp_path / "cache").glob("*/shard-*.h5"))
    n_lost = read_index(lost).shard.n_rows
    lost.unlink()
    assert answer(capsys, command)["computed"] == n_lost
    assert content(tmp_path / "cache") == whole


def test_archive_and_table(cluster, data, models, tmp_path, capsys):
    shutil.make_archive(str(tmp_path / "zipped"), "zip", data)
    rows = [f"data/{path.relative_to(data)},{path.parent.name}" for path in data.rglob("*.png")]
    (tmp_path / "table.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    for source in ("zipped.zip", "table.csv"):
        cache = tmp_path / f"cache-{source}"
        command = features(tmp_path / source, cache, models, "--cluster", cluster.address)
        assert answer(capsys, command)["computed"] == 80
    assert content(tmp_path / "cache-zipped.zip") == content(tmp_path / "cache-table.csv")


def test_workers_killed_three_times(cluster, models, tmp_path, capsys):
    data = slow_pictures(tmp_path / "data", 900)
    answer(capsys, features(data, tmp_path / "alone", models))
    killed = []

    def kill():
        while not list((tmp_path / "cache").glob("*/recipe.json")):
            time.sleep(0.02)
        for _ in range(3):
            killed.append(worker_ids(cluster)[0])
            os.kill(killed[-1], signal.SIGKILL)
            time.sleep(1.5)

    killer = threading.Thread(target=kill)
    command = features(data, tmp_path / "cache", models, "--cluster", cluster.address)
    killer.start()
    value = answer(capsys, command)
    assert len(killed) == len(set(killed)) == 3, "the run was over too soon to be disturbed"
    killer.join()
    assert (value["computed"], value["failed"]) == (900, [])
    assert content(tmp_path / "cache") == content(tmp_path / "alone")


def test_picture_that_ends_its_worker_is_named_and_the_others_are_computed(
    cluster, models, tmp_path, capsys
):
    data = slow_pictures(tmp_path / "data", 7)
    write_picture(data / "a" / "deadly.png", 99, size=8)
    with (data / "a" / "deadly.png").open("ab") as file:
        file.write(b"deadly")
    value = answer(capsys, features(data, tmp_path / "cache", models, "--cluster", cluster.address))
    assert [failure["path"] for failure in value["failed"]] == ["a/deadly.png"]
    assert "workers died while computing it" in value["failed"][0]["reason"]
    assert value["computed"] == 7


def test_scheduler_that_is_killed_ends_the_run_and_the_next_goes_on(
    models, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 3)
    data = slow_pictures(tmp_path / "data", 900)
    own = Cluster(tmp_path / "own", n_workers=1)
    died = []

    def kill():
        while not list((tmp_path / "cache").glob("*/shard-*.h5")):
            time.sleep(0.02)
        own.kill()
        died.append(time.monotonic())

    killer = threading.Thread(target=kill)
    killer.start()
    said = refusal(
        capsys, features(data, tmp_path / "cache", models, "--cluster", own.address, "--quiet")
    )
    killer.join()
    assert time.monotonic() - died[0] < 20
    assert "received no answer for 3 seconds" in said
    assert "what is finished stays, start again" in said
    kept = len(content(tmp_path / "cache"))
    assert 0 < kept < 900
    went_on = answer(capsys, features(data, tmp_path / "cache", models))
    assert went_on["computed"] == 900 - kept


def test_interruption_leaves_a_whole_cache_and_no_process(models, tmp_path):
    data = slow_pictures(tmp_path / "data", 300)
    flags = ("--cluster", "local:1", "--batch-size", "1")
    command = [sys.executable, "-m", "pipeline", *features(data, tmp_path / "cache", models)]
    process = subprocess.Popen(
        [*command, *flags], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while not list((tmp_path / "cache").glob("*/recipe.json")):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
    said = process.communicate(timeout=60)[1]
    assert process.returncode in (0, 130)
    assert "Traceback" not in said
    assert "distributed" not in said
    deadline = time.monotonic() + 10
    while running(process.pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not list((tmp_path / "cache").glob(".tmp-*"))
    assert run(["verify", "--cache", str(tmp_path / "cache"), "--quiet"]) == 0


def test_task_that_is_done_twice_is_harmless(data, models, tmp_path, capsys):
    features(data, tmp_path / "cache", models)
    config = FeaturesConfig(
        backbone=BASE[1], weights="none", image_size=32, cache=tmp_path / "cache"
    )
    base = resolve(config)
    dataset, caches = index(data), Caches(config, base)
    with checks.token_in(config.cache) as token:
        job = {
            "config": worker.sent_config(config),
            "base": base.to_dict(),
            "recipe": base.recipe.digest,
            "versions": worker.installed(),
            "token": token,
        }
        work = find_work(config, dataset, caches.clean, None)
        batches = Batches(job, dataset, work, row_bytes=4, n_workers=1)
        batch = batches.arguments(batches.next(0))[1]
        sent = json.loads(json.dumps(job))  # plain values: what is sent has no classes of ours
        results = [worker.compute_batch(sent, batch) for _ in range(2)]
    assert [result["pictures"] for result in results] == [80, 80]
    assert len(list((tmp_path / "cache").glob("*/shard-*.h5"))) == 2
    assert len(content(tmp_path / "cache")) == 80
    assert answer(capsys, features(data, tmp_path / "cache", models))["computed"] == 0


def test_search_finds_the_same(cluster, data, models, tmp_path, capsys):
    answer(capsys, features(data, tmp_path / "cache", models, "--layers", "block1,block2"))

    def searched(name, *flags):
        common = ["--cache", str(tmp_path / "cache"), "--layers", "block1,block2", "--tune"]
        runs = ["--runs", str(tmp_path / name), "--heads", "ridge", "--folds", "2"]
        answer(capsys, ["classify", str(data), *BASE, *common, *runs, *flags])
        found = {one.name: (one.selection, one.test) for one in list_runs(tmp_path / name)}
        units = {path.name for path in (tmp_path / name / ".search").iterdir()}
        return found, units

    assert searched("shared", "--cluster", cluster.address) == searched("alone")


@pytest.mark.parametrize(
    "text", ["local:0", "local:-1", "local:two", "tcp://", "tcp://host", "foo", "http://a:1"]
)
def test_cluster_that_is_none_is_refused(tmp_path, capsys, text):
    said = refusal(capsys, ["features", str(tmp_path), "--cluster", text])
    assert "expected cluster as local, local:N with N from 1 to 999, or a Dask scheduler" in said
    assert f"received cluster={text}" in said


def test_missing_extra_is_named(data, models, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    said = refusal(capsys, features(data, tmp_path / "cache", models, "--cluster", "local:2"))
    assert "pip install 'bottleneck-pipeline[cluster]'" in said


def test_scheduler_that_does_not_answer(data, models, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 1)
    flags = ("--cluster", "tcp://127.0.0.1:9", "--quiet")
    said = refusal(capsys, features(data, tmp_path / "cache", models, *flags))
    assert said.startswith("pipeline: expected a Dask scheduler at tcp://127.0.0.1:9, received no")
    assert "within 1 seconds; start one with `dask scheduler`" in said
    assert said.count("\n") == 1


def test_cache_that_workers_do_not_see_is_refused(
    cluster, data, models, tmp_path, capsys, monkeypatch
):
    leave = checks.atomic_path

    def elsewhere(path):
        return leave(tmp_path / "elsewhere" / path.name)

    monkeypatch.setattr(checks, "atomic_path", elsewhere)
    command = features(data, tmp_path / "cache", models, "--cluster", cluster.address)
    said = refusal(capsys, command)
    assert f"expected the cache {tmp_path / 'cache'} on every worker, tcp://" in said
    assert "does not see it: No such file or directory; name a folder on a file system" in said
    assert content(tmp_path / "cache") == {}


def test_pictures_that_workers_do_not_see_are_refused(
    cluster, data, models, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(checks, "sent_files", lambda files, paths: {"kind": "local", "where": "/"})
    command = features(data, tmp_path / "cache", models, "--cluster", cluster.address)
    said = refusal(capsys, command)
    assert f"expected the pictures of {data} on every worker, tcp://" in said
    assert "No such file or directory; put them on a file system that all share" in said


def test_workers_with_other_versions_are_refused(
    cluster, data, models, tmp_path, capsys, monkeypatch
):
    theirs = worker.installed()
    monkeypatch.setattr(checks, "installed", theirs.copy)  # asked of the workers by its name
    monkeypatch.setattr(checks, "_asked", lambda *_: {"tcp://other:1": {**theirs, "numpy": "1.0"}})
    command = features(data, tmp_path / "cache", models, "--cluster", cluster.address)
    said = refusal(capsys, command)
    assert f"received numpy 1.0 instead of {theirs['numpy']} from tcp://other:1" in said


def test_every_gpu_has_a_worker_of_its_own():
    options = worker_options(2, ("0", "GPU-5a"), range(8), 8)
    assert [one["resources"] for one in options] == [{"GPU": 1}, {"GPU": 1}]
    assert [one["env"]["CUDA_VISIBLE_DEVICES"] for one in options] == ["0", "GPU-5a"]
    assert [one["env"][CPUS] for one in options] == ["0,1,2,3", "4,5,6,7"]
    beyond = worker_options(3, ("0", "1"), range(8), 8)[2]
    assert (beyond["resources"], beyond["env"]["CUDA_VISIBLE_DEVICES"]) == ({}, "-1")


def test_workers_without_gpus_share_the_cores():
    options = worker_options(3, (), range(8), 8)
    assert [one["env"][CPUS] for one in options] == ["0,1", "2,3,4", "5,6,7"]
    assert all("CUDA_VISIBLE_DEVICES" not in one["env"] for one in options)
    assert all(one["env"]["OMP_NUM_THREADS"] == "2" for one in options)
    crowd = worker_options(3, (), [4, 6], 2)
    assert [one["env"][CPUS] for one in crowd] == ["4", "6", "4"]


def test_number_of_workers():
    assert worker_count(3, ("0",), 16) == 3
    assert worker_count(None, ("0", "1"), 16) == 2
    assert worker_count(None, (), 16) == 4
    assert worker_count(None, (), 2) == 1


@pytest.mark.parametrize(
    ("variable", "expected"),
    [(None, ("0", "1", "2")), ("1,0", ("1", "0")), ("", ()), ("-1", ()), ("GPU-5a", ("GPU-5a",))],
)
def test_gpus_are_those_that_may_be_used(tmp_path, variable, expected):
    (tmp_path / "dev").mkdir()
    for name in ("nvidia10", "nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / "dev" / name).touch()
    environment = {} if variable is None else {"CUDA_VISIBLE_DEVICES": variable}
    assert visible_gpus(tmp_path, environment) == expected
    assert visible_gpus(tmp_path / "nothing", {}) == ()


def test_gpus_of_containers_are_counted_from_zero(tmp_path):
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/dxg").touch()
    assert visible_gpus(tmp_path, {}) == ("0",)
    (tmp_path / "dev/nvidia3").touch()
    (tmp_path / "dev/nvidia5").touch()
    assert visible_gpus(tmp_path, {}) == ("0", "1")


class Future:
    """Finished from the start."""

    status = "finished"

    def __init__(self, client, value):
        self.client, self.value = client, value
        client.most = max(client.most, len(client.open) + 1)
        client.open.add(self)

    def result(self, timeout):
        return self.value

    def release(self):
        self.client.open.discard(self)


class Client:
    """Does what it is given at once."""

    status = "running"

    def __init__(self, **worker):
        self.open, self.most, self.asked = set(), 0, []
        self.workers = {"tcp://one:1": {"nthreads": 3, "resources": {}, **worker}}

    def scheduler_info(self, n_workers):
        return {"workers": self.workers}

    def cancel(self, futures, force):
        self.open -= set(futures)

    def submit(self, function, *arguments, **options):
        self.asked.append(options["resources"])
        return Future(self, function(*arguments))


class Numbers:
    def __init__(self, n):
        self.waiting = list(range(n))

    def next(self, n_in_flight):
        return self.waiting.pop() if self.waiting else None

    def put_back(self, task):
        raise AssertionError("nothing is lost here")

    def arguments(self, task):
        return (task,)


def test_few_tasks_are_in_flight_however_many_there_are():
    client = Client()
    results = flight.Flight(connection.Workers(client, "test"), str, Numbers(500)).run()
    assert sorted(int(result) for _, result in results) == list(range(500))
    assert client.most == 3 * flight.AHEAD
    assert not client.open
    assert set(map(str, client.asked)) == {"None"}


def test_where_workers_hold_gpus_tasks_ask_for_one():
    client = Client(resources={"GPU": 1})
    assert len(list(flight.Flight(connection.Workers(client, "t"), str, Numbers(9)).run())) == 9
    assert client.most == flight.AHEAD
    assert client.asked[0] == {"GPU": 1}


def test_workers_that_are_gone_for_long_are_given_up(monkeypatch):
    monkeypatch.setattr(flight, "IDLE_SECONDS", 0.2)
    monkeypatch.setattr(flight, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(Future, "status", "pending")
    client = Client()
    client.workers = {}
    with pytest.raises(ClusterError, match=r"all are gone for 0.2 seconds; start some, what is"):
        list(flight.Flight(connection.Workers(client, "test"), str, Numbers(9)).run())
    assert not client.open


@pytest.mark.parametrize("views", [0, 3])
def test_batches_hold_every_picture_once(data, tmp_path, views):
    config = FeaturesConfig(backbone=BASE[1], weights="none", cache=tmp_path / "c", views=views)
    dataset, caches = index(data), Caches(config, resolve(config))
    work = find_work(config, dataset, caches.clean, caches.viewed)
    batches = Batches({}, dataset, work, row_bytes=32 << 18, n_workers=2)
    found = []
    while (batch := batches.next(0)) is not None:
        found.append(batch)
        batches.tell(len(batch), len(batch) * 0.5)
    assert np.concatenate([batch.rows for batch in found]).tolist() == work.rows.tolist()
    assert [one for batch in found for one in batch.views] == work.views
    assert all(len(batch) <= 4 or len(batch.rows) == 1 for batch in found)  # 32 MiB
    copies = np.concatenate([batch.copies for batch in found])
    assert [dataset.paths[row] for row in copies] == ["a/copy.png"]


def test_batch_is_divided_until_one_picture_is_left(data, tmp_path):
    config = FeaturesConfig(backbone=BASE[1], weights="none", cache=tmp_path / "cache")
    dataset, caches = index(data), Caches(config, resolve(config))
    batches = Batches({}, dataset, find_work(config, dataset, caches.clean, None), 4, 1)
    whole = batches.next(0)
    assert batches.next(0) is None
    batches.divide(whole)
    parts = []
    while (part := batches.next(1)) is not None:
        parts.append(part)
    assert sorted(row for part in parts for row in part.rows) == whole.rows.tolist()
    assert max(len(part) for part in parts) == 11
    batches.suspect(parts[0])
    assert batches.next(1) is None  # only when nothing else is in flight
    assert batches.next(0).alone
