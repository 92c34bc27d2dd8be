"""Ends process trees, and finds the processes that a tree left behind.

A part of the demo may have started shells in sessions of their own, and those their jobs; a signal
to one process group does not reach them. They are found by descent instead: once before the part
ends, and again afterwards among those that lost their parent (`adopt_orphans`).
"""

import ctypes
import os
import sys
from collections.abc import Collection, Iterable
from contextlib import suppress

import psutil

KILL_LIMIT = 0.5  # seconds; longer only for a process inside a system call
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def adopt_orphans(on: bool) -> None:
    """Descendants whose parent dies become our children, not init's. Linux only; else no effect."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0)


def with_descendants(pids: Iterable[int]) -> list[psutil.Process]:
    """The processes `pids` that still run, and everything below them."""
    found: dict[int, psutil.Process] = {}
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            found[pid] = process
            found.update((child.pid, child) for child in process.children(recursive=True))
    return list(found.values())


def own_descendants() -> set[psutil.Process]:
    """All processes below this one; dead children nobody waits for are reaped on the way."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                found.add(process)
            elif process.ppid() == os.getpid():
                with suppress(ChildProcessError):
                    os.waitpid(process.pid, os.WNOHANG)
    return found


def kill(processes: Collection[psutil.Process]) -> None:
    """SIGKILL, and wait until they are gone (`KILL_LIMIT` at most); our own children are reaped.

    psutil compares start times, so a process id used again is never hit.
    """
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=KILL_LIMIT)
