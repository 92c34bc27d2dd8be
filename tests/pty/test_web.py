"""The web terminal in front of a real host with real shells."""

import asyncio
import json
import os
import re
from pathlib import Path

import pytest
from aiohttp import WSServerHandshakeError

from skywire.crypto.generate import deterministic_key_pair
from skywire.errors import DialFailed
from skywire.pty import web_shell
from skywire.pty.web import MAX_FRAME, MAX_TERMINALS, WebTerminals
from skywire.pty.web_frames import CLOSED_LINE, Scheme
from skywire.pty.web_session import Timing
from skywire.pty.web_shell import Dialer
from skywire.streams.stream import Stream
from skywire.streams.supervise import Tasks
from skywire.testing.streams import stream_pair
from tests.pty.web_kit import Browser, Node, WebKit, eventually

TARGET = deterministic_key_pair(b"node")[0]


async def shell_pid(browser: Browser) -> int:
    await browser.type("echo pid=$$=\n")
    await browser.until(b"pid=")
    while (found := re.search(rb"pid=(\d+)=", browser.output)) is None:
        assert await browser.read()
    return int(found[1])


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# Page, methods, origins


async def test_a_plain_get_is_the_page(tmp_path: Path) -> None:
    async with Node(tmp_path) as node, WebKit(node.handle) as kit, kit.http.get(kit.url) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/html"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "terminal" in await answer.text()
        assert node.dials == []


@pytest.mark.parametrize("method", ["POST", "HEAD", "DELETE"])
async def test_other_methods_are_refused(tmp_path: Path, method: str) -> None:
    async with Node(tmp_path) as node, WebKit(node.handle) as kit:
        async with kit.http.request(method, kit.url) as answer:
            assert answer.status == 405
            assert answer.headers["Allow"] == "GET"
            text = await answer.text()
        if method != "HEAD":
            assert json.loads(text) == {
                "error_code": 405,
                "error_msg": f"http method {method} is invalid for path /pty/x",
            }


async def test_a_page_of_another_site_gets_no_terminal(tmp_path: Path) -> None:
    async with Node(tmp_path) as node, WebKit(node.handle) as kit:
        with pytest.raises(WSServerHandshakeError) as caught:
            await kit.http.ws_connect(kit.url, headers={"Origin": "http://evil.example"})
        assert caught.value.status == 403
        assert node.dials == []
        origin = kit.url.removesuffix("/pty/x")
        async with kit.http.ws_connect(kit.url, headers={"Origin": origin}) as ws:
            assert (await ws.receive()).data == b"[skypty-ui] Status: Dialing...\r"


async def test_there_is_a_limit_of_terminals(tmp_path: Path) -> None:
    async with Node(tmp_path) as node, WebKit(node.handle) as kit:
        node.terminals._limit = 1
        async with kit.browser() as browser:
            await browser.until(b"UI-SID    1")
            with pytest.raises(WSServerHandshakeError) as caught:
                await kit.http.ws_connect(kit.url)
            assert caught.value.status == 503
        await eventually(lambda: len(node.terminals) == 0)
        async with kit.browser() as browser:
            await browser.until(b"UI-SID    1")
    assert MAX_TERMINALS >= 64


# Dialling


async def test_the_scheme_dmsg_makes_no_skynet_attempt(tmp_path: Path) -> None:
    """3089 a, T35: although skynet would hang."""
    async with Node(tmp_path) as node, WebKit(node.handle) as kit:
        node.missing.clear()
        node.blocked.add("skynet")
        async with kit.browser("scheme=dmsg") as browser:
            await browser.until(b"PTY-HOST")
        assert node.dials == ["dmsg"]


async def test_the_scheme_skynet_makes_no_dmsg_attempt(tmp_path: Path) -> None:
    """3089 b, T35."""
    async with Node(tmp_path) as node, WebKit(node.handle) as kit:
        async with kit.browser("scheme=skynet") as browser:
            assert await browser.until_closed() == (1000, "closed")
            assert b"[skypty-ui] Error: " in browser.output
            assert b"skynet: this node is not on skynet\n\r" in browser.output
            assert browser.output.endswith(b"[skypty-ui] Status: Stopped!\r")
        assert node.dials == ["skynet"]


