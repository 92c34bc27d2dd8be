"""Serves the operations as Go's net/rpc service `app-visor`. Source: hypervisor.md §1, §6."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from skywire.operations import Operation, operations
from skywire.pty.host import MAX_MESSAGE
from skywire.rpc.server import Method, RpcServer
from skywire.visor import (
    ops_apps,
    ops_dmsg,
    ops_fetch,
    ops_hv,
    ops_hypervisors,
    ops_info,
    ops_node,
    ops_ping,
    ops_ports,
    ops_program,
    ops_reward,
    ops_routes,
    ops_services,
    ops_state,
    ops_terminals,
    ops_transports,
)
from skywire.visor.go_types import SERVICE, go_type, go_types

if TYPE_CHECKING:
    from skywire.visor.visor import Visor

OPERATIONS = (
    ops_apps,
    ops_dmsg,
    ops_fetch,
    ops_hv,
    ops_hypervisors,
    ops_info,
    ops_node,
    ops_ping,
    ops_ports,
    ops_program,
    ops_reward,
    ops_routes,
    ops_services,
    ops_state,
    ops_terminals,
    ops_transports,
)  # modules whose operations are served


def rpc_server(visor: "Visor") -> RpcServer:
    """One server for all connections to `visor`."""
    methods = {f"{SERVICE}.{known.rpc}": _method(visor, known) for known in operations()}
    return RpcServer(methods, max_message=MAX_MESSAGE)  # a command's input is the longest argument


def _method(visor: "Visor", known: Operation) -> Method:
    handler: Callable[[Any], Any]
    if known.request is None:
        handler = lambda _: known.function(visor)  # noqa: E731
    else:
        handler = lambda argument: known.function(visor, argument)  # noqa: E731
    return Method(go_types(known.request), go_type(known.answer), handler)
