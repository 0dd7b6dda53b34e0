"""Real ends: killed processes, full disks, folders that go away."""

import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from pipeline.errors import StoreError
from pipeline.features.store import FeatureCache
from tests.stored import RECIPE, assert_holds, digests, features

ROOT = str(Path(__file__).resolve().parents[3])
BEGIN = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.stored import RECIPE, assert_holds, digests, features, fill
from pipeline.errors import StoreError
from pipeline.features.store import FeatureCache
cache = FeatureCache(Path(sys.argv[1]), RECIPE)
"""


def child(script, folder):
    return [sys.executable, "-c", BEGIN + textwrap.dedent(script), str(folder), ROOT]


def printed(script, folder, *, before=()):
    process = subprocess.run([*before, *child(script, folder)], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    return process.stdout


FILLING = """
print("ready", flush=True)
number = len(cache)
while True:
    with cache.writer("tensorflow", {}) as writer:
        for start in range(number, number + 50, 10):
            numbers = range(start, start + 10)
            writer.add(digests(*numbers), features(*numbers))
    number += 50
"""


def test_sigkill_at_any_instant_leaves_only_whole_shards(tmp_path):
    """Each process goes on where the one before was killed; nothing half is ever seen."""
    rng, done = random.Random(0), 0
    for _ in range(6):
        process = subprocess.Popen(child(FILLING, tmp_path), stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "ready\n"
        while len(list(tmp_path.glob("*/shard-*.h5"))) < done // 50 + 3:
            assert process.poll() is None
            time.sleep(0.002)
        time.sleep(rng.random() * 0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        cache = FeatureCache(tmp_path, RECIPE)
        assert len(cache) >= done + 150
        assert len(cache) % 50 == 0
        assert_holds(cache, *range(len(cache)))
        done = len(cache)
    assert not list(cache.folder.glob("damaged-*"))


def test_limit_on_file_size_says_so_and_leaves_nothing_half(tmp_path):
    """The same error path of write as a full disk has."""
    script = """
    fill(cache, 1)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    try:
        fill(cache, *range(5000))
    except StoreError as error:
        print(error)
    """
    said = printed(script, tmp_path)
    assert "cannot write" in said
    assert "free some space and start again, what is finished stays" in said
    cache = FeatureCache(tmp_path, RECIPE)
    assert len(cache) == 1
    assert cache.has(digests(1)).all()
    assert not list(cache.folder.glob(".tmp-*"))


def small_disk(folder, size):
    """Return what runs a command on a file system of its own, or skip where that is not allowed."""
    mount = f'mount -t tmpfs -o size={size} none "{folder}" && exec "$@"'
    before = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
    try:
        subprocess.run([*before, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be made here without privileges")
    return before


def test_full_disk_keeps_the_cache_and_goes_on_when_there_is_room(tmp_path):
    script = """
    fill(cache, *range(50))
    ballast = Path(sys.argv[1]) / "ballast"
    ballast.write_bytes(bytes(900_000))
    try:
        fill(cache, *range(3000))
    except StoreError as error:
        print(error)
    cache.refresh()
    assert len(cache) == 50 and not list(cache.folder.glob(".tmp-*"))
    assert_holds(cache, *range(50))
    ballast.unlink()
    fill(cache, *range(50, 3000))
    assert_holds(cache, *range(3000))
    print("went on")
    """
    said = printed(script, tmp_path, before=small_disk(tmp_path, "1m"))
    assert "No space left on device; free some space and start again" in said
    assert "went on" in said


def test_disk_that_becomes_read_only_is_one_sentence(tmp_path):
    script = """
    import subprocess
    fill(cache, 1)
    with_writer = cache.writer("tensorflow", {})
    subprocess.run(["mount", "-o", "remount,ro", sys.argv[1]], check=True)
    try:
        with with_writer as writer:
            writer.add(digests(2), features(2))
    except StoreError as error:
        print(error)
    cache.refresh()
    assert_holds(cache, 1)
    """
    said = printed(script, tmp_path, before=small_disk(tmp_path, "1m"))
    assert "Read-only file system; name another folder or make this one writable" in said


def test_folder_replaced_by_a_file_is_one_sentence(tmp_path):
    cache = FeatureCache(tmp_path / "cache", RECIPE)
    with pytest.raises(StoreError, match=r"cannot write .*what is finished stays"):
        fill_while_replaced(cache)


def fill_while_replaced(cache):
    with cache.writer("tensorflow", {}) as writer:
        writer.add(digests(1), features(1))
        (cache.folder / "recipe.json").unlink()
        cache.folder.rmdir()
        cache.folder.write_text("somebody else's")
