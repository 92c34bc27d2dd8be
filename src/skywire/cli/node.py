"""How a command reaches the visor that it asks: `--rpc`, `--via`, `--timeout`. Source: cli.md §B0.

    @click.command(epilog="Example: skywire cli visor uptime")
    @node_options
    @output.json_option(shape=float)
    def uptime(node: NodeAddress, as_json: bool) -> None:
        "Print how long the visor runs."
        output.emit(node.ask(ops_info.uptime), as_json=as_json)

The options count wherever they stand behind `skywire cli`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from skywire.cli.node_options import DEFAULT_TIMEOUT, RPC_VARIABLE, command_options
from skywire.errors import DialFailed, InvalidValue, NotSupported, Refused, StreamReset
from skywire.ports import DMSG_RPC, VISOR_RPC

if TYPE_CHECKING:
    from skywire.config.values import HostPort
    from skywire.crypto.keys import PubKey
    from skywire.visor.client import RemoteVisor

MAX_TIMEOUT = 1e7  # seconds
DIAL_WAIT = 5.0  # seconds for the TCP connection, as in Go
MISSING = "rpc: can't find method"  # how a visor answers that does not know a method

_Answer = TypeVar("_Answer")
_Function = TypeVar("_Function", bound=Callable[..., Any])


def is_missing(error: Refused) -> bool:
    """Whether the visor does not know what it was asked to do."""
    return str(error.reason).startswith(MISSING)


class NodeAddress(NamedTuple):
    """Where the visor is. `via`: key of the one to ask, through the visor at `rpc`."""

    rpc: "HostPort"
    via: "PubKey | None" = None
    timeout: float = DEFAULT_TIMEOUT  # seconds until the last answer; 0 is no limit

    def __str__(self) -> str:
        return str(self.rpc) if self.via is None else f"dmsg://{self.via} (through {self.rpc})"

    def ask(self, function: Callable[..., Awaitable[_Answer]], *request: Any) -> _Answer:
        """Call the operation that `function` declares, from outside any event loop.

        Raises DialFailed and TimeoutError that say what to do; Refused with the visor's own text;
        NotSupported when the visor does not know the operation.
        """
        return self.run(lambda visor: visor.call(function, *request))

    def run(self, work: "Callable[[RemoteVisor], Awaitable[_Answer]]") -> _Answer:
        """Several calls on one connection, all within the time limit. Raises as `ask`."""
        return asyncio.run(self._run(work))

    async def _run(self, work: "Callable[[RemoteVisor], Awaitable[_Answer]]") -> _Answer:
        async with self.deadline(), self.connect() as visor:
            return await work(visor)

    @asynccontextmanager
    async def deadline(self) -> AsyncIterator[None]:
        """The body has `timeout` seconds; then TimeoutError."""
        try:
            async with asyncio.timeout(self.timeout or None):
                yield
        except TimeoutError as error:
            if str(error):
                raise
            late = TimeoutError(f"{self}: no answer within {self.timeout:g} s")
            late.add_note("Is that the RPC address of a visor? Wait longer with --timeout.")
            raise late from None

    @asynccontextmanager
    async def connect(self, *, max_message: int = 0) -> "AsyncIterator[RemoteVisor]":
        """The visor, for commands that call it more than once; the caller sets deadlines.

        `max_message`: bytes of one answer, where it is known to be long.
        """
        from skywire.rpc.client import RpcClient
        from skywire.streams.tcp import dial_tcp
        from skywire.visor.client import RemoteVisor
        from skywire.wire import gob
        from skywire.wire.rpc_bridge import Bridge

        try:
            async with asyncio.timeout(DIAL_WAIT):
                stream = await dial_tcp(self.rpc.host or "localhost", self.rpc.port)
        except (DialFailed, TimeoutError) as error:
            why = str(error) or f"{self.rpc}: no connection within {DIAL_WAIT:g} s"
            failed = DialFailed(f"RPC connection failed; is skywire running?: {why}")
            failed.add_note(
                f'Start one with "skywire visor", or name another with --rpc or {RPC_VARIABLE}.'
            )
            raise failed from error
        if self.via is not None:
            await stream.write(Bridge("dmsg", self.via, DMSG_RPC).encode())
        limit = max_message or gob.MAX_MESSAGE
        async with RpcClient(stream, limit) as rpc:
            try:
                yield RemoteVisor(rpc)
            except Refused as error:
                if not is_missing(error):
                    raise
                raise NotSupported(
                    f"the visor at {self} cannot do this, it is another version: {error}"
                ) from error
            except StreamReset as error:
                ended = StreamReset(f"{self} ended the connection: {error}")
                if self.via is not None:
                    ended.add_note(f"Does it allow the key of the visor at {self.rpc}?")
                raise ended from error


def _address(option: str, text: str) -> "HostPort | PubKey":
    from skywire.config.values import HostPort
    from skywire.crypto.keys import PubKey

    scheme, separator, key = text.partition("://")
    if not separator and option == "--rpc":
        try:
            place = HostPort.parse(text)
        except InvalidValue:
            place = HostPort()
        if not place:
            raise InvalidValue(f'--rpc "{text[:100]}": expected host:port')
        return place
    if scheme != "dmsg":
        raise InvalidValue(f'{option} "{text[:100]}": expected dmsg:// and the key of a visor')
    return PubKey.parse(key)


def node_of(rpc: str, via: str, timeout: float) -> NodeAddress:
    """From the texts of the options. Raises InvalidValue."""
    from skywire.config.values import HostPort

    place, remote = HostPort(VISOR_RPC), None
    for option, text in (("--rpc", rpc), ("--via", via)):
        if text:
            found = _address(option, text)
            if isinstance(found, HostPort):
                place = found
            else:
                remote = found
    if not 0 <= timeout <= MAX_TIMEOUT:
        raise InvalidValue(f"--timeout {timeout:g}: expected 0 to {MAX_TIMEOUT:g} seconds")
    return NodeAddress(place, remote, timeout)


def node_options(function: _Function) -> _Function:
    """Gives a command `--rpc`, `--via`, `--timeout` and the argument `node: NodeAddress`."""

    @wraps(function)
    def command(*positional: Any, rpc: str, via: str, timeout: float, **named: Any) -> Any:
        return function(*positional, node=node_of(rpc, via, timeout), **named)

    wrapped: Any = command
    kept = list(getattr(wrapped, "__click_params__", ()))
    wrapped.__click_params__ = [*reversed(command_options()), *kept]  # click reads it backwards
    return cast(_Function, wrapped)
