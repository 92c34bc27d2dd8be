"""A client counts a session only when the server can bring it streams, as with Go servers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from skywire.crypto import generate
from skywire.dmsg import client as client_module
from skywire.dmsg.client import DmsgClient
from skywire.dmsg.server import DmsgServer
from skywire.dmsg.session import Session
from skywire.wire.yamux import Yamux, YamuxStream
from tests.dmsg.conftest import Directory, soon, until

DELAY = 0.3  # seconds between the handshake and the registration


class GoLikeServer(DmsgServer):
    """Says nothing by itself; registers late, and takes streams only then.

    The first `rejects` sessions are closed at once.
    """

    def __init__(self, directory: Directory, rejects: int) -> None:
        super().__init__(*generate.key_pair(), directory, public_address="127.0.0.1:0")
        self.rejects = rejects
        self.opened: list[float] = []
        self._early: dict[Session, list[YamuxStream]] = {}

    def session_opened(self, session: Session) -> None:
        loop = asyncio.get_running_loop()
        self.opened.append(loop.time())
        if len(self.opened) <= self.rejects:
            session.close("there is another one of this key")
            return
        self._early[session] = []
        loop.call_later(DELAY, self._register, session)

    def _register(self, session: Session) -> None:
        super().session_opened(session)
        for stream in self._early.pop(session):
            super().stream_opened(session, stream)

    def stream_opened(self, session: Session, stream: YamuxStream) -> None:
        if session in self._early:
            self._early[session].append(stream)
        else:
            super().stream_opened(session, stream)


@asynccontextmanager
async def go_like_server(rejects: int = 0) -> AsyncIterator[tuple[Directory, GoLikeServer]]:
    directory = Directory()
    async with GoLikeServer(directory, rejects) as server:
        await server.serve("127.0.0.1", 0)
        await soon(server.posted())
        yield directory, server


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Yamux, "send_ping", lambda *_: None)


@pytest.mark.usefixtures("silent")
async def test_who_is_ready_can_be_dialled_at_once() -> None:
    async with go_like_server() as (directory, server), AsyncExitStack() as stack:
        clients = []
        for _ in range(2):
            made = DmsgClient(*generate.key_pair(), directory)
            clients.append(await stack.enter_async_context(made))
            assert not made.sessions
            await soon(made.ready())
            assert made.sessions == (server.public,)
        listener = clients[0].listen(80)
        stream = await soon(clients[1].dial(clients[0].public, 80))
        await (await soon(listener.accept())).close()
        await stream.close()
        await listener.close()


@pytest.mark.usefixtures("silent")
async def test_a_server_that_does_not_answer_yet_is_used_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_module, "REGISTERED_TIMEOUT", 0.05)
    async with (
        go_like_server() as (directory, server),
        DmsgClient(*generate.key_pair(), directory) as client,
    ):
        await soon(client.ready())
        assert client.sessions == (server.public,)


async def test_a_session_that_is_closed_at_once_is_not_tried_again_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_module, "CONNECT_RETRY", (0.4, 0.4))
    async with (
        go_like_server(rejects=1) as (directory, server),
        DmsgClient(*generate.key_pair(), directory) as client,
    ):
        await soon(client.ready())
        first, second = server.opened
        assert second - first >= 0.3
        await until(lambda: client.sessions)