async def test_without_a_scheme_a_hanging_skynet_gives_way_to_dmsg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Node(tmp_path) as node, WebKit(node.handle) as kit:
        node.missing.clear()
        node.blocked.add("skynet")
        async with kit.browser() as browser:
            await browser.until(b"PTY-HOST")
        assert node.dials == ["skynet", "dmsg"]
    assert (web_shell.SKYNET_TIME, web_shell.DMSG_TIME) == (2.0, 15.0)


async def test_a_route_to_a_node_without_terminals_gives_way_to_dmsg(tmp_path: Path) -> None:
    """One of 2024 takes the route, then says that nobody listens there."""
    async with Node(tmp_path) as node, WebKit(node.handle) as kit:
        node.missing.clear()
        node.deaf.add("skynet")
        async with kit.browser() as browser:
            await browser.until(b"PTY-HOST")
        assert node.dials == ["skynet", "dmsg"]
        async with kit.browser("scheme=skynet") as browser:
            await browser.until_closed()
            assert b"no listener on port 22" in browser.output
        assert node.dials == ["skynet", "dmsg", "skynet"]


async def test_an_unknown_scheme_is_an_error_line(tmp_path: Path) -> None:
    async with Node(tmp_path) as node, WebKit(node.handle) as kit:
        async with kit.browser("scheme=tcp") as browser:
            await browser.until_closed()
            assert b'[skypty-ui] Error: unknown scheme "tcp"\n\r' in browser.output
        assert node.dials == []


async def test_a_dial_that_succeeds_too_late_is_closed() -> None:
    ours, theirs = stream_pair()
    released = asyncio.Event()

    async def dial(*_: object) -> Stream:
        while not released.is_set():  # ignores being cancelled, as a careless dialer may
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue
        return ours

    tasks = Tasks("dials")
    dialer = Dialer(dial, TARGET, tasks, skynet_time=0.05)
    with pytest.raises(Exception, match=r":22: skynet: no answer within 0\.05 s"):
        await dialer.stream(Scheme.SKYNET)
    released.set()
    await eventually(lambda: len(tasks) == 0)
    assert ours.closed  # type: ignore[attr-defined]
    await theirs.close()


async def test_a_dialer_that_gives_up_by_itself_is_a_cause_like_any_other() -> None:
    async def dial(*_: object) -> Stream:
        raise TimeoutError

    tasks = Tasks("dials")
    with pytest.raises(DialFailed, match=":22: skynet: no answer in time; dmsg: no answer in time"):
        await Dialer(dial, TARGET, tasks).stream(Scheme.ANY)
    await tasks.close()


async def test_a_host_that_refuses_us_is_an_error_line(tmp_path: Path) -> None:
    """3090 d."""
    async with Node(tmp_path) as node, WebKit(node.handle) as kit:
        node.whitelist.remove([node.owner])
        async with kit.browser("flow=1") as browser:
            assert (await browser.until_text("closed"))["reason"] == "refused"
            assert await browser.until_closed() == (1000, "closed")
            assert b"Error: request rejected by remote dmsgpty-host" in browser.output
            assert browser.output.endswith(b"[skypty-ui] Status: Stopped!\r")


async def test_a_frame_that_is_too_large_costs_the_browser_and_not_the_shell(
    tmp_path: Path,
) -> None:
    async with Node(tmp_path) as node, WebKit(node.handle) as kit, kit.browser() as other:
        pid = await shell_pid(other)
        for frame in ("x" * (MAX_FRAME + 1), "{" * (MAX_FRAME + 1)):
            async with kit.browser() as browser:
                sid = (await browser.until_text("session"))["id"]
                await browser.ws.send_str(frame)
                assert (await browser.until_closed())[0] == 1009
        assert await shell_pid(other) == pid
        assert node.host.sessions is not None
        assert node.host.sessions.get(sid, node.owner).end is None


# Sessions


