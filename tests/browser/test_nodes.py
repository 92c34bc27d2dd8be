"""The list of nodes in a real Chromium, in front of the real hypervisor."""

from itertools import count
from pathlib import Path
from typing import cast

import pytest
from playwright.async_api import Browser, Route, expect

from skywire.visor.types import Overview
from tests.browser.kit import Site, Tab, tab
from tests.hypervisor.harness import OWN, PASSWORD, FakeVisor, key

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="package")]


ADDRESS = "2jBbGxZRGoQG1mqhPBnXnLTxK6oxsTf8os6"  # of Skycoin


class Reward:
    """Of a visor: where its rewards go."""

    def __init__(self) -> None:
        self.address = ""

    def set(self, address: str) -> None:
        self.address = address

    def get(self) -> str:
        return self.address


class Named(FakeVisor):
    """A visor with a name of its own and a reward address that can be set."""

    def __init__(self, name: str, hostname: str | None = None) -> None:
        super().__init__(key(name))
        self.name = name if hostname is None else hostname
        self.reward = Reward()

    def overview(self) -> Overview:
        overview = super().overview()
        overview.hostname = self.name
        return overview


async def names(page: Tab, count: int) -> list[str]:
    """Of the nodes that are listed, once there are so many."""

    async def all_there() -> list[str]:
        found = await page.page.locator("#rows .name").all_inner_texts()
        return found if len(found) == count else []

    return cast(list[str], await page.until(all_there))


async def rows(page: Tab, count: int) -> list[str]:
    await names(page, count)
    return await page.page.locator("#rows tr.row").all_inner_texts()


async def folded(page: Tab) -> bool:
    return await page.page.locator("#rows .name").count() == 0


async def connect(site: Site, *hostnames: str) -> list[Named]:
    """Visors of these names; keys differ from names."""
    found = [Named(f"visor {name}", name) for name in hostnames]
    for visor in found:
        await site.network.connect(visor)
    return found


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
        assert page.complaints == []  # it was known that nobody is logged in
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
        assert await page.page.locator("#rows").count() == 0
        await page.page.get_by_label("Password", exact=True).fill("wrong")
        await keys.press("Enter")
        await page.page.get_by_text("Incorrect username or password.").wait_for()
        await page.page.get_by_label("Password", exact=True).fill(PASSWORD)
        await keys.press("Enter")
        await rows(page, 2)


async def test_a_session_that_ends_asks_for_the_password(browser: Browser, tmp_path: Path) -> None:
    async with Site(tmp_path, auth=True) as site, tab(browser, site.url) as page:
        await page.page.get_by_label("Password", exact=True).fill(PASSWORD)
        await page.page.get_by_label("Password again").fill(PASSWORD)
        await page.page.keyboard.press("Enter")
        await rows(page, 2)
        await page.page.goto(site.terminal_url)
        await page.ready()
        await page.page.go_back()
        await rows(page, 2)
        site.context.sessions.end_all("admin")
        await page.page.get_by_role("heading", name="Log in").wait_for()
        await page.page.goto(site.terminal_url)  # the form stands in for the page
        await page.page.get_by_label("Password", exact=True).fill(PASSWORD)
        await page.page.keyboard.press("Enter")
        await page.ready()
        site.context.sessions.end_all("admin")
        site.cut()
        await page.state("closed: logged out — log in again")


async def test_rows_say_what_is_known_and_nothing_complains(browser: Browser, site: Site) -> None:
    async with tab(browser, site.url) as page:
        own, node = await rows(page, 2)
        assert "online" in own
        assert "online" in node
        assert "–" in node  # noqa: RUF001 - what is not known
        assert await page.page.locator("#count").inner_text() == "2 of 2 online"
        await page.page.get_by_text("live", exact=True).wait_for()
        assert await page.page.title() == "2/2 nodes — Skywire"
        assert page.complaints == []


