"""A whole deployment on loopback: discovery, dmsg server, services, all of them on dmsg, too.

    async with private_deployment(tmp_path) as private:
        monkeypatch.setenv("SKYDEPLOY", str(private.write(http=False)))

The transport discovery here is ours with the list of uptimes that the one of 2026 has.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from skywire.config.deployment import Deployment
from skywire.config.load import ConfigFile
from skywire.config.model import LogStoreConfig
from skywire.config.values import HostPort
from skywire.crypto import generate
from skywire.crypto.keys import PubKey
from skywire.dmsg.client import DmsgClient
from skywire.dmsg.discovery import DiscoveryClient
from skywire.dmsg.server import DmsgServer
from skywire.http.app import listen, running
from skywire.services.address_resolver import AddressResolver
from skywire.services.base import Common, OnDmsg, service_app
from skywire.services.config_bootstrapper import ConfigBootstrapper
from skywire.services.dmsg_discovery import DmsgDiscovery, Settings
from skywire.services.host import Host, Service
from skywire.services.over_dmsg import OwnDirectory, serve_over_dmsg
from skywire.services.route_finder import RouteFinder
from skywire.services.service_discovery import ServiceDiscovery
from skywire.services.transport_discovery import TransportDiscovery
from skywire.stores.open import open_discovery, open_stores
from skywire.streams.supervise import Tasks
from skywire.testing.wait import eventually
from skywire.visor.visor import Visor

SOON = 15.0  # seconds nothing here should need
NAMES = (
    "dmsg_discovery",
    "transport_discovery",
    "address_resolver",
    "route_finder",
    "uptime_tracker",
    "service_discovery",
    "conf",
)


def nowhere(name: str) -> str:
    """A URL of its own for each service, where nobody answers."""
    return f"http://127.0.0.1:{NAMES.index(name) + 1}"


class WithUptimes:
    """A service with `/uptimes`; `document` is the answer, `asked` counts, `status` may fail it."""

    def __init__(self, inner: Service) -> None:
        self._inner = inner
        self.document: Any = []
        self.status = 200
        self.asked = 0

    def app(self, on_dmsg: OnDmsg | None = None) -> web.Application:
        app = self._inner.app(on_dmsg)
        app.router.add_get("/uptimes", self._uptimes)
        return app

    async def _uptimes(self, _: web.Request) -> web.Response:
        self.asked += 1
        return web.json_response(self.document, status=self.status)


class Tracker:
    """As much of an uptime tracker as is needed to ask it."""

    def app(self, on_dmsg: OnDmsg | None = None) -> web.Application:
        return service_app("ut", Common().metrics, [], health=on_dmsg or OnDmsg())


class Private:
    def __init__(self) -> None:
        self.urls: dict[str, str] = {}  # by the names of the deployment file
        self.keys: dict[str, PubKey] = {}
        self.servers: list[DmsgServer] = []
        self.tpd: WithUptimes
        self.folder: Path
        self.tracker: WithUptimes

    def document(self, *, http: bool) -> dict[str, Any]:
        """Of one deployment; without `http` no URL leads anywhere."""
        urls = dict(self.urls) if http else {name: nowhere(name) for name in self.urls}
        twins = {f"{name}_dmsg": f"dmsg://{pk}:80" for name, pk in self.keys.items()}
        servers = [
            {"static": str(server.public), "server": {"address": server.public_address}}
            for server in self.servers
        ]
        return {**urls, **twins, "dmsg_servers": servers}

    def write(self, *, http: bool, **changes: Any) -> Path:
        """The file for SKYDEPLOY."""
        path = self.folder / f"deployment-{http}.json"
        path.write_text(json.dumps({"prod": self.document(http=http) | changes}))
        return path


@asynccontextmanager
async def private_deployment(folder: Path) -> AsyncIterator[Private]:
    """Everything answers, by HTTP and over dmsg, once it is entered."""
    private = Private()
    private.folder = folder
    async with AsyncExitStack() as stack:
        tasks = Tasks("private deployment")
        stack.push_async_callback(tasks.close)
        store = await open_discovery("sqlite::memory:")
        stack.push_async_callback(store.close)
        rules = DmsgDiscovery(store, Settings(test_mode=True))
        runner = await stack.enter_async_context(running(rules.app()))
        port = await listen(runner, "127.0.0.1", 0, what="discovery")
        discovery = private.urls["dmsg_discovery"] = f"http://127.0.0.1:{port}"

        directory = await stack.enter_async_context(DiscoveryClient(discovery))
        server = DmsgServer(*generate.key_pair(), directory, public_address="127.0.0.1:0")
        await stack.enter_async_context(server)
        await server.serve("127.0.0.1", 0)
        async with asyncio.timeout(SOON):
            await server.posted()
        private.servers.append(server)

        public, secret = generate.key_pair()
        own = DmsgClient(public, secret, OwnDirectory(store), min_sessions=0)
        client = await stack.enter_async_context(own)
        tasks.spawn(serve_over_dmsg(client, runner), "discovery")
        private.keys["dmsg_discovery"] = public

        stores = await open_stores("sqlite::memory:")
        stack.push_async_callback(stores.close)
        common = Common(allow_loopback=True)
        private.tpd = WithUptimes(
            TransportDiscovery(stores.transports(), stores.nonces("tpd"), common)
        )
        private.tracker = WithUptimes(Tracker())
        services: dict[str, Service] = {
            "transport_discovery": private.tpd,
            "address_resolver": AddressResolver(stores.bindings(), stores.nonces("ar"), common),
            "route_finder": RouteFinder(stores.transports(), common.metrics),
            "uptime_tracker": private.tracker,
            "service_discovery": ServiceDiscovery(stores.services(), stores.nonces("sd"), common),
            "conf": ConfigBootstrapper(Deployment(), common.metrics),
        }
        host = await stack.enter_async_context(Host(discovery))
        for name, service in services.items():
            running_service = await host.add(
                name, service, HostPort("127.0.0.1:0"), generate.key_pair()[1]
            )
            private.urls[name] = f"http://127.0.0.1:{running_service.port}"
            assert running_service.public_key is not None
            private.keys[name] = running_service.public_key
        clients = [client, *(one.client for one in host.running.values() if one.client)]
        async with asyncio.timeout(SOON):
            for each in clients:
                await each.connected()
        yield private


@asynccontextmanager
async def started(file: ConfigFile, folder: Path) -> AsyncIterator[Visor]:
    """A visor of a config with a key only; where this test's machine comes in is changed here."""
    pty = file.config.pty
    assert pty is not None
    file.config = msgspec.structs.replace(
        file.config,
        cli_addr=HostPort("127.0.0.1:0"),
        pty=msgspec.structs.replace(pty, cli_address=str(folder / "pty.sock")),
        local_path=str(folder / "local"),
        transport=msgspec.structs.replace(
            file.config.transport, log_store=LogStoreConfig(type="memory")
        ),
    )
    visor = Visor(file)
    ready = asyncio.Event()
    running = asyncio.get_running_loop().create_task(visor.run(ready.set))
    try:
        await eventually(lambda: ready.is_set() or running.done(), SOON)
        if running.done():
            running.result()
        yield visor
    finally:
        running.cancel()
        await asyncio.wait({running}, timeout=10)
