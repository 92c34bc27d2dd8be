"""What an app may call at its visor, as net/rpc methods. Source: apps.md §3.2."""

from collections.abc import Callable
from typing import Any

from skywire.appkit.connection import Connection, Deadline
from skywire.appkit.proc import Proc
from skywire.appkit.types import (
    AcceptResp,
    Addr,
    DeadlineReq,
    DialResp,
    IoError,
    ReadReq,
    ReadResp,
    WriteReq,
    WriteResp,
)
from skywire.crypto.keys import NULL_KEY
from skywire.errors import InvalidValue, StreamClosed, StreamError
from skywire.rpc.server import Method
from skywire.streams.stream import Address
from skywire.wire.gob_types import EMPTY, INT64, STRING, UINT16, GoType

CLOSED_PIPE = "io: read/write on closed pipe"  # Go's texts, which apps take apart
EOF = IoError("EOF", is_net=True)
TIMEOUT = IoError("timeout", is_net=True, is_timeout=True, is_temporary=True)


def methods(proc: Proc) -> dict[str, Method]:
    """By their full names, which begin with the key of `proc`."""
    calls = _Calls(proc)
    table: dict[str, tuple[GoType, GoType, Callable[[Any], Any], bool]] = {
        "SetDetailedStatus": (STRING, EMPTY, proc.set_status, False),
        "SetConnectionDuration": (INT64, EMPTY, calls.set_connection_seconds, False),
        "SetError": (STRING, EMPTY, proc.set_error, False),
        "SetAppPort": (UINT16, EMPTY, calls.set_port, False),
        "Dial": (Addr, DialResp, calls.dial, True),
        "Listen": (Addr, UINT16, calls.listen, False),
        "Accept": (UINT16, AcceptResp, calls.accept, True),
        "Read": (ReadReq, ReadResp, calls.read, True),
        "Write": (WriteReq, WriteResp, calls.write, False),
        "CloseConn": (UINT16, EMPTY, proc.close_connection, False),
        "CloseListener": (UINT16, EMPTY, proc.close_listener, False),
        "SetDeadline": (DeadlineReq, EMPTY, calls.set_deadline, False),
        "SetReadDeadline": (DeadlineReq, EMPTY, calls.set_read_deadline, False),
        "SetWriteDeadline": (DeadlineReq, EMPTY, calls.set_write_deadline, False),
    }
    return {
        f"{proc.key}.{name}": Method(argument, reply, handler, for_peer=for_peer)
        for name, (argument, reply, handler, for_peer) in table.items()
    }


class _Calls:
    def __init__(self, proc: Proc) -> None:
        self._proc = proc

    def set_connection_seconds(self, seconds: int) -> None:
        self._proc.connection_seconds = seconds

    def set_port(self, port: int) -> None:
        self._proc.port = port

    async def dial(self, remote: Addr) -> DialResp:
        number, connection = await self._proc.dial(
            Address(remote.net, str(remote.pk), remote.port, remote.pk)
        )
        return DialResp(number, connection.stream.local.port)

    def listen(self, local: Addr) -> int:
        number, _ = self._proc.listen(local.net, local.port)
        return number

    async def accept(self, listener: int) -> AcceptResp:
        number, connection = await self._proc.accept(self._proc.listeners.get(listener))
        remote = connection.stream.remote
        return AcceptResp(Addr(remote.network, remote.pk or NULL_KEY, remote.port), number)

    async def read(self, request: ReadReq) -> ReadResp:
        connection = self._proc.connections.get(request.conn_id)
        if request.size < 1:
            raise InvalidValue(f"a read of {request.size} bytes, expected 1 or more")
        try:
            data = await connection.read(request.size)
        except (StreamError, TimeoutError) as error:
            return ReadResp(error=io_error(connection, error))
        return ReadResp(data, len(data)) if data else ReadResp(error=EOF)

    async def write(self, request: WriteReq) -> WriteResp:
        connection = self._proc.connections.get(request.conn_id)
        try:
            await connection.write(request.data)
        except (StreamError, TimeoutError) as error:
            return WriteResp(error=io_error(connection, error))
        return WriteResp(len(request.data))

    def set_deadline(self, request: DeadlineReq) -> None:
        connection = self._proc.connections.get(request.conn_id)
        self._set(request, connection.read_deadline, connection.write_deadline)

    def set_read_deadline(self, request: DeadlineReq) -> None:
        self._set(request, self._proc.connections.get(request.conn_id).read_deadline)

    def set_write_deadline(self, request: DeadlineReq) -> None:
        self._set(request, self._proc.connections.get(request.conn_id).write_deadline)

    @staticmethod
    def _set(request: DeadlineReq, *deadlines: Deadline) -> None:
        for deadline in deadlines:
            deadline.set(request.deadline)


def io_error(connection: Connection, error: Exception) -> IoError:
    """As Go would put it."""
    if isinstance(error, TimeoutError):
        return TIMEOUT
    if isinstance(error, StreamClosed):
        return IoError(CLOSED_PIPE)
    connection.error = connection.reason(error)
    return IoError(connection.error or "unexpected EOF")
