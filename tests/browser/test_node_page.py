"""The page of a node in a real Chromium, in front of real visors."""

import logging
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from skywire.config.values import Duration
from skywire.testing.wait import eventually
from tests.browser.kit import LIMIT, PHONE, Tab
from tests.browser.node_kit import APP, SOON, Fleet, NodeTab, fleet
from tests.browser.test_fleet_looks import check, for_axe
from tests.visor.skynet import key

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="package")]

TABS = {
    "": "Overview",
    "health": "Health",
    "apps": "Apps",
    "transports": "Transports",
    "routes": "Routes",
    "groups": "Route groups",
    "logs": "Logs",
    "terminal": "Terminal",
    "sessions": "Sessions",
    "settings": "Settings",
}
ADDRESS = "2jBbGxZRGoQG1mqhPBnXnLTxK6oxsTf8os6"


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def net(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))  # of the shells: nobody's start-up files
        async with fleet(folder) as found:
            yield found


async def text(page: NodeTab) -> str:
    return await page.page.locator(".node-tab").inner_text()


async def test_every_tab_shows_something_and_nothing_complains(
    browser: Browser, net: Fleet
) -> None:
    async with net.page(browser, net.b) as page:
        for path, word in TABS.items():
            await page.go(path)
            current = page.page.locator(".tabs [aria-current]")
            await expect(current).to_have_text(word, timeout=SOON)
            await expect(page.page.locator(".node-tab .loading")).to_have_count(0, timeout=SOON)
            assert len(await text(page)) > 20, word
        assert page.tab.complaints == []


async def test_the_overview_says_what_is_known_and_why_not(browser: Browser, net: Fleet) -> None:
    async with net.page(browser, net.b) as page:
        await expect(page.page.locator(".chart")).to_have_count(4, timeout=SOON)
        shown = await text(page)
        assert str(net.b.pk) in shown.replace("\n", "")
        assert "None is set." in shown  # a reward address
        assert re.search(r"Transports\s+2", shown)
        chart = page.page.get_by_role("slider", name="Memory")
        await chart.focus()
        await page.page.keyboard.press("ArrowLeft")
        assert "%" in str(await chart.get_attribute("aria-valuetext")) or "–" in str(  # noqa: RUF001
            await chart.get_attribute("aria-valuetext")
        )


async def test_health_has_reasons_and_ages(browser: Browser, net: Fleet) -> None:
    async with net.page(browser, net.b, "health") as page:
        row = page.page.locator("tr", has=page.page.get_by_role("rowheader", name="dmsg control"))
        await expect(row).to_contain_text("running", timeout=SOON)
        assert re.search(r"\d+ (s|min)", await row.inner_text())
        report = net.b.visor.modules["dmsg control"]
        report.down("the cable was pulled <b>out</b>")
        await expect(row).to_contain_text("failed", timeout=SOON)
        assert "the cable was pulled <b>out</b>" in await row.inner_text()
        await expect(page.page.get_by_role("alert")).to_contain_text("One part does not run")
        report.up()
        await expect(row).to_contain_text("running", timeout=SOON)


async def test_a_transport_is_added_kept_and_closed(browser: Browser, net: Fleet) -> None:
    links = net.b.visor.transports
    async with net.page(browser, net.b, "transports") as page:
        rows = page.page.get_by_role("table", name="Transports").locator("tbody tr")
        await expect(rows).to_have_count(2, timeout=SOON)
        await page.press("Add a transport")
        field = page.page.get_by_label("Key of the other node")
        await expect(field).to_be_focused()
        await field.fill("02ab")
        await expect(
            page.page.get_by_text("Expected 66 hexadecimal digits, not 4.")
        ).to_be_visible()
        await expect(page.page.get_by_role("button", name="Add", exact=True)).to_be_disabled()
        await field.fill(str(net.c.pk))
        await page.page.get_by_role("radio", name="dmsg").check(timeout=SOON)
        await page.page.get_by_label("Keep it").check()
        await page.press("Add")
        command = await page.reports("Added a dmsg transport")
        assert f"--via dmsg://{net.b.pk} tp add {net.c.pk} --type dmsg" in command
        assert f"tp persistent add {net.c.pk} dmsg" in command
        await expect(rows).to_have_count(3, timeout=SOON)
        row = rows.filter(has_text="dmsg")
        await expect(row).to_contain_text("kept up")
        assert [link.type for link in links.links if link.remote == net.c.pk] == ["stcp", "dmsg"]
        assert [one.type for one in net.b.visor.config.persistent_transports] == ["dmsg"]

        await row.get_by_role("button", name="More about").click()
        await page.page.get_by_role("menuitem", name="No longer keep it up").click()
        await page.reports("is no longer opened again")
        assert list(net.b.visor.config.persistent_transports) == []
        await page.page.get_by_label("Filter transports").fill("dmsg")
        await expect(rows).to_have_count(1)
        await page.page.get_by_label("Select the dmsg transport").check()
        await (
            page.page.get_by_role("group", name="Selected")
            .get_by_role("button", name="Close…")
            .click()
        )
        await expect(page.page.get_by_role("dialog")).to_contain_text("tp rm ")
        await page.press("Close it")
        await page.reports("Closed the dmsg transport")
        await eventually(lambda: {link.type for link in links.links} == {"stcp"}, LIMIT)
        await page.page.get_by_label("Filter transports").fill("")
        await expect(rows).to_have_count(2, timeout=SOON)
        assert page.tab.complaints == []


