"""A routing rule as a JSON body: what `GET …/routes` shows as its summary. Source: §5.

{"keep_alive": ns, "rule_type": 0, "key_route_id": 7, "app_fields": {"route_descriptor": {…}}}
"""

import uuid
from typing import Annotated

import msgspec
from msgspec import Meta

from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue
from skywire.wire.rule import RouteDescriptor, Rule, RuleType

INCOMPLETE = "invalid routing rule summary"

Port = Annotated[int, Meta(ge=0, le=0xFFFF)]
Id = Annotated[int, Meta(ge=0, le=0xFFFFFFFF)]
Nanoseconds = Annotated[int, Meta(ge=0, le=2**63 - 1)]
NO_TRANSPORT = str(uuid.UUID(int=0))


class DescriptorBody(msgspec.Struct, forbid_unknown_fields=True):
    dst_pk: str = ""
    src_pk: str = ""
    dst_port: Port = 0
    src_port: Port = 0

    def descriptor(self) -> RouteDescriptor:
        if not self.src_pk or not self.dst_pk:
            raise InvalidValue(INCOMPLETE)
        src, dst = PubKey.parse(self.src_pk), PubKey.parse(self.dst_pk)
        return RouteDescriptor(src, dst, self.src_port, self.dst_port)


class ConsumeBody(msgspec.Struct, forbid_unknown_fields=True):
    route_descriptor: DescriptorBody


class NextBody(msgspec.Struct, forbid_unknown_fields=True):
    next_rid: Id = 0
    next_tid: str = NO_TRANSPORT

    def transport(self) -> uuid.UUID:
        try:
            return uuid.UUID(self.next_tid)
        except ValueError:
            raise InvalidValue(INCOMPLETE) from None


class ForwardBody(NextBody, forbid_unknown_fields=True, kw_only=True):
    route_descriptor: DescriptorBody


class RuleBody(msgspec.Struct, forbid_unknown_fields=True):
    keep_alive: Nanoseconds = 0
    rule_type: int = 0
    key_route_id: Id = 0
    app_fields: ConsumeBody | None = None
    forward_fields: ForwardBody | None = None
    intermediary_forward_fields: NextBody | None = None

    def rule(self) -> Rule:
        """Raises InvalidValue when the fields of its type are missing."""
        id, alive = self.key_route_id, self.keep_alive
        if self.rule_type == RuleType.CONSUME and (app := self.app_fields):
            return Rule.consume(id, alive, app.route_descriptor.descriptor())
        if self.rule_type == RuleType.FORWARD and (forward := self.forward_fields):
            descriptor = forward.route_descriptor.descriptor()
            return Rule.forward(id, alive, descriptor, forward.next_rid, forward.transport())
        if self.rule_type == RuleType.INTERMEDIARY and (hop := self.intermediary_forward_fields):
            return Rule.intermediary(id, alive, hop.next_rid, hop.transport())
        raise InvalidValue(INCOMPLETE)
