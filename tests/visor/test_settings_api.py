"""Settings, rules and figures of visors over the hypervisor's HTTP. Source: hypervisor.md §4.3."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from skywire.crypto.generate import deterministic_key_pair
from tests.visor.network import Node, network
from tests.visor.test_skynet_api import Api, api_of

ADDRESS = "2jBbGxZRGoQG1mqhPBnXnLTxK6oxsTf8os6"
MALFORMED = (400, {"error": "request format is malformed"})
OTHER = str(deterministic_key_pair(b"other")[0])
SECOND = 1_000_000_000


@pytest.fixture(params=["own", "remote"])
async def place(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[tuple[Node, Api]]:
    """A visor and its part of the API of its hypervisor."""
    async with network(tmp_path) as net:
        await net.start_discovery()
        await net.start_server()
        a = node = await net.start(net.hypervisor_config("a"))
        if request.param == "remote":
            node = await net.start(net.config("b", hypervisors=[str(a.pk)]))
        async with api_of(a, node) as api:
            yield node, api


async def test_the_reward_address(place: tuple[Node, Api]) -> None:
    node, api = place
    assert await api.get("/reward") == ""
    assert await api.ask("PUT", "/reward", {"reward_address": ADDRESS}) == (200, ADDRESS)
    assert await api.get("/reward") == ADDRESS
    assert (await api.get("/summary"))["overview"]["local_pk"] == str(node.pk)
    refused = await api.ask("PUT", "/reward", {"reward_address": "2jBb"})
    assert refused == (500, {"error": "Invalid address length"})
    assert await api.ask("PUT", "/reward", {"address": ADDRESS}) == MALFORMED
    assert await api.ask("DELETE", "/reward") == (200, {})
    assert await api.get("/reward") == ""


async def test_min_hops_and_autoconnect(place: tuple[Node, Api]) -> None:
    node, api = place
    assert await api.ask("POST", "/min-hops", {"min_hops": 2}) == (200, {})
    assert node.visor.config.routing.min_hops == 2
    no_bodies: list[Any] = [{"min_hops": -1}, {"min_hops": 65536}, {"min_hops": "2"}, {"x": 2}, []]
    for bad in no_bodies:
        assert await api.ask("POST", "/min-hops", bad) == MALFORMED
    status, refused = await api.ask("POST", "/min-hops", {"min_hops": 60000})
    assert status in (400, 500)
    assert "expected 0 to" in refused["error"]
    wanted = {"public_autoconnect": False}
    assert await api.ask("PUT", "/public-autoconnect", wanted) == (200, {})
    assert node.visor.config.transport.public_autoconnect is False
    assert await api.ask("PUT", "/public-autoconnect", {"public_autoconnect": 1}) == MALFORMED


def rules(own: str) -> list[dict[str, Any]]:
    descriptor = {"dst_pk": own, "src_pk": OTHER, "dst_port": 1, "src_port": 2}
    to: dict[str, Any] = {"next_rid": 9, "next_tid": "00000000-0000-0000-0000-000000000005"}
    fields: list[dict[str, Any]] = [
        {"app_fields": {"route_descriptor": descriptor}},
        {"forward_fields": {"route_descriptor": descriptor, **to}},
        {"intermediary_forward_fields": to},
    ]
    return [
        {"keep_alive": 30 * SECOND, "rule_type": kind, "key_route_id": 70 + kind, **more}
        for kind, more in enumerate(fields)
    ]


async def test_rules_of_each_kind_are_added_and_replaced(place: tuple[Node, Api]) -> None:
    node, api = place
    wanted = rules(str(node.pk))
    for rule in wanted:
        status, row = await api.ask("POST", "/routes", rule)
        assert (status, row["key"]) == (200, rule["key_route_id"])
        assert row["rule_summary"] == rule
        assert (await api.get(f"/routes/{row['key']}"))["rule"] == row["rule"]
    assert len(await api.get("/routes")) == 3
    status, row = await api.ask("PUT", "/routes/70", wanted[2])
    assert (status, row["key"], row["rule_summary"]["rule_type"]) == (200, 70, 2)
    assert len(await api.get("/routes")) == 3
    assert len(node.visor.routes.router.rules) == 3


async def test_rules_that_are_none_are_refused(place: tuple[Node, Api]) -> None:
    node, api = place
    incomplete = (400, {"error": "invalid routing rule summary"})
    consume, forward, _ = rules(str(node.pk))
    descriptor = consume["app_fields"]["route_descriptor"]
    for bad in (
        {},
        consume | {"rule_type": 1},
        consume | {"rule_type": 9},
        consume | {"app_fields": {"route_descriptor": descriptor | {"src_pk": ""}}},
        forward | {"forward_fields": forward["forward_fields"] | {"next_tid": "x"}},
    ):
        assert await api.ask("POST", "/routes", bad) == incomplete, json.dumps(bad)
    for bad in (
        consume | {"key_route_id": 2**32},
        consume | {"keep_alive": -1},
        consume | {"what": 1},
        consume | {"app_fields": {"route_descriptor": descriptor | {"dst_port": 70000}}},
    ):
        assert await api.ask("POST", "/routes", bad) == MALFORMED, json.dumps(bad)
    bad_key = consume | {"app_fields": {"route_descriptor": descriptor | {"src_pk": "zz"}}}
    assert (await api.ask("POST", "/routes", bad_key))[0] == 400
    assert (await api.ask("PUT", "/routes/x", consume))[0] == 400
    assert await api.get("/routes") == []


async def test_ports_and_the_machine(place: tuple[Node, Api]) -> None:
    _, api = place
    ports = await api.get("/ports")
    assert ports["cli_addr"]["type"] == "TCP"
    assert int(ports["cli_addr"]["port"]) > 0
    assert (await api.get("/host-stats"))["cpu_cores"] > 0


async def test_a_log_and_its_rotation(place: tuple[Node, Api]) -> None:
    _, api = place
    assert isinstance(json.loads(await api.get("/runtime-logs")), list)
    assert await api.get("/log/rotation") == "168h0m0s"
    changed = {"log_rotation_interval": "48h0m0s"}
    assert await api.ask("PUT", "/log/rotation", changed) == (200, {})
    assert await api.get("/log/rotation") == "48h0m0s"
