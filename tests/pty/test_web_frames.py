import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.errors import InvalidValue
from skywire.pty import web_frames as frames
from skywire.pty.web_frames import Ack, Ignored, Resize, parse_text

COMMANDS = {"update": ("one", "two"), "other": ("three",)}


def test_a_resize_is_a_resize() -> None:
    assert parse_text('{"type":"resize","cols":80,"rows":24}', flow=False) == Resize(80, 24)
    assert parse_text('{"rows":1, "cols":65535, "type":"resize"}', flow=True) == Resize(65535, 1)


@pytest.mark.parametrize(
    "sides", ['"cols":0,"rows":24', '"cols":80,"rows":65536', '"cols":-1,"rows":1', '"cols":80']
)
def test_an_impossible_size_is_dropped_and_not_typed(sides: str) -> None:
    assert isinstance(parse_text(f'{{"type":"resize",{sides}}}', flow=False), Ignored)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{}",
        '{"type":"other"}',
        '{"type":"resize","cols":"80","rows":24}',
        '{"type":"resize","cols":true,"rows":24}',
        '[{"type":"resize","cols":80,"rows":24}]',
        ' {"type":"resize","cols":80,"rows":24}',
        "[" * 1000,
        "{" + " " * 5000 + "}",
        "ls\n",
        "é漢",
    ],
)
def test_everything_else_is_input_unchanged(text: str) -> None:
    assert parse_text(text, flow=True) == text.encode()


def test_acknowledgements_count_only_for_our_page() -> None:
    text = '{"type":"ack","chars":5000}'
    assert parse_text(text, flow=True) == Ack(5000)
    assert parse_text(text, flow=False) == text.encode()
    assert isinstance(parse_text('{"type":"ack","chars":-1}', flow=True), Ignored)
    assert isinstance(parse_text('{"type":"ack"}', flow=True), Ignored)


@given(st.text(), st.booleans())
def test_any_text_is_understood_or_typed(text: str, flow: bool) -> None:
    frame = parse_text(text, flow)
    assert not isinstance(frame, bytes) or frame == text.encode()


@given(
    st.dictionaries(
        st.sampled_from(["type", "cols", "rows", "chars"]),
        st.one_of(st.sampled_from(["resize", "ack"]), st.integers(), st.floats(), st.none()),
    )
)
def test_any_object_is_understood_or_typed(message: dict[str, object]) -> None:
    text = json.dumps(message)
    frame = parse_text(text, flow=True)
    if isinstance(frame, Resize):
        assert 1 <= frame.cols <= 65535
        assert 1 <= frame.rows <= 65535


def test_known_commands_are_joined_and_end_in_a_newline() -> None:
    typed = frames.parse_query({"commands": "update,unknown,other"}, COMMANDS).typed
    assert typed == b"one && two && three\n"


@pytest.mark.parametrize("query", [{}, {"commands": ""}, {"commands": "unknown"}])
def test_nothing_is_typed_without_a_known_command(query: dict[str, str]) -> None:
    assert frames.parse_query(query, COMMANDS).typed == b""


def test_schemes() -> None:
    assert [frames.parse_scheme(text).value for text in ("", "dmsg", "skynet")] == [
        "",
        "dmsg",
        "skynet",
    ]
    with pytest.raises(InvalidValue, match=r'^unknown scheme "tcp"$'):
        frames.parse_scheme("tcp")


@pytest.mark.parametrize(
    ("origin", "same"),
    [
        (None, True),
        ("http://node.example:8000", True),
        ("https://NODE.example:8000", True),
        ("http://node.example", False),
        ("http://evil.example:8000", False),
        ("http://node.example:8000.evil.example", False),
        ("null", False),
        ("", False),
        ("http://[", False),
    ],
)
def test_only_our_own_pages_may_open_a_terminal(origin: str | None, same: bool) -> None:
    assert frames.same_origin(origin, "node.example:8000") is same


def test_lines_for_the_browser() -> None:
    assert frames.status_line("Dialing...") == b"[skypty-ui] Status: Dialing...\r"
    assert frames.error_line("no route") == b"[skypty-ui] Error: no route\n\r"
    assert frames.session_frame("00ff") == '{"type":"session","id":"00ff"}'
    text = "\r\n\x1b[33m[skywire: session closed — reload the page to reconnect]\x1b[0m\r\n"
    assert text.encode() == frames.CLOSED_LINE


def test_an_error_text_of_the_far_host_cannot_steer_the_terminal() -> None:
    assert frames.error_line("a\x1b[2Jb\r\nc") == b"[skypty-ui] Error: a [2Jb  c\n\r"
    assert len(frames.error_line("x" * 10_000)) < 600


def test_the_banner_names_host_url_and_number() -> None:
    text = frames.banner("02ab:22", "(http) localhost/pty/02ab", 3).decode()
    assert all(not line or line.startswith("\r") for line in text.split("\n")[1:])
    assert "\n\rPTY-HOST  02ab:22\n\r" in text
    assert "\n\rUI-URL    (http) localhost/pty/02ab\n\r" in text
    assert "\n\rUI-SID    3\n\r" in text
