"""A visor that puts HTML, scripts and worse into every text it sends: all of it stays text."""

import dataclasses
import json
import types
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from playwright.async_api import Browser, expect

from skywire.crypto.keys import PubKey
from skywire.errors import Unavailable
from skywire.transport.service_directory import ListedService
from skywire.visor import (
    ops_apps,
    ops_hv,
    ops_node,
    ops_services,
    ops_state,
    ops_terminals,
    ops_transports,
)
from skywire.visor.ops_services import ServiceHealth
from skywire.visor.ops_state import PartState
from skywire.visor.types import AppConfig, AppState, RouteGroupInfo
from skywire.visor.types_managed import HVSection, HVVisorEntry, HVVisorTree
from skywire.visor.types_terminals import TerminalSession
from skywire.wire.service import Geo
from tests.browser.fleet_kit import FleetSite, go, opened
from tests.browser.kit import Tab
from tests.browser.played import VPN, Played
from tests.hypervisor.harness import OWN, key

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="package")]

EVIL = (
    "<img src=x onerror='window.hit=1'>\"'`><script>window.hit=2</script>"
    "<svg/onload=window.hit=3>javascript:window.hit=4 {{7*7}} ${7*7} \u202egnp.\x1b]0;x\x07\0"
)
FOREIGN = "() => document.querySelectorAll('img, script:not([src]), iframe, [onerror]').length"


def poison(value: Any, text: str = EVIL) -> None:
    """Every text below `value`, a struct of ours, becomes a hostile one."""
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return
    hints = get_type_hints(type(value))
    for one in dataclasses.fields(value):
        now = getattr(value, one.name)
        if isinstance(now, str):
            setattr(value, one.name, text)
        elif isinstance(now, list):
            if _holds_text(hints[one.name]):
                setattr(value, one.name, [text])
            for each in now:
                poison(each, text)
        else:
            poison(now, text)


def _holds_text(hint: Any) -> bool:
    return get_origin(hint) in (list, types.GenericAlias) and get_args(hint) == (str,)


def hostile() -> Played:
    """All answers that it gives are like that."""
    visor = Played("hostile")
    visor.link(key("far"), 12.0)
    visor.reached_through(key("server"), 9.0)
    visor.summary.route_groups.append(RouteGroupInfo())
    keep = visor.overview.apps[0].app_config
    poison(visor.summary)
    visor.overview.apps = [
        AppState(keep, 2, EVIL),
        AppState(AppConfig(EVIL, EVIL, [EVIL, "--srv", EVIL], True, 7), 1, EVIL),
    ]
    keep.name, keep.args = VPN, ["app", VPN, "--srv", EVIL, "--dns", EVIL]
    entry = {"log_line": 1, "time": EVIL, "level": EVIL, "_module": EVIL, "msg": EVIL}
    visor.play(ops_node.runtime_logs, json.dumps([entry, {EVIL: EVIL}, EVIL]))
    visor.play(ops_apps.logs_since, [EVIL, f"[2026-11-24T17:50:00.000000000Z] {EVIL}"])
    visor.play(ops_state.part_states, [PartState(EVIL, EVIL, 1.0, EVIL, {EVIL: EVIL})])
    visor.play(ops_transports.transport_types, [EVIL])
    visor.play(
        ops_services.vpn_servers,
        [
            ListedService(f"{key('server')}:44", VPN, Geo(country=EVIL, region=EVIL), version=EVIL),
            ListedService(EVIL, EVIL),
        ],
    )

    def refuse(_: Any) -> None:
        raise Unavailable(EVIL)

    visor.answers[ops_transports.add_transport] = refuse
    return visor


async def harmless(tab: Tab, where: str) -> None:
    assert await tab.page.evaluate("() => window.hit") is None, where
    assert await tab.page.evaluate(FOREIGN) == 0, where


@pytest.mark.parametrize("phone", [False, True])
async def test_no_text_of_a_visor_becomes_more_than_text(
    browser: Browser, tmp_path: Path, phone: bool
) -> None:
    own, visor = Played("own", pk=OWN), hostile()
    own.play(
        ops_services.service_health,
        [ServiceHealth(EVIL, EVIL, EVIL, EVIL, EVIL, 1.0, EVIL)],
    )
    async with (
        FleetSite(tmp_path, [visor], own=own) as site,
        opened(browser, site.url, phone=phone) as tab,
    ):
        page = tab.page
        await expect(page.locator("#rows .name")).to_have_count(2)
        await harmless(tab, "list")
        await label(tab, visor.pk)
        for address in (
            "#/map",
            f"#/map?node={visor.pk}",
            "#/map?view=list",
            "#/services?nodes=all",
            "#/dmsg",
            f"#/vpn/{visor.pk}",
            "#/audit",
            "#/settings",
            "#/?group=version",
        ):
            await page.evaluate("(address) => { location.hash = address; }", address)
            await page.locator("h1").first.wait_for()
            await expect(page.get_by_text("Loading…")).to_have_count(0)
            await harmless(tab, address)
        await expect(page.get_by_text("window.hit=2").first).to_be_visible()
        for name in ("", "/health", "/apps", "/transports", "/routes", "/groups", "/logs"):
            address = f"#/node/{visor.pk}{name}"
            await page.evaluate("(address) => { location.hash = address; }", address)
            await page.locator(".node-tab").wait_for()
            await expect(page.get_by_text("Loading…")).to_have_count(0)
            await harmless(tab, address)
        await expect(page.get_by_role("log")).to_contain_text("window.hit=2")
        await page.keyboard.press("?")
        await harmless(tab, "keys")
        tab.complaints[:] = [one for one in tab.complaints if "status of 50" not in one]


