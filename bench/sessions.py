"""Bare sessions with a server, each with a key of its own: no entry, no client around them."""

import asyncio

from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey
from skywire.dmsg.session import Flusher, Session
from skywire.wire.yamux import YamuxStream

TIME_LIMIT = 10.0  # seconds for one handshake


class Sessions:
    """The owner of the sessions it opens."""

    def __init__(self, host: str, port: int, server: PubKey) -> None:
        self._host = host
        self._port = port
        self._server = server
        self._flusher = Flusher()
        self._opening: dict[Session, asyncio.Future[None]] = {}
        self.open: list[Session] = []

    async def connect(self) -> Session:
        """TCP and the Noise handshake, up to where streams can be opened."""
        loop = asyncio.get_running_loop()
        public, secret = key_pair()
        session = Session(self, self._flusher, public, secret, remote=self._server)
        opened = self._opening[session] = loop.create_future()
        async with asyncio.timeout(TIME_LIMIT):
            await loop.create_connection(lambda: session, self._host, self._port)
            await opened
        self.open.append(session)
        return session

    def close(self) -> None:
        for session in self.open:
            session.close("done")
        self.open.clear()

    # SessionOwner

    def session_opened(self, session: Session) -> None:
        self._opening.pop(session).set_result(None)

    def session_lost(self, session: Session, reason: str) -> None:
        opened = self._opening.pop(session, None)
        if opened is not None:
            opened.set_exception(ConnectionError(reason))

    def stream_opened(self, session: Session, stream: YamuxStream) -> None:
        stream.reset()
