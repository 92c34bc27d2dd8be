"""What the operating system allows this process."""

import sys

UNKNOWN_FILES = 512  # what Windows' C library gives a process


def open_files() -> int:
    """How many files and sockets may be open at one time."""
    if sys.platform == "win32":
        return UNKNOWN_FILES
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft
