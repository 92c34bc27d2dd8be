"""What an operator does in a day: log in, find nodes, act on many, open a transport, read a log."""

import json
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from skywire.visor import ops_node
from tests.browser.fleet_kit import FleetSite, go, opened, small_fleet
from tests.browser.played import CHAT, RUNNING
from tests.hypervisor.harness import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="package")]


async def test_from_the_login_to_an_action_on_many_nodes(browser: Browser, tmp_path: Path) -> None:
    visors = small_fleet()
    async with (
        FleetSite(tmp_path, visors, auth=True) as site,
        opened(browser, site.url) as tab,
    ):
        page = tab.page
        await page.get_by_label("Password", exact=True).fill(PASSWORD)
        await page.get_by_label("Password again").fill(PASSWORD)
        await page.keyboard.press("Enter")
        names = page.locator("#rows .name")
        await expect(names).to_have_count(7)
        await page.get_by_label("Filter the nodes").fill("name:-4")
        await expect(names).to_have_text(["oslo-4"])
        await page.get_by_label("Filter the nodes").fill("-own")
        await expect(names).to_have_count(6)
        await page.get_by_label("Select all that are shown").check()
        await page.get_by_role("button", name="Do something…").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Stop an app.").check()
        await dialog.get_by_label("App", exact=True).fill(CHAT)
        await dialog.get_by_role("button", name="Preview").click()
        await expect(dialog.get_by_text("running → stopped")).to_have_count(6)
        assert all(visor.app(CHAT).status == RUNNING for visor in visors)
        await dialog.get_by_role("button", name="Do it on 6 nodes").click()
        await expect(dialog.get_by_text("done", exact=True)).to_have_count(6)
        assert all(visor.app(CHAT).status == 0 for visor in visors)
        await dialog.get_by_role("button", name="Close").last.click()
        await go(tab, "#/audit", "Audit")
        await expect(page.locator("[data-row]").filter(has_text="stop-app")).to_have_count(6)


async def test_a_transport_is_added_and_is_on_the_map(browser: Browser, tmp_path: Path) -> None:
    visors = small_fleet()
    near, far = visors[1], visors[5]
    async with FleetSite(tmp_path, visors) as site, opened(browser, site.url) as tab:
        page = tab.page
        await go(tab, f"#/node/{near.pk}/transports", "berlin-2")
        await page.get_by_role("button", name="Add").first.click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Key of the other node").fill(str(far.pk))
        await dialog.get_by_label("sudph").check()
        await expect(dialog.get_by_text(f"tp add {far.pk} --type sudph")).to_be_visible()
        await dialog.get_by_role("button", name="Add", exact=True).click()
        await expect(dialog).to_be_hidden()
        (asked,) = [request for name, request in near.asked if name == "AddTransport"]
        assert (asked.remote_pk, asked.type) == (far.pk, "sudph")
        await go(tab, "#/map?view=list&q=berlin-2", "Map")
        row = page.locator("[data-row]").filter(has_text="tokyo-6")
        await expect(row).to_contain_text("33 ms")


async def test_a_log_is_followed(browser: Browser, tmp_path: Path) -> None:
    visors = small_fleet()
    entries = [entry(1, "dmsg up")]
    visors[0].answers[ops_node.runtime_logs] = lambda _: json.dumps(entries)
    async with FleetSite(tmp_path, visors) as site, opened(browser, site.url) as tab:
        await go(tab, f"#/node/{visors[0].pk}/logs", "amsterdam-1")
        log = tab.page.get_by_role("log")
        await expect(log).to_contain_text("dmsg up")
        entries.append(entry(2, "transport up"))
        await expect(log.locator(".line")).to_have_count(2)
        await expect(log).to_contain_text("transport up")


def entry(line: int, message: str) -> dict[str, object]:
    time = f"2026-11-24T17:50:{line:02}Z"
    return {"log_line": line, "time": time, "level": "info", "_module": "visor", "msg": message}


async def test_everything_is_reached_by_keyboard(browser: Browser, tmp_path: Path) -> None:
    visors = small_fleet()
    async with FleetSite(tmp_path, visors) as site, opened(browser, site.url) as tab:
        page, keys = tab.page, tab.page.keyboard
        await expect(page.locator("#rows .name")).to_have_count(7)
        for name in ("Map", "Services", "dmsg", "VPN", "Audit", "Account", "Settings"):
            link = page.get_by_role("navigation", name="Sections").get_by_role("link", name=name)
            await link.focus()
            await keys.press("Enter")
            await page.get_by_role("heading", level=1, name=name, exact=True).wait_for()
            await expect(link).to_have_attribute("aria-current", "page")
        await go(tab, "#/map", "Map")
        chosen = page.get_by_role("region", name="hyper").or_(page.locator("#map-chosen"))
        await page.get_by_role("application", name="Map of the network").focus()
        for key in ("+", "-", "ArrowLeft", "ArrowUp", "0"):
            await keys.press(key)
        await keys.press("n")
        await expect(chosen).to_have_text("amsterdam-1")
        await keys.press("n")
        await expect(chosen).to_have_text("berlin-2")
        await keys.press("p")
        await keys.press("p")
        await keys.press("p")
        await expect(chosen).not_to_have_text("amsterdam-1")
        await keys.press("Escape")
        await expect(page.locator("#map-chosen")).to_have_count(0)
        await keys.press("n")
        await keys.press("Enter")
        await page.get_by_role("heading", level=1, name="amsterdam-1").wait_for()
        await keys.press("?")
        await expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
        await keys.press("Escape")
        await expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()
