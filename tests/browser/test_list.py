"""The list of nodes in a real Chromium, in front of the real hypervisor."""

from pathlib import Path
from typing import cast

import pytest
from playwright.async_api import Browser

from tests.browser.kit import Site, Tab, tab
from tests.hypervisor.harness import OWN, PASSWORD, FakeVisor, key

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="package")]


async def rows(page: Tab, count: int) -> list[str]:
    async def all_there() -> list[str]:
        found = await page.page.locator("#rows tr").all_inner_texts()
        return found if len(found) == count else []

    return cast(list[str], await page.until(all_there))


async def test_the_first_account_then_the_list_then_a_terminal(
    browser: Browser, tmp_path: Path
) -> None:
    async with Site(tmp_path, auth=True) as site, tab(browser, site.url) as page:
        keys = page.page.keyboard
        await page.page.get_by_role("heading", name="Create the account").wait_for()
        await keys.type("simple")
        await keys.press("Tab")
        await keys.type("other")
        await keys.press("Enter")
        await page.page.get_by_text("The two passwords differ.").wait_for()
        await page.page.get_by_label("Password again").fill("simple")
        await keys.press("Enter")
        await page.page.get_by_text("Password must have at least one upper, lower").wait_for()
        await page.page.get_by_label("Password", exact=True).fill(PASSWORD)
        await page.page.get_by_label("Password again").fill(PASSWORD)
        await keys.press("Enter")
        own, node = await rows(page, 2)
        assert "this node" in own
        assert site.visor.overview().hostname in node
        async with page.page.context.expect_page() as opened:
            await page.page.get_by_role(
                "link", name=f"Terminal on {site.visor.overview().hostname}"
            ).click()
        terminal = Tab(await opened.value)
        await terminal.ready()
        await terminal.page.close()
        await page.page.get_by_role("button", name="Log out").click()
        await page.page.get_by_role("heading", name="Log in").wait_for()
        await page.page.get_by_label("Password", exact=True).fill("wrong")
        await keys.press("Enter")
        await page.page.get_by_text("Incorrect username or password.").wait_for()
        await page.page.get_by_label("Password", exact=True).fill(PASSWORD)
        await keys.press("Enter")
        await rows(page, 2)


async def test_a_lost_login_says_so_in_the_terminal(browser: Browser, tmp_path: Path) -> None:
    async with Site(tmp_path, auth=True) as site, tab(browser, site.url) as page:
        await page.page.get_by_label("Password", exact=True).fill(PASSWORD)
        await page.page.get_by_label("Password again").fill(PASSWORD)
        await page.page.keyboard.press("Enter")
        await rows(page, 2)
        await page.page.goto(site.terminal_url)
        await page.ready()
        site.context.sessions.end_all("admin")
        site.cut()
        await page.state("closed: logged out — log in again")


async def test_rows_say_what_is_known_and_nothing_complains(browser: Browser, site: Site) -> None:
    async with tab(browser, site.url) as page:
        own, node = await rows(page, 2)
        assert "online" in own
        assert "online" in node
        assert "7 s" in node
        assert "–" in node  # noqa: RUF001 - what is not known
        assert await page.page.locator("#count").inner_text() == "2 of 2 online"
        await page.page.get_by_text("updated 1 s ago").wait_for()
        assert page.complaints == []


async def test_a_lost_node_stays_as_a_stale_row(browser: Browser, site: Site) -> None:
    async with tab(browser, site.url) as page:
        await rows(page, 2)
        site.stream.abort()

        async def offline() -> bool:
            await page.page.get_by_role("button", name="Refresh now").click()
            return await page.page.locator("tr.stale").count() == 1

        await page.until(offline)
        row = await page.page.locator("tr.stale").inner_text()
        assert "offline" in row
        assert await page.page.locator("#count").inner_text() == "1 of 2 online"
        await site.network.connect(FakeVisor(key("another")))
        await page.page.get_by_role("button", name="Refresh now").click()
        await rows(page, 3)


async def test_a_failing_refresh_is_said_and_heals(browser: Browser, site: Site) -> None:
    async with tab(browser, site.url) as page:
        await rows(page, 2)
        await page.page.route("**/api/visors-summary", lambda route: route.abort())
        await page.page.get_by_role("button", name="Refresh now").click()
        banner = page.page.locator("#banner")
        await banner.wait_for()
        text = await banner.inner_text()
        assert "No fresh data: the server does not answer. Trying again by itself." in text
        assert "What you see is" in text
        assert len(await rows(page, 2)) == 2
        await page.page.unroute("**/api/visors-summary")
        await banner.wait_for(state="hidden")  # by itself


async def test_it_works_by_keyboard_and_keeps_the_focus(browser: Browser, site: Site) -> None:
    async with tab(browser, site.url, permissions=["clipboard-read", "clipboard-write"]) as page:
        await rows(page, 2)
        keys = page.page.keyboard
        focus = """() => {
          const { ariaLabel, textContent } = document.activeElement;
          return ariaLabel ?? textContent.trim();
        }"""
        names = []
        for _ in range(8):
            await keys.press("Tab")
            names.append(await page.page.evaluate(focus))
        assert names[:4] == ["Skip to the content", "Skywire", "Refresh now", names[3]]
        assert f"Copy the key {str(OWN)[:8]}…{str(OWN)[-4:]}" in names
        assert any(name.startswith("Terminal on ") for name in names)
        await page.page.get_by_role("button", name=f"Copy the key {str(OWN)[:8]}").focus()
        await keys.press("Enter")

        async def copied() -> bool:
            text = await page.page.evaluate("() => navigator.clipboard.readText()")
            return bool(text == str(OWN))

        await page.until(copied)
        before = await page.page.evaluate(focus)
        async with page.page.expect_response("**/api/visors-summary"):
            await page.page.evaluate("() => document.querySelector('#refresh').click()")
        assert await page.page.evaluate(focus) == before


@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_it_fits_a_phone(browser: Browser, site: Site, scheme: str) -> None:
    long = FakeVisor(key("long"))
    name = "a-very-long-host-name-that-does-not-fit.in-any-column.example"
    overview = FakeVisor.overview

    def named(self: FakeVisor) -> object:
        found = overview(self)
        found.hostname = name
        return found

    long.overview = named.__get__(long)  # type: ignore[method-assign]
    await site.network.connect(long)
    async with tab(browser, site.url, phone=True, color_scheme=scheme) as page:
        await rows(page, 3)
        assert await page.page.evaluate("() => document.documentElement.scrollWidth") == 390
        link = page.page.get_by_role("link", name="Terminal on").first
        box = await link.bounding_box()
        assert box is not None
        assert box["height"] >= 40
