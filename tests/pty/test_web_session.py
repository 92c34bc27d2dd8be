import asyncio
import logging

import pytest

from skywire.errors import DialFailed, InvalidValue, Refused, StreamReset
from skywire.pty.web_frames import CLOSED_LINE
from skywire.pty.web_input import BUFFER_LIMIT
from skywire.pty.web_output import HIGH_WATER
from skywire.pty.web_session import End, Timing
from tests.pty.web_kit import LIMIT, Stage, WebKit, eventually


async def test_a_fresh_shell_greets_and_echoes() -> None:
    stage = Stage()
    async with WebKit(stage.handle) as kit, kit.browser() as browser:
        await browser.until(b"BANNER host:22")
        await browser.type("ls\n")
        await browser.until(b"ls\n")
        assert browser.output == b"[skypty-ui] Status: Dialing...\rBANNER host:22ls\n"
        assert browser.texts == []  # an old host has no session to come back to
    assert await stage.ended() is End.LEFT
    assert stage.shell.closed == 1


async def test_a_persistent_shell_tells_its_id_before_the_banner() -> None:
    stage = Stage()
    stage.sid = "0011223344556677"
    async with WebKit(stage.handle) as kit, kit.browser() as browser:
        await browser.until_text("session")
        assert b"BANNER" not in browser.output
        assert browser.texts == [{"type": "session", "id": "0011223344556677"}]
        await browser.until(b"BANNER")


async def test_attached_there_is_no_banner_no_command_and_no_session_frame() -> None:
    stage = Stage()
    stage.attached = True
    stage.shell.say(b"what you missed")
    async with WebKit(stage.handle) as kit, kit.browser("commands=update") as browser:
        await browser.until(b"what you missed")
        await browser.type("x")
        await browser.until(b"x")
        assert b"BANNER" not in browser.output
        assert browser.texts == []
    assert stage.shell.typed == b"x"


async def test_commands_are_typed_into_a_fresh_shell_before_any_key() -> None:
    stage = Stage()
    async with WebKit(stage.handle) as kit, kit.browser("commands=update") as browser:
        await browser.until(b"apt upgrade\n")
        await browser.type("x")
        await browser.until(b"\nx")
    assert stage.shell.typed == b"apt update && apt upgrade\nx"


async def test_our_page_hears_what_it_got_and_how_far_it_is() -> None:
    stage = Stage(Timing(page_ping=0.02))
    async with WebKit(stage.handle) as kit, kit.browser("flow=1") as browser:
        opened = await browser.until_text("open")
        facts = {"attached": False, "via": "dmsg", "title": "host", "view": False}
        assert opened == {"type": "open"} | facts
        assert (await browser.until_text("link"))["rtt_ms"] >= 0
        stage.shell.finish()
        closed = await browser.until_text("closed")
        assert closed["reason"] == "exit"
    assert stage.shell.pings >= 1


async def test_exit_shows_the_closed_line_and_closes_normally() -> None:
    """3089 c."""
    stage = Stage()
    async with WebKit(stage.handle) as kit, kit.browser() as browser:
        stage.shell.say(b"logout\r\n")
        stage.shell.finish()
        assert await browser.until_closed() == (1000, "closed")
        assert browser.output.endswith(b"logout\r\n" + CLOSED_LINE)
    assert await stage.ended() is End.EXIT


async def test_a_broken_stream_shows_the_closed_line_too() -> None:
    """3089 d."""
    stage = Stage()
    async with WebKit(stage.handle) as kit, kit.browser() as browser:
        await browser.until(b"BANNER")
        stage.shell.fail(StreamReset("unexpected EOF"))
        assert await browser.until_closed() == (1000, "closed")
        assert browser.output.endswith(CLOSED_LINE)
    assert await stage.ended() is End.LOST


async def test_a_failed_write_ends_the_session() -> None:
    """3089 e: seen by the second or third key."""
    stage = Stage()
    async with WebKit(stage.handle) as kit, kit.browser() as browser:
        await browser.until(b"BANNER")
        stage.shell.write_error = StreamReset("stream was reset")
        await browser.type("a")
        assert await browser.until_closed() == (1000, "closed")
        assert browser.output.endswith(CLOSED_LINE)
    assert await stage.ended() is End.LOST


