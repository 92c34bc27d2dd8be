"""Calls operations of a visor, in this process or far away, by the function that declares them.

seconds = await RemoteVisor(rpc).call(ops_info.uptime)
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from skywire.errors import Refused
from skywire.operations import Operation, operation_of
from skywire.rpc.client import RpcClient
from skywire.visor.caller import called_by
from skywire.visor.go_types import OTHER_FORM, SERVICE, HasOlderForm, go_type, go_type_of

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
        with called_by(self._visor.pk):
            return await function(self._visor, *request)

    async def close(self) -> None:
        """Nothing to close."""


class RemoteVisor:
    """A visor that answers on `rpc`, a running client whose owner is the caller's.

    One of 2024 gets the older form of a request that it does not understand (hypervisor.md §6.3).
    """

    def __init__(self, rpc: RpcClient) -> None:
        self._rpc = rpc
        self._older: set[str] = set()  # methods that want the older form

    async def call(self, function: Callable[..., Awaitable[_Answer]], *request: Any) -> _Answer:
        known: Operation = operation_of(function)
        argument = request[0] if request else None
        answer: _Answer
        if not isinstance(argument, HasOlderForm):
            answer = await self._ask(known, argument)
            return answer
        if known.rpc not in self._older:
            try:
                answer = await self._ask(known, argument)
            except Refused as error:
                if not str(error.reason).startswith(OTHER_FORM):
                    raise
            else:
                return answer
        answer = await self._ask(known, argument.older_form())
        self._older.add(known.rpc)
        return answer

    async def _ask(self, known: Operation, argument: Any) -> Any:
        kind = go_type_of(known.request, argument)
        return await self._rpc.call(f"{SERVICE}.{known.rpc}", kind, argument, go_type(known.answer))

    async def close(self) -> None:
        await self._rpc.close()
