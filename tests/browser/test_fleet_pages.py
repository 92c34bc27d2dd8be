"""Map, services, dmsg, VPN, audit, account and settings in front of a hypervisor."""

import asyncio
import csv
import io
import json
from pathlib import Path

import pytest
from playwright.async_api import Browser, Download, Page, Position, expect

from skywire.crypto.keys import PubKey
from skywire.transport.service_directory import ListedService
from skywire.visor import ops_services
from skywire.visor.ops_services import ServiceHealth
from skywire.visor.types import HealthInfo
from skywire.wire.service import Geo
from tests.browser.fleet_kit import FleetSite, go, opened, small_fleet
from tests.browser.kit import Tab
from tests.browser.played import RUNNING, VPN, Played
from tests.hypervisor.harness import PASSWORD, key

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="package")]

NEW_PASSWORD = "An0ther?pass"
HEALTHY = ServiceHealth(
    "dmsg.discovery", "http://dmsgd.test", "healthy", "v1.3.29", "", 41.0, "http"
)
DOWN = ServiceHealth(
    "routing.route_finder", "http://rf.test", "down", error="no route", transport="http"
)


async def first_account(tab: Tab) -> None:
    await tab.page.get_by_label("Password", exact=True).fill(PASSWORD)
    await tab.page.get_by_label("Password again").fill(PASSWORD)
    await tab.page.keyboard.press("Enter")
    await tab.page.locator("#rows").wait_for()


async def log_in(tab: Tab, password: str) -> None:
    await tab.page.get_by_role("heading", name="Log in").wait_for()
    await tab.page.get_by_label("Password", exact=True).fill(password)
    await tab.page.keyboard.press("Enter")
    await tab.page.get_by_role("heading", name="Log in").wait_for(state="hidden")


async def test_the_map_shows_transports_as_they_come_and_go(
    browser: Browser, tmp_path: Path
) -> None:
    visors = small_fleet()
    async with FleetSite(tmp_path, visors) as site, opened(browser, site.url) as tab:
        page = tab.page
        await go(tab, "#/map", "Map")
        count = page.locator(".heading-count")
        await expect(count).to_have_text("7 nodes, 3 others, 14 transports")
        for words in ("7 nodes, 8 transports", "7 nodes, 3 others"):
            await page.get_by_role("button", name="Others' nodes").click()
            await expect(count).to_contain_text(words)
        visors[5].link(visors[1].pk, 55.0)
        await expect(count).to_contain_text("15 transports")
        await page.get_by_role("button", name="dmsg servers").click()
        await page.get_by_role("button", name="List", exact=True).click()
        rows = page.locator("[data-row]")
        await expect(rows).to_have_count(15)
        await page.get_by_role("button", name="Latency").click()
        await expect(rows.first).to_contain_text("12 ms")
        await page.get_by_role("button", name="Latency").click()
        await expect(rows.first).to_contain_text("290 ms")
        await page.get_by_label("Filter the transports").fill("sudph")
        await expect(rows).to_have_count(2)
        site.streams[visors[4].pk].abort()
        site.streams[visors[5].pk].abort()
        await expect(rows.filter(has_text="last known")).to_have_count(1)


async def test_a_place_of_the_map_is_chosen_and_keeps_its_place(
    browser: Browser, tmp_path: Path
) -> None:
    visors = small_fleet()
    async with FleetSite(tmp_path, visors) as site, opened(browser, site.url) as tab:
        page = tab.page
        await go(tab, "#/map", "Map")
        canvas = page.locator(".map-box canvas")
        before = await places(page)
        await canvas.click(position=await pixel_of(page, visors[2].pk))
        await expect(page.locator("#map-chosen")).to_have_text("lisbon-3")
        links = page.get_by_role("list", name="Links")
        await expect(links.get_by_role("button", name="amsterdam-1")).to_be_visible()
        await links.get_by_role("button", name="oslo-4").click()
        await expect(page.locator("#map-chosen")).to_have_text("oslo-4")
        assert str(visors[3].pk) in page.url
        await page.mouse.move(300, 400)
        await page.mouse.wheel(0, -200)
        await page.mouse.down()
        await page.mouse.move(340, 420, steps=3)
        await page.mouse.up()
        await page.get_by_role("button", name="Show all").click()
        await page.reload()
        await expect(page.locator("#map-chosen")).to_have_text("oslo-4")
        assert await places(page) == before


async def places(page: Page) -> dict[str, tuple[float, float]]:
    """Where everything is, once it rests."""
    await page.wait_for_function("() => localStorage.getItem('skywire.map')?.length > 2")
    kept = await page.evaluate("() => localStorage.getItem('skywire.map')")
    return {name: (x, y) for name, x, y in json.loads(kept)}


async def pixel_of(page: Page, pk: PubKey) -> Position:
    point = await page.evaluate(
        "(key) => document.querySelector('.map-box').picture.where(key)", str(pk)
    )
    return {"x": point["x"], "y": point["y"]}


