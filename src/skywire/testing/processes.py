"""What tests ask the process table."""

import os
from pathlib import Path


def alive(pid: int) -> bool:
    """It runs, and is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat[stat.rindex(b")") + 2 :][:1] not in (b"Z", b"X")


def children() -> list[int]:
    """Our own children, zombies included."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_bytes()
            except OSError:
                continue
            if int(stat[stat.rindex(b")") + 2 :].split()[1]) == os.getpid():
                found.append(int(entry.name))
    return found


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
