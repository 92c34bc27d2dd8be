"""Routes of a visor of 2024, which ends when it is asked for its route groups."""

from pathlib import Path
from uuid import UUID

from skywire.rpc.server import Method, RpcServer
from skywire.streams.supervise import Tasks
from skywire.testing.wait import eventually
from skywire.wire.gob_types import BYTES, EMPTY, Slice
from skywire.wire.rule import RouteDescriptor, Rule
from tests.hypervisor.harness import hypervisor, key

A, FAR = key("a"), key("far")
TRANSPORT = UUID("00000000-0000-0000-8000-000000000001")


async def test_route_groups_of_a_visor_of_2024_come_from_its_rules(tmp_path: Path) -> None:
    asked: list[str] = []
    ours = RouteDescriptor(FAR, A, 700, 49153)  # its end
    rules = [
        Rule.consume(2, 30, ours),
        Rule.forward(1, 30, ours.inverted(), 5, TRANSPORT),
        Rule.intermediary(3, 30, 4, TRANSPORT),
        Rule.consume(6, 30, RouteDescriptor(FAR, A, 701, 49154)),  # half of a group
    ]

    async def routing_rules(_: None) -> list[bytes]:
        return [rule.encode() for rule in rules]

    async def route_groups(_: None) -> None:
        asked.append("RouteGroups")

    old = RpcServer(
        {
            "app-visor.RoutingRules": Method(EMPTY, Slice(BYTES), routing_rules),
            "app-visor.RouteGroups": Method(EMPTY, EMPTY, route_groups),
        }
    )
    tasks = Tasks("old visor")
    async with hypervisor(tmp_path, auth=False) as (client, network, context):
        tasks.spawn(old.serve(await network.raw(A)), "old visor")
        await eventually(lambda: A in context.visors._known)
        (group,) = await (await client.get(f"/api/visors/{A}/routegroups")).json()
        assert (group["consume_rule_id"], group["fwd_rule_id"]) == (2, 1)
        assert group["desc"] == {
            "dst_pk": str(A),
            "src_pk": str(FAR),
            "dst_port": 49153,
            "src_port": 700,
        }
        assert group["fwd_next_tp_id"] == str(TRANSPORT)
        rows = await (await client.get(f"/api/visors/{A}/routes?summary=1")).json()
        assert [row["key"] for row in rows] == [2, 1, 3, 6]
        assert rows[2]["rule_summary"]["intermediary_forward_fields"]["next_rid"] == 4
        await tasks.close()
    assert asked == []
