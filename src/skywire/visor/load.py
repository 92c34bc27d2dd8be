"""How busy this machine is. Source: hypervisor.md §8 (definitions for Linux)."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from skywire.visor.types import LoadStats

PROC = Path("/proc")
_T = TypeVar("_T")


def load_stats(proc: Path = PROC, root: str = "/") -> LoadStats:
    """Collected afresh; a metric that cannot be read is 0 and does not disturb the others.

    70 µs, and nothing that waits for a disk: a thread would take longer to wake up.
    """
    stats = LoadStats(cpu_cores=os.cpu_count() or 0)
    stats.load1, stats.load5, stats.load15 = _or(lambda: _load_averages(proc), (0.0, 0.0, 0.0))
    stats.mem_used_percent = _or(lambda: _memory_used(proc), 0.0)
    stats.disk_used_percent = _or(lambda: _disk_used(root), 0.0)
    return stats


def _or(read: Callable[[], _T], fallback: _T) -> _T:
    try:
        return read()
    except (OSError, ValueError, LookupError, ZeroDivisionError):
        return fallback


def _load_averages(proc: Path) -> tuple[float, float, float]:
    one, five, fifteen = (float(word) for word in (proc / "loadavg").read_text().split()[:3])
    return one, five, fifteen


def _memory_used(proc: Path) -> float:
    """100 x (total - free - buffers - cached) / total, cached including reclaimable slab."""
    values: dict[str, int] = {}
    for line in (proc / "meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        values[name] = int(rest.split()[0])
    total = values["MemTotal"]
    cached = values["Cached"] + values.get("SReclaimable", 0)
    return 100 * (total - values["MemFree"] - values["Buffers"] - cached) / total


def _disk_used(root: str) -> float:
    """100 x used / (used + available to an ordinary user), as `df` shows it."""
    disk = os.statvfs(root)
    used = disk.f_blocks - disk.f_bfree
    return 100 * used / (used + disk.f_bavail)
