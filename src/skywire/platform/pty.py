"""Pseudo-terminals: a program on a new one, its size, who is in the foreground."""

import fcntl
import os
import struct
import termios
from collections.abc import Mapping, Sequence

from skywire.errors import Unavailable
from skywire.platform.processes import Child, spawn

_WINSIZE = struct.Struct("@HHHH")  # rows, columns, width and height in pixels


def spawn_on_terminal(
    name: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    size: tuple[int, int, int, int] | None = None,
) -> tuple[int, Child]:
    """Start `name` with a new terminal as its controlling one: (master descriptor, child).

    The master is non-blocking and the caller's to close. `size` is (rows, columns, x, y), set
    before the program runs. The child's pid is its process group and session too. Raises as
    `spawn` does.
    """
    try:
        master, slave = os.openpty()
    except OSError as error:
        raise Unavailable(f"no pseudo-terminal: {os.strerror(error.errno or 0)}") from error
    try:
        if size is not None:
            set_size(master, size)
        os.set_blocking(master, False)
        # A session leader without a terminal that opens one gets it as its controlling terminal.
        terminal = (os.POSIX_SPAWN_OPEN, 0, os.ttyname(slave), os.O_RDWR, 0)
        copies = [(os.POSIX_SPAWN_DUP2, 0, 1), (os.POSIX_SPAWN_DUP2, 0, 2)]
        child = spawn(name, arguments, environment, [terminal, *copies])
    except BaseException:
        os.close(master)
        raise
    finally:
        os.close(slave)  # so that the master sees the end of the last program
    return master, child


def set_size(terminal: int, size: tuple[int, int, int, int]) -> None:
    """(rows, columns, x, y), 0 to 65535 each; the foreground programs get SIGWINCH on a change."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, _WINSIZE.pack(*size))


def get_size(terminal: int) -> tuple[int, int, int, int]:
    rows, columns, x, y = _WINSIZE.unpack(
        fcntl.ioctl(terminal, termios.TIOCGWINSZ, bytes(_WINSIZE.size))
    )
    return rows, columns, x, y


def foreground_group(master: int) -> int:
    """The process group that gets the terminal's keys; 0 when there is none.

    An interactive shell gives each foreground job a group of its own.
    """
    try:
        return max(0, os.tcgetpgrp(master))
    except OSError:
        return 0