async def test_a_transport_that_does_not_come_up_says_why(browser: Browser, net: Fleet) -> None:
    async with net.page(browser, net.b, "transports") as page:
        await page.press("Add a transport")
        await page.page.get_by_label("Key of the other node").fill(str(key("nobody")))
        await page.press("Add")
        problem = page.page.get_by_role("dialog").get_by_role("alert")
        await expect(problem).to_contain_text("save transport", timeout=30_000)
        await page.page.keyboard.press("Escape")
        await expect(page.page.get_by_role("dialog")).to_have_count(0)


async def test_an_app_starts_stops_and_starts_with_the_node(browser: Browser, net: Fleet) -> None:
    async with net.page(browser, net.b, "apps") as page:
        row = page.page.get_by_role("table", name="Apps").locator("tbody tr").first
        await expect(row).to_contain_text("stopped", timeout=SOON)
        await page.press(f"Start {APP}")
        assert (await page.reports(f"Started {APP}.")).endswith(f"visor app start {APP}")
        await expect(row).to_contain_text("running", timeout=SOON)
        switch = page.page.get_by_role("switch", name=f"{APP} starts with the node")
        await expect(switch).not_to_be_checked()
        await switch.click()
        await page.reports("will start with the node")
        await expect(switch).to_be_checked(timeout=SOON)
        (app,) = net.b.visor.apps.states()
        assert app.app_config.auto_start

        await page.choose(f"More about {APP}", "Streams")
        await expect(page.page.get_by_role("dialog")).to_contain_text("Started", timeout=SOON)
        await page.page.keyboard.press("Escape")
        await page.press(f"Stop {APP}")
        await page.reports(f"Stopped {APP}.")
        await expect(row).to_contain_text("stopped", timeout=SOON)

        await page.choose(f"More about {APP}", "Log")
        lines = page.page.get_by_role("log")
        await expect(lines).to_contain_text("started", timeout=SOON)
        assert page.tab.complaints == []


async def test_the_settings_of_an_app(browser: Browser, net: Fleet) -> None:
    async with net.page(browser, net.b, "apps") as page:
        await page.choose(f"More about {APP}", "Settings")
        await page.page.get_by_label("Name 1").fill("network")
        await page.page.get_by_label("Value 1").fill("dmsg")
        await page.press("Save")
        await page.reports(f"Saved the settings of {APP}.")
        (app,) = net.b.visor.apps.states()
        assert app.app_config.args == ["app", APP, "--network", "dmsg"]


async def test_a_log_follows(browser: Browser, net: Fleet) -> None:
    log = logging.getLogger("skywire.test_node_page")
    async with net.page(browser, net.b, "logs") as page:
        lines = page.page.get_by_role("log")
        await expect(lines).to_contain_text("visor", timeout=SOON)
        log.warning("first of two <i>lines</i>")
        await expect(lines).to_contain_text("first of two <i>lines</i>", timeout=SOON)
        await page.page.get_by_label("Level").select_option("error")
        await expect(lines).not_to_contain_text("first of two")
        log.error("second of two")
        await expect(lines).to_contain_text("second of two", timeout=SOON)
        await page.page.get_by_label("Level").select_option("")
        await page.page.get_by_label("Filter lines").fill("of two")
        await expect(lines.locator(".line")).to_have_count(2)
        await page.press("Follow")
        await expect(page.page.get_by_text("not following")).to_be_visible()
        log.warning("third of two")
        await page.press("Follow")
        await expect(lines.locator(".line")).to_have_count(3, timeout=SOON)
        assert page.tab.complaints == []


