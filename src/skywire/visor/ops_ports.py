"""Forwarding of ports: what a visor lets others reach, and what it reaches. Source: apps.md §9.

The first six are Go's of 2024; of the others 2026 has its own forms, which are not known here.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar
from uuid import UUID as Uuid

from skywire.appkit.forward_server import ForwardedPort
from skywire.crypto.keys import NULL_KEY, PubKey
from skywire.operations import operation
from skywire.wire.gob_types import (
    FLOAT,
    INT,
    NULL_UUID,
    PUBKEY,
    STRING,
    UUID,
    Go,
    Map,
    Pointer,
    Slice,
)

if TYPE_CHECKING:
    from skywire.visor.forwarding import Forward
    from skywire.visor.visor import Visor


@dataclass(slots=True)
class ConnectIn:
    remote_pk: Annotated[PubKey, Go("RemotePK", PUBKEY)] = NULL_KEY
    remote_port: Annotated[int, Go("RemotePort", INT)] = 0
    local_port: Annotated[int, Go("LocalPort", INT)] = 0


@dataclass(slots=True)
class ForwardConn:
    id: Annotated[Uuid, Go("ID", UUID)] = NULL_UUID
    local_port: Annotated[int, Go("LocalPort", INT)] = 0
    remote_port: Annotated[int, Go("RemotePort", INT)] = 0


@dataclass(slots=True)
class StartForwardIn:
    """Ours. `local_port` 0: any free one. `name` "": skynet-client-<local port>."""

    remote_pk: Annotated[PubKey, Go("RemotePK", PUBKEY)] = NULL_KEY
    remote_port: Annotated[int, Go("RemotePort", INT)] = 0
    local_port: Annotated[int, Go("LocalPort", INT)] = 0
    name: Annotated[str, Go("Name", STRING)] = ""


@dataclass(slots=True)
class ForwardState:
    """Ours: a forward as it is now. `error` is of the last connection, "" if that came through."""

    GO_NAME: ClassVar[str] = "ForwardState"
    id: Annotated[Uuid, Go("ID", UUID)] = NULL_UUID
    name: Annotated[str, Go("Name", STRING)] = ""
    remote_pk: Annotated[PubKey, Go("RemotePK", PUBKEY)] = NULL_KEY
    remote_port: Annotated[int, Go("RemotePort", INT)] = 0
    local_port: Annotated[int, Go("LocalPort", INT)] = 0
    way: Annotated[str, Go("Way", STRING)] = ""
    connections: Annotated[int, Go("Connections", INT)] = 0
    served: Annotated[int, Go("Served", INT)] = 0
    since: Annotated[float, Go("Since", FLOAT)] = 0.0  # Unix time
    error: Annotated[str, Go("Error", STRING)] = ""


Conns = Annotated[dict[Uuid, ForwardConn], Map(UUID, Pointer(ForwardConn))]


@operation(rpc="RegisterHTTPPort", http="POST /visors/{pk}/skynet-ports/register")
async def register_http_port(visor: "Visor", port: int) -> None:
    """Let other visors reach a port of this machine; something must listen there now."""
    await visor.forwarding.register(port)


@operation(rpc="DeregisterHTTPPort", http="POST /visors/{pk}/skynet-ports/deregister")
async def deregister_http_port(visor: "Visor", port: int) -> None:
    """Let other visors reach a port no longer. Connections that are open stay."""
    visor.forwarding.remove(port)


@operation(rpc="ListHTTPPorts", http="GET /visors/{pk}/skynet-ports")
async def list_http_ports(visor: "Visor") -> list[int]:
    """The ports of this machine that other visors can reach."""
    return [entry.port for entry in visor.forwarding.ports]


@operation(rpc="Connect")
async def connect(visor: "Visor", request: ConnectIn) -> Uuid:
    """Have a port of another visor on a port of this machine; the answer names the forward."""
    forward = await visor.forwarding.connect(
        request.remote_pk, request.remote_port, request.local_port
    )
    return forward.id


@operation(rpc="Disconnect")
async def disconnect(visor: "Visor", id: Annotated[Uuid, UUID]) -> None:
    """End a forward and its connections."""
    await visor.forwarding.disconnect(id)


@operation(rpc="List")
async def list_forwards(visor: "Visor") -> Conns:
    """The forwards by id."""
    return {
        each.id: ForwardConn(each.id, each.local_port, each.far.port)
        for each in visor.forwarding.forwards
    }


@operation(rpc="AddForwardedPort", http="POST /visors/{pk}/forwarded-ports/register")
async def add_forwarded_port(visor: "Visor", request: ForwardedPort) -> None:
    """Let other visors reach a port, as the entry says; it takes the place of an older one."""
    visor.forwarding.add(request)


@operation(rpc="ForwardedPorts", http="GET /visors/{pk}/forwarded-ports")
async def forwarded_ports(
    visor: "Visor",
) -> Annotated[list[ForwardedPort], Slice(ForwardedPort)]:
    """The ports of this machine that other visors can reach, with who may and where to."""
    return visor.forwarding.ports


@operation(rpc="StartForward", http="POST /visors/{pk}/skynet-forwards/connect")
async def start_forward(visor: "Visor", request: StartForwardIn) -> ForwardState:
    """Have a port of another visor on a port of this machine."""
    forward = await visor.forwarding.connect(
        request.remote_pk, request.remote_port, request.local_port, request.name
    )
    return _state(forward)


@operation(rpc="Forwards", http="GET /visors/{pk}/skynet-forwards")
async def forwards(visor: "Visor") -> Annotated[list[ForwardState], Slice(ForwardState)]:
    """The forwards, and how they are."""
    return [_state(each) for each in visor.forwarding.forwards]


@operation(rpc="StopForward", http="POST /visors/{pk}/skynet-forwards/disconnect")
async def stop_forward(visor: "Visor", name: str) -> None:
    """End the forward with this name, and its connections."""
    await visor.forwarding.stop(name)


def _state(forward: "Forward") -> ForwardState:
    far = forward.far
    return ForwardState(
        id=forward.id,
        name=forward.name,
        remote_pk=far.pk,
        remote_port=far.port,
        local_port=forward.local_port,
        way="" if far.way is None else far.way.value,
        connections=forward.connections,
        served=forward.served,
        since=forward.since,
        error=forward.error,
    )
