"""The web terminal: one URL that is a page and a websocket. Source: pty.md §7.

`GET` with `Upgrade: websocket` is a terminal, any other `GET` the page that opens it. Who may
call is the business of the server that mounts it.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

from aiohttp import web

from skywire import ui
from skywire.crypto.keys import PubKey
from skywire.pty import web_frames as frames
from skywire.pty.dialing import Dial
from skywire.pty.web_session import End, Opened, Timing, WebSession
from skywire.pty.web_shell import Dialer, open_shell
from skywire.streams.supervise import Tasks

log = logging.getLogger(__name__)

MAX_TERMINALS = 256  # websockets open at one time
MAX_FRAME = 1024 * 1024  # bytes of one frame from a browser; more closes with 1009
CLOSE_TIME = 2.0  # seconds for the browser's half of the closing handshake

Login = Callable[[Callable[[], object]], AbstractContextManager[object]]

COMMANDS: Mapping[str, Sequence[str]] = {
    "update": ("python3 -m pip install --upgrade pyskywire", "skywire --version"),
}


class WebTerminals:
    """The open terminals of one server; `close` ends them (an aiohttp `on_shutdown` handler)."""

    def __init__(
        self,
        *,
        commands: Mapping[str, Sequence[str]] = COMMANDS,
        limit: int = MAX_TERMINALS,
        timing: Timing | None = None,
    ) -> None:
        self._commands = commands
        self._limit = limit
        self._timing = timing or Timing()
        self._open: set[WebSession] = set()
        self._dials = Tasks("web terminal dials")

    def __len__(self) -> int:
        return len(self._open)

    async def close(self) -> None:
        """Tell every browser that the server goes away; persistent shells live on."""
        for session in tuple(self._open):
            session.end(End.GOING_AWAY, "the server stops")
        await self._dials.close()

    async def handle(
        self,
        request: web.Request,
        target: PubKey,
        dial: Dial,
        *,
        title: str = "",
        login: Login = nullcontext,
    ) -> web.StreamResponse:
        """Page or terminal of the shell host at `target`; `title` is its name, if it has one.

        `login` is entered for as long as the terminal is open, with what to call when the login
        that it hangs on ends.
        """
        if request.method != "GET":
            text = f"http method {request.method} is invalid for path {request.path}"
            return refusal(405, text, {"Allow": "GET"})
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return ui.page("terminal.html")
        if not frames.same_origin(request.headers.get("Origin"), request.host):
            log.warning("web terminal refused origin=%r", request.headers.get("Origin"))
            return refusal(403, f"a page of {request.headers.get('Origin')} may not use terminals")
        if len(self._open) >= self._limit:
            return refusal(503, f"{self._limit} terminals are open already; close one")
        ws = web.WebSocketResponse(
            autoping=False, compress=False, max_msg_size=MAX_FRAME, timeout=CLOSE_TIME
        )
        await ws.prepare(request)
        await self._run(request, ws, target, dial, title, login)
        return ws

    async def _run(
        self,
        request: web.Request,
        ws: web.WebSocketResponse,
        target: PubKey,
        dial: Dial,
        title: str,
        login: Login,
    ) -> None:
        query = frames.parse_query(request.query, self._commands)
        dialer = Dialer(dial, target, self._dials)

        async def opener(status: frames.Status, size: frames.SizeNow) -> Opened:
            return await open_shell(dialer, query, status, size, title)

        def banner(host: str) -> bytes:
            url = f"({request.scheme}) {request.host}{request.path}"
            return frames.banner(host, url, len(self._open))

        session = WebSession(ws, query, opener, banner, self._timing)
        log.info("web terminal open target=%s scheme=%.20r", target.hex(), query.scheme)
        self._open.add(session)
        try:
            with login(lambda: session.end(End.LOGGED_OUT, "the login has ended")):
                await session.run()
        finally:
            self._open.discard(session)


async def web_terminal(
    request: web.Request,
    target: PubKey,
    dial: Dial,
    *,
    terminals: WebTerminals | None = None,
    title: str = "",
) -> web.StreamResponse:
    """One terminal. Servers that can have several share one `WebTerminals` among them."""
    return await (terminals or WebTerminals()).handle(request, target, dial, title=title)


def refusal(status: int, text: str, headers: Mapping[str, str] | None = None) -> web.Response:
    body = {"error_code": status, "error_msg": text}
    return web.json_response(body, status=status, headers=headers)
