"""A private network in one process, on loopback TCP: discovery, dmsg servers, visors."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from skywire.config.load import ConfigFile
from skywire.crypto import generate
from skywire.crypto.keys import PubKey
from skywire.dmsg.discovery import DiscoveryClient
from skywire.dmsg.server import DmsgServer
from skywire.http.app import listen, running
from skywire.hypervisor.part import hypervisor_part
from skywire.services.dmsg_discovery import DmsgDiscovery, Settings
from skywire.stores.sql import SqlDiscoveryStore
from skywire.stores.sqlite import Database
from skywire.streams.supervise import Tasks
from skywire.visor.modules import State
from skywire.visor.visor import Visor

SOON = 15.0  # seconds nothing here should need


class Node:
    """A visor that runs; `stop` ends it as Ctrl-C does."""

    def __init__(self, visor: Visor, task: asyncio.Task[None]) -> None:
        self.visor = visor
        self._task = task

    @property
    def pk(self) -> PubKey:
        return self.visor.pk

    def fact(self, part: str, name: str) -> str:
        return str(self.visor.modules[part].facts[name])

    def state(self, part: str) -> State:
        return self.visor.modules[part].state

    async def stop(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task


class Net:
    def __init__(self, stack: AsyncExitStack, tmp_path: Path) -> None:
        self._stack = stack
        self._path = tmp_path
        self._tasks = Tasks("net")
        self._servers: list[DmsgServer] = []
        self.discovery = ""

    async def start_discovery(self, port: int = 0) -> int:
        database = await self._stack.enter_async_context(Database(":memory:"))
        rules = DmsgDiscovery(SqlDiscoveryStore(database), Settings(test_mode=True))
        runner = await self._stack.enter_async_context(running(rules.app()))
        port = await listen(runner, "127.0.0.1", port, what="discovery")
        self.discovery = f"http://127.0.0.1:{port}"
        return port

    async def start_server(self) -> None:
        directory = await self._stack.enter_async_context(DiscoveryClient(self.discovery))
        pk, sk = generate.key_pair()
        server = DmsgServer(pk, sk, directory, public_address="127.0.0.1:0")
        await self._stack.enter_async_context(server)
        await server.serve("127.0.0.1", 0)
        async with asyncio.timeout(SOON):
            await server.posted()
        self._servers.append(server)

    async def stop_server(self, pk: PubKey) -> None:
        (server,) = (server for server in self._servers if server.public == pk)
        await server.close()

    def config(self, name: str, **more: Any) -> ConfigFile:
        return ConfigFile(json.dumps(self.document(name, **more)), name)

    def document(self, name: str, **more: Any) -> dict[str, Any]:
        """Everything the node keeps is in the test's directory; no port is fixed."""
        config = {
            "sk": generate.deterministic_key_pair(name.encode())[1].hex(),
            "dmsg": {"discovery": self.discovery, "sessions_count": 1},
            "pty": {
                "cli_address": str(self._path / f"{name}.sock"),
                "persistent_sessions": True,
            },
            "cli_addr": "127.0.0.1:0",
            "transport": {"log_store": {"type": "memory"}},
            "local_path": str(self._path),
        }
        return config | more

    async def start(self, file: ConfigFile, visor: Visor | None = None) -> Node:
        """Returns when the node says that it is ready."""
        visor = visor or Visor(file)
        visor.make_hypervisor = partial(hypervisor_part, visor)
        if file.config.hypervisor is not None:
            visor.add_part("hypervisor", hypervisor_part(visor))
        ready = asyncio.Event()
        node = Node(visor, self._tasks.spawn(visor.run(ready.set), file.config.pk.hex()[:8]))
        self._stack.push_async_callback(node.stop)
        async with asyncio.timeout(SOON):
            await ready.wait()
        return node

    def hypervisor_section(self, *, auth: bool = False) -> dict[str, Any]:
        return {
            "db_path": str(self._path / "users.db"),
            "enable_auth": auth,
            "http_addr": "127.0.0.1:0",
        }

    def hypervisor_config(self, name: str, *, auth: bool = False, **more: Any) -> ConfigFile:
        return self.config(name, hypervisor=self.hypervisor_section(auth=auth), **more)


@asynccontextmanager
async def network(tmp_path: Path) -> AsyncIterator[Net]:
    async with AsyncExitStack() as stack:
        yield Net(stack, tmp_path)
