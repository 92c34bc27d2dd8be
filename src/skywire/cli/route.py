"""The visor's routing rules: `skywire cli route`, `skywire cli rg`. Source: cli.md §A2."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from skywire.cli import output
from skywire.cli.node import NodeAddress, is_missing, node_options
from skywire.cli.values import IDENTIFIER, KEY, NANOSECONDS
from skywire.config.values import Duration
from skywire.crypto.keys import PubKey
from skywire.errors import NotFound, Refused
from skywire.wire.rule import RouteDescriptor, Rule, RuleType

if TYPE_CHECKING:
    from skywire.visor.client import RemoteVisor
    from skywire.visor.types import RouteGroupInfo

NAMES = {
    RuleType.CONSUME: "Consume",
    RuleType.FORWARD: "Forward",
    RuleType.INTERMEDIARY: "IntermediaryForward",
}
ROW = {
    "id": int,
    "type": str,
    "local_port": int,
    "remote_port": int,
    "remote_pk": str,
    "next_route_id": int,
    "next_transport_id": str,
    "expire-at": int,
}
GROUP = {
    "consume_rule_id": int,
    "forward_rule_id": int,
    "local_port": int,
    "remote_pk": str,
    "remote_port": int,
    "initiator": bool,
    "hops": [{"tp_id": str, "from": str, "to": str, "tp_type": str}],
}
MAX_ID = 0xFFFFFFFF


async def _rules(visor: "RemoteVisor") -> tuple[PubKey, list[Rule]]:
    """The visor's key and its rules, in order of their ids."""
    from skywire.visor import ops_info, ops_routes

    own = (await visor.call(ops_info.overview)).local_pk
    rules = [Rule.parse(raw) for raw in await visor.call(ops_routes.routing_rules)]
    return own, sorted(rules, key=lambda rule: rule.key_route_id)


@click.command("ls", epilog="Example: skywire cli route")
@click.option("-n", "--nrid", is_flag=True, help="Print the first id that is not in use instead.")
@click.option("-i", "--rid", type=click.IntRange(0, MAX_ID), help="Only the rule with this id.")
@node_options
@output.json_option(shape=[ROW])
def list_rules(node: NodeAddress, nrid: bool, rid: int | None, as_json: bool) -> None:
    """List the routing rules of the visor.

    "expire-at" is how long a rule lives without traffic, in JSON in ns. What a kind of rule does
    not have is null there. With -n, the JSON is a number.
    """
    own, rules = node.run(_rules)
    if nrid:
        used = {rule.key_route_id for rule in rules}
        output.emit(next(id for id in range(1, MAX_ID) if id not in used), as_json=as_json)
        return
    if rid is not None:
        rules = [rule for rule in rules if rule.key_route_id == rid]
        if not rules:
            raise NotFound(f"the visor has no rule with the id {rid}")
    rows = [_row(own, rule) for rule in rules]
    cells = [
        [*list(row.values())[:-1], Duration(rule.lifetime)]
        for row, rule in zip(rows, rules, strict=True)
    ]
    table = output.Table([key.replace("_", "-") for key in ROW], cells)
    output.emit(rows, as_json=as_json, text=table if rows else "no rules")


def _row(own: PubKey, rule: Rule) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(ROW)
    row |= {
        "id": rule.key_route_id,
        "type": NAMES[rule.type],
        "expire-at": rule.keep_alive,
    }
    if rule.descriptor is not None:
        local_port, remote_pk, remote_port = _ends(own, rule.descriptor)
        row |= {"local_port": local_port, "remote_port": remote_port, "remote_pk": str(remote_pk)}
    if rule.next_transport_id is not None:
        row |= {
            "next_route_id": rule.next_route_id,
            "next_transport_id": str(rule.next_transport_id),
        }
    return row


def _ends(own: PubKey, ends: RouteDescriptor) -> tuple[int, PubKey, int]:
    """Our port, and the other end: it is the source of a rule that consumes, else the target."""
    if ends.src_pk == own:
        return ends.src_port, ends.dst_pk, ends.dst_port
    return ends.dst_port, ends.src_pk, ends.src_port


@click.command("rm", epilog="Example: skywire cli route rm 7")
@click.argument("rid", type=click.IntRange(0, MAX_ID))
@node_options
@output.json_option(shape=str)
def remove(node: NodeAddress, rid: int, as_json: bool) -> None:
    """Remove a rule: what follows it stops here. One that is not there is no error."""
    from skywire.visor import ops_routes

    node.ask(ops_routes.remove_routing_rule, rid)
    output.emit("OK", as_json=as_json)


_rid = click.option(
    "-i", "--rid", type=click.IntRange(1, MAX_ID), required=True, help="Id of the rule."
)
_next = click.option(
    "-j", "--nrid", type=click.IntRange(0, MAX_ID), required=True, help="Route id at the next hop."
)
_transport = click.option(
    "-k", "--tpid", type=IDENTIFIER, required=True, help="Transport to the next hop."
)
_keep_alive = click.option(
    "-a",
    "--keep-alive",
    type=NANOSECONDS,
    default="30s",
    show_default=True,
    metavar="DURATION",
    help="How long the rule lives without traffic.",
)
_PORT = click.IntRange(0, 0xFFFF)
_ENDS = [
    click.option("-l", "--lpk", type=KEY, required=True, help="Key of this end."),
    click.option("-m", "--lpt", type=_PORT, required=True, help="Port of this end."),
    click.option("-p", "--rpk", type=KEY, required=True, help="Key of the other end."),
    click.option("-q", "--rpt", type=_PORT, required=True, help="Port of the other end."),
]


