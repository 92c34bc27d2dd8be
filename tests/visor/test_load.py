"""Load of the machine: definitions and test values of hypervisor.md §8, §10 no. 14."""

from pathlib import Path

import pytest

from skywire.visor.load import load_stats

MEMINFO = """MemTotal:        1000 kB
MemFree:          300 kB
MemAvailable:     600 kB
Buffers:           48 kB
Cached:           250 kB
SReclaimable:      50 kB
"""


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "loadavg").write_text("9.43 4.5 1.07 3/512 12345\n")
    (tmp_path / "meminfo").write_text(MEMINFO)
    return tmp_path


def test_the_numbers_are_those_of_the_system_files(proc: Path) -> None:
    stats = load_stats(proc)
    assert (stats.load1, stats.load5, stats.load15) == (9.43, 4.5, 1.07)
    assert stats.mem_used_percent == pytest.approx(35.2)
    assert stats.cpu_cores >= 1
    assert 0 < stats.disk_used_percent <= 100


@pytest.mark.parametrize("text", [None, "", "1 2", "a b c"])
def test_an_unreadable_load_leaves_the_rest(proc: Path, text: str | None) -> None:
    (proc / "loadavg").unlink()
    if text is not None:
        (proc / "loadavg").write_text(text)
    stats = load_stats(proc)
    assert (stats.load1, stats.load5, stats.load15) == (0, 0, 0)
    assert stats.mem_used_percent == pytest.approx(35.2)
    assert stats.disk_used_percent > 0


@pytest.mark.parametrize("text", ["", "MemTotal: 0 kB\n", MEMINFO.replace("Buffers", "B"), "x:\n"])
def test_an_unreadable_memory_leaves_the_rest(proc: Path, text: str) -> None:
    (proc / "meminfo").write_text(text)
    stats = load_stats(proc)
    assert stats.mem_used_percent == 0
    assert stats.load1 == 9.43


def test_a_file_system_that_is_not_there_leaves_the_rest(proc: Path) -> None:
    stats = load_stats(proc, root=str(proc / "none"))
    assert stats.disk_used_percent == 0
    assert stats.load1 == 9.43
