"""A dmsg server: accepts sessions, joins the streams of its clients. Source: dmsg.md §4, §6, §11.

What a peer may cost: one session object (about 10 KB), yamux's `MAX_STREAMS` streams, 16 MB of
parked and 32 MB of unwritten bytes; `MAX_HALF_OPEN` connections in all that have not finished the
handshake, the oldest going first. Requests of one session are worked on a few per turn of the loop,
so that one client's flood does not hold up the others.
"""

import asyncio
import logging
from types import TracebackType
from typing import Self

from skywire.crypto.keys import PubKey, SecKey
from skywire.dmsg.discovery import Directory
from skywire.dmsg.fair import FairQueue
from skywire.dmsg.keeper import EntryKeeper
from skywire.dmsg.relay import PendingStream
from skywire.dmsg.session import Flusher, Session
from skywire.metrics import Registry
from skywire.streams.supervise import Tasks
from skywire.streams.tcp import listen_error
from skywire.wire.dmsg import CODE_TEXTS, Code
from skywire.wire.entry import Entry
from skywire.wire.yamux import YamuxStream

log = logging.getLogger(__name__)

MAX_SESSIONS = 2048
HEADROOM = 4  # sessions/HEADROOM more than advertised are accepted: delegated clients may dial in
MAX_HALF_OPEN = 1024  # connections without a finished handshake
MAX_PENDING = 256  # streams of one session that are not relayed yet; a further one is reset
SESSIONS_PER_KEY = 4  # beyond, the oldest session of that key is closed
UPDATE_INTERVAL = 60.0  # seconds between posts of our entry
BACKLOG = 1024  # connections the kernel keeps for us


class DmsgServer:
    """`async with DmsgServer(…) as server: await server.serve(host, port)`.

    Sessions with the same key live side by side: the newest gets the streams; when it ends the one
    before it does. So a reconnect takes over at once and a live session is never unrouted.
    """

    def __init__(
        self,
        public: PubKey,
        secret: SecKey,
        directory: Directory,
        *,
        public_address: str,
        max_sessions: int = MAX_SESSIONS,
        server_type: str = "",
        update_interval: float = UPDATE_INTERVAL,
        proxied: bool = False,
        metrics: Registry | None = None,
    ) -> None:
        """`public_address` ("host:port") is what clients find in the discovery.

        `proxied`: every connection comes through a proxy and begins with a PROXY header; without
        it such a header is refused like any other garbage.
        """
        self._proxied = proxied
        self.public = public
        self._secret = secret
        self.public_address = public_address
        self._max_sessions = max_sessions
        self._server_type = server_type
        self._flusher = Flusher()
        self._half_open: dict[Session, None] = {}  # in order of arrival
        self._sessions: dict[PubKey, list[Session]] = {}
        self._queue = FairQueue()
        self._pending: dict[Session, set[PendingStream]] = {}
        self._session_count = 0
        self._listeners: list[asyncio.Server] = []
        self._tasks = Tasks(f"dmsg server {public.hex()[:8]}")
        self._keeper = EntryKeeper(directory, secret, self._entry, update_interval)
        self._closing = False
        metrics = metrics or Registry()
        metrics.gauge("dmsg_server_sessions", "Open sessions", lambda: self._session_count)
        metrics.gauge("dmsg_server_half_open", "Unfinished handshakes", self._half_open.__len__)
        self._relayed = metrics.counter("dmsg_server_streams_total", "Streams that were joined")
        self._metrics = metrics

    # Running

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def serve(self, host: str, port: int) -> int:
        """Listen and keep our entry posted; returns the port. Raises Conflict when it is taken."""
        loop = asyncio.get_running_loop()
        try:
            listener = await loop.create_server(self._connected, host, port, backlog=BACKLOG)
        except OSError as error:
            raise listen_error(error, f"port {port} on {host or 'all addresses'}") from error
        self._listeners.append(listener)
        port = listener.sockets[0].getsockname()[1]
        if self.public_address.endswith(":0"):
            self.public_address = f"{self.public_address[:-2]}:{port}"
        if len(self._listeners) == 1:
            self._tasks.spawn(self._keeper.run(), "entry")
        log.info("dmsg server up pk=%s address=%s:%d", self.public.hex(), host, port)
        return port

    async def posted(self) -> None:
        """Wait until the discovery has our entry."""
        await self._keeper.posted.wait()

    async def close(self) -> None:
        """End all sessions and withdraw the entry. Idempotent."""
        if self._closing:
            return
        self._closing = True
        for listener in self._listeners:
            listener.close()
        await self._tasks.close()
        for session in [*self._half_open, *(s for group in self._sessions.values() for s in group)]:
            session.close("server is shutting down")
        await self._keeper.withdraw()

    def _entry(self, stored: Entry | None) -> Entry:
        available = max(0, self._max_sessions - self._session_count)
        return Entry.of_server(self.public, self.public_address, available, self._server_type)

    def _connected(self) -> Session:
        session = Session(self, self._flusher, self.public, self._secret, proxied=self._proxied)
        self._half_open[session] = None
        if len(self._half_open) > MAX_HALF_OPEN:
            oldest = next(iter(self._half_open))
            del self._half_open[oldest]
            oldest.close("too many unfinished handshakes")
        return session

    # What sessions tell their owner

    @property
    def session_count(self) -> int:
        return self._session_count

    def find(self, pk: PubKey) -> Session | None:
        """The newest usable session with `pk`."""
        for session in reversed(self._sessions.get(pk, ())):
            if session.is_open:
                return session
        return None

    def session_opened(self, session: Session) -> None:
        self._half_open.pop(session, None)
        if self._session_count >= self._max_sessions + self._max_sessions // HEADROOM:
            session.close("no room for another session")
            return
        group = self._sessions.setdefault(session.remote, [])
        for older in group:
            older.check_alive()
        group.append(session)
        self._session_count += 1
        if len(group) > SESSIONS_PER_KEY:
            group[0].close("replaced by newer sessions of the same key")
        self._keeper.changed()
        log.info("session up remote=%s address=%s", session.remote.hex(), session.peer_address[0])

    def session_lost(self, session: Session, reason: str) -> None:
        self._half_open.pop(session, None)
        self._pending.pop(session, None)
        self._queue.forget(session)
        group = self._sessions.get(session.remote, [])
        if session not in group:
            log.debug("no session address=%s reason=%s", session.peer_address[0], reason)
            return
        group.remove(session)
        if not group:
            del self._sessions[session.remote]
        self._session_count -= 1
        self._keeper.changed()
        log.info("session down remote=%s reason=%s", session.remote.hex(), reason)

    # Streams

    def stream_opened(self, session: Session, stream: YamuxStream) -> None:
        pending = self._pending.setdefault(session, set())
        if len(pending) >= MAX_PENDING:
            stream.reset()
            return
        stream.accept()
        pending.add(
            PendingStream(
                session,
                stream,
                server=self.public,
                secret=self._secret,
                find=self.find,
                queue=self._queue,
                on_end=self._pending_ended,
            )
        )

    def _pending_ended(self, pending: PendingStream, code: Code | None) -> None:
        """`code` tells why the stream was refused; None when it was joined or answered."""
        session = pending.session
        group = self._pending.get(session)
        if group is not None:
            group.discard(pending)
            if not group:
                del self._pending[session]
        if code is None:
            self._relayed.add()
            return
        self._metrics.counter(
            "dmsg_server_refused_total", "Streams refused", reason=CODE_TEXTS[code]
        ).add()