async def test_a_write_without_an_answer_ends_the_session() -> None:
    """3089 e: a silent break."""
    stage = Stage(Timing(write=0.1))
    async with WebKit(stage.handle) as kit, kit.browser("flow=1") as browser:
        await browser.until(b"BANNER")
        stage.shell.stuck.clear()
        await browser.type("a")
        closed = await browser.until_text("closed")
        assert closed["reason"] == "lost"
        assert "did not take 1 bytes of input within 0.1 s" in closed["text"]
        await browser.until_closed()
    assert Timing().write == 10.0


async def test_ten_thousand_keys_arrive_in_order() -> None:
    """3089 f, one frame per key."""
    stage = Stage()
    stage.shell.echo = False
    keys = "".join(chr(97 + index % 26) for index in range(10_000))
    async with WebKit(stage.handle) as kit, kit.browser() as browser:
        await browser.until(b"BANNER")
        for key in keys:
            await browser.type(key)
        await eventually(lambda: len(stage.shell.typed) >= len(keys))
    assert stage.shell.typed.decode() == keys


@pytest.mark.parametrize("cancels", [False, True])
async def test_a_vanished_browser_leaves_nothing_behind(cancels: bool) -> None:
    """3089 g; also under a server that cancels the handlers of lost connections."""
    stage = Stage()
    before = asyncio.all_tasks()
    kit = WebKit(stage.handle, handler_cancellation=cancels)
    async with kit, kit.browser() as browser:
        await browser.until(b"BANNER")
        browser.vanish()
        await eventually(lambda: stage.shell.closed)
    assert stage.shell.closed == 1
    await eventually(lambda: asyncio.all_tasks() <= before)


async def test_leaving_while_it_dials_cancels_the_dial() -> None:
    stage = Stage()
    stage.opening.clear()
    async with WebKit(stage.handle) as kit:
        async with kit.browser() as browser:
            await browser.until(b"Dialing...")
        assert await stage.ended() is End.LEFT
    assert stage.shell.closed == 0


async def test_without_a_shell_there_is_an_error_line() -> None:
    """3089 b."""
    stage = Stage()
    stage.refusal = DialFailed("no skynet here")
    async with WebKit(stage.handle) as kit, kit.browser("flow=1") as browser:
        assert (await browser.until_text("closed"))["reason"] == "unreachable"
        assert await browser.until_closed() == (1000, "closed")
        lines = b"[skypty-ui] Error: no skynet here\n\r[skypty-ui] Status: Stopped!\r"
        assert browser.output.endswith(lines)
    assert await stage.ended() is End.UNREACHABLE


@pytest.mark.parametrize("error", [InvalidValue('unknown scheme "x"'), Refused("not you")])
async def test_what_another_try_would_not_change_is_refused(error: Exception) -> None:
    stage = Stage()
    stage.refusal = error
    async with WebKit(stage.handle) as kit, kit.browser("flow=1") as browser:
        assert (await browser.until_text("closed"))["reason"] == "refused"
        await browser.until_closed()


async def test_a_bug_of_ours_ends_the_session_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stage = Stage()
    async with WebKit(stage.handle) as kit, kit.browser() as browser:
        await browser.until(b"BANNER")
        with caplog.at_level(logging.ERROR):
            stage.shell.fail(ZeroDivisionError())
            assert await browser.until_closed() == (1000, "closed")
    assert "web terminal broke" in caplog.text


async def test_sizes_reach_the_shell_and_bad_ones_do_not() -> None:
    stage = Stage()
    stage.opening.clear()
    async with WebKit(stage.handle) as kit, kit.browser() as browser:
        await browser.until(b"Dialing...")
        await browser.ws.send_str('{"type":"resize","cols":120,"rows":40}')
        await browser.ws.send_str('{"type":"resize","cols":0,"rows":40}')
        await browser.ws.send_str("{not a resize}")
        await browser.ws.ping()
        await browser.read()  # the pong: all before it was heard
        stage.opening.set()
        await browser.until(b"{not a resize}")
        assert stage.size == (120, 40)
        await browser.ws.send_str('{"type":"resize","cols":121,"rows":41}')
        await eventually(lambda: (121, 41) in stage.shell.sizes)
    assert stage.shell.typed == b"{not a resize}"
    assert set(stage.shell.sizes) == {(120, 40), (121, 41)}


