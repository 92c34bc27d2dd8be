"""Terminals of a page while the hypervisor's process is killed and started anew."""

import asyncio
import json
import os
import re
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import Browser

from skywire.platform import ready
from tests.browser.kit import Tab, tab
from tests.browser.test_terminal_sessions import log_in
from tests.visor.network import Net, Node, network
from tests.visor.skynet import key

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.timeout(90),
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Hypervisor:
    """A program that can be killed; it has the same key, address and files each time."""

    def __init__(self, net: Net, *, auth: bool) -> None:
        port = free_port()
        section = net.hypervisor_section(auth=auth) | {"http_addr": f"127.0.0.1:{port}"}
        self._document = net.document("a", hypervisor=section)
        self._process: Process | None = None
        self.url = f"http://127.0.0.1:{port}/"

    async def start(self) -> None:
        receiver, sender = os.pipe()
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "skywire", "visor", "-C", json.dumps(self._document)),
            stderr=asyncio.subprocess.DEVNULL,
            pass_fds=(sender,),
            env=os.environ | {ready.VARIABLE: str(sender)},
        )
        os.close(sender)
        with os.fdopen(receiver, "rb") as pipe:
            async with asyncio.timeout(20):
                assert b'"failed": {}' in await asyncio.to_thread(pipe.readline)

    async def kill(self) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


@asynccontextmanager
async def running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, auth: bool
) -> AsyncIterator[tuple[Hypervisor, Node]]:
    """The hypervisor, and a node that it knows."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".bashrc").write_text("PS1='$ '\n")
    async with network(tmp_path) as net:
        await net.start_discovery()
        await net.start_server()
        hypervisor = Hypervisor(net, auth=auth)
        node = await net.start(net.config("b", hypervisors=[str(key("a"))]))
        await hypervisor.start()
        try:
            yield hypervisor, node
        finally:
            await hypervisor.kill()


async def until_connected(hypervisor: Hypervisor, node: Node) -> None:
    """Of a hypervisor without accounts."""
    async with asyncio.timeout(20), aiohttp.ClientSession(hypervisor.url) as http:
        while True:
            async with http.get(f"api/visors/{node.pk}/uptime") as answer:
                if answer.status == 200:
                    return
            await asyncio.sleep(0.05)


async def missed(page: Tab) -> list[int]:
    screen = await page.shows("done\n")
    return [int(number) for number in re.findall(r"^line-(\d+)-", screen, re.M)]


async def test_terminals_reattach_after_the_hypervisor_was_killed(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path, monkeypatch, auth=False) as (hypervisor, node):
        await until_connected(hypervisor, node)
        url = f"{hypervisor.url}pty/{node.pk}"
        async with tab(browser, url) as one, tab(browser, url) as two:
            await one.ready()
            await two.ready()
            pids = await one.pid(), await two.pid()
            await one.run("for n in $(seq 60); do echo line-$n-; sleep 0.05; done; echo do''ne")
            await one.shows("line-3-")
            await hypervisor.kill()
            for page in (one, two):
                await page.state("reconnecting in ")
                await page.shows("[skywire: reconnecting…]")
            await hypervisor.start()
            for page in (one, two):
                await page.state("connected")
            assert await missed(one) == list(range(1, 61))
            for page, pid in zip((one, two), pids, strict=True):
                assert "reconnecting…" not in await page.screen()
                assert "new shell" not in await page.screen()
                page._asked = 10
                assert await page.pid() == pid


async def test_with_accounts_the_person_logs_in_and_has_the_shell_again(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        running(tmp_path, monkeypatch, auth=True) as (hypervisor, node),
        tab(browser, hypervisor.url) as page,
    ):
        await log_in(page, "create-account", "login")
        await page.page.wait_for_function(REACHED, arg=f"/api/visors/{node.pk}/uptime")
        await page.page.goto(f"{hypervisor.url}pty/{node.pk}")
        await page.ready()
        pid = await page.pid()
        await hypervisor.kill()
        await page.state("reconnecting in ")
        await hypervisor.start()
        await page.state("closed: logged out")
        await log_in(page, "login")
        await page.page.keyboard.press("Enter")
        await page.state("connected")
        page._asked = 10
        assert await page.pid() == pid


REACHED = "async (path) => (await fetch(path)).status === 200"
