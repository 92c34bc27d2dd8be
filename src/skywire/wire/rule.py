"""Route descriptors and routing rules as bytes. Source: routing.md §2, §3.

    descriptor     src_pk(33) ‖ dst_pk(33) ‖ src_port(2) ‖ dst_port(2)
    rule           keep_alive ns(8) ‖ type(1) ‖ key id(4) ‖ …
      consume      … descriptor                                                       83 bytes
      forward      … descriptor ‖ next id(4) ‖ next transport(16) ‖ zeros(17)        120 bytes
      intermediary … next id(4) ‖ next transport(16) ‖ zeros(17)                      50 bytes

The zeros are there because the reference allocates 33 bytes for 16; rules without them are taken.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple
from uuid import UUID

from skywire.crypto.keys import PUBLIC_KEY_SIZE, PubKey
from skywire.errors import InvalidValue, RemoteProtocolError

DEFAULT_KEEP_ALIVE = 30_000_000_000  # ns
DESCRIPTOR_SIZE = 2 * PUBLIC_KEY_SIZE + 4

_PORTS = struct.Struct(">HH")
_HEAD = struct.Struct(">QBI")
_NEXT = struct.Struct(">I16s")
_PADDING = bytes(17)


class RouteDescriptor(NamedTuple):
    """Both ends of a route. At an edge `dst` is the edge itself and `src` the other one."""

    src_pk: PubKey
    dst_pk: PubKey
    src_port: int
    dst_port: int

    @classmethod
    def parse(cls, raw: bytes) -> "RouteDescriptor":
        """Raises RemoteProtocolError for a wrong length or a key that is none."""
        if len(raw) != DESCRIPTOR_SIZE:
            raise RemoteProtocolError(
                f"route descriptor of {len(raw)} bytes, expected {DESCRIPTOR_SIZE}"
            )
        try:
            src = PubKey.validated(raw[:PUBLIC_KEY_SIZE])
            dst = PubKey.validated(raw[PUBLIC_KEY_SIZE : 2 * PUBLIC_KEY_SIZE])
        except InvalidValue as error:
            raise RemoteProtocolError(f"route descriptor: {error}") from error
        return cls(src, dst, *_PORTS.unpack_from(raw, 2 * PUBLIC_KEY_SIZE))

    def encode(self) -> bytes:
        return self.src_pk + self.dst_pk + _PORTS.pack(self.src_port, self.dst_port)

    def inverted(self) -> "RouteDescriptor":
        """As the other end has it."""
        return RouteDescriptor(self.dst_pk, self.src_pk, self.dst_port, self.src_port)

    def summary(self) -> dict[str, Any]:
        return {
            "dst_pk": str(self.dst_pk),
            "src_pk": str(self.src_pk),
            "dst_port": self.dst_port,
            "src_port": self.src_port,
        }

    def __str__(self) -> str:
        return f"rAddr:{self.dst_pk}:{self.dst_port}, lAddr:{self.src_pk}:{self.src_port}"


class RuleType(IntEnum):
    """What a visor does with packets of a rule's key id."""

    CONSUME = 0  # they are for a route group here ("reverse")
    FORWARD = 1  # the first hop of a route from here; the key id is not used on the wire
    INTERMEDIARY = 2  # pass them on