async def label(tab: Tab, pk: PubKey) -> None:
    """A label, and a change that fails with the visor's own words."""
    await tab.page.evaluate(
        """async ([key, words]) => {
          const token = async () => (await (await fetch("/api/csrf")).json()).csrf_token;
          const send = async (method, path, body) => fetch(`/api${path}`, {
            method,
            headers: { "X-CSRF-Token": await token(), "Content-Type": "application/json" },
            body: JSON.stringify(body),
          });
          await send("PUT", `/labels/${key}`, { kind: "visor", label: words });
          const wanted = { transport_type: "stcpr", remote_pk: key };
          await send("POST", `/visors/${key}/transports`, wanted);
        }""",
        [str(pk), EVIL[:64]],
    )


async def test_an_error_of_a_visor_is_shown_as_text(browser: Browser, tmp_path: Path) -> None:
    visor = Played("hostile")

    def refuse(_: Any) -> None:
        raise Unavailable(EVIL)

    visor.answers[ops_transports.add_transport] = refuse
    async with FleetSite(tmp_path, [visor]) as site, opened(browser, site.url) as tab:
        page = tab.page
        await go(tab, f"#/node/{visor.pk}/transports", "hostile")
        await page.get_by_role("button", name="Add").first.click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Key of the other node").fill(str(key("far")))
        await dialog.get_by_label("stcpr").check()
        await dialog.get_by_role("button", name="Add", exact=True).click()
        await expect(dialog.get_by_role("alert")).to_contain_text("<img src=x")
        await harmless(tab, "dialog")
        tab.complaints[:] = [one for one in tab.complaints if "status of 50" not in one]


@pytest.mark.parametrize("word", ["constructor", "__proto__"])
async def test_words_of_javascript_are_words(browser: Browser, tmp_path: Path, word: str) -> None:
    """What a table of names has not is not found in what every object has."""
    own, visor = Played("own", pk=OWN), Played("hostile")
    link = visor.link(key("far"), 12.0)
    poison(visor.summary, word)
    link.type = link.label = word
    visor.play(ops_state.part_states, [PartState(word, word, 1.0, word, {word: word})])
    own.play(ops_services.service_health, [ServiceHealth(word, word, word, word, "", 1.0, word)])
    async with FleetSite(tmp_path, [visor], own=own) as site, opened(browser, site.url) as tab:
        page = tab.page
        await expect(page.locator("#rows .name")).to_have_count(2)
        for address in (
            "#/map?view=list",
            "#/map",
            "#/services?nodes=all",
            f"#/?state={word}&sort={word}&group={word}",
            *(f"#/node/{visor.pk}{name}?only={word}" for name in ("", "/health", "/apps")),
            f"#/node/{visor.pk}/transports",
        ):
            await page.evaluate("(address) => { location.hash = address; }", address)
            await page.locator("h1").first.wait_for()
            await expect(page.get_by_text("Loading…")).to_have_count(0)
            await expect(page.get_by_text("went wrong")).to_have_count(0)
        await expect(page.get_by_text(word).first).to_be_visible()
        tab.complaints[:] = [one for one in tab.complaints if "status of 50" not in one]


async def test_sessions_results_and_nodes_behind_are_text_too(
    browser: Browser, tmp_path: Path
) -> None:
    """What others tell of others: a hypervisor of its nodes, a node of its shells, a failure."""
    visor = hostile()
    shell = TerminalSession("0a1b", mine=True, command=EVIL, last_lines=[EVIL, EVIL])
    visor.play(ops_terminals.terminal_sessions, [shell, TerminalSession(EVIL, command=EVIL)])
    behind = HVVisorEntry(key("behind"), online=True)
    poison(behind)
    told = [HVSection(visor.pk, [], [behind]), HVSection(key("deep"), [visor.pk], [], EVIL)]
    visor.play(ops_hv.list_visors_tree, HVVisorTree(told))
    visor.play(ops_hv.summary_of, visor.summary)

    def refuse(_: Any) -> None:
        raise Unavailable(EVIL)

    visor.answers[ops_apps.stop_app] = refuse
    async with FleetSite(tmp_path, [visor]) as site, opened(browser, site.url) as tab:
        page = tab.page
        await expect(page.get_by_role("button", name="Behind ").first).to_be_visible()
        await expect(page.locator("#rows").get_by_text("not known at present")).to_be_visible()
        await harmless(tab, "behind another hypervisor")
        await page.evaluate("key => { location.hash = `#/node/${key}/sessions`; }", str(visor.pk))
        await expect(page.get_by_role("list", name="Sessions")).to_contain_text("window.hit=2")
        await harmless(tab, "sessions")
        await page.evaluate("() => { location.hash = '#/'; }")
        await page.get_by_label("Select all that are shown").check()
        await page.get_by_role("button", name="Do something…").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Stop an app.").check()
        await dialog.get_by_label("App", exact=True).fill(VPN)
        await dialog.get_by_role("button", name="Preview").click()
        await dialog.get_by_role("button", name="Do it").click()
        await expect(dialog.get_by_text("window.hit=2").first).to_be_visible()
        await harmless(tab, "results")
        tab.complaints[:] = [one for one in tab.complaints if "status of 50" not in one]
