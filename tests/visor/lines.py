"""Hypervisors in a line, A → B → C …: each is controlled by the one before it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from skywire.config.load import ConfigFile
from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey
from skywire.testing.wait import eventually
from tests.visor.network import SOON, Net, Node, network


def key(name: str) -> PubKey:
    return deterministic_key_pair(name.encode())[0]


class Line:
    """`nodes` by their names; the last one is no hypervisor."""

    def __init__(self, net: Net, tmp_path: Path) -> None:
        self.net = net
        self._path = tmp_path
        self.nodes: dict[str, Node] = {}

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    async def start(self, name: str, *above: str, hypervisor: bool = True, **more: Any) -> Node:
        """A visor that is controlled by those `above`; returns when it is connected to them."""
        config = self.config(name, *above, hypervisor=hypervisor, **more)
        node = self.nodes[name] = await self.net.start(config)
        for other in above:
            if other in self.nodes:
                await self.sees(other, name)
        return node

    def config(self, name: str, *above: str, hypervisor: bool = True, **more: Any) -> ConfigFile:
        section = self.net.hypervisor_section() | {"db_path": str(self.folder(name) / "users.db")}
        settings: dict[str, Any] = {
            "hypervisors": [str(key(other)) for other in above],
            "local_path": str(self.folder(name)),
        }
        return self.net.config(
            name, **settings | ({"hypervisor": section} if hypervisor else {}) | more
        )

    def folder(self, name: str) -> Path:
        folder = self._path / name
        folder.mkdir(exist_ok=True)
        return folder

    async def sees(self, above: str, name: str) -> None:
        """Once `name` is connected to `above`."""
        await eventually(lambda: key(name) in online(self[above]), SOON)

    def url(self, name: str) -> str:
        """Of the pages of its hypervisor, without a slash at the end."""
        return self[name].fact("hypervisor", "url").rstrip("/")


def online(node: Node) -> Sequence[PubKey]:
    return [] if node.visor.managed is None else node.visor.managed.online()


@asynccontextmanager
async def line(tmp_path: Path, *names: str) -> AsyncIterator[Line]:
    """These, from the top down."""
    async with network(tmp_path) as net:
        await net.start_discovery()
        await net.start_server()
        made = Line(net, tmp_path)
        for number, name in enumerate(names):
            above = names[number - 1 : number] if number else ()
            await made.start(name, *above, hypervisor=number < len(names) - 1)
        yield made
