"""Serves the operations as Go's net/rpc service `app-visor`. Source: hypervisor.md §1, §6."""

from collections.abc import Callable
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

from skywire.errors import LocalProtocolError
from skywire.operations import Operation, operations
from skywire.pty.host import MAX_MESSAGE
from skywire.rpc.server import Method, RpcServer
from skywire.visor import ops_info, ops_routes, ops_terminals, ops_transports
from skywire.wire.gob_types import (
    BOOL,
    BYTES,
    EMPTY,
    FLOAT,
    INT,
    PUBKEY,
    STRING,
    UUID,
    Array,
    Basic,
    GoType,
    Map,
    Marshaller,
    Pointer,
    Slice,
)

if TYPE_CHECKING:
    from skywire.visor.visor import Visor

SERVICE = "app-visor"
OPERATIONS = (
    ops_info,
    ops_routes,
    ops_terminals,
    ops_transports,
)  # modules whose operations are served
_PLAIN = {None: EMPTY, bool: BOOL, int: INT, float: FLOAT, str: STRING, bytes: BYTES}
_DESCRIPTORS = (Array, Basic, Map, Marshaller, Pointer, Slice)


def rpc_server(visor: "Visor") -> RpcServer:
    """One server for all connections to `visor`."""
    methods = {f"{SERVICE}.{known.rpc}": _method(visor, known) for known in operations()}
    return RpcServer(methods, max_message=MAX_MESSAGE)  # a command's input is the longest argument


def go_type(hint: Any) -> GoType:
    """How gob writes a value with this hint; `Annotated[…, descriptor]` says it outright."""
    if get_origin(hint) is Annotated:
        for extra in get_args(hint)[1:]:
            if isinstance(extra, _DESCRIPTORS):
                return extra
        return go_type(get_args(hint)[0])
    if get_origin(hint) is list:
        return Slice(go_type(get_args(hint)[0]))
    if hint in _PLAIN:
        return _PLAIN[hint]
    if isinstance(hint, type) and is_dataclass(hint):
        return hint
    known = {PUBKEY.zero.__class__: PUBKEY, UUID.zero.__class__: UUID}
    if hint in known:
        return known[hint]
    raise LocalProtocolError(f"no Go type for {hint!r}: annotate it with a gob descriptor")


def _method(visor: "Visor", known: Operation) -> Method:
    handler: Callable[[Any], Any]
    if known.request is None:
        handler = lambda _: known.function(visor)  # noqa: E731
    else:
        handler = lambda argument: known.function(visor, argument)  # noqa: E731
    return Method(go_type(known.request), go_type(known.answer), handler)
