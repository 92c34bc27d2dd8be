"""The escapes of an interactive terminal. (The whole is tested in tests/cli/test_pty.py.)"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.pty.terminal import Escapes, window
from skywire.pty.types import WinSize


@pytest.mark.parametrize(
    ("typed", "sent", "left"),
    [
        (b"~.", b"", True),
        (b"ls\r~.rest", b"ls\r", True),
        (b"ls\n~.", b"ls\n", True),
        (b"~~.", b"~.", False),
        (b"a~.", b"a~.", False),
        (b"~/bin\r", b"~/bin\r", False),
        (b"~~\r~x", b"~\r~x", False),
        (b"\r~\r~.", b"\r~\r", True),
        (b"~", b"", False),
    ],
)
def test_escapes(typed: bytes, sent: bytes, left: bool) -> None:
    assert Escapes().feed(typed) == (sent, left)
    escapes, out, leave = Escapes(), b"", False
    for byte in typed:  # one key at a time
        if not leave:
            part, leave = escapes.feed(bytes([byte]))
            out += part
    assert (out, leave) == (sent, left)


@given(st.binary().filter(lambda data: b"~" not in data))
def test_without_a_tilde_nothing_changes(data: bytes) -> None:
    assert Escapes().feed(data) == (data, False)


def test_a_console_may_have_no_size() -> None:
    assert window(None) is None
    assert window((30, 100, 7, 8)) == WinSize(x=7, y=8, rows=30, cols=100)
