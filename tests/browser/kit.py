"""A hypervisor with real pages and real shells, and Chromium in front of it.

Server and browser driver share one event loop; only Chromium is another process.
"""

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Self

import pytest
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    ViewportSize,
    async_playwright,
)

from skywire.crypto.keys import PubKey
from skywire.hypervisor.connection import Timing
from skywire.visor.terminal_sessions import shown_sessions
from skywire.visor.types_terminals import TerminalSession
from tests.hypervisor.harness import OWN, FakeVisor, hypervisor
from tests.pty.web_kit import Node

LIMIT = 15.0  # seconds any wait may take; two cores are shared with other tests
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP: ViewportSize = {"width": 1180, "height": 720}
PHONE: ViewportSize = {"width": 390, "height": 760}
PATIENT = Timing(poll=0.2, fresh=0.0, ping=0.2)  # a busy machine is no silent visor


def chromium_path() -> str:
    """Skips the test where there is no Chromium; under CI that is a failure."""
    path = shutil.which("chromium")
    if path is None and os.environ.get("CI") == "true":
        pytest.fail("no chromium in PATH; CI must install it")
    if path is None:
        pytest.skip("no chromium in PATH: browser tests are skipped")
    return path


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    path = chromium_path()
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            await browser.close()


class VisorOfNode(FakeVisor):
    """Tells of the terminal sessions of `node`."""

    def __init__(self, node: Node) -> None:
        super().__init__(node.key)
        self._host = node.host

    def own_terminals(self) -> "VisorOfNode":
        return self

    def sessions(self, key: PubKey, lines: int, name: str) -> list[TerminalSession]:
        return shown_sessions(self._host, key, lines, name)

    async def end_session(self, name: str, key: PubKey) -> None:
        await self._host.end_session(name, key)


class Site:
    """`async with` it: a hypervisor without accounts (or with), one node with real shells."""

    def __init__(self, home: Path, *, auth: bool = False, persistent: bool = True) -> None:
        self.node = Node(home, persistent=persistent, owner=OWN)
        self._home = home
        self._auth = auth
        self._stack = AsyncExitStack()
        self.url = ""

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.node)
        client, self.network, self.context = await self._stack.enter_async_context(
            hypervisor(self._home, auth=self._auth, timing=PATIENT)
        )
        self.context.dial = self.node.dial
        self.context.terminals = self.node.terminals
        self._runner = client.server.runner
        self.visor = VisorOfNode(self.node)
        self.stream = await self.network.connect(self.visor)
        self.url = str(client.make_url("/"))
        return self

    async def __aexit__(self, *reason: object) -> None:
        self.cut()
        await self._stack.aclose()

    @property
    def terminal_url(self) -> str:
        return f"{self.url}pty/{self.node.key}"

    def cut(self) -> None:
        """Every TCP connection of every browser breaks at once."""
        assert self._runner is not None
        assert self._runner.server is not None
        for connection in self._runner.server.connections:
            if connection.transport is not None:
                connection.transport.abort()


class Tab:
    """One page; whatever it complains about is in `complaints`."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self._asked = 0
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(f"exception: {error}"))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    async def screen(self) -> str:
        """All text of the terminal, wrapped lines joined, scrollback included."""
        text = await self.page.evaluate(SCREEN_TEXT)
        return str(text)

    async def until(self, condition: Callable[[], Awaitable[Any]]) -> Any:
        """Ask until it holds; in vain, say what the terminal and the state line show."""
        try:
            async with asyncio.timeout(LIMIT):
                while not (found := await condition()):  # noqa: ASYNC110 - the page tells nobody
                    await asyncio.sleep(0.02)
                return found
        except TimeoutError:
            raise AssertionError(f"in vain; {await self._looks()}") from None

    async def _looks(self) -> str:
        state = self.page.locator("#state-text")
        if not await state.count():  # it is no terminal
            return (await self.page.locator("body").inner_text())[:2000]
        return f"{await state.text_content()!r} over:\n{(await self.screen())[-2000:]}"

    async def shows(self, text: str) -> str:
        async def found() -> str:
            screen = await self.screen()
            return screen if text in screen else ""

        return str(await self.until(found))

    async def state(self, word: str) -> None:
        async def found() -> bool:
            return word in (await self.page.locator("#state-text").text_content() or "")

        await self.until(found)

    async def ready(self) -> None:
        """Connected, with a prompt."""
        await self.state("connected")
        await self.shows("$ ")

    async def type(self, text: str) -> None:
        await self.page.keyboard.insert_text(text)

    async def run(self, line: str) -> None:
        await self.type(line)
        await self.page.keyboard.press("Enter")

    async def pid(self) -> int:
        """Of the shell."""
        self._asked += 1
        await self.run(f"echo pid-{self._asked}-$$-")

        async def answer() -> str:
            found = re.findall(rf"pid-{self._asked}-(\d+)-", await self.screen())
            return str(found[-1]) if found else ""

        return int(await self.until(answer))


SCREEN_TEXT = """() => {
  const buffer = document.querySelector("#screen").terminal.buffer.active;
  let text = "";
  for (let row = 0; row < buffer.length; row++) {
    const line = buffer.getLine(row);
    text += (line.isWrapped || row === 0 ? "" : "\\n") + line.translateToString(true);
  }
  return text;
}"""


@asynccontextmanager
async def tab(
    browser: Browser | BrowserContext, url: str, *, phone: bool = False, **options: Any
) -> AsyncIterator[Tab]:
    """A page of `url`, in a context of its own unless one is given."""
    own = None
    if isinstance(browser, Browser):
        if phone:
            options |= {"is_mobile": True, "has_touch": True}
        own = await browser.new_context(viewport=PHONE if phone else DESKTOP, **options)
    page = await (own or browser).new_page()
    found = Tab(page)
    try:
        await page.goto(url)
        yield found
    finally:
        await page.close()
        if own is not None:
            await own.close()
