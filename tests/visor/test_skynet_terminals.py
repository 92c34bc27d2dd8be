"""Terminals over routes that exist: update 3089, row by row, between real visors."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from skywire.crypto.keys import PubKey
from skywire.hypervisor.part import terminal_dial
from skywire.pty.web import WebTerminals
from skywire.pty.web_frames import CLOSED_LINE
from skywire.pty.web_session import Timing
from skywire.testing.wait import eventually
from tests.pty.test_web import shell_pid
from tests.pty.web_kit import Browser, WebKit
from tests.visor.network import Node
from tests.visor.skynet import Skynet, key, listed, skynet

pytestmark = pytest.mark.timeout(90)

PTY = {"cli_network": "", "persistent_sessions": True}


@pytest.fixture
async def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Skynet]:
    monkeypatch.setenv("HOME", str(tmp_path))  # what else a shell reads there may take long
    async with skynet(tmp_path) as made:
        yield made


class Dials:
    """The networks over which a visor has tried to reach terminals."""

    def __init__(self, node: Node) -> None:
        self.tried: list[str] = []
        self._dial = terminal_dial(node.visor)

    async def __call__(self, pk: PubKey, port: int, scheme: str) -> Any:
        self.tried.append(scheme)
        return await self._dial(pk, port, scheme)


@asynccontextmanager
async def terminals(
    dials: Dials, target: PubKey, timing: Timing | None = None
) -> AsyncIterator[tuple[WebKit, WebTerminals]]:
    """What a hypervisor does with its visor's network, without the rest of it."""
    shared = WebTerminals(timing=timing)

    async def handle(request: web.Request) -> web.StreamResponse:
        return await shared.handle(request, target, dials)

    async with WebKit(handle) as kit:
        yield kit, shared
        await shared.close()


async def line(net: Skynet) -> tuple[Node, Node]:
    """A and C of A - B - C; C admits A."""
    a, _, c = await net.line()
    c.visor.allow_terminals([a.pk])
    return a, c


async def via(browser: Browser) -> str:
    """The network that carries the terminal, once it is there."""
    return str((await browser.until_text("open"))["via"])


@asynccontextmanager
async def wedged(net: Skynet) -> AsyncIterator[tuple[Node, Node]]:
    """A and C, whose transports to B stand, while B does nothing any more."""
    async with net.process("b") as b:
        a = await net.visor("a", "b")
        c = await net.visor("c", "b", pty=PTY | {"whitelist": [str(key("a"))]})
        await listed(a, c)
        os.kill(b.pid, signal.SIGSTOP)
        yield a, c


async def test_3089a_a_wedged_route_does_not_matter_to_the_scheme_dmsg(net: Skynet) -> None:
    async with wedged(net) as (a, c), terminals(dials := Dials(a), c.pk) as (kit, _):
        begin = asyncio.get_running_loop().time()
        async with kit.browser("flow=1&scheme=dmsg") as browser:
            assert await via(browser) == "dmsg"
            await shell_pid(browser)
        assert asyncio.get_running_loop().time() - begin < 2  # no skynet attempt fits into that
        assert dials.tried == ["dmsg"]
        async with kit.browser("flow=1") as browser:
            assert await via(browser) == "dmsg"
        assert dials.tried == ["dmsg", "skynet", "dmsg"]
        assert 2 <= asyncio.get_running_loop().time() - begin < 10


async def test_3089b_without_skynet_the_scheme_skynet_is_an_error(net: Skynet) -> None:
    a, c = await net.visor("a"), await net.visor("c", pty=PTY | {"whitelist": [str(key("a"))]})
    await listed(a, c)
    async with terminals(dials := Dials(a), c.pk) as (kit, _):
        async with kit.browser("flow=1&scheme=skynet") as browser:
            assert (await browser.until_text("closed"))["reason"] == "unreachable"
            assert await browser.until_closed() == (1000, "closed")
            assert re.search(rb"\[skypty-ui\] Error: [^\n]*:22: skynet: ", browser.output)
            assert browser.output.endswith(b"[skypty-ui] Status: Stopped!\r")
        assert dials.tried == ["skynet"]
        async with kit.browser("flow=1") as browser:
            assert await via(browser) == "dmsg"


