"""What a container leaves to this process."""

import pytest

from pipeline.system import machine


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A made-up /sys and /proc: 8 GiB available, in a group with a limit of 2 GiB."""
    own = tmp_path / "groups" / "own"
    own.mkdir(parents=True)
    (tmp_path / "cgroup").write_text("0::/own\n")
    (tmp_path / "meminfo").write_text("MemTotal: 16777216 kB\nMemAvailable:    8388608 kB\n")
    monkeypatch.setattr(machine, "CGROUPS", tmp_path / "groups")
    monkeypatch.setattr(machine, "OWN_CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(machine, "MEMORY_INFO", tmp_path / "meminfo")
    return own


def test_memory_without_a_limit(system):
    assert machine.available_memory() == 8 << 30
    (system / "memory.max").write_text("max\n")
    assert machine.available_memory() == 8 << 30


def test_memory_that_holds_files_is_available(system):
    (system / "memory.max").write_text(f"{2 << 30}\n")
    (system / "memory.current").write_text(f"{2 << 30}\n")
    stat = f"anon {1 << 29}\nactive_file {1 << 29}\ninactive_file {1 << 30}\n"
    (system / "memory.stat").write_text(stat)
    assert machine.available_memory() == 3 << 29


def test_memory_is_never_below_nothing(system):
    (system.parent / "memory.max").write_text("1000\n")
    (system.parent / "memory.current").write_text("5000\n")
    assert machine.available_memory() == 0


def test_system_that_does_not_say(system, tmp_path):
    (tmp_path / "meminfo").unlink()
    assert machine.available_memory() is None