async def test_nodes_come_and_go_without_a_reload(browser: Browser, site: Site) -> None:
    async with tab(browser, site.url) as page:
        await rows(page, 2)
        site.stream.abort()
        await page.until(lambda: page.page.locator("tr.stale").count())
        assert "offline" in await page.page.locator("tr.stale").inner_text()
        assert await page.page.locator("#count").inner_text() == "1 of 2 online"
        await connect(site, "another")
        await rows(page, 3)
        await page.page.get_by_role("button", name="More about node").last.click()
        await page.page.get_by_role("menuitem", name="Remove from the list").click()
        await page.page.get_by_role("button", name="Remove", exact=True).click()
        assert "another" in (await names(page, 2))[1]


async def test_without_events_it_polls_says_when_that_fails_and_heals(
    browser: Browser, site: Site
) -> None:
    async with tab(browser, "about:blank") as page:
        await page.page.route("**/api/events", lambda route: route.abort())
        await page.page.goto(site.url)
        await rows(page, 2)
        await page.page.get_by_text("updated 1 s ago").wait_for()
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


async def test_a_lost_connection_becomes_live_again(browser: Browser, site: Site) -> None:
    async with tab(browser, site.url) as page:
        await rows(page, 2)
        live = page.page.get_by_text("live", exact=True)
        await live.wait_for()
        site.cut()
        await live.wait_for(state="hidden")
        await connect(site, "meanwhile")
        await rows(page, 3)
        await live.wait_for()


async def test_filter_state_order_and_groups_are_in_the_address(
    browser: Browser, site: Site
) -> None:
    await connect(site, "lima-1", "lima-10", "lima-2", "oslo")
    async with tab(browser, f"{site.url}#/?q=lima") as page:
        assert await names(page, 3) == ["lima-1", "lima-2", "lima-10"]
        box = page.page.get_by_role("searchbox", name="Filter the nodes")
        assert await box.input_value() == "lima"
        await page.page.get_by_role("columnheader", name="Node").get_by_role("button").click()
        assert await names(page, 3) == ["lima-10", "lima-2", "lima-1"]
        await box.fill("name:lima -name:1")
        assert await names(page, 1) == ["lima-2"]
        await box.fill("nobody")
        await page.page.get_by_role("button", name="Show all").click()
        await names(page, 6)
        await page.page.get_by_role("button", name="Offline").click()
        await page.page.get_by_text("No node is like that").wait_for()
        await page.page.get_by_role("button", name="Online").click()
        await page.page.get_by_label("Group").select_option("state")
        group = page.page.get_by_role("row", name="6 of 6 online")
        await group.get_by_role("button", name="online").click()
        await page.until(lambda: folded(page))
        address = page.page.url
        assert "state=online" in address
        assert "group=state" in address
        await page.page.reload()
        await names(page, 6)


async def test_a_label_is_kept_by_the_server(browser: Browser, site: Site) -> None:
    async with tab(browser, site.url) as page:
        await rows(page, 2)
        await page.page.get_by_role("button", name="More about node").last.click()
        await page.page.get_by_role("menuitem", name="Give it a label").click()
        await page.page.get_by_label("Label", exact=True).fill("<b>attic</b>")
        await page.page.keyboard.press("Enter")
        await page.page.get_by_role("link", name="<b>attic</b>", exact=True).wait_for()
        async with tab(browser, site.url) as other:
            await other.page.get_by_role("link", name="<b>attic</b>", exact=True).wait_for()
            assert await other.page.locator("#rows b").count() == 0


