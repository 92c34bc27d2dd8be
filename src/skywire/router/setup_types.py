"""What crosses the wire while a route is set up: Go types, methods, error texts.

Two net/rpc services: the visor asks a setup node (dmsg port 36), which asks the visors of the path
(dmsg port 136). Source: routing.md §5.
"""

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, ClassVar, Final

from skywire.wire.gob_types import (
    BOOL,
    BYTES,
    INT64,
    UINT8,
    UINT32,
    Array,
    Go,
    GoType,
    Slice,
)
from skywire.wire.routes import Hop, Path
from skywire.wire.rule import DESCRIPTOR_SIZE

DIAL_ROUTE_GROUP = "SetupRPCGateway.DialRouteGroup"
RESERVE_IDS = "RPCGateway.ReserveIDs"
ADD_INTERMEDIARY_RULES = "RPCGateway.AddIntermediaryRules"
ADD_EDGE_RULES = "RPCGateway.AddEdgeRules"

# Error texts that peers compare.
NO_FORWARD_HOPS = "bidirectional route does not have forward hops"
NO_REVERSE_HOPS = "bidirectional route does not have reverse hops"
INVALID_ROUTE = "bidirectional route has an invalid route description"
CODE_UNKNOWN, CODE_ADD_RULES, CODE_CREATE_ROUTES, CODE_ROUTES_CREATED, CODE_RESERVE_IDS = range(5)


def failure(code: int, text: str) -> str:
    """The error text of a visor's answer to a setup node."""
    return f"failure code {code} ({text})"


DESCRIPTOR = Array(UINT8, DESCRIPTOR_SIZE, "routing.RouteDescriptor")
HOPS = Slice(Hop)
RULES = Slice(BYTES)
IDS = Slice(UINT32)


@dataclass(slots=True)
class BidirectionalRoute:
    """What a visor asks a setup node for. `desc` is its own view: source is the one who asks."""

    GO_NAME: ClassVar[str] = "routing.BidirectionalRoute"
    desc: Annotated[bytes, Go("Desc", DESCRIPTOR)] = bytes(DESCRIPTOR_SIZE)
    keep_alive: Annotated[int, Go("KeepAlive", INT64)] = 0  # nanoseconds
    forward: Annotated[Path, Go("Forward", HOPS)] = field(default_factory=list)
    reverse: Annotated[Path, Go("Reverse", HOPS)] = field(default_factory=list)


@dataclass(slots=True)
class EdgeRules:
    """The two rules of one end, encoded, and the descriptor whose destination is that end."""

    GO_NAME: ClassVar[str] = "routing.EdgeRules"
    desc: Annotated[bytes, Go("Desc", DESCRIPTOR)] = bytes(DESCRIPTOR_SIZE)
    forward: Annotated[bytes, Go("Forward", BYTES)] = b""
    reverse: Annotated[bytes, Go("Reverse", BYTES)] = b""


SIGNATURES: Final = MappingProxyType[str, tuple[GoType, GoType]](
    {
        DIAL_ROUTE_GROUP: (BidirectionalRoute, EdgeRules),
        RESERVE_IDS: (UINT8, IDS),
        ADD_INTERMEDIARY_RULES: (RULES, BOOL),
        ADD_EDGE_RULES: (EdgeRules, BOOL),
    }
)
"""Argument and reply type of each method."""
