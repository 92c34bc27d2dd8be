"""Ends what the demo started, to the last process.

A part may have started shells in sessions of their own, and those their jobs; a signal to one
process group does not reach them, and one that lost its parent has no known ancestor either. So
each process of a demo carries a mark in its environment; one that dropped it is found by descent.
"""

import os
from collections.abc import Collection, Iterable
from contextlib import suppress

import psutil

MARK = "SKYWIRE_DEMO"  # environment variable; its value tells one demo from another
KILL_LIMIT = 0.5  # seconds; longer only for a process inside a system call
_ROUNDS = 3  # looks for processes that were started while others were being killed


def find(mark: str, pids: Iterable[int] = ()) -> set[psutil.Process]:
    """Every running process with this mark, the processes `pids`, and all below them."""
    found = {process for process in psutil.process_iter() if _has_mark(process, mark)}
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            found.add(psutil.Process(pid))
    for process in tuple(found):
        with suppress(psutil.NoSuchProcess):
            found.update(process.children(recursive=True))
    return found


def kill(mark: str, known: Collection[psutil.Process] = ()) -> None:
    """SIGKILL all processes with this mark, and the `known` ones; return when they are gone.

    psutil compares start times, so a process id used again is never hit.
    """
    remaining = {*known, *find(mark)}
    for _ in range(_ROUNDS):
        for process in remaining:
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                process.kill()
        psutil.wait_procs(remaining, timeout=KILL_LIMIT)
        if not (remaining := find(mark)):
            break


def _has_mark(process: psutil.Process, mark: str) -> bool:
    if process.pid == os.getpid():
        return False
    try:
        return bool(process.environ().get(MARK) == mark)
    except (psutil.Error, OSError):  # ended meanwhile, or somebody else's
        return False