async def test_an_action_on_many_shows_what_it_would_do_then_each_result(
    browser: Browser, site: Site
) -> None:
    good, bad, *_ = await connect(site, "good", "bad", "other")
    bad.reward.set = lambda _: 1 / 0  # type: ignore[assignment, method-assign]
    async with tab(browser, site.url) as page:
        await rows(page, 5)
        for name in ("good", "bad"):
            await page.page.get_by_role("checkbox", name=f"Select {name}").check()
        await page.page.get_by_text("2 selected").wait_for()
        await page.page.get_by_role("button", name="Do something").click()
        await page.page.get_by_text("Have rewards paid to a Skycoin address").click()
        await page.page.get_by_label("Skycoin address", exact=True).fill(ADDRESS)
        await page.page.get_by_role("button", name="Preview").click()
        results = page.page.get_by_role("list", name="Nodes")
        await results.get_by_text(f"none → {ADDRESS}").last.wait_for()
        text = await results.inner_text()
        assert f"skywire cli --via dmsg://{good.pk} reward {ADDRESS}" in text
        assert good.reward.address == ""  # nothing has been done
        await page.page.get_by_role("button", name="Do it on 2 nodes").click()
        await page.page.get_by_text("Done on 1, failed on 1.").wait_for()
        assert good.reward.address == ADDRESS
        assert "failed" in await results.get_by_role("listitem").filter(has_text="bad").inner_text()
        bad.reward = Reward()
        await page.page.get_by_role("button", name="Try 1 again").click()
        await page.page.get_by_text("Done on the node.").wait_for()
        assert bad.reward.address == ADDRESS


async def test_of_a_long_list_only_what_is_in_sight_is_drawn(browser: Browser, site: Site) -> None:
    await connect(site, *(f"node-{number:03}" for number in range(150)))
    async with tab(browser, site.url) as page:
        await page.page.get_by_text("152 of 152 online").wait_for()
        table = page.page.locator("table.nodes")
        assert await table.get_attribute("aria-rowcount") == "153"
        assert await page.page.locator("#rows tr.row").count() < 60
        last = page.page.get_by_role("link", name="node-149", exact=True)
        assert await last.count() == 0
        await page.page.evaluate("() => scrollTo(0, document.body.scrollHeight)")
        await last.wait_for()
        assert await page.page.locator("#rows tr.row").count() < 60
        heights = (
            "() => [...document.querySelectorAll('#rows tr.row')].map((row) => row.offsetHeight)"
        )
        assert set(await page.page.evaluate(heights)) == {46}


async def test_it_works_by_keyboard_and_keeps_the_focus(browser: Browser, site: Site) -> None:
    await connect(site, "alpha", "beta")
    async with tab(browser, site.url, permissions=["clipboard-read", "clipboard-write"]) as page:
        await rows(page, 4)
        keys = page.page.keyboard
        focus = """() => {
          const { ariaLabel, textContent } = document.activeElement;
          return ariaLabel ?? textContent.trim();
        }"""
        found = []
        for _ in range(40):
            await keys.press("Tab")
            found.append(await page.page.evaluate(focus))
        assert found[:2] == ["Skip to the content", "Skywire: all nodes"]
        assert "Refresh now" in found
        assert f"Copy the key {str(OWN)[:8]}…{str(OWN)[-4:]}" in found
        assert any(name.startswith("Terminal on ") for name in found)
        await page.page.get_by_role("button", name=f"Copy the key {str(OWN)[:8]}").focus()
        await keys.press("Enter")

        async def copied() -> bool:
            text = await page.page.evaluate("() => navigator.clipboard.readText()")
            return bool(text == str(OWN))

        await page.until(copied)
        await page.page.evaluate("() => document.activeElement.blur()")
        for letter in "jjx":
            await keys.press(letter)

        async def focused(name: str) -> bool:
            return bool(await page.page.evaluate(focus) == name)

        await page.until(lambda: focused("alpha"))
        await page.page.get_by_text("1 selected").wait_for()
        site.stream.abort()  # the list changes
        await page.until(lambda: page.page.locator("tr.stale").count())
        assert await focused("alpha")
        await keys.press("?")
        await page.page.get_by_text("do something with what is selected").wait_for()
        await keys.press("Escape")
        await page.page.get_by_role("heading", name="Keys").wait_for(state="hidden")
        await keys.press("Escape")
        await page.page.get_by_text("1 selected").wait_for(state="hidden")
        await keys.press("/")
        await keys.type("bet")
        assert await names(page, 1) == ["beta"]
        await page.page.get_by_role("button", name="More about beta").focus()
        await keys.press("Enter")
        await page.until(lambda: focused("Open"))
        await keys.press("ArrowUp")
        await page.until(lambda: focused("Do something with it…"))
        await keys.press("Escape")
        await page.until(lambda: focused("More about beta"))


