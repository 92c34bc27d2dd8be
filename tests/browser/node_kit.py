"""Real visors behind a real hypervisor, and the page of one of them."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page, expect

from skywire.testing.wait import eventually
from tests.browser.kit import LIMIT, Tab, tab
from tests.visor.network import Node
from tests.visor.skynet import Skynet, key, listed, skynet

SOON = 15_000.0  # ms
APP = "example-server-app"


class Fleet:
    """A runs the hypervisor; B and C are managed. A - B - C are joined by transports."""

    def __init__(self, net: Skynet, a: Node, b: Node, c: Node) -> None:
        self.net = net
        self.a, self.b, self.c = a, b, c
        self.url = a.fact("hypervisor", "url")

    @asynccontextmanager
    async def page(
        self, browser: Browser | BrowserContext, node: Node, path: str = "", **options: Any
    ) -> AsyncIterator["NodeTab"]:
        async with tab(browser, f"{self.url}#/node/{node.pk}/{path}", **options) as opened:
            yield NodeTab(opened, self.url, node)


class NodeTab:
    """The page of a node in a browser."""

    def __init__(self, opened: Tab, url: str, node: Node) -> None:
        self.tab = opened
        self.page: Page = opened.page
        self.node = node
        self._url = url

    async def go(self, path: str) -> None:
        await self.page.goto(f"{self._url}#/node/{self.node.pk}/{path}")

    async def reports(self, text: str) -> str:
        """What the last action came to; gives the command that is shown with it."""
        place = self.page.locator(".report")
        await expect(place).to_contain_text(text, timeout=SOON)
        return " ".join(await place.locator(".command code").all_inner_texts())

    async def choose(self, menu: str, item: str) -> None:
        await self.page.get_by_role("button", name=menu).click()
        await self.page.get_by_role("menuitem", name=item).click()

    async def press(self, name: str) -> None:
        await self.page.get_by_role("button", name=name, exact=True).click()


@asynccontextmanager
async def fleet(folder: Path) -> AsyncIterator[Fleet]:
    launcher = {
        "apps": [
            {
                "name": APP,
                "binary": "skywire",
                "args": ["app", APP],
                "auto_start": False,
                "port": 45,
            }
        ],
        "server_addr": "127.0.0.1:0",
        "bin_path": str(Path(sys.executable).parent),
    }
    async with skynet(folder) as net:
        managed = {"hypervisors": [str(key("a"))], "launcher": launcher}
        b = await net.visor("b", **managed)
        a = await net.visor("a", "b", hypervisor=net.net.hypervisor_section())
        c = await net.visor("c", "b", **managed)
        await listed(a, b, c)
        managed_by = a.visor.managed
        assert managed_by is not None
        await eventually(lambda: {b.pk, c.pk} <= set(managed_by.online()), LIMIT)
        yield Fleet(net, a, b, c)
