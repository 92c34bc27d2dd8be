import gzip
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from skywire import ui

ROOT = Path(ui.__file__).parent
PAGES = ("index.html", "terminal.html")


class Checker(HTMLParser):
    """Collects what a strict content policy or a screen reader would stumble over."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.ids: list[str] = []
        self.files: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.ids += [str(named["id"])] if "id" in named else []
        if "style" in named or any(name.startswith("on") for name in named):
            self.wrong.append(f"inline style or handler in <{tag}>")
        if tag == "script" and "src" not in named:
            self.wrong.append("inline script")
        if tag in ("script", "link"):
            self.files.append(str(named.get("src") or named.get("href")))


@pytest.mark.parametrize("name", PAGES)
def test_pages_need_nothing_inline_and_only_files_of_ours(name: str) -> None:
    checker = Checker()
    checker.feed((ROOT / name).read_text())
    assert checker.wrong == []
    assert len(checker.ids) == len(set(checker.ids))
    for file in checker.files:
        assert file.startswith("/ui/")
        assert (ROOT / file.removeprefix("/ui/")).is_file()


def test_all_scripts_together_are_small() -> None:
    scripts = [*ROOT.glob("js/**/*.js"), *ROOT.glob("vendor/**/*.mjs")]
    assert any("xterm" in script.name for script in scripts)
    assert sum(len(gzip.compress(script.read_bytes(), 6)) for script in scripts) < 400_000


def test_scripts_import_only_files_that_exist_and_build_no_html() -> None:
    for script in ROOT.glob("js/**/*.js"):
        text = script.read_text()
        static = re.findall(r'^(?:import|export|\}) .*?"(\.[^"]+)";', text, re.M)
        for target in static + re.findall(r'import\("([^"]+)"\)', text):
            assert (script.parent / target).is_file(), f"{script.name} imports {target}"
        for banned in (
            "innerHTML",
            "InnerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
        ):
            assert banned not in text, f"{script.name} uses {banned}"


def imports(script: Path) -> set[Path]:
    """What `script` imports, and what that imports; without what is loaded later."""
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        found.add(file)
        text = file.read_text() if "vendor" not in file.parts else ""
        targets = re.findall(r'^(?:import|export|\}) .*?"(\.[^"]+)";', text, re.M)
        waiting += [(file.parent / target).resolve() for target in targets]
    return found


def test_what_the_first_page_imports_is_asked_for_at_once() -> None:
    wanted = imports(ROOT / "js/app/main.js") | imports(ROOT / "js/nodes/page.js")
    html = (ROOT / "index.html").read_text()
    preloaded = {ROOT / name for name in re.findall(r'modulepreload" href="/ui/([^"]+)"', html)}
    assert preloaded == wanted - {ROOT / "js/app/main.js"}


def test_the_styles_of_each_page_exist() -> None:
    names = re.findall(r'"([\w-]+\.css)"', (ROOT / "js/app/pages.js").read_text())
    assert "nodes.css" in names
    for name in names:
        assert (ROOT / "css" / name).is_file()


@pytest.mark.parametrize("suffix", ["js", "css", "html"])
def test_nothing_of_ours_is_fetched_from_elsewhere(suffix: str) -> None:
    for file in ROOT.rglob(f"*.{suffix}"):
        if "vendor" not in file.parts:
            hosts = re.findall(r"https?://[\w.]+", file.read_text())
            assert set(hosts) <= {"http://www.w3.org"}, f"{file.name}: {hosts}"


async def test_static_files_and_pages_are_served_with_their_headers() -> None:
    async def index(_: web.Request) -> web.StreamResponse:
        return ui.page("index.html")

    app = web.Application()
    app.router.add_get("/", index)
    ui.add_static(app.router)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    try:
        async with ClientSession(f"http://{host}:{port}") as http:
            async with http.get("/") as answer:
                assert answer.status == 200
                assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
            async with http.get("/ui/vendor/xterm/xterm.mjs") as answer:
                assert answer.status == 200
                assert "javascript" in answer.headers["Content-Type"]
            for path in ("/ui/__init__.py", "/ui/js/../__init__.py", "/ui/", "/ui/vendor/"):
                async with http.get(path) as answer:
                    assert answer.status in (403, 404)
    finally:
        await runner.cleanup()


def test_a_working_copy_can_be_served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SKYWIRE_UI", str(tmp_path))
    assert ui.root() == tmp_path