async def test_services_tell_latency_age_and_what_is_wrong(
    browser: Browser, tmp_path: Path
) -> None:
    visors = small_fleet()
    visors[4].summary.health = HealthInfo("unhealthy", "connecting", "healthy", "healthy")
    async with FleetSite(tmp_path, visors) as site, opened(browser, site.url) as tab:
        site.own.play(ops_services.service_health, [HEALTHY, DOWN])
        page = tab.page
        await go(tab, "#/services", "Services")
        cards = page.locator(".service-card")
        await expect(cards).to_have_count(2)
        await expect(cards.first).to_contain_text("dmsg discovery")
        await expect(cards.first).to_contain_text("41 ms over http")
        await expect(cards.last).to_contain_text("no answer")
        await expect(cards.last).to_contain_text("no route")
        await expect(page.get_by_text("1 of 2 answer well")).to_be_visible()
        await expect(page.get_by_text("checked 1 s ago")).to_be_visible()
        trouble = page.locator("[data-row]")
        await expect(trouble).to_have_count(1)
        await expect(trouble).to_contain_text("prague-5")
        site.own.play(ops_services.service_health, [HEALTHY])
        await page.get_by_role("button", name="Check now").click()
        await expect(page.get_by_text("1 of 1 answer well")).to_be_visible()


async def test_dmsg_servers_have_nodes_pings_and_labels(browser: Browser, tmp_path: Path) -> None:
    visors = small_fleet()
    one, other = key("server 0"), key("server 1")
    servers = {visor.pk: one for visor in visors[:4]} | {visors[4].pk: other}
    async with (
        FleetSite(tmp_path, visors, servers=servers) as site,
        opened(browser, site.url) as tab,
    ):
        page = tab.page
        await go(tab, "#/dmsg", "dmsg")
        rows = page.locator("[data-row]")
        await expect(rows).to_have_count(7)
        await expect(rows.filter(has_text="amsterdam-1")).to_contain_text(" ms")
        await page.locator(".server-card").first.get_by_role("button", name="Label").click()
        await page.get_by_role("dialog").get_by_label("Label", exact=True).fill("frankfurt")
        await page.keyboard.press("Enter")
        card = page.locator(".server-card").filter(has_text="frankfurt")
        await expect(card).to_contain_text("nodes")
        await card.locator(".card-button").click()
        await expect(rows.filter(has_text="frankfurt").first).to_be_visible()
        assert await rows.count() < 7
        await go(tab, "#/settings", "Settings")
        label = page.locator("[data-row]").filter(has_text="frankfurt")
        await expect(label).to_contain_text("dmsg server")
        await page.get_by_label("Filter the labels").fill("nothing like it")
        await expect(page.get_by_text("No label is like that")).to_be_visible()
        await page.get_by_label("Filter the labels").fill("frank")
        await label.get_by_role("button", name="Delete").click()
        await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        await expect(page.get_by_text("No labels yet")).to_be_visible()


async def test_settings_of_the_browser_last(browser: Browser, tmp_path: Path) -> None:
    async with FleetSite(tmp_path) as site, opened(browser, f"{site.url}#/settings") as tab:
        page = tab.page
        await page.get_by_label("Refresh interval").select_option("30")
        await page.get_by_label("Theme", exact=True).select_option("dark")
        await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        await page.reload()
        await expect(page.get_by_label("Refresh interval")).to_have_value("30")
        await expect(page.get_by_label("Theme", exact=True)).to_have_value("dark")
        await page.get_by_label("Theme", exact=True).select_option("")
        await expect(page.get_by_text(f"skywire cli visor hv add {site.own.pk}")).to_be_visible()


async def test_the_audit_is_filtered_and_exported(browser: Browser, tmp_path: Path) -> None:
    visors = small_fleet()
    async with (
        FleetSite(tmp_path, visors, auth=True) as site,
        opened(browser, site.url) as tab,
    ):
        page = tab.page
        await first_account(tab)
        await page.evaluate(CHANGES, [str(visors[0].pk), str(visors[1].pk), str(visors[2].pk)])
        await go(tab, "#/audit", "Audit")
        rows = page.locator("[data-row]")
        await expect(rows).to_have_count(4)
        await expect(rows.first).to_contain_text("add transport")
        await expect(rows.first).to_contain_text("amsterdam-1")
        await expect(rows.first).to_contain_text("admin")
        await page.get_by_label("Action").fill("set label")
        await expect(rows).to_have_count(1)
        await expect(rows).to_contain_text("label: first")
        async with page.expect_download() as started:
            await page.get_by_role("link", name="CSV").click()
        table = list(csv.DictReader(io.StringIO(await content(await started.value))))
        assert [row["action"] for row in table] == ["set label"]
        await page.get_by_label("Action").fill("")
        await expect(rows).to_have_count(4)
        await page.get_by_role("searchbox", name="Node").fill(str(visors[0].pk))
        await expect(rows).to_have_count(1)
        async with page.expect_download() as started:
            await page.get_by_role("link", name="JSON").click()
        assert [row["visor"] for row in json.loads(await content(await started.value))] == [
            str(visors[0].pk)
        ]
        await page.get_by_role("button", name="Show all").click()
        await expect(rows).to_have_count(4)
        await page.get_by_role("button", name="Failed").click()
        await expect(page.get_by_text("No change is like that")).to_be_visible()


