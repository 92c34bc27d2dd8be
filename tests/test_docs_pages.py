"""docs/explanation/pages.md: what there is of the Go manager's screens, and every page of ours."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "explanation" / "pages.md").read_text()
UI = ROOT / "src" / "skywire" / "ui" / "js"
SCREENS = (  # hypervisor.md §9
    "Start",
    "Login, initial setup",
    "Visor list",
    "DMSG",
    "Visor: info",
    "Visor: routing",
    "Transports",
    "Routes",
    "Visor: apps, app list",
    "App log",
    "App settings",
    "Visor actions: terminal",
    "Visor actions: configuration",
    "Visor actions: update",
    "Visor actions: runtime logs",
    "Visor actions: turn off",
    "Settings",
    "Labels",
    "VPN: status",
    "VPN: servers",
    "VPN: settings",
    "VPN: login, unavailable",
)


def rows() -> dict[str, str]:
    """Screen of the reference → where it is here."""
    cells = [line.strip("| ").split("|") for line in TEXT.splitlines() if line.startswith("| ")]
    return {
        first.strip(): second.strip() for first, second, *_ in cells if first.strip() != "There"
    }


def test_every_screen_of_the_reference_has_its_counterpart() -> None:
    assert tuple(rows()) == SCREENS
    assert all(rows().values())


def test_every_page_is_in_the_table() -> None:
    """And every address that the page names exists."""
    pages = re.findall(r'path: "(/[^"]*)"', (UI / "app" / "pages.js").read_text())
    tabs = re.findall(r'{ id: "(\w+)", word:', (UI / "node" / "page.js").read_text())
    assert len(pages) == 9
    assert len(tabs) == 10
    for page in pages:
        assert f"`#{page.split('/:')[0] or '/'}" in TEXT
    for tab in set(tabs) - {"overview"}:
        assert f"`{tab}`" in TEXT or f"KEY/{tab}" in TEXT
    known = {page.split("/")[1] for page in pages}
    named = re.findall(r"`#/(\w*)(?:/KEY(?:/(\w+))?)?", TEXT)
    assert {page for page, _ in named} <= known
    assert {tab for _, tab in named} <= {*tabs, ""}
