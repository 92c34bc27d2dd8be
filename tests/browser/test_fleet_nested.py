"""A terminal two hypervisors away, A → B → C, from the list of A: real visors, a real shell.

Source: update-2026-06-12.md 3090; hypervisor.md §7, §10 no. 12.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, expect

from skywire.streams.supervise import Tasks
from skywire.testing.wait import eventually
from tests.browser.fleet_kit import opened
from tests.browser.kit import Tab
from tests.visor.lines import Line, key, line
from tests.visor.network import SOON

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="package")]

A, B, C = map(key, "abc")
CHUNK = 65536


class Proxy:
    """Between the browser and a hypervisor; `cut` breaks every connection."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._tasks = Tasks("proxy")
        self._writers: list[asyncio.StreamWriter] = []

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        self._writers += [writer, far_writer]
        self._tasks.spawn(self._pump(reader, far_writer), "to the hypervisor")
        self._tasks.spawn(self._pump(far_reader, writer), "to the browser")

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(CHUNK):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass  # cut
        finally:
            writer.close()

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def close(self) -> None:
        self.cut()
        await self._tasks.close()


@asynccontextmanager
async def proxied(url: str) -> AsyncIterator[tuple[str, Proxy]]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    proxy = Proxy(parts.hostname, parts.port)
    server = await asyncio.start_server(proxy.take, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", proxy
    finally:
        server.close()
        await proxy.close()


def shells(made: Line, name: str) -> list[str]:
    """Whose shells there are on a visor."""
    sessions = made[name].visor.own_terminals().host.sessions
    assert sessions is not None
    return [str(one.owner) for one in sessions.seen_by(made[name].pk)]


async def test_a_terminal_two_hypervisors_away_survives_a_cut(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # the shell reads nobody's settings
    async with (
        line(tmp_path, "a", "b", "c") as made,
        proxied(made.url("a")) as (url, proxy),
        opened(browser, url) as tab,
    ):
        terminals = made["c"].visor.terminals
        assert terminals is not None
        await eventually(lambda: A in terminals.host.whitelist, SOON)
        page = tab.page
        far = page.locator(f"tr[data-key='{C}']")
        await page.get_by_role("button", name="Refresh now").click()
        await expect(far).to_be_visible()
        await expect(far.get_by_text("online")).to_be_visible()
        await expect(page.get_by_role("button", name="Behind ")).to_be_visible()
        await page.get_by_label("Filter the nodes").fill(f"key:{C}")
        await expect(page.locator("tr[data-key]")).to_have_count(1)
        async with page.context.expect_page() as started:
            await far.get_by_role("link", name="Terminal").click()
        terminal = Tab(await started.value)
        await terminal.state("connected")
        pid = await terminal.pid()
        assert (shells(made, "c"), shells(made, "b")) == ([str(A)], [])
        await terminal.run("for n in 1 2 3 4 5 6 7 8; do echo far-$n-; sleep 0.2; done")
        await terminal.shows("far-2-")
        proxy.cut()
        await terminal.state("reconnecting in ")
        await terminal.state("connected")
        screen = await terminal.shows("far-8-")
        assert [screen.count(f"\nfar-{n}-") for n in range(1, 9)] == [1] * 8
        assert await terminal.pid() == pid
        await made["b"].stop()
        assert await terminal.pid() == pid
        await terminal.run("exit")
        await terminal.shows("session closed")
        await terminal.page.close()
        cut = ("ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE")
        tab.complaints[:] = [one for one in tab.complaints if not one.endswith(cut)]


async def test_one_behind_another_hypervisor_is_changed_on_its_page(
    browser: Browser, tmp_path: Path
) -> None:
    async with line(tmp_path, "a", "b", "c") as made, opened(browser, made.url("a")) as tab:
        page = tab.page
        await page.locator(f"tr[data-key='{C}']").wait_for()
        await page.evaluate("key => { location.hash = `#/node/${key}/settings`; }", str(C))
        hops = page.get_by_role("region", name="Minimum hops")
        await hops.get_by_role("spinbutton").fill("2")
        await hops.get_by_role("button", name="Save").click()
        await expect(hops.get_by_text("Now: 2")).to_be_visible()
        assert made["c"].visor.config.routing.min_hops == 2
        rotation = page.get_by_role("region", name="Log rotation")
        await expect(rotation.get_by_text("does not pass this on")).to_be_visible()
        await page.get_by_role(
            "button", name="Refresh now"
        ).click()  # what was told before is older
        await expect(page.get_by_role("button", name="Refresh now")).to_have_attribute(
            "aria-busy", "false"
        )
        await expect(hops.get_by_text("Now: 2")).to_be_visible()
        await page.evaluate("key => { location.hash = `#/node/${key}/transports`; }", str(C))
        await page.get_by_role("button", name="Add a transport").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Key of the other node").fill(str(A))
        await dialog.get_by_label("dmsg").check()
        await dialog.get_by_role("button", name="Add", exact=True).click()
        row = page.get_by_role("row").filter(has_text="dmsg")
        await expect(row.get_by_text("up", exact=True)).to_be_visible()
        absent = "501 (Not Implemented)"  # what B does not pass on was asked for
        tab.complaints[:] = [one for one in tab.complaints if absent not in one]
