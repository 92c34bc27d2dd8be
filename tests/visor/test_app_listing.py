"""VPN and proxy servers are listed while they run, if anybody may use them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from skywire import __version__
from skywire.appkit.network import DMSG, SKYNET, Network
from skywire.appkit.proc import Proc
from skywire.appkit.types import ProcConfig
from skywire.config.load import ConfigFile
from skywire.crypto.generate import deterministic_key_pair
from skywire.errors import Unavailable
from skywire.testing.wait import eventually
from skywire.visor import app_listing
from skywire.visor.app_listing import Listings
from tests.appkit.kit import KEY, FakeCarrier

PK, SK, _ = deterministic_key_pair(b"lister")
URL = "http://sd.example"


class Discovery:
    """Answers as the service discovery, once `broken` requests have failed."""

    def __init__(self, broken: int = 0) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self._broken = broken

    @asynccontextmanager
    async def temporary(self, key: str, url: str) -> AsyncIterator["Discovery"]:
        assert (key, url) == ("launcher.service_discovery", URL)
        yield self

    async def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        if self._broken:
            self._broken -= 1
            raise Unavailable("not now")
        self.asked.append((method, path, msgspec.json.decode(body) if body else None))
        return 200, b"{}"


def listings(discovery: Discovery, url: str = URL) -> Listings:
    document = {"sk": SK.hex(), "dmsg": {"discovery": "x"}, "launcher": {"service_discovery": url}}
    config = ConfigFile(msgspec.json.encode(document), "test").config
    return Listings(config, discovery)  # type: ignore[arg-type]


def proc(name: str, *arguments: str, port: int = 3) -> Proc:
    config = ProcConfig(
        name, proc_key=KEY, proc_args=["app", name, *arguments], visor_pk=PK, routing_port=port
    )
    return Proc(config, Network(FakeCarrier(DMSG), FakeCarrier(SKYNET)))


@pytest.mark.parametrize(
    ("name", "kind", "port"), [("skysocks", "skysocks", 3), ("vpn-server", "vpn", 44)]
)
async def test_an_open_server_is_listed_and_taken_off(name: str, kind: str, port: int) -> None:
    discovery = Discovery()
    app = proc(name, port=port)
    async with listings(discovery) as listed:
        listed.begin(app)
        listed.begin(app)  # it says Running again
        await eventually(lambda: discovery.asked)
        await listed.end(app)
        await listed.end(app)
    address = f"{PK}:{port}"
    assert discovery.asked == [
        (
            "POST",
            "/api/services",
            {"address": address, "type": kind, "version": f"v{__version__}"},
        ),
        ("DELETE", f"/api/services/{address}?type={kind}", None),
    ]


@pytest.mark.parametrize(
    "app",
    [
        proc("skysocks", "--passcode", "code"),
        proc("vpn-server", "--whitelist", str(PK)),
        proc("skychat"),
        proc("skysocks-client"),
    ],
    ids=lambda app: app.name,
)
async def test_one_that_is_not_for_everybody_is_not(app: Proc) -> None:
    discovery = Discovery()
    async with listings(discovery) as listed:
        listed.begin(app)
        await listed.end(app)
    async with listings(discovery, "") as listed:
        listed.begin(proc("skysocks"))
    assert discovery.asked == []


async def test_a_discovery_that_is_away_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_listing, "RETRY", (0.01, 0.02))
    monkeypatch.setattr(app_listing, "REFRESH", 0.01)
    discovery = Discovery(broken=2)
    async with listings(discovery) as listed:
        listed.begin(proc("skysocks", "--passcode", ""))
        await eventually(lambda: len(discovery.asked) >= 2)  # and now and then