async def test_settings_are_changed_and_seen_in_another_tab(browser: Browser, net: Fleet) -> None:
    config = net.b.visor
    async with (
        net.page(browser, net.b, "settings") as page,
        net.page(browser, net.b) as other,
    ):
        hops = page.page.get_by_role("spinbutton", name="Hops")
        await expect(hops).to_have_value("0", timeout=SOON)
        await expect(other.page.get_by_text("Minimum hops")).to_be_visible(timeout=SOON)
        await hops.fill("70000")
        await expect(page.page.get_by_text("Expected 0 to 65535.")).to_be_visible()
        await hops.fill("2")
        panel = page.page.get_by_role("region", name="Minimum hops")
        await panel.get_by_role("button", name="Save").click()
        assert (await page.reports("at least 2 transports")).endswith("route minhops 2")
        assert config.config.routing.min_hops == 2
        await expect(hops).to_have_value("2")
        fact = other.page.locator(".fact", has_text="Minimum hops")
        await expect(fact).to_contain_text("2", timeout=SOON)

        reward = page.page.get_by_role("region", name="Reward address")
        await reward.get_by_label("Address").fill("nonsense")
        await reward.get_by_role("button", name="Save").click()
        await expect(reward.get_by_role("alert")).not_to_be_empty(timeout=SOON)
        await reward.get_by_label("Address").fill(ADDRESS)
        await reward.get_by_role("button", name="Save").click()
        await page.reports("Saved the reward address.")
        await expect(other.page.locator(".fact", has_text="Reward")).to_contain_text(
            ADDRESS, timeout=SOON
        )
        await reward.get_by_role("button", name="Take it away").click()
        await reward.get_by_role("button", name="Delete").click()
        await page.reports("no reward address any more")

        auto = page.page.get_by_role("region", name="Autoconnect")
        before = config.config.transport.public_autoconnect
        await auto.get_by_role("button").filter(has_text="Switch").click()
        await page.reports("transports to public visors")
        assert config.config.transport.public_autoconnect is not before

        rotation = page.page.get_by_role("region", name="Log rotation")
        await rotation.get_by_label("Days").fill("14")
        await rotation.get_by_role("button", name="Save").click()
        await page.reports("kept for 14 days")
        assert config.config.transport.log_store.rotation_interval == Duration(14 * 86400)

        kept = page.page.get_by_role("region", name="Persistent transports")
        await kept.get_by_label("Key of the other node").fill(str(net.c.pk))
        await kept.get_by_label("Type").select_option("dmsg")
        await kept.get_by_role("button", name="Add").click()
        await page.reports("opened again whenever it is missing")
        assert [one.pk for one in config.config.persistent_transports] == [net.c.pk]
        await kept.get_by_role("button", name="No longer keep up").click()
        await page.reports("no longer opened again")
        assert list(config.config.persistent_transports) == []
        await hops.fill("0")
        await panel.get_by_role("button", name="Save").click()
        await page.reports("at least 0 transports")


async def test_routes_and_their_groups(browser: Browser, net: Fleet) -> None:
    listener = net.c.visor.routes.listen(1000)
    group = await net.a.visor.routes.dial(net.c.pk, 1000)
    try:
        async with net.page(browser, net.a, "groups") as page:
            hops = page.page.get_by_role("list", name="Hops").get_by_role("listitem")
            await expect(hops).to_have_count(3, timeout=SOON)
            await expect(hops.first).to_have_text("this node")
            await page.go("routes")
            rows = page.page.get_by_role("table", name="Routing rules").locator("tbody tr")
            await expect(rows).to_have_count(2, timeout=SOON)
            await rows.first.get_by_role("button", name="More about").click()
            await page.page.get_by_role("menuitem", name="Details").click()
            await expect(page.page.get_by_role("dialog")).to_contain_text("Next transport")
            await page.page.keyboard.press("Escape")
            await page.page.get_by_label("Select all").check()
            await page.press("Remove…")
            await page.press("Remove")
            assert "skywire cli route rm" in await page.reports("Removed 2 rules.")
            await expect(page.page.get_by_text("It has no routing rules")).to_be_visible(
                timeout=SOON
            )
    finally:
        await group.close()
        await listener.close()


