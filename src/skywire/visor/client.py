"""Calls operations of a visor, in this process or far away, by the function that declares them.

seconds = await RemoteVisor(rpc).call(ops_info.uptime)
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from skywire.operations import Operation, operation_of
from skywire.rpc.client import RpcClient
from skywire.visor.go_types import SERVICE, go_type

if TYPE_CHECKING:
    from skywire.visor.visor import Visor

_Answer = TypeVar("_Answer")


class VisorClient(Protocol):
    async def call(self, function: Callable[..., Awaitable[_Answer]], *request: Any) -> _Answer:
        """Raises what the operation raises; from afar an error text arrives as Refused.

        The caller sets the deadline. StreamReset when the connection ends.
        """
        ...

    async def close(self) -> None: ...


class LocalVisor:
    """The visor of this process."""

    def __init__(self, visor: "Visor") -> None:
        self._visor = visor

    async def call(self, function: Callable[..., Awaitable[_Answer]], *request: Any) -> _Answer:
        return await function(self._visor, *request)

    async def close(self) -> None:
        """Nothing to close."""


class RemoteVisor:
    """A visor that answers on `rpc`, a running client whose owner is the caller's."""

    def __init__(self, rpc: RpcClient) -> None:
        self._rpc = rpc

    async def call(self, function: Callable[..., Awaitable[_Answer]], *request: Any) -> _Answer:
        known: Operation = operation_of(function)
        argument = request[0] if request else None
        answer: _Answer = await self._rpc.call(
            f"{SERVICE}.{known.rpc}", go_type(known.request), argument, go_type(known.answer)
        )
        return answer

    async def close(self) -> None:
        await self._rpc.close()