async def test_3089c_exit_over_a_route_shows_the_closed_line(net: Skynet) -> None:
    a, c = await line(net)
    async with terminals(dials := Dials(a), c.pk) as (kit, _):
        for query in ("flow=1", "flow=1&scheme=skynet"):
            async with kit.browser(query) as browser:
                assert await via(browser) == "skynet"
                await shell_pid(browser)
                await browser.type("exit\n")
                assert await browser.until_closed() == (1000, "closed")
                assert browser.output.endswith(CLOSED_LINE)
                assert browser.texts[-1]["reason"] == "exit"
        assert dials.tried == ["skynet", "skynet"]


async def test_3089d_a_killed_peer_at_the_end_of_a_route_is_seen(net: Skynet) -> None:
    b = await net.visor("b")
    a = await net.visor("a", "b")
    admitted = {"pty": PTY | {"whitelist": [str(a.pk)]}}
    async with net.process("c", "b", **admitted) as process:
        await eventually(lambda: len(b.visor.transports.links) == 2)
        await listed(a, b)
        async with (
            terminals(Dials(a), key("c")) as (kit, _),
            kit.browser("flow=1&scheme=skynet") as browser,
        ):
            assert await via(browser) == "skynet"
            await shell_pid(browser)
            process.kill()
            assert await browser.until_closed() == (1000, "closed")
            assert browser.output.endswith(CLOSED_LINE)
            assert browser.texts[-1]["reason"] == "lost"


async def test_3089e_a_route_that_breaks_is_reported_by_the_third_key(net: Skynet) -> None:
    a, c = await line(net)
    async with (
        terminals(Dials(a), c.pk) as (kit, _),
        kit.browser("flow=1&scheme=skynet") as browser,
    ):
        await shell_pid(browser)
        (group,) = c.visor.routes.router.groups
        group.abort()
        async with asyncio.timeout(3), asyncio.TaskGroup() as tasks:
            closed = tasks.create_task(browser.until_closed())
            for _ in range(3):
                if not closed.done():
                    await browser.type("x")
                await asyncio.wait([closed], timeout=0.4)
            assert closed.done(), "not by the third key"
        assert closed.result() == (1000, "closed")
        assert browser.output.endswith(CLOSED_LINE)


async def test_3089e_a_route_that_falls_silent_is_reported_after_the_time_of_a_write(
    net: Skynet,
) -> None:
    """Ten seconds; here fewer."""
    assert Timing().write == 10
    async with net.process("b") as b:
        a = await net.visor("a", "b")
        c = await net.visor("c", "b", pty=PTY | {"whitelist": [str(a.pk)]})
        await listed(a, c)
        async with (
            terminals(Dials(a), c.pk, Timing(write=1.0)) as (kit, _),
            kit.browser("flow=1&scheme=skynet") as browser,
        ):
            await shell_pid(browser)
            os.kill(b.pid, signal.SIGSTOP)
            await browser.type("x")
            assert (await browser.until_text("closed"))["reason"] == "lost"
            assert await browser.until_closed() == (1000, "closed")
            assert browser.output.endswith(CLOSED_LINE)


async def test_3089f_ten_thousand_keys_arrive_in_order_over_a_route(
    net: Skynet, tmp_path: Path
) -> None:
    a, c = await line(net)
    text = "".join(f"{number:05d} pasted\n" for number in range(800))
    assert len(text) > 10_000
    async with terminals(Dials(a), c.pk) as (kit, _), kit.browser("scheme=skynet") as browser:
        await browser.type(f"stty -echo; echo rea''dy; cat > {tmp_path}/pasted; echo do''ne\n")
        await browser.until(b"ready")
        await asyncio.gather(*(browser.type(key) for key in text))
        await browser.type("\x04")
        await browser.until(b"done")
    assert (tmp_path / "pasted").read_text() == text


async def test_3089g_a_closed_tab_leaves_its_session_and_nothing_else(net: Skynet) -> None:
    a, c = await line(net)
    router = a.visor.routes.router
    async with terminals(Dials(a), c.pk) as (kit, shared):
        async with kit.browser("scheme=skynet") as browser:
            sid = (await browser.until_text("session"))["id"]
            pid = await shell_pid(browser)
            assert len(router.groups) == 1
            browser.vanish()
            await eventually(lambda: len(shared) == 0)
            await eventually(lambda: len(router.groups) == 0)
        kept = c.visor.own_terminals().host.sessions
        assert kept is not None
        await eventually(lambda: kept.get(sid, a.pk).viewers == 0)
        async with kit.browser(f"flow=1&scheme=dmsg&sid={sid}") as browser:
            assert await via(browser) == "dmsg"  # another way to the same shell
            assert await shell_pid(browser) == pid
