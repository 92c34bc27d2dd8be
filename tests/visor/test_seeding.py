"""What a visor knows from its start: the services and the servers. Rows of 3088."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from skywire.config.deployment import deployment
from skywire.config.load import ConfigFile
from skywire.config.model import DmsgConfig
from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey
from skywire.dmsg.direct import StaticDirectory
from skywire.dmsg.discovery import DiscoveryClient
from skywire.dmsg.seeding import SeededDirectory, seeded
from skywire.errors import NotFound, Refused
from skywire.rpc.client import RpcClient
from skywire.streams.tcp import dial_tcp
from skywire.testing.wait import eventually
from skywire.visor import ops_fetch
from skywire.visor.client import RemoteVisor
from skywire.visor.fetching import MAX_AT_ONCE
from skywire.visor.ops_fetch import DmsgHTTPRequest
from skywire.visor.seeding import known_to, known_to_helper, service_addresses, twins_of
from skywire.visor.visor import Visor
from skywire.wire.dmsg_url import parse_url
from tests.visor.private import SOON, Private, nowhere, private_deployment, started

_, SK, _SEED = deterministic_key_pair(b"seeded")
OTHER = deterministic_key_pair(b"another service")[0]
SERVERS = [
    {
        "version": "0.0.1",
        "static": str(deterministic_key_pair(f"server {number}".encode())[0]),
        "server": {"address": f"127.0.0.1:{number}"},
    }
    for number in (1, 2)
]


def config(**more: Any) -> ConfigFile:
    return ConfigFile(json.dumps({"sk": SK.hex()} | more), "test")


def directory_of(file: ConfigFile) -> SeededDirectory:
    known = known_to(file.config)
    made = seeded(StaticDirectory(), known.services, known.servers)
    assert isinstance(made, SeededDirectory)
    return made


def test_a_only_a_key_pair_seeds_seven_services_on_all_servers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        seeds = directory_of(config()).seeds
    embedded = {server.static for server in deployment().server_entries()}
    assert len(seeds) == 7
    assert len(embedded) == 8
    for entry in seeds.values():
        assert entry.client is not None
        assert entry.client.delegated_servers is not None
        assert set(entry.client.delegated_servers) == embedded
        assert entry.server is None
    (line,) = [record.message for record in caplog.records]
    assert line == "services seeded count=7 servers=8"


def test_c_a_config_value_beats_the_default(caplog: pytest.LogCaptureFixture) -> None:
    changed = config(transport={"discovery_dmsg": f"dmsg://{OTHER}:80"})
    usual, seeds = directory_of(config()).seeds, directory_of(changed).seeds
    tpd = parse_url(deployment().transport_discovery_dmsg).pk
    assert seeds.keys() == usual.keys() - {tpd} | {OTHER}
    assert caplog.records == []


def test_c_a_dmsg_url_in_the_usual_place_is_one_too() -> None:
    changed = config(transport={"discovery": f"dmsg://{OTHER}:80"})
    assert OTHER in directory_of(changed).seeds
    assert f"dmsg://{OTHER}:80" not in twins_of(changed.config)


@pytest.mark.parametrize("section", [None, {}, {"addr": ""}])
def test_d_a_missing_section_takes_the_default(section: Any) -> None:
    known = known_to(config(uptime_tracker=section).config)
    assert parse_url(deployment().uptime_tracker_dmsg).pk in known.services
    assert len(known.services) == 7


def test_e_one_garbage_address_costs_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    changed = config(
        routing={"route_finder_dmsg": "dmsg://zz:80"}, conf_service_dmsg="http://not.dmsg"
    )
    assert len(known_to(changed.config).services) == 5
    (warning,) = caplog.records
    assert "routing.route_finder_dmsg" in warning.message
    assert "conf_service_dmsg" in warning.message


async def test_f_nothing_known_seeds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "empty.json").write_text("{}")
    monkeypatch.setenv("SKYDEPLOY", str(tmp_path / "empty.json"))
    file = config()
    known = known_to(file.config)
    assert (known.services, known.servers) == ([], [])
    inner = StaticDirectory()
    with caplog.at_level(logging.INFO):
        assert seeded(inner, known.services, known.servers) is inner
    assert caplog.records == []
    async with started(file, tmp_path) as visor:  # it comes up, and says that it has no server
        assert visor.config.dmsg.discovery == ""
        assert visor.dmsg.sessions == ()


def test_g_servers_of_the_config_replace_the_embedded_ones() -> None:
    seeds = directory_of(config(dmsg={"servers": SERVERS})).seeds
    wanted = tuple(PubKey.parse(str(server["static"])) for server in SERVERS)
    assert len(seeds) == 7
    for entry in seeds.values():
        assert entry.client is not None
        assert entry.client.delegated_servers == wanted


def test_a_private_deployment_has_what_its_config_names_and_no_more() -> None:
    file = config(
        dmsg={"discovery": "http://127.0.0.1:9090", "servers": SERVERS},
        transport={"discovery_dmsg": f"dmsg://{OTHER}:80"},
    )
    assert known_to(file.config).services == [OTHER]
    assert known_to(config(dmsg={"discovery": "http://127.0.0.1:9090"}).config).servers == []


def test_a_tool_knows_the_services_of_its_discovery() -> None:
    known = deployment()
    for discovery in (known.dmsg_discovery, known.dmsg_discovery_dmsg):
        helper = known_to_helper(DmsgConfig(discovery=discovery))
        assert parse_url(known.transport_discovery_dmsg).pk in helper.services
        assert len(helper.servers) == 8
        assert helper.discovery == known.dmsg_discovery_dmsg
    assert known_to_helper(DmsgConfig(discovery="http://127.0.0.1:9090")).services == []


def test_servers_that_make_no_sense_are_told(caplog: pytest.LogCaptureFixture) -> None:
    file = config(dmsg={"servers": [{"static": "zz"}]})
    assert known_to(file.config).servers == []
    assert "dmsg servers not understood" in caplog.text


def test_seeding_never_changes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"sk": SK.hex()}))
    before = path.read_bytes()
    known_to(ConfigFile.load(path).config)
    assert path.read_bytes() == before


@pytest.fixture
async def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Private]:
    """A deployment of which only dmsg works."""
    async with private_deployment(tmp_path) as made:
        monkeypatch.setenv("SKYDEPLOY", str(made.write(http=False)))
        yield made


@asynccontextmanager
async def rpc_of(visor: Visor) -> AsyncIterator[RemoteVisor]:
    host, _, port = str(visor.modules["rpc"].facts["rpc"]).rpartition(":")
    async with asyncio.timeout(SOON):
        stream = await dial_tcp(host, int(port))
    async with RpcClient(stream) as rpc:
        yield RemoteVisor(rpc)


async def test_b_a_minimal_config_reaches_every_service_over_dmsg(
    private: Private, tmp_path: Path
) -> None:
    file = config()
    assert file.config.dmsg.discovery == nowhere("dmsg_discovery")
    async with started(file, tmp_path) as visor, rpc_of(visor) as rpc, asyncio.timeout(2 * SOON):
        await eventually(lambda: visor.dmsg.sessions, SOON)
        for field, address in service_addresses(visor.config).items():
            answer = await rpc.call(ops_fetch.dmsg_http, DmsgHTTPRequest(f"{address}/health"))
            assert answer.status == 200, field
            assert b"build_info" in answer.body
        listed = await rpc.call(
            ops_fetch.dmsg_http,
            DmsgHTTPRequest(f"dmsg://{private.keys['transport_discovery']}:80/all-transports"),
        )
        assert listed.body.strip() in (b"[]", b"null")
        # its own entry was posted through the discovery's twin, so that others can dial it
        await visor.dmsg.ready()


async def test_b_the_parts_use_the_twins_of_services_that_http_does_not_reach(
    private: Private, tmp_path: Path
) -> None:
    async with started(config(), tmp_path) as visor, asyncio.timeout(2 * SOON):
        await visor.dmsg.connected()
        listing = visor.transports.listing
        assert listing is not None
        assert listing.url == nowhere("transport_discovery")
        status, body = await listing.plain("GET", "/all-transports")
        assert (status, body.strip()) in ((200, b"[]"), (200, b"null"))


async def test_over_dmsg_the_entry_is_posted_and_withdrawn(
    private: Private, tmp_path: Path
) -> None:
    """A discovery on dmsg alone, as `config gen` writes it by default."""
    discovery = f"dmsg://{private.keys['dmsg_discovery']}:80"
    async with (
        DiscoveryClient(private.urls["dmsg_discovery"]) as asked,
        asyncio.timeout(2 * SOON),
    ):
        async with started(config(dmsg={"discovery": discovery}), tmp_path) as visor:
            assert visor.config.transport.discovery.startswith("dmsg://")
            await visor.dmsg.ready()
            entry = await asked.entry(visor.pk)
            assert entry.client is not None
            assert entry.client.delegated_servers == (private.servers[0].public,)
        with pytest.raises(NotFound):
            await asked.entry(visor.pk)


async def test_requests_over_dmsg_have_limits(private: Private, tmp_path: Path) -> None:
    async with started(config(), tmp_path) as visor, rpc_of(visor) as rpc, asyncio.timeout(SOON):
        for url in ("http://127.0.0.1/", "file:///etc/passwd", "dmsg://zz/", ""):
            with pytest.raises(Refused):
                await rpc.call(ops_fetch.dmsg_http, DmsgHTTPRequest(url))
        visor.fetching._running = MAX_AT_ONCE
        url = f"dmsg://{private.keys['conf']}:80/health"
        with pytest.raises(Refused, match="busy"):
            await rpc.call(ops_fetch.dmsg_http, DmsgHTTPRequest(url))
        visor.fetching._running = 0
        missing = await rpc.call(ops_fetch.dmsg_http, DmsgHTTPRequest(url[:-6] + "no-such-page"))
        assert missing.status == 404


async def test_an_unknown_key_is_asked_for_at_the_discovery(private: Private) -> None:
    known = known_to(config().config)
    directory = SeededDirectory(StaticDirectory(), known.services, known.servers)
    assert await directory.entry(known.services[0]) == directory.seeds[known.services[0]]
    assert (await directory.entry(OTHER)).client is None  # what a static directory says
