"""Sessions in the page: attached by address, looked on at, ended; and the end of a login."""

import asyncio
import json
from pathlib import Path
from time import time

import pytest
from playwright.async_api import Browser

from skywire.hypervisor.sessions import Sessions
from skywire.testing.wait import eventually
from tests.browser.kit import Site, Tab, tab
from tests.browser.test_terminal import CLOSED
from tests.hypervisor.harness import ACCOUNT

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="package")]


async def sid_of(page: Tab) -> str:
    kept = await page.page.evaluate("Object.values({...sessionStorage})")
    return str(kept[0])


async def sessions(page: Tab, site: Site) -> list[dict[str, object]]:
    """As the API tells of them."""
    path = f"/api/visors/{site.node.key}/sessions"
    text = await page.page.evaluate(f"async () => await (await fetch('{path}')).text()")
    return list(json.loads(text))


async def test_the_address_names_a_session_to_attach_to(browser: Browser, site: Site) -> None:
    async with tab(browser, site.terminal_url) as one:
        await one.ready()
        pid, sid = await one.pid(), await sid_of(one)
        async with tab(browser, f"{site.terminal_url}?sid={sid}") as two:
            await two.ready()
            await two.shows("pid-1-")  # the replay of what the other has seen
            two._asked = one._asked
            assert await two.pid() == pid
            assert "sid" not in two.page.url
            await two.run("echo typed by ''two")
            await one.shows("typed by two")
            await two.page.reload()
            await two.ready()
            assert await two.pid() == pid
            (shown,) = await sessions(one, site)
            assert (shown["id"], shown["viewers"], shown["mine"]) == (sid, 2, True)
            assert two.complaints == []


async def test_an_address_of_a_session_that_is_gone_gives_a_new_shell_and_says_so(
    browser: Browser, site: Site
) -> None:
    async with tab(browser, f"{site.terminal_url}?sid=0123456789abcdef") as page:
        await page.shows("[skywire: new shell — the earlier one is gone]")
        await page.ready()
        assert await sid_of(page) != "0123456789abcdef"
        assert "sid" not in page.page.url


@pytest.mark.parametrize("phone", [False, True])
async def test_who_looks_on_sees_all_types_nothing_and_is_told_so(
    browser: Browser, site: Site, phone: bool
) -> None:
    async with tab(browser, site.terminal_url) as user:
        await user.ready()
        sid = await sid_of(user)
        size = await user.page.evaluate(SIZE)
        await user.run("echo before it was ''seen")
        await user.shows("before it was seen")
        async with tab(browser, f"{site.terminal_url}?view=1&sid={sid}", phone=phone) as viewer:
            await viewer.state("view only · dmsg")
            await viewer.shows("before it was seen")
            await viewer.until(lambda: _equal(viewer, SIZE, size))
            assert not await viewer.page.locator("#keys").is_visible()
            await viewer.page.keyboard.type("rm -rf")
            await viewer.state("view only: keys are not sent")
            await viewer.state("view only · dmsg")
            await viewer.page.evaluate(
                "() => document.querySelector('#screen').terminal.paste('pasted')"
            )
            await user.run("stty size; echo af''ter")
            await viewer.shows("after")
            screen = await user.shows("after")
            assert "rm -rf" not in screen
            assert "pasted" not in screen
            assert f"{size[1]} {size[0]}" in screen  # looking on did not change it
            site.cut()
            await viewer.state("reconnecting")
            await viewer.state("view only · dmsg")
            await viewer.shows("after")
            assert "view=1" in viewer.page.url
            await user.state("connected")
            await user.run("exit")
            await viewer.state("closed: session ended")
            assert "press a key" not in await viewer.page.locator("#state-text").inner_text()


SIZE = "() => { const t = document.querySelector('#screen').terminal; return [t.cols, t.rows]; }"


async def _equal(page: Tab, script: str, wanted: object) -> bool:
    return bool(await page.page.evaluate(script) == wanted)


async def test_looking_on_at_nothing_is_an_error_and_no_shell(browser: Browser, site: Site) -> None:
    async with tab(browser, f"{site.terminal_url}?view=1&sid=0123456789abcdef") as page:
        await page.state("closed: ")
        await page.shows("session not found")
    assert site.node.host.sessions is not None
    assert len(site.node.host.sessions) == 0


async def test_while_the_page_reconnects_by_itself_it_says_so_below_the_closed_line(
    browser: Browser, site: Site
) -> None:
    async with tab(browser, site.terminal_url) as page:
        await page.ready()
        pid = await page.pid()
        site.node.missing.add("dmsg")  # so that the next tries fail
        site.node.streams[-1].abort()
        screen = await page.shows("[skywire: reconnecting…]")
        assert screen.index(CLOSED) < screen.index("[skywire: reconnecting…]")
        await asyncio.sleep(2.5)  # more than one try
        assert (await page.screen()).count("reconnecting…") == 1
        site.node.missing.discard("dmsg")
        await page.state("connected")
        assert await page.pid() == pid
        assert "reconnecting…" not in await page.screen()
        assert CLOSED not in await page.screen()


async def test_a_cut_says_so_too_and_an_exit_does_not(browser: Browser, site: Site) -> None:
    async with tab(browser, site.terminal_url) as page:
        await page.ready()
        site.node.blocked.add("dmsg")
        site.cut()
        await page.shows("[skywire: reconnecting…]")
        site.node.blocked.clear()
        for stream in site.node.streams:
            stream.abort()
        await page.page.reload()
        await page.ready()
        await page.run("exit")
        await page.shows(CLOSED)
        await page.state("closed: session ended")
        assert "reconnecting…" not in await page.screen()


async def test_a_login_that_expires_ends_the_terminal_and_a_new_one_brings_it_back(
    browser: Browser, tmp_path: Path
) -> None:
    async with Site(tmp_path, auth=True) as site:
        site.context.sessions = Sessions(time, 4.0)
        async with tab(browser, site.url) as page:
            await log_in(page, "create-account", "login")
            await page.page.goto(site.terminal_url)
            await page.ready()
            pid = await page.pid()
            await page.state("closed: logged out")
            await page.shows(CLOSED)
            await eventually(lambda: len(site.node.terminals) == 0)
            await page.page.keyboard.press("Enter")  # in vain
            await page.state("closed: logged out")
            await log_in(page, "login")
            await page.page.keyboard.press("Enter")
            await page.state("connected")
            assert await page.pid() == pid


async def log_in(page: Tab, *steps: str) -> None:
    for step in steps:
        done = await page.page.evaluate(LOG_IN, [step, ACCOUNT])
        assert done == 200


LOG_IN = """async ([step, account]) => (await fetch(`/api/${step}`, {
  method: "POST",
  headers: {"Content-Type": "application/json"},
  body: JSON.stringify(account),
})).status"""
