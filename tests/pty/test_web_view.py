"""Looking on at a session in the browser, and the end of the login behind a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiohttp import web

from skywire.pty.web_frames import CLOSED_LINE
from skywire.pty.web_session import End
from tests.pty.web_kit import Node, Stage, WebKit, eventually


async def test_what_is_typed_by_who_looks_on_is_refused_and_said_once(tmp_path: Path) -> None:
    async with Node(tmp_path) as node, WebKit(node.handle) as kit, kit.browser() as owner:
        sid = (await owner.until_text("session"))["id"]
        await owner.type("echo be''fore\n")
        await owner.until(b"before")
        async with kit.browser(f"flow=1&view=1&sid={sid}") as viewer:
            opened = await viewer.until_text("open")
            assert (opened["attached"], opened["view"]) == (True, True)
            await viewer.until(b"before")
            assert b"PTY-HOST" not in viewer.output
            await viewer.type("touch typed\n")
            assert (await viewer.until_text("refused"))["text"].startswith("view only")
            await viewer.ws.send_str('{"type":"resize","cols":7,"rows":7}')
            await viewer.type("touch typed\n")
            await owner.type("stty size; echo af''ter\n")
            await viewer.until(b"after")
            assert b"30 100" in viewer.output
            assert [text["type"] for text in viewer.texts].count("refused") == 1
        await owner.type("ls; echo do''ne\n")
        await owner.until(b"done")
        assert b"typed" not in owner.output.rpartition(b"ls;")[2]
        assert node.host.sessions is not None
        assert node.host.sessions.get(sid, node.owner).viewers == 1


async def test_a_browser_of_another_make_is_refused_without_a_word(tmp_path: Path) -> None:
    async with Node(tmp_path) as node, WebKit(node.handle) as kit, kit.browser() as owner:
        sid = (await owner.until_text("session"))["id"]
        async with kit.browser(f"view=1&sid={sid}") as viewer:
            await viewer.type("touch typed\n")
            await owner.type("echo se''en\n")
            await viewer.until(b"seen")
            assert viewer.texts == []
    assert not (tmp_path / "typed").exists()


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("view=1", b"nothing to view: sid= names the session"),
        ("view=1&sid=0123456789abcdef", b"session not found"),
    ],
)
async def test_without_a_session_to_view_no_shell_is_started(
    tmp_path: Path, query: str, text: bytes
) -> None:
    async with Node(tmp_path) as node, WebKit(node.handle) as kit:
        async with kit.browser(f"flow=1&{query}") as viewer:
            assert (await viewer.until_text("closed"))["reason"] == "refused"
            await viewer.until_closed()
            assert b"[skypty-ui] Error: " in viewer.output
            assert text in viewer.output
        assert node.host.sessions is not None
        assert len(node.host.sessions) == 0


async def test_start_up_commands_are_not_for_who_looks_on(tmp_path: Path) -> None:
    async with Node(tmp_path) as node, WebKit(node.handle) as kit, kit.browser() as owner:
        sid = (await owner.until_text("session"))["id"]
        async with kit.browser(f"view=1&sid={sid}&commands=update") as viewer:
            await owner.type("echo se''en\n")
            await viewer.until(b"seen")
    assert not (tmp_path / "ran").exists()


class Login:
    def __init__(self) -> None:
        self.end: Callable[[], object] | None = None

    @contextmanager
    def tied(self, end: Callable[[], object]) -> Iterator[None]:
        self.end = end
        try:
            yield
        finally:
            self.end = None


async def test_the_end_of_a_login_is_said_and_the_shell_goes_on(tmp_path: Path) -> None:
    login = Login()
    async with Node(tmp_path) as node:

        async def handle(request: web.Request) -> web.StreamResponse:
            return await node.terminals.handle(request, node.key, node.dial, login=login.tied)

        async with WebKit(handle) as kit:
            async with kit.browser("flow=1") as browser:
                sid = (await browser.until_text("session"))["id"]
                assert login.end is not None
                login.end()
                assert (await browser.until_text("closed"))["reason"] == "logged out"
                assert await browser.until_closed() == (1000, "closed")
                assert browser.output.endswith(CLOSED_LINE)
            await eventually(lambda: login.end is None)
        assert node.host.sessions is not None
        assert node.host.sessions.get(sid, node.owner).end is None


async def test_a_login_that_ends_while_dialling_ends_the_terminal() -> None:
    stage = Stage()
    stage.opening.clear()
    async with WebKit(stage.handle) as kit, kit.browser("flow=1") as browser:
        await browser.until(b"Dialing...")
        stage.sessions[0].end(End.LOGGED_OUT, "the login has ended")
        assert (await browser.until_text("closed"))["reason"] == "logged out"
        assert await stage.ended() is End.LOGGED_OUT