@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_it_fits_a_phone(browser: Browser, site: Site, scheme: str) -> None:
    await connect(site, "a-very-long-host-name-that-does-not-fit.in-any-column.example")
    async with tab(browser, site.url, phone=True, color_scheme=scheme) as page:
        await rows(page, 3)
        width = "() => document.documentElement.scrollWidth"
        assert await page.page.evaluate(width) == 390
        for name in ("Terminal on", "More about"):
            for link in await page.page.get_by_label(name).all():
                box = await link.bounding_box()
                assert box is not None
                assert min(box["height"], box["width"]) >= 40
                assert box["x"] + box["width"] <= 390
        heights = (
            "() => [...document.querySelectorAll('#rows tr.row')].map((row) => row.offsetHeight)"
        )
        assert set(await page.page.evaluate(heights)) == {108}  # as table.js counts, with the gap
        await page.page.get_by_role("checkbox", name="Select a-very-long").check()
        await page.page.get_by_role("button", name="Do something").click()
        await page.page.get_by_text("Have new routes lead over").click()
        assert await page.page.evaluate(width) == 390
        assert page.complaints == []


async def test_the_theme_is_chosen_and_remembered(browser: Browser, site: Site) -> None:
    background = "() => getComputedStyle(document.body).backgroundColor"
    async with tab(browser, site.url, color_scheme="dark") as page:
        await rows(page, 2)
        dark = await page.page.evaluate(background)
        await page.page.get_by_role("button", name="Use the light theme").click()
        assert await page.page.evaluate(background) != dark
        await page.page.reload()
        await rows(page, 2)
        assert await page.page.evaluate(background) != dark
        await page.page.get_by_role("button", name="Use the dark theme").click()
        assert await page.page.evaluate(background) == dark


async def test_an_address_without_a_page_says_so(browser: Browser, site: Site) -> None:
    async with tab(browser, f"{site.url}#/nothing/here") as page:
        await page.page.get_by_text("There is no such page").wait_for()
        await page.page.get_by_role("link", name="All nodes", exact=True).click()
        await rows(page, 2)


async def test_nodes_behind_other_hypervisors_are_groups(browser: Browser, site: Site) -> None:
    (between,) = await connect(site, "between")
    behind, quiet = key("behind"), key("quiet hypervisor")
    asked = count()

    async def answer(route: Route) -> None:
        fetched = await route.fetch()
        tree = await fetched.json()
        (model,) = [
            row
            for row in tree["sections"][0]["visors"]
            if row["overview"]["local_pk"] == str(between.pk)
        ]
        model["overview"] |= {"local_pk": str(behind), "hostname": "deep"}
        model["stale"] = next(asked) == 0
        tree["sections"] += [
            {"hypervisor_pk": str(between.pk), "via_chain": [str(OWN)], "visors": [model]},
            {"hypervisor_pk": str(quiet), "visors": [], "sub_error": "no answer within 10 s"},
        ]
        await route.fulfill(json=tree)

    async with tab(browser, "about:blank") as page:
        await page.page.route("**/api/visors-tree-summary", answer)
        await page.page.goto(site.url)
        assert "deep" in await names(page, 4)
        await page.page.get_by_role("row", name="Behind between 1 of 1 online").wait_for()
        await page.page.get_by_text("not known at present: no answer within 10 s").wait_for()
        marked = page.page.locator(f"tr[data-key='{between.pk}']")
        await expect(marked.get_by_text("hypervisor", exact=True)).to_be_visible()
        deep = page.page.locator(f"tr[data-key='{behind}']")
        await expect(deep.get_by_text("online")).to_be_visible(timeout=15_000)  # asked again soon
        await page.page.get_by_role("searchbox").fill("via:between")
        assert await names(page, 1) == ["deep"]
        link = page.page.get_by_role("link", name="Terminal on deep")
        assert await link.get_attribute("href") == f"/pty/{behind}"
