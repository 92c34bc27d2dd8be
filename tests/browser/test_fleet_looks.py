"""Every page: no serious finding of axe, fits a phone, says nothing in the console."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from skywire.transport.service_directory import ListedService
from skywire.visor import ops_services
from skywire.visor.ops_services import ServiceHealth
from skywire.visor.types import AppState, HealthInfo
from skywire.wire.service import Geo
from tests.browser.fleet_kit import FleetSite, go, opened, small_fleet, width_of
from tests.browser.kit import PHONE, Tab
from tests.browser.played import VPN
from tests.hypervisor.harness import key

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="package")]

AXE = Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js"
LONG = "a-very-long-host-name-that-does-not-fit.in-any-column.of-a-phone.example"
FINDINGS = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"], preload: false });
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html }) => html).join(" | ")}`);
}"""
PAGES = {
    "#/": "Nodes",
    "#/map": "Map",
    "#/map?view=list": "Map",
    "#/services?nodes=all": "Services",
    "#/dmsg": "dmsg",
    "#/vpn": "VPN",
    "#/audit": "Audit",
    "#/accounts": "Account",
    "#/settings": "Settings",
}
TABS = ("", "/health", "/apps", "/transports", "/routes", "/groups", "/logs", "/settings")


@pytest_asyncio.fixture(loop_scope="package", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FleetSite]:
    visors = small_fleet()
    visors[1].overview.hostname = LONG
    visors[4].summary.health = HealthInfo("unhealthy", "connecting", "healthy", "healthy")
    visors[5].overview.apps.append(AppState(visors[5].app(VPN).app_config, 2, "no TUN device"))
    listed = [ListedService(f"{key('server')}:44", VPN, Geo(country="DE", region="Hesse"))]
    servers = {visor.pk: key(f"server {number % 2}") for number, visor in enumerate(visors)}
    async with FleetSite(tmp_path_factory.mktemp("looks"), visors, servers=servers) as found:
        found.own.play(ops_services.vpn_servers, listed)
        found.own.play(
            ops_services.service_health,
            [
                ServiceHealth("dmsg.discovery", f"http://{LONG}", "healthy", "v1", "", 9.0, "http"),
                ServiceHealth("routing.route_finder", "http://rf.test", "down", error=LONG),
            ],
        )
        yield found


def for_axe(**more: Any) -> dict[str, Any]:
    """Axe itself sets styles that the content policy forbids."""
    return {"bypass_csp": True, "reduced_motion": "reduce", **more}


async def check(tab: Tab, where: str) -> None:
    """Axe knows nothing serious about what is shown now."""
    if not await tab.page.evaluate("() => 'axe' in window"):
        await tab.page.evaluate(AXE.read_text())
    assert await tab.page.evaluate(FINDINGS) == [], where


def pages(site: FleetSite) -> dict[str, str]:
    """Address and heading of each."""
    node = site.visors[0]
    return PAGES | {f"#/node/{node.pk}{tab}": node.overview.hostname for tab in TABS}


@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_every_page_is_accessible(browser: Browser, site: FleetSite, scheme: str) -> None:
    async with opened(browser, site.url, **for_axe(color_scheme=scheme)) as tab:
        for address, title in pages(site).items():
            await go(tab, address, title)
            await expect(tab.page.get_by_text("Loading…")).to_have_count(0)
            await check(tab, address)
        await go(tab, f"#/map?node={site.visors[0].pk}", "Map")
        await expect(tab.page.locator("#map-chosen")).to_be_visible()
        await check(tab, "chosen on the map")
        await go(tab, f"#/node/{site.visors[0].pk}/transports", "amsterdam-1")
        await tab.page.get_by_role("button", name="Add").first.click()
        await expect(tab.page.get_by_role("dialog")).to_be_visible()
        await check(tab, "dialog")


async def test_login_is_accessible(browser: Browser, tmp_path: Path) -> None:
    async with (
        FleetSite(tmp_path, auth=True) as site,
        opened(browser, site.url, **for_axe()) as tab,
    ):
        await tab.page.get_by_role("heading", name="Create the account").wait_for()
        await check(tab, "first account")
        await tab.page.evaluate("() => document.body.append(document.createElement('button'))")
        with pytest.raises(AssertionError, match="button-name"):
            await check(tab, "a button without a name")


async def test_every_page_fits_a_phone(browser: Browser, site: FleetSite) -> None:
    node = site.visors[1]
    async with opened(browser, site.url, phone=True) as tab:
        long = {f"#/node/{node.pk}{name}": LONG for name in ("", "/transports", "/apps")}
        for address, title in (pages(site) | long).items():
            await go(tab, address, title)
            await expect(tab.page.get_by_text("Loading…")).to_have_count(0)
            assert await width_of(tab) == PHONE["width"], address
        await go(tab, "#/map", "Map")
        for name in ("Larger", "Show all"):
            box = await tab.page.get_by_role("button", name=name).bounding_box()
            assert box is not None
            assert min(box["width"], box["height"]) >= 40