async def test_a_terminal_in_the_page_comes_back_and_is_ended(browser: Browser, net: Fleet) -> None:
    async with net.page(browser, net.b, "terminal") as page:
        terminal = Tab(page.page)
        await terminal.state("connected")
        pid = await terminal.pid()
        await page.go("apps")
        await expect(page.page.locator("#screen")).to_have_count(0)
        await page.go("terminal")
        await terminal.state("connected")
        await terminal.shows(f"pid-1-{pid}-")
        assert await terminal.pid() == pid
        await page.page.keyboard.press("Control+F6")
        await expect(page.page.get_by_role("link", name="Full terminal")).to_be_focused()

        await page.go("sessions")
        cards = page.page.get_by_role("list", name="Sessions").get_by_role("listitem")
        mine = cards.filter(has_text=f"pid-2-{pid}-")
        await expect(mine).to_have_count(1, timeout=SOON)
        await expect(mine.get_by_role("link", name="Attach")).to_be_visible()
        before = await cards.count()
        await mine.get_by_role("button", name="More about session").click()
        await page.page.get_by_role("menuitem", name="End").click()
        await page.press("End it")
        await page.reports("Ended session")
        await expect(cards).to_have_count(before - 1, timeout=SOON)
        assert page.tab.complaints == []


async def test_it_works_by_keyboard(browser: Browser, net: Fleet) -> None:
    async with net.page(browser, net.b) as page:
        keys, current = page.page.keyboard, page.page.locator(".tabs [aria-current]")
        await expect(current).to_have_text("Overview", timeout=SOON)
        await keys.press("4")
        await expect(current).to_have_text("Transports")
        await expect(page.page.get_by_label("Filter transports")).to_be_visible()
        await keys.press("/")
        await expect(page.page.get_by_label("Filter transports")).to_be_focused()
        await keys.type("3")  # in a field a key is a letter
        await expect(current).to_have_text("Transports")
        await keys.press("Tab")
        await keys.press("u")
        await expect(page.page.get_by_role("heading", name="Nodes")).to_be_visible(timeout=SOON)


@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_every_tab_fits_a_phone(browser: Browser, net: Fleet, scheme: str) -> None:
    async with net.page(browser, net.b, phone=True, color_scheme=scheme) as page:
        for path, word in TABS.items():
            await page.go(path)
            current = page.page.locator(".tabs [aria-current]")
            await expect(current).to_have_text(word, timeout=SOON)
            await expect(current).to_be_in_viewport(ratio=0.9)
            await expect(page.page.locator(".node-tab .loading")).to_have_count(0, timeout=SOON)
            width = await page.page.evaluate("() => document.documentElement.scrollWidth")
            assert width == PHONE["width"], word


async def test_dialogs_terminal_and_sessions_are_accessible(browser: Browser, net: Fleet) -> None:
    async with net.page(browser, net.b, "terminal", **for_axe()) as page:
        await Tab(page.page).state("connected")
        await check(page.tab, "terminal")
        await page.go("sessions")
        await expect(page.page.get_by_role("link", name="Attach").first).to_be_visible(timeout=SOON)
        await check(page.tab, "sessions")
        await page.go("transports")
        await page.press("Add a transport")
        await page.page.get_by_label("Key of the other node").fill("02ab")
        await check(page.tab, "add a transport")
        await page.page.keyboard.press("Escape")
        await page.go("apps")
        await page.choose(f"More about {APP}", "Settings")
        await check(page.tab, "settings of an app")
        await page.page.keyboard.press("Escape")
        await page.choose("What to do with", "Reload")
        await check(page.tab, "reload")


async def test_an_unknown_node_is_said_to_be_unknown(browser: Browser, net: Fleet) -> None:
    async with net.page(browser, net.b) as page:
        await page.page.goto(f"{net.url}#/node/{'02' * 33}")
        await expect(page.page.get_by_text("This node is not known")).to_be_visible(timeout=SOON)


async def test_a_node_shuts_down_and_stays_with_what_it_said(browser: Browser, net: Fleet) -> None:
    async with net.page(browser, net.c, "transports") as page:
        rows = page.page.get_by_role("table", name="Transports").locator("tbody tr")
        await expect(rows.first).to_contain_text("up", timeout=SOON)
        before = await rows.count()
        await page.choose("What to do with", "Shut down")
        await page.press("Shut down")
        await page.reports("shuts down")
        notice = page.page.get_by_text("It is offline: what you see is what it said last")
        await expect(notice).to_be_visible(timeout=SOON)
        await expect(rows).to_have_count(before)
        await expect(page.page.get_by_role("button", name="Add a transport")).to_be_disabled()
        await page.go("settings")
        for name in ("Save", "Reload…", "Shut down…"):
            buttons = page.page.get_by_role("button", name=name)
            assert not any([await button.is_enabled() for button in await buttons.all()]), name
