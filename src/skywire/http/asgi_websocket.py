"""One WebSocket of an ASGI application. Source: the ASGI specification, WebSocket 2.5."""

import asyncio

from aiohttp import WSMsgType, web

from skywire.errors import LocalProtocolError
from skywire.http.asgi import Call, Message

MAX_MESSAGE = 4 * 1024 * 1024  # bytes
HEARTBEAT = 30.0  # seconds between pings; a peer that does not answer is gone
CLOSE_TIMEOUT = 2.0  # seconds for the peer's half of the end
NORMAL, FAILED, LOST = 1000, 1011, 1006  # close codes; RFC 6455 §7.4
NO_CODE = 1005


class WebSocketCall(Call):
    def __init__(self, request: web.Request) -> None:
        super().__init__()
        self._request = request
        self._socket: web.WebSocketResponse | None = None
        self._told = False  # the application knows that somebody wants to connect
        self._refused = False
        self._accepted = asyncio.Event()

    async def receive(self) -> Message:
        if not self._told:
            self._told = True
            return {"type": "websocket.connect"}
        await self._accepted.wait()
        if self._socket is None:
            return {"type": "websocket.disconnect", "code": LOST}
        message = await self._socket.receive()
        if message.type is WSMsgType.TEXT:
            return {"type": "websocket.receive", "text": message.data}
        if message.type is WSMsgType.BINARY:
            return {"type": "websocket.receive", "bytes": message.data}
        self.gone.set()
        code = self._socket.close_code or (LOST if message.type is WSMsgType.ERROR else NO_CODE)
        return {"type": "websocket.disconnect", "code": code}

    async def send(self, message: Message) -> None:
        """Raises ConnectionError, which is an OSError, once the peer is gone."""
        kind = message["type"]
        if kind == "websocket.accept" and self._socket is None and not self._refused:
            await self._accept(message)
        elif kind == "websocket.close":
            await self._close(message.get("code", NORMAL), message.get("reason") or "")
        elif kind == "websocket.send" and self._socket is not None:
            if message.get("text") is not None:
                await self._socket.send_str(message["text"])
            else:
                await self._socket.send_bytes(message["bytes"])
        else:
            raise LocalProtocolError(f'the application sent "{kind}" where it has no place')

    async def _accept(self, message: Message) -> None:
        chosen = message.get("subprotocol")
        socket = web.WebSocketResponse(
            protocols=[chosen] if chosen else (),
            heartbeat=HEARTBEAT,
            max_msg_size=MAX_MESSAGE,
            timeout=CLOSE_TIMEOUT,
        )
        for name, value in message.get("headers", ()):
            socket.headers.add(name.decode("latin-1"), value.decode("latin-1"))
        await socket.prepare(self._request)
        self._socket = socket
        self._accepted.set()

    async def _close(self, code: int, reason: str) -> None:
        if self._socket is None:
            self._refused = True
            self._accepted.set()
        else:
            await self._socket.close(code=code, message=reason.encode())

    async def finish(self) -> web.StreamResponse:
        if self._socket is None:
            if self.failed is not None:
                raise web.HTTPInternalServerError
            raise web.HTTPForbidden
        if not self._socket.closed:
            await self._socket.close(code=FAILED if self.failed is not None else NORMAL)
        return self._socket