@dataclass(frozen=True, slots=True)
class Rule:
    """Make them with `consume`, `forward`, `intermediary`. `keep_alive` is in nanoseconds."""

    type: RuleType
    key_route_id: int
    keep_alive: int
    descriptor: RouteDescriptor | None = None  # None: intermediary
    next_route_id: int = 0
    next_transport_id: UUID | None = None  # None: consume

    @classmethod
    def consume(cls, key_route_id: int, keep_alive: int, descriptor: RouteDescriptor) -> "Rule":
        return cls(RuleType.CONSUME, key_route_id, max(0, keep_alive), descriptor)

    @classmethod
    def forward(
        cls,
        key_route_id: int,
        keep_alive: int,
        descriptor: RouteDescriptor,
        next_route_id: int,
        next_transport_id: UUID,
    ) -> "Rule":
        kind, keep_alive = RuleType.FORWARD, max(0, keep_alive)
        return cls(kind, key_route_id, keep_alive, descriptor, next_route_id, next_transport_id)

    @classmethod
    def intermediary(
        cls, key_route_id: int, keep_alive: int, next_route_id: int, next_transport_id: UUID
    ) -> "Rule":
        kind, keep_alive = RuleType.INTERMEDIARY, max(0, keep_alive)
        return cls(kind, key_route_id, keep_alive, None, next_route_id, next_transport_id)

    @classmethod
    def parse(cls, raw: bytes) -> "Rule":
        """Raises RemoteProtocolError for a wrong length, an unknown type or a bad descriptor."""
        if len(raw) < _HEAD.size:
            raise RemoteProtocolError(f"rule of {len(raw)} bytes, expected 50, 83 or 120")
        keep_alive, kind, key_route_id = _HEAD.unpack_from(raw)
        if kind not in _SIZES:
            raise RemoteProtocolError(f"rule of type {kind}, expected 0, 1 or 2")
        if len(raw) not in _SIZES[kind]:
            raise RemoteProtocolError(
                f"rule of type {kind} has {len(raw)} bytes, expected {_SIZES[kind][0]}"
            )
        position = _HEAD.size
        descriptor, next_id, transport = None, 0, None
        if kind != RuleType.INTERMEDIARY:
            descriptor = RouteDescriptor.parse(raw[position : position + DESCRIPTOR_SIZE])
            position += DESCRIPTOR_SIZE
        if kind != RuleType.CONSUME:
            next_id, uuid = _NEXT.unpack_from(raw, position)
            transport = UUID(bytes=uuid)
        return cls(RuleType(kind), key_route_id, keep_alive, descriptor, next_id, transport)

    def encode(self) -> bytes:
        out = _HEAD.pack(self.keep_alive, self.type, self.key_route_id)
        if self.descriptor is not None:
            out += self.descriptor.encode()
        if self.next_transport_id is not None:
            out += _NEXT.pack(self.next_route_id, self.next_transport_id.bytes) + _PADDING
        return out

    @property
    def lifetime(self) -> float:
        """Seconds without packets after which the rule is dead."""
        return self.keep_alive / 1e9

    def summary(self) -> dict[str, Any]:
        """As the reference shows a rule in JSON, in its order."""
        shown: dict[str, Any] = {
            "keep_alive": self.keep_alive,
            "rule_type": int(self.type),
            "key_route_id": self.key_route_id,
        }
        fields: dict[str, Any] = {}
        if self.descriptor is not None:
            fields["route_descriptor"] = self.descriptor.summary()
        if self.next_transport_id is not None:
            fields |= {"next_rid": self.next_route_id, "next_tid": str(self.next_transport_id)}
        return shown | {_FIELDS[self.type]: fields}

    def __str__(self) -> str:
        parts = [f"keyRtID:{self.key_route_id}"]
        if self.next_transport_id is not None:
            parts += [f"nxtRtID:{self.next_route_id}", f"nxtTpID:{self.next_transport_id}"]
        if self.descriptor is not None:
            parts.append(str(self.descriptor))
        return f"{_NAMES[self.type]}({', '.join(parts)})"


_SIZES = {
    RuleType.CONSUME: (83,),
    RuleType.FORWARD: (120, 103),
    RuleType.INTERMEDIARY: (50, 33),
}
_NAMES = {RuleType.CONSUME: "REV", RuleType.FORWARD: "FWD", RuleType.INTERMEDIARY: "INTER"}
_FIELDS = {
    RuleType.CONSUME: "app_fields",
    RuleType.FORWARD: "forward_fields",
    RuleType.INTERMEDIARY: "intermediary_forward_fields",
}