async def test_a_cut_browser_gets_its_shell_back_with_what_it_missed(tmp_path: Path) -> None:
    """T32, 3093 a and h."""
    async with Node(tmp_path) as node, WebKit(node.handle) as kit:
        async with kit.browser("commands=update") as browser:
            sid = (await browser.until_text("session"))["id"]
            assert re.fullmatch("[0-9a-f]{16}", sid)
            await browser.until(b"updated\r\n")
            pid = await shell_pid(browser)
            job = "while [ ! -e go ]; do sleep 0.02; done; echo while ''away; touch gone"
            await browser.type(f"({job}) &\n")
            await browser.until(b"gone) &")
            browser.vanish()
        await eventually(lambda: len(node.terminals) == 0)
        (tmp_path / "go").touch()
        await eventually((tmp_path / "gone").exists)
        async with kit.browser(f"commands=update&sid={sid}") as browser:
            await browser.until(b"while away")
            browser.texts.clear()
            await browser.type("echo same=$$=\n")
            await browser.until(b"same=%d=" % pid)
            assert browser.output.count(b"while away\r\n") == 1
            assert b"PTY-HOST" not in browser.output
            assert browser.texts == []
        assert (tmp_path / "ran").read_text().split() == [str(pid)]


async def test_without_persistence_a_session_id_does_no_harm(tmp_path: Path) -> None:
    """T33, 3093 g."""
    async with Node(tmp_path, persistent=False) as node, WebKit(node.handle) as kit:
        async with kit.browser("sid=0011223344556677") as browser:
            await browser.until(b"PTY-HOST")
            pid = await shell_pid(browser)
            assert browser.texts == []
            assert b"Error" not in browser.output
        await eventually(lambda: not alive(pid))  # a classic shell ends with its browser


async def test_an_unknown_session_gives_a_fresh_shell(tmp_path: Path) -> None:
    query = "sid=0011223344556677&commands=update"
    async with Node(tmp_path) as node, WebKit(node.handle) as kit, kit.browser(query) as browser:
        await browser.until(b"PTY-HOST")
        await browser.until(b"updated\r\n")
        assert (await browser.until_text("session"))["id"] != "0011223344556677"


async def test_a_stolen_session_id_gives_a_shell_of_its_own(tmp_path: Path) -> None:
    """T34."""
    async with Node(tmp_path) as node, WebKit(node.handle) as kit, kit.browser() as victim:
        sid = (await victim.until_text("session"))["id"]
        await victim.type("echo my ''secret\n")
        await victim.until(b"my secret")
        pid = await shell_pid(victim)
        node.owner = deterministic_key_pair(b"thief")[0]
        node.whitelist.add([node.owner])
        async with kit.browser(f"sid={sid}") as thief:
            assert (await thief.until_text("session"))["id"] != sid
            assert await shell_pid(thief) != pid
            assert b"secret" not in thief.output
        victim.output = b""
        assert await shell_pid(victim) == pid


async def test_exit_then_reconnect_never_hangs(tmp_path: Path) -> None:
    """3093 i, 3089 c."""
    async with Node(tmp_path) as node, WebKit(node.handle) as kit:
        async with kit.browser() as browser:
            sid = (await browser.until_text("session"))["id"]
            await browser.type("exit\n")
            assert await browser.until_closed() == (1000, "closed")
            assert browser.output.endswith(CLOSED_LINE)
        async with kit.browser(f"sid={sid}") as browser:
            await browser.until_closed()
            assert b"exit" in browser.output
        node.host.sessions.sweep(1e12)  # type: ignore[union-attr]
        async with kit.browser(f"sid={sid}") as browser:
            await browser.until(b"PTY-HOST")


async def test_two_browsers_share_a_session(tmp_path: Path) -> None:
    """3093 k."""
    async with Node(tmp_path) as node, WebKit(node.handle) as kit, kit.browser() as one:
        sid = (await one.until_text("session"))["id"]
        await one.until(b"$ ")
        async with kit.browser(f"sid={sid}") as two:
            await two.until(b"$ ")
            await one.type("echo from ''one\n")
            await one.until(b"from one")
            await two.until(b"from one")
            await two.type("echo from ''two\n")
            await one.until(b"from two")
            await two.until(b"from two")
        await eventually(lambda: len(node.terminals) == 1)
        await one.type("echo still ''here\n")
        await one.until(b"still here")


async def test_a_server_that_stops_leaves_the_shell_running(tmp_path: Path) -> None:
    async with Node(tmp_path) as node, WebKit(node.handle) as kit:
        async with kit.browser("flow=1") as browser:
            sid = (await browser.until_text("session"))["id"]
            pid = await shell_pid(browser)
            await node.terminals.close()
            assert (await browser.until_text("closed"))["reason"] == "going away"
            assert await browser.until_closed() == (1001, "server going away")
        node.terminals = WebTerminals()
        async with kit.browser(f"sid={sid}") as browser:
            assert await shell_pid(browser) == pid