CHANGES = """async ([near, far, named]) => {
  const token = async () => (await (await fetch("/api/csrf")).json()).csrf_token;
  const send = async (method, path, body) => fetch(`/api${path}`, {
    method,
    headers: { "X-CSRF-Token": await token(), "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  await send("PUT", `/labels/${named}`, { kind: "visor", label: "first" });
  await send("POST", `/visors/${near}/transports`, { transport_type: "stcpr", remote_pk: far });
}"""


async def content(download: Download) -> str:
    path = await download.path()
    return await asyncio.to_thread(path.read_text)


async def test_sessions_end_elsewhere_and_with_a_new_password(
    browser: Browser, tmp_path: Path
) -> None:
    async with (
        FleetSite(tmp_path, auth=True) as site,
        opened(browser, site.url) as here,
    ):
        await first_account(here)
        other = await browser.new_context()
        elsewhere = Tab(await other.new_page())
        await elsewhere.page.goto(site.url)
        await log_in(elsewhere, PASSWORD)
        await go(here, "#/accounts", "Account")
        sessions = here.page.get_by_role("list", name="Sessions").get_by_role("listitem")
        await expect(sessions).to_have_count(2)
        await here.page.get_by_role("button", name="Log out elsewhere").click()
        await here.page.get_by_role("dialog").get_by_role("button", name="Log out").click()
        await expect(sessions).to_have_count(1)
        await elsewhere.page.get_by_role("heading", name="Log in").wait_for()
        await other.close()
        page = here.page
        await page.get_by_label("Password now").fill(PASSWORD)
        await page.get_by_label("New password", exact=True).fill(NEW_PASSWORD)
        await page.get_by_label("New password again").fill("differs")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("The two new passwords differ.")).to_be_visible()
        await page.get_by_label("New password again").fill(NEW_PASSWORD)
        await page.keyboard.press("Enter")
        await log_in(here, NEW_PASSWORD)
        await page.get_by_role("heading", name="Account").wait_for()
        ended = ("401 (Unauthorized)", "ERR_INCOMPLETE_CHUNKED_ENCODING")  # the old session has
        here.complaints[:] = [one for one in here.complaints if not one.endswith(ended)]


async def test_the_vpn_is_started_through_a_chosen_server_and_stopped(
    browser: Browser, tmp_path: Path
) -> None:
    visor = Played("traveller")
    near, far = key("near server"), key("far server")
    listed = [
        ListedService(f"{near}:44", VPN, Geo(country="DE", region="Hesse"), version="v1.3.29"),
        ListedService(f"{far}:44", VPN, Geo(country="JP", region="Tokyo"), version="v1.3.28"),
    ]
    visor.play(ops_services.vpn_servers, listed)
    async with FleetSite(tmp_path, [visor]) as site, opened(browser, site.url) as tab:
        page = tab.page
        await go(tab, f"#/vpn/{visor.pk}", "VPN")
        state = page.locator(".vpn-word")
        await expect(state).to_have_text("stopped")
        rows = page.locator("[data-row]")
        await expect(rows).to_have_count(2)
        await expect(page.get_by_text("from the service discovery, asked by")).to_be_visible()
        await page.get_by_role("combobox", name="Country").select_option("JP")
        await expect(rows).to_have_count(1)
        await rows.get_by_role("button", name="Use").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text(f"vpn start {far}")
        await dialog.get_by_role("button", name="Start the VPN").click()
        await expect(state).to_have_text("running")
        assert visor.app(VPN).status == RUNNING
        assert str(far) in visor.app(VPN).app_config.args
        await expect(page.get_by_text("1.2 MB/s")).to_be_visible()
        await page.get_by_role("switch", name="Start it with the node").click()
        await expect(page.get_by_role("switch")).to_have_attribute("aria-checked", "true")
        await page.get_by_role("button", name="Used before").click()
        await expect(rows).to_contain_text("chosen")
        await page.get_by_role("button", name="Stop", exact=True).click()
        await expect(state).to_have_text("stopped")


async def test_a_client_is_offered_the_public_servers(browser: Browser, tmp_path: Path) -> None:
    visor, far = Played("traveller"), key("far server")
    listed = [ListedService(f"{far}:44", VPN, Geo(country="JP", region="Tokyo"))]
    visor.play(ops_services.vpn_servers, listed)
    async with FleetSite(tmp_path, [visor]) as site, opened(browser, site.url) as tab:
        page = tab.page
        await go(tab, f"#/node/{visor.pk}/apps", "traveller")
        await page.get_by_role("button", name=f"More about {VPN}").click()
        await page.get_by_role("menuitem", name="Settings").click()
        offers = page.get_by_role("dialog").locator("datalist option")
        await expect(offers).to_have_text(["JP, Tokyo"])
        assert await offers.get_attribute("value") == str(far)