def _ends_options(function: Any) -> Any:
    for option in reversed(_ENDS):
        function = option(function)
    return function


@click.command("a", epilog="Example: skywire cli route add a -i 7 -l PK -m 1 -p PK -q 2")
@_rid
@_ends_options
@_keep_alive
@node_options
@output.json_option(shape={"routing_route_key": int})
def add_consume(
    node: NodeAddress,
    rid: int,
    lpk: PubKey,
    lpt: int,
    rpk: PubKey,
    rpt: int,
    keep_alive: int,
    as_json: bool,
) -> None:
    """Add a rule that takes packets for an app here."""
    ends = RouteDescriptor(rpk, lpk, rpt, lpt)
    _save(node, Rule.consume(rid, keep_alive, ends), as_json=as_json)


@click.command("b", epilog="Example: skywire cli route add b -i 7 -j 8 -k ID")
@_rid
@_next
@_transport
@_keep_alive
@node_options
@output.json_option(shape={"routing_route_key": int})
def add_intermediary(
    node: NodeAddress, rid: int, nrid: int, tpid: UUID, keep_alive: int, as_json: bool
) -> None:
    """Add a rule that passes packets on."""
    _save(node, Rule.intermediary(rid, keep_alive, nrid, tpid), as_json=as_json)


@click.command("c", epilog="Example: skywire cli route add c -i 7 -j 8 -k ID -l PK -m 1 -p PK -q 2")
@_rid
@_next
@_transport
@_ends_options
@_keep_alive
@node_options
@output.json_option(shape={"routing_route_key": int})
def add_forward(
    node: NodeAddress,
    rid: int,
    nrid: int,
    tpid: UUID,
    lpk: PubKey,
    lpt: int,
    rpk: PubKey,
    rpt: int,
    keep_alive: int,
    as_json: bool,
) -> None:
    """Add a rule that sends an app's packets on their way."""
    ends = RouteDescriptor(lpk, rpk, lpt, rpt)
    _save(node, Rule.forward(rid, keep_alive, ends, nrid, tpid), as_json=as_json)


def _save(node: NodeAddress, rule: Rule, *, as_json: bool) -> None:
    from skywire.visor import ops_routes

    node.ask(ops_routes.save_routing_rule, rule.encode())
    found = {"routing_route_key": rule.key_route_id}
    output.emit(found, as_json=as_json, text=f"Routing Rule Key: {rule.key_route_id}")


@click.command(epilog="Examples: skywire cli route minhops, skywire cli route minhops 2")
@click.argument("hops", type=click.IntRange(0, 0xFFFF), required=False)
@node_options
@output.json_option(shape=int)
def minhops(node: NodeAddress, hops: int | None, as_json: bool) -> None:
    """Print or set over how many transports new routes lead at least."""
    from skywire.visor import ops_info, ops_routes

    if hops is None:
        hops = node.ask(ops_info.summary).min_hops
    else:
        node.ask(ops_routes.set_min_hops, hops)
    output.emit(hops, as_json=as_json)


@click.command("ls", epilog="Example: skywire cli rg")
@node_options
@output.json_option(shape=[GROUP])
def groups(node: NodeAddress, as_json: bool) -> None:
    """List the route groups: the routes that begin or end at the visor."""
    own, found = node.run(_groups)
    rows = [group_row(own, one) for one in found]
    cells = [
        [
            row["local_port"],
            row["remote_pk"],
            row["remote_port"],
            "yes" if row["initiator"] else "no",
            len(row["hops"]) or None,
            row["consume_rule_id"],
            row["forward_rule_id"],
        ]
        for row in rows
    ]
    columns = ["local-port", "remote-pk", "remote-port", "initiator", "hops", "consume", "forward"]
    output.emit(rows, as_json=as_json, text=output.Table(columns, cells) if rows else "no routes")


async def _groups(visor: "RemoteVisor") -> "tuple[PubKey, list[RouteGroupInfo]]":
    """A visor of 2024 dies when it is asked for them: there the rules tell what there is."""
    from skywire.visor import ops_info, ops_routes, shown

    own = (await visor.call(ops_info.overview)).local_pk
    try:
        await visor.call(ops_info.add_pty_whitelist, [])
    except Refused as error:
        if not is_missing(error):
            raise
        return own, shown.route_groups_of(await visor.call(ops_routes.routing_rules))
    return own, await visor.call(ops_routes.route_groups)


def group_row(own: PubKey, one: "RouteGroupInfo") -> dict[str, Any]:
    ends = RouteDescriptor(one.desc.src_pk, one.desc.dst_pk, one.desc.src_port, one.desc.dst_port)
    local_port, remote_pk, remote_port = _ends(own, ends)
    return {
        "consume_rule_id": one.consume_rule_id,
        "forward_rule_id": one.fwd_rule_id,
        "local_port": local_port,
        "remote_pk": str(remote_pk),
        "remote_port": remote_port,
        "initiator": one.initiator,
        "hops": [
            {"tp_id": hop.tp_id, "from": hop.from_, "to": hop.to, "tp_type": hop.tp_type}
            for hop in one.hops
        ],
    }