async def test_the_usual_size_without_a_word_from_the_browser() -> None:
    stage = Stage()
    async with WebKit(stage.handle) as kit, kit.browser() as browser:
        await browser.until(b"BANNER")
    assert stage.size == (100, 30)


async def test_a_browser_that_withholds_pongs_is_closed() -> None:
    """T39, with shorter times."""
    stage = Stage(Timing(keepalive=0.1, pong=0.08))
    async with WebKit(stage.handle) as kit, kit.browser(pong=False) as browser:
        assert await browser.until_closed() == (1001, "keepalive ping failed")
        assert browser.pings == 1
        assert CLOSED_LINE not in browser.output
    assert await stage.ended() is End.KEEPALIVE
    assert stage.shell.closed == 1
    usual = Timing()
    assert (usual.keepalive, usual.pong) == (10.0, 8.0)


async def test_pongs_keep_it_open() -> None:
    stage = Stage(Timing(keepalive=0.03, pong=0.02))
    async with WebKit(stage.handle) as kit, kit.browser() as browser:
        async with asyncio.timeout(LIMIT):
            while browser.pings < 5:
                assert await browser.read()
        assert stage.ends.empty()


async def test_output_pauses_until_the_page_has_parsed_it() -> None:
    stage = Stage()
    async with WebKit(stage.handle) as kit, kit.browser("flow=1") as browser:
        await browser.until(b"BANNER host:22")
        for _ in range(20):
            stage.shell.say(b"y" * 32768)
        await browser.until(b"y" * HIGH_WATER)
        await asyncio.sleep(0.1)  # time in which more would come
        sent = len(browser.output)
        assert stage.shell.reads <= HIGH_WATER // 32768 + 2
        await browser.ws.send_str(f'{{"type":"ack","chars":{sent}}}')
        await browser.until(b"y" * (2 * HIGH_WATER))
    assert stage.shell.typed == b""


async def test_an_interrupt_overtakes_output_that_nobody_parsed() -> None:
    stage = Stage()
    stage.shell.echo = False
    async with WebKit(stage.handle) as kit, kit.browser("flow=1") as browser:
        for _ in range(20):
            stage.shell.say(b"y" * 32768)
        await browser.until(b"y" * HIGH_WATER)
        await browser.type("\x03")
        await eventually(lambda: stage.shell.typed == b"\x03")


async def test_an_acknowledgement_is_input_to_other_browsers() -> None:
    stage = Stage()
    async with WebKit(stage.handle) as kit, kit.browser() as browser:
        await browser.ws.send_str('{"type":"ack","chars":1}')
        await browser.until(b'{"type":"ack","chars":1}')


async def test_a_stuck_shell_stops_the_reading_but_not_the_browser() -> None:
    stage = Stage(Timing(keepalive=0.05, pong=0.04, write=0.6))
    async with WebKit(stage.handle) as kit, kit.browser() as browser:
        await browser.until(b"BANNER")
        stage.shell.stuck.clear()
        for _ in range(3 * BUFFER_LIMIT // 16384):
            await browser.ws.send_bytes(bytes(16384))
        session = stage.sessions[0]
        await eventually(lambda: session._input.full)
        await asyncio.sleep(0.2)  # four pings that nobody can answer: not the browser's fault
        assert stage.ends.empty()
        assert len(session._input) == BUFFER_LIMIT
        assert await browser.until_closed() == (1000, "closed")  # the write time is over
    assert await stage.ended() is End.LOST


async def test_a_server_that_stops_says_so() -> None:
    stage = Stage()
    async with WebKit(stage.handle) as kit, kit.browser() as browser:
        await browser.until(b"BANNER")
        stage.sessions[0].end(End.GOING_AWAY, "the server stops")
        assert await browser.until_closed() == (1001, "server going away")
    assert await stage.ended() is End.GOING_AWAY


async def test_bytes_that_are_no_text_pass_unchanged_both_ways() -> None:
    stage = Stage()
    everything = bytes(range(256))
    async with WebKit(stage.handle) as kit, kit.browser() as browser:
        await browser.until(b"BANNER")
        await browser.ws.send_bytes(everything)
        await browser.until(everything)
    assert stage.shell.typed == everything
