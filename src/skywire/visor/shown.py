"""Links, rules and route groups as the visor's RPC shows them. Source: hypervisor.md §5, §6.2."""

from collections.abc import Iterable

from skywire.crypto.keys import PubKey
from skywire.router.route_group import RouteGroup
from skywire.transport.link import Link
from skywire.visor.types import (
    ConsumeFields,
    ForwardFields,
    Hop,
    IntermediaryForwardFields,
    LogEntry,
    RouteDescriptor,
    RouteGroupInfo,
    RouteRow,
    RuleSummary,
    TransportSummary,
)
from skywire.wire.gob_types import NULL_UUID
from skywire.wire.rule import RouteDescriptor as WireDescriptor
from skywire.wire.rule import Rule, RuleType
from skywire.wire.transport import SKYCOIN


def transport(link: Link, own: PubKey, *, log: bool = True) -> TransportSummary:
    return TransportSummary(
        id=link.id,
        local_pk=own,
        remote_pk=link.remote,
        type=link.type,
        log=LogEntry(link.payload_received, link.payload_sent) if log else None,
        is_setup=link.label == SKYCOIN,
        label=link.label,
        latency_ms=(link.latency or 0.0) * 1000,
    )


def route_row(rule: Rule, *, summary: bool = True) -> RouteRow:
    shown = rule_summary(rule) if summary else None
    return RouteRow(rule.key_route_id, rule.encode().hex(), shown)


def rule_summary(rule: Rule) -> RuleSummary:
    summary = RuleSummary(rule.keep_alive, int(rule.type), rule.key_route_id)
    next_id, next_transport = rule.next_route_id, rule.next_transport_id or NULL_UUID
    if rule.descriptor is None:
        fields = IntermediaryForwardFields(next_id, next_transport)
        summary.intermediary_forward_fields = fields
    elif rule.type is RuleType.CONSUME:
        summary.app_fields = ConsumeFields(_descriptor(rule.descriptor))
    else:
        summary.forward_fields = ForwardFields(
            _descriptor(rule.descriptor), next_id, next_transport
        )
    return summary


def route_group(group: RouteGroup, types: dict[str, str]) -> RouteGroupInfo:
    """`types` has the type of each transport known here, by id."""
    forward, consume = group.rules
    info = route_group_of(consume, forward)
    info.initiator = group.initiator
    info.hops = [
        Hop(str(hop.tp_id), str(hop.from_pk), str(hop.to_pk), types.get(str(hop.tp_id), ""))
        for hop in group.path
    ]
    return info


def route_group_of(consume: Rule, forward: Rule) -> RouteGroupInfo:
    """What the two rules of a group tell of it."""
    assert consume.descriptor is not None  # noqa: S101 - a consume rule has one
    return RouteGroupInfo(
        consume_rule_id=consume.key_route_id,
        fwd_rule_id=forward.key_route_id,
        desc=_descriptor(consume.descriptor),
        fwd_next_tp_id=str(forward.next_transport_id),
        consume_rule=consume.encode(),
        fwd_rule=forward.encode(),
    )


def route_groups_of(raw: Iterable[bytes]) -> list[RouteGroupInfo]:
    """What groups there are by the rules of a visor of 2024, which dies when it is asked."""
    rules = [Rule.parse(each) for each in raw]
    forward = {
        rule.descriptor.inverted(): rule
        for rule in rules
        if rule.type is RuleType.FORWARD and rule.descriptor is not None
    }
    return [
        route_group_of(rule, forward[rule.descriptor])
        for rule in rules
        if rule.type is RuleType.CONSUME and rule.descriptor in forward
    ]


def _descriptor(descriptor: WireDescriptor) -> RouteDescriptor:
    return RouteDescriptor(
        dst_pk=descriptor.dst_pk,
        src_pk=descriptor.src_pk,
        dst_port=descriptor.dst_port,
        src_port=descriptor.src_port,
    )
