"""Unix sockets as Streams; file permissions are the access control."""

import asyncio
import errno
import os
import socket
import stat

from skywire.errors import Conflict, DialFailed, InvalidValue
from skywire.streams.stream import Address
from skywire.streams.tcp import BACKLOG, SocketListener, SocketStream, listen_error, reason

PROBE_TIMEOUT = 1.0  # seconds to find out whether somebody still listens on an existing socket


async def dial_unix(path: str) -> SocketStream:
    """Raises DialFailed; the caller sets the deadline."""
    remote = Address("unix", path)
    try:
        _, stream = await asyncio.get_running_loop().create_unix_connection(
            lambda: SocketStream(remote), path
        )
    except OSError as error:
        raise DialFailed(f"cannot connect to socket {path}: {reason(error)}") from error
    return stream


async def listen_unix(path: str, mode: int = 0o600) -> SocketListener:
    """Listen on a new socket file with permissions `mode`; it is removed by `close`.

    The file a dead process left behind is replaced. Raises Conflict when a live process listens
    there, or when the path is something else than a socket.
    """
    if "\0" in path:
        raise InvalidValue(f"{path!r} is no path of a socket")
    await _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        os.fchmod(sock.fileno(), mode)  # before bind, so that there is no moment of wider rights
        sock.bind(path)
        sock.listen(BACKLOG)
        status = os.stat(path)
    except OSError as error:
        sock.close()
        raise listen_error(error, f"socket {path}") from error
    return SocketListener(sock, lambda: _remove_own(path, (status.st_dev, status.st_ino)))


async def _remove_stale(path: str) -> None:
    try:
        status = os.lstat(path)
    except OSError:
        return  # nothing there, or `bind` will say why not
    if not stat.S_ISSOCK(status.st_mode):
        raise Conflict(f"{path} exists and is not a socket; remove it or choose another path")
    try:
        async with asyncio.timeout(PROBE_TIMEOUT):
            stream = await dial_unix(path)
    except TimeoutError:
        raise Conflict(f"socket {path} is in use by a program that does not answer") from None
    except DialFailed as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno == errno.ECONNREFUSED:
            _remove_own(path, (status.st_dev, status.st_ino))
            return
        raise Conflict(f"socket {path} exists and cannot be tried: {error}") from error
    stream.abort()
    raise Conflict(f"socket {path} is in use by another program; stop it or choose another path")


def _remove_own(path: str, identity: tuple[int, int]) -> None:
    """Remove `path` if it is still the file with this device and inode."""
    try:
        status = os.lstat(path)
        if (status.st_dev, status.st_ino) == identity:
            os.unlink(path)
    except OSError:
        return
