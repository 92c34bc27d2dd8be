"""What a web terminal and a browser say to each other; no I/O. Source: pty.md §7.

Our own page adds `flow=1` to its query. Then text frames `{"type":"ack","chars":N}` report bytes
that xterm has parsed, and the server sends the text frames of `open_frame`, `link_frame`,
`refused_frame` and `closed_frame` besides the `session` frame that every browser gets.

`view=1` (ours) is for looking on at the session `sid`: what is typed is refused, the size stays.
"""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import NamedTuple
from urllib.parse import urlsplit

from skywire.errors import InvalidValue

MAX_SIDE = 65535  # columns or rows
MAX_CONTROL_FRAME = 1024  # characters; longer text is input and never worth parsing

_ACK = '{"type":"ack","chars":'

PREFIX = "[skypty-ui]"
CLOSED_LINE = (
    b"\r\n\x1b[33m[skywire: session closed \xe2\x80\x94 reload the page to reconnect]\x1b[0m\r\n"
)
VIEW_ONLY = "view only: what is typed here is not sent"
LOGO = (
    r"      _                _          ",
    r"  ___| | ___   ___  __(_)_ __ ___ ",
    r" / __| |/ / | | \ \/\/ / | '__/ _ \ ",
    r" \__ \   <| |_| |\   /| | | |  __/ ",
    r" |___/_|\_\\__, | \_/\_|_|_|  \___| ",
    r"           |___/                  ",
)


class Scheme(Enum):
    """Which network carries the terminal."""

    ANY = ""  # skynet first, dmsg when that fails
    DMSG = "dmsg"
    SKYNET = "skynet"


class Resize(NamedTuple):
    cols: int
    rows: int


class Ack(NamedTuple):
    chars: int  # bytes of terminal output that the page has parsed


class Ignored(NamedTuple):
    """A resize or an ack with an impossible number: dropped, not typed."""

    reason: str


Status = Callable[[str], Awaitable[None]]  # shows a word of progress
SizeNow = Callable[[], Resize]  # the browser's size as last heard, or the default


class Query(NamedTuple):
    scheme: str  # as given; `parse_scheme` judges it
    sid: str  # "" for a fresh shell
    typed: bytes  # start-up commands for a fresh shell, with their newline; b"" for none
    flow: bool
    view: bool = False  # look on only


def parse_query(query: Mapping[str, str], commands: Mapping[str, Sequence[str]]) -> Query:
    """`commands` has the lines that each known name stands for; unknown names mean nothing."""
    names = query.get("commands", "").split(",")
    lines = [line for name in names for line in commands.get(name.strip(), ())]
    typed = (" && ".join(lines) + "\n").encode() if lines else b""
    return Query(
        query.get("scheme", ""),
        query.get("sid", ""),
        typed,
        query.get("flow") == "1",
        query.get("view") == "1",
    )


def parse_scheme(text: str) -> Scheme:
    try:
        return Scheme(text)
    except ValueError:
        raise InvalidValue(f'unknown scheme "{text}"') from None


def parse_text(text: str, flow: bool) -> Resize | Ack | Ignored | bytes:
    """Bytes are keyboard input, unchanged."""
    if not text.startswith("{") or len(text) > MAX_CONTROL_FRAME:
        return text.encode()
    count = text[len(_ACK) : -1] if flow and text.startswith(_ACK) and text[-1] == "}" else ""
    if count.isascii() and count.isdecimal():
        return Ack(int(count))  # as our page writes it, one for each piece of output
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return text.encode()
    if not isinstance(message, dict):
        return text.encode()
    if message.get("type") == "resize":
        cols, rows = _integer(message.get("cols", 0)), _integer(message.get("rows", 0))
        if cols is not None and rows is not None:
            if 1 <= cols <= MAX_SIDE and 1 <= rows <= MAX_SIDE:
                return Resize(cols, rows)
            return Ignored(f"resize to {cols}x{rows}, expected 1 to {MAX_SIDE} each")
    elif flow and message.get("type") == "ack":
        chars = _integer(message.get("chars"))
        if chars is not None and chars >= 0:
            return Ack(chars)
        return Ignored(f"ack of {chars} characters, expected a number from 0")
    return text.encode()


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def same_origin(origin: str | None, host: str) -> bool:
    """Whether a page of `origin` may open a terminal at `host` (its `Host` header).

    Only browsers send an origin, and they always do for a websocket.
    """
    if origin is None:
        return True
    try:
        return urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False


def status_line(text: str) -> bytes:
    return f"{PREFIX} Status: {text}\r".encode()


def error_line(text: str) -> bytes:
    """`text` is cleared of control characters: it may come from the far host."""
    return f"{PREFIX} Error: {printable(text)}\n\r".encode()


def printable(text: str, most: int = 500) -> str:
    return "".join(char if char.isprintable() else " " for char in text[:most])


def banner(host: str, url: str, number: int) -> bytes:
    """The greeting of a fresh shell; `number` counts the terminals open in this server."""
    lines: Iterable[str] = (
        *LOGO,
        "",
        f"PTY-HOST  {printable(host)}",
        f"UI-URL    {printable(url)}",
        f"UI-SID    {number}",
        "",
    )
    return "".join(f"{line}\n\r" for line in lines).encode()


def session_frame(sid: str) -> str:
    return json.dumps({"type": "session", "id": sid}, separators=(",", ":"))


def open_frame(attached: bool, via: str, title: str, view: bool = False) -> str:
    """A shell is there: an earlier one whose output follows anew, or a fresh one.

    `view`: it is only looked at.
    """
    return json.dumps(
        {"type": "open", "attached": attached, "via": via, "title": title, "view": view}
    )


def refused_frame() -> str:
    """Something was typed at a session that is only looked at; told once."""
    return json.dumps({"type": "refused", "text": VIEW_ONLY})


def link_frame(rtt: float) -> str:
    """`rtt` is seconds from this server to the page and to the shell's host, both ways."""
    return json.dumps({"type": "link", "rtt_ms": round(rtt * 1000, 1)})


def closed_frame(reason: str, text: str) -> str:
    """`reason` is an `End` value; a page tries again by itself when nobody meant it to end."""
    return json.dumps({"type": "closed", "reason": reason, "text": printable(text)})
