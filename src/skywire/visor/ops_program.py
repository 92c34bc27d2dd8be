"""The visor's process: what it uses, and its config without secrets. Ours.

The reference of 2026 has HTTP routes of these names, whose forms are not known here.
"""

import asyncio
import os
import platform
import resource
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec

from skywire import __version__
from skywire.config.check import without_secrets
from skywire.config.document import plain
from skywire.operations import operation
from skywire.wire.gob_types import FLOAT, INT, STRING, Go

if TYPE_CHECKING:
    from skywire.visor.visor import Visor

STATUS, FILES = Path("/proc/self/status"), Path("/proc/self/fd")


@dataclass(slots=True)
class RuntimeStats:
    """Memory in bytes; 0 for what cannot be read. `cpu_s`: seconds of processor time so far."""

    version: Annotated[str, Go("Version", STRING)] = ""
    python: Annotated[str, Go("Python", STRING)] = ""
    system: Annotated[str, Go("System", STRING)] = ""
    pid: Annotated[int, Go("PID", INT)] = 0
    uptime_s: Annotated[float, Go("Uptime", FLOAT)] = 0.0
    memory: Annotated[int, Go("Memory", INT)] = 0
    memory_peak: Annotated[int, Go("MemoryPeak", INT)] = 0
    cpu_s: Annotated[float, Go("CPU", FLOAT)] = 0.0
    threads: Annotated[int, Go("Threads", INT)] = 0
    tasks: Annotated[int, Go("Tasks", INT)] = 0
    files: Annotated[int, Go("Files", INT)] = 0


@operation(rpc="RuntimeStats", http="GET /visors/{pk}/runtime-stats")
async def runtime_stats(visor: "Visor") -> RuntimeStats:
    """What the visor's process uses: memory, processor time, threads, open files."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return RuntimeStats(
        version=f"v{__version__}",
        python=platform.python_version(),
        system=platform.system(),
        pid=os.getpid(),
        uptime_s=visor.uptime(),
        memory=_memory(),
        memory_peak=used.ru_maxrss * 1024,
        cpu_s=used.ru_utime + used.ru_stime,
        threads=threading.active_count(),
        tasks=len(asyncio.all_tasks()),
        files=_open_files(),
    )


def _memory() -> int:
    try:
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass  # no such file on this system
    return 0


def _open_files() -> int:
    try:
        return len(os.listdir(FILES))
    except OSError:
        return 0


@operation(rpc="RuntimeConfig", http="GET /visors/{pk}/runtime-config")
async def runtime_config(visor: "Visor") -> bytes:
    """The config that the visor runs with, as JSON; secrets are replaced."""
    return msgspec.json.encode(without_secrets(plain(visor.config)))