async def test_a_killed_stream_shows_the_closed_line(tmp_path: Path) -> None:
    """T36, 3089 d and e; the session itself lives on."""
    async with Node(tmp_path) as node, WebKit(node.handle) as kit:
        async with kit.browser() as browser:
            sid = (await browser.until_text("session"))["id"]
            pid = await shell_pid(browser)
            node.streams[0].abort()
            assert await browser.until_closed() == (1000, "closed")
            assert browser.output.endswith(CLOSED_LINE)
        async with kit.browser(f"sid={sid}") as browser:
            assert await shell_pid(browser) == pid


async def test_a_killed_stream_of_a_classic_shell_ends_it_too(tmp_path: Path) -> None:
    async with Node(tmp_path, persistent=False) as node, WebKit(node.handle) as kit:
        async with kit.browser() as browser:
            pid = await shell_pid(browser)
            node.streams[0].abort()
            assert await browser.until_closed() == (1000, "closed")
        await eventually(lambda: not alive(pid))


async def test_withheld_pongs_detach_the_browser_and_keep_the_shell(tmp_path: Path) -> None:
    """T39."""
    timing = Timing(keepalive=0.2, pong=0.1)
    async with Node(tmp_path, timing=timing) as node, WebKit(node.handle) as kit:
        async with kit.browser(pong=False) as browser:
            assert await browser.until_closed() == (1001, "keepalive ping failed")
        assert node.host.sessions is not None
        assert len(node.host.sessions) == 1
    usual = Timing()
    assert usual.keepalive + usual.pong < 20


async def test_the_size_of_the_browser_is_the_terminals(tmp_path: Path) -> None:
    async with Node(tmp_path) as node, WebKit(node.handle) as kit, kit.browser() as browser:
        await browser.until(b"PTY-HOST")
        await browser.type("stty size\n")
        await browser.until(b"30 100\r\n")
        await browser.ws.send_str('{"type":"resize","cols":81,"rows":25}')
        await browser.type("until [ \"$(stty size)\" = '25 81' ]; do sleep 0.01; done; echo o''k\n")
        await browser.until(b"ok\r\n")


async def test_a_paste_of_ten_thousand_keys_arrives_whole(tmp_path: Path) -> None:
    """3089 f, through a real terminal."""
    keys = "".join(f"{number:04d}" for number in range(2500))
    lines = "".join(f"{keys[start : start + 100]}\n" for start in range(0, len(keys), 100))
    async with Node(tmp_path) as node, WebKit(node.handle) as kit, kit.browser() as browser:
        await browser.until(b"PTY-HOST")
        await browser.type("stty -echo; echo rea''dy; cat > pasted; echo do''ne\n")
        await browser.until(b"ready\r\n")
        for key in lines:
            await browser.type(key)
        await browser.type("\x04")
        await browser.until(b"done\r\n")
    assert (tmp_path / "pasted").read_text() == lines


async def test_interrupting_yes_takes_effect_at_once(tmp_path: Path) -> None:
    async with Node(tmp_path) as node, WebKit(node.handle) as kit, kit.browser("flow=1") as browser:
        await browser.until(b"PTY-HOST")
        pid = await shell_pid(browser)
        await browser.type("yes; echo o''ver\n")
        await browser.until(b"y\r\n" * 1000)
        loop = asyncio.get_running_loop()
        end = loop.time() + 1
        seen = 0
        while loop.time() < end:  # a page that parses as fast as it can
            assert await browser.read()
            await acknowledge(browser, len(browser.output) - seen)
            seen = len(browser.output)
        browser.output = b""
        await browser.type("\x03")
        begin = loop.time()
        while b"$ " not in browser.output:
            before = len(browser.output)
            assert await browser.read()
            await acknowledge(browser, len(browser.output) - before)
        assert loop.time() - begin < 1  # 300 ms are measured by bench/bench_yes.py
        assert b"over" not in browser.output
        assert alive(pid)


async def acknowledge(browser: Browser, chars: int) -> None:
    if chars:
        await browser.ws.send_str(json.dumps({"type": "ack", "chars": chars}))
