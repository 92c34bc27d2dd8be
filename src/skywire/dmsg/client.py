"""A dmsg client: sessions to servers, dial and listen. Source: dmsg.md §6, §10, §11.

    async with DmsgClient(pk, sk, directory) as client:
        await client.ready()
        stream = await client.dial(remote, 80)

Sessions are kept up by one task: it asks the directory for servers and connects until there are
`min_sessions`, at once when one is lost, with a back-off per server that failed. The discovery may
be away: sessions go on and the entry is posted when it returns.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self

from skywire.crypto.keys import PubKey, SecKey
from skywire.dmsg.dialling import Answerer, look_up_address, open_stream
from skywire.dmsg.discovery import Directory
from skywire.dmsg.keeper import EntryKeeper
from skywire.dmsg.ports import DmsgListener, dmsg_ports
from skywire.dmsg.session import FIRST_BYTE_PAUSE, HANDSHAKE_TIMEOUT, Flusher, Session
from skywire.dmsg.stream import DmsgStream
from skywire.errors import (
    DialFailed,
    InvalidValue,
    NotFound,
    Refused,
    RemoteProtocolError,
    SkywireError,
    StreamClosed,
    StreamError,
    Unavailable,
)
from skywire.streams.stream import Address
from skywire.streams.supervise import Backoff, Tasks
from skywire.streams.tcp import reason
from skywire.wire.dmsg import Code, error_text
from skywire.wire.entry import Entry
from skywire.wire.yamux import YamuxStream

log = logging.getLogger(__name__)

UPDATE_INTERVAL = 60.0  # seconds between posts of an unchanged entry; Go: 1 min in a visor
CONNECT_TIMEOUT = 5.0  # seconds for TCP; the handshake has its own limit
REGISTERED_TIMEOUT = 5.0  # seconds for a server to show that it knows us
DIAL_TIMEOUT = 20.0  # seconds for one request and its answer
TRY_NEXT_AFTER = 6.0  # the same while another server is left to try: 2024 servers never refuse
LOOKUP_TIMEOUT = 10.0  # seconds for one question to the directory
ENTRY_AGE = 20.0  # seconds a looked-up entry is used for further dials
MAX_ENTRIES = 4096  # looked-up entries kept; the oldest go first
MAX_SERVERS = 16  # servers of one entry a dial tries: what a peer enters, it could enter endlessly
MAX_FAILED = 1024  # servers whose failures are remembered; the oldest go first
SERVERS_RETRY = (1.0, 10.0)  # seconds between questions for servers: first, at most
CONNECT_RETRY = (1.0, 12.0)  # seconds until a server that failed is tried again: first, at most


OnAddress = Callable[[str], Coroutine[Any, Any, None]]  # host:port


async def _nobody_cares(_: str) -> None: ...


class DmsgClient:
    """`directory` says where servers and other clients are. `min_sessions` 0: every server."""

    def __init__(
        self,
        public: PubKey,
        secret: SecKey,
        directory: Directory,
        *,
        min_sessions: int = 1,
        client_type: str = "",
        update_interval: float = UPDATE_INTERVAL,
    ) -> None:
        self.public = public
        self._secret = secret
        self._directory = directory
        self._min_sessions = min_sessions
        self._client_type = client_type
        self._flusher = Flusher()
        self._ports = dmsg_ports()
        self._answerer = Answerer(public, secret, self._ports)
        self._sessions: dict[PubKey, Session] = {}  # by server
        self._connecting: dict[PubKey, asyncio.Future[Session]] = {}
        self._opening: dict[Session, asyncio.Future[None]] = {}
        self._failed: dict[PubKey, tuple[float, Backoff]] = {}  # server → not before, back-off
        self._entries: dict[PubKey, tuple[float, Entry]] = {}
        self._changed = asyncio.Event()  # a session came or went; for `_keep_sessions` only
        self._up = asyncio.Event()  # there is a session
        self.servers_error = ""  # why no server could be asked for the last time; "" when it could
        self.on_dial: OnAddress = _nobody_cares  # before a server is dialled
        self.on_close: OnAddress = _nobody_cares
        self._addresses: dict[PubKey, str] = {}  # of the servers we have a session with
        self._closing = False
        self._withdrawing = False  # the discovery itself may be on dmsg: it can still be dialled
        self._tasks = Tasks(f"dmsg client {public.hex()[:8]}")
        self._keeper = EntryKeeper(directory, secret, self._entry, update_interval)

    # Running

    async def __aenter__(self) -> Self:
        self._tasks.spawn(self._keep_sessions(), "sessions")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def ready(self) -> None:
        """Wait for the first session and the posted entry; give it a deadline."""
        await self.connected()
        await self._keeper.posted.wait()

    async def connected(self) -> None:
        """Wait for the first session only: enough to dial, not to be dialled."""
        await self._up.wait()

    @property
    def sessions(self) -> tuple[PubKey, ...]:
        """The servers we have a session with."""
        return tuple(pk for pk, session in self._sessions.items() if session.is_open)

    @property
    def entry_error(self) -> str:
        """Why our entry could not be posted the last time; "" when it was."""
        return self._keeper.error

    def round_trip(self, server: PubKey) -> float | None:
        """Seconds of the last keep-alive to `server`; None before the first answer."""
        session = self._sessions.get(server)
        return session.yamux.round_trip if session is not None else None

    @property
    def server_addresses(self) -> list[str]:
        """host:port of the servers we have a session with."""
        return [self._addresses[pk] for pk in self.sessions if pk in self._addresses]

    @property
    def session_ports(self) -> list[int]:
        """Local TCP ports of the sessions."""
        transports = [session.transport for session in self._sessions.values() if session.is_open]
        names = [one.get_extra_info("sockname") for one in transports if one is not None]
        return [name[1] for name in names if name]

    @property
    def stream_ports(self) -> list[int]:
        """Our dmsg ports that are in use: we listen on them, or have dialled from them."""
        return self._ports.in_use

    def keep_sessions(self, count: int) -> None:
        """Stay connected to so many servers; 0: to every one. What there is already stays."""
        self._min_sessions = count
        self._changed.set()

    def drop_sessions(self) -> None:
        """Cut all sessions, streams included, as a network failure would; they come back."""
        for session in list(self._sessions.values()):
            session.close("dropped on request")

    async def close(self) -> None:
        """End sessions, streams and listeners, and withdraw the entry. Idempotent."""
        if self._closing:
            return
        self._closing = True
        await self._tasks.close()
        await self._ports.close()
        self._withdrawing = True
        await self._keeper.withdraw()
        self._withdrawing = False
        for session in list(self._sessions.values()):
            session.close("client is closing")

    # Sessions

    def _entry(self, stored: Entry | None) -> Entry:
        return Entry.of_client(self.public, self.sessions, self._client_type)

    async def _keep_sessions(self) -> None:
        self._tasks.spawn(self._keep_entry(), "entry")
        backoff = Backoff(*SERVERS_RETRY)
        while True:
            self._changed.clear()
            try:
                wait = await self._connect_missing()
                self.servers_error = ""
                backoff.reset()
            except (SkywireError, TimeoutError) as error:
                self.servers_error = str(error) or "it does not answer"
                wait = backoff.next()
                log.warning("no dmsg servers known error=%s retry_s=%.1f", error or "time", wait)
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                pass

    async def _keep_entry(self) -> None:
        await self.connected()
        await self._keeper.run()

    def _missing(self, servers: list[Entry]) -> int:
        if self._min_sessions:
            return self._min_sessions - len(self.sessions)
        return sum(server.static not in self._sessions for server in servers)

    async def _connect_missing(self) -> float | None:
        """Connect until there are enough sessions. How long to wait before the next try."""
        if self._min_sessions and len(self.sessions) >= self._min_sessions:
            return None
        async with asyncio.timeout(LOOKUP_TIMEOUT):
            servers = await self._directory.available_servers()
        if not servers:
            raise Unavailable("the discovery lists no server that has room")
        random.shuffle(servers)
        now = asyncio.get_running_loop().time()
        servers.sort(key=lambda entry: max(now, self._not_before(entry.static)))
        for server in servers:
            if self._missing(servers) <= 0:
                break
            if server.static in self._sessions or self._not_before(server.static) > now:
                continue
            try:
                await self._session_with(server)
            except (SkywireError, TimeoutError) as error:
                log.warning("no session server=%s error=%s", server.static.hex(), error)
        if self._missing(servers) <= 0:  # who wants every server must notice new ones
            return None if self._min_sessions else SERVERS_RETRY[1]
        later = [self._not_before(server.static) - now for server in servers]
        return max(0.2, min((wait for wait in later if wait > 0), default=SERVERS_RETRY[1]))

    def _not_before(self, server: PubKey) -> float:
        return self._failed[server][0] if server in self._failed else 0.0

    async def _session_with(self, server: Entry) -> Session:
        """The session with `server`, connecting if there is none; shared by all who wait."""
        session = self._sessions.get(server.static)
        if session is not None and session.is_open:
            return session
        result = self._connecting.get(server.static)
        if result is None:
            result = asyncio.get_running_loop().create_future()
            result.add_done_callback(asyncio.Future.exception)  # nobody may be waiting any more
            self._connecting[server.static] = result
            self._tasks.spawn(
                self._connect_for_all(server, result), f"connect {server.static.hex()[:8]}"
            )
        return await asyncio.shield(result)

    async def _connect_for_all(self, server: Entry, result: "asyncio.Future[Session]") -> None:
        try:
            result.set_result(await self._connect(server))
        except DialFailed as error:
            result.set_exception(error)
        finally:
            del self._connecting[server.static]
            if not result.done():
                result.set_exception(StreamClosed(error_text(Code.ENTITY_CLOSED)))

    async def _connect(self, server: Entry) -> Session:
        """Raises DialFailed, and remembers when to try this server again."""
        key = server.static
        try:
            if server.server is None:
                raise DialFailed(error_text(Code.ENTRY_NOT_SERVER, key.hex()))
            session = await self._handshake(key, *split_host_port(server.server.address))
        except (SkywireError, TimeoutError) as error:
            fresh = (0.0, Backoff(*CONNECT_RETRY, factor=2, jitter=0.2))
            _, backoff = self._failed.pop(key, fresh)
            while len(self._failed) >= MAX_FAILED:
                del self._failed[next(iter(self._failed))]
            self._failed[key] = (asyncio.get_running_loop().time() + backoff.next(), backoff)
            raise DialFailed(f"dmsg server {key.hex()}: {error}") from error
        self._failed.pop(key, None)
        return session

    async def _handshake(self, key: PubKey, host: str, port: int) -> Session:
        loop = asyncio.get_running_loop()
        session = Session(self, self._flusher, self.public, self._secret, remote=key)
        opened: asyncio.Future[None] = loop.create_future()
        self._opening[session] = opened
        try:
            await self.on_dial(f"{host}:{port}")
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await loop.create_connection(lambda: session, host, port)
            async with asyncio.timeout(HANDSHAKE_TIMEOUT + 1):
                await opened
            await self._until_registered(session)
        except TimeoutError as error:
            session.close("no answer")
            raise DialFailed(
                f"{host}:{port} does not answer within {CONNECT_TIMEOUT:g} s"
            ) from error
        except (OSError, ValueError) as error:  # ValueError: no resolver takes such a name
            raise DialFailed(f"cannot connect to {host}:{port}: {reason(error)}") from error
        except BaseException:
            session.close("given up")
            raise
        finally:
            self._opening.pop(session, None)
        if not session.is_open:
            raise DialFailed(f"{host}:{port} closed the session at once")
        self._sessions[key] = session
        self._addresses[key] = f"{host}:{port}"
        log.info("session up server=%s", key.hex())
        session.check_alive()  # measures the round trip, which is shown
        self._notice()
        return session

    async def _until_registered(self, session: Session) -> None:
        """Wait until the server can bring us streams: an entry posted sooner leads others astray.

        A server that speaks first, as ours do, has registered us. A Go server answers a request
        only when it has; it closes at once a session whose key it still has another one of, and
        with our back-off that one is gone the next time. Raises StreamReset.
        """
        try:
            async with asyncio.timeout(FIRST_BYTE_PAUSE):
                await session.until_spoken()
            return
        except TimeoutError:
            pass
        port = self._ports.reserve()
        try:
            await look_up_address(
                session,
                public=self.public,
                secret=self._secret,
                port=port,
                within=REGISTERED_TIMEOUT,
            )
        except (Refused, RemoteProtocolError):
            pass  # an answer is an answer
        except StreamError as error:
            if not session.is_open:
                raise
            log.warning("server answers slowly server=%s error=%s", session.remote.hex(), error)
        finally:
            self._ports.release(port)

    # SessionOwner

    def session_opened(self, session: Session) -> None:
        if self._closing:
            session.close("client is closing")
            return
        opened = self._opening.get(session)
        if opened is not None and not opened.done():
            opened.set_result(None)

    def session_lost(self, session: Session, reason: str) -> None:
        opened = self._opening.get(session)
        if opened is not None and not opened.done():
            opened.set_exception(DialFailed(f"handshake failed: {reason}"))
        if self._sessions.get(session.remote) is session:
            del self._sessions[session.remote]
            if address := self._addresses.pop(session.remote, ""):
                self._tasks.spawn(self.on_close(address), "closed")
            log.info("session down server=%s reason=%s", session.remote.hex(), reason)
            self._notice()

    def stream_opened(self, session: Session, stream: YamuxStream) -> None:
        self._answerer.stream_opened(session, stream)

    def _notice(self) -> None:
        if self._sessions:
            self._up.set()
        else:
            self._up.clear()
        self._changed.set()
        self._keeper.changed()

    # Streams

    def listen(self, port: int) -> DmsgListener:
        """Accept streams on `port`, from any key. Raises Conflict, InvalidValue."""
        return self._ports.listen(Address.dmsg(self.public, port))

    async def dial(self, remote: PubKey, port: int) -> DmsgStream:
        """A stream to `port` of `remote`, whose key is authenticated.

        Tries every server `remote` is delegated to, those we have a session with first. Raises
        NotFound (no entry), Refused (its reason is the code), DialFailed (with every attempt),
        InvalidValue; a deadline over all attempts is the caller's.
        """
        if not 0 < port < 65536:
            raise InvalidValue(f"dmsg port {port} cannot be dialled: expected 1 to 65535")
        if self._closing and not self._withdrawing:
            raise StreamClosed(error_text(Code.ENTITY_CLOSED))
        clock = asyncio.get_running_loop().time
        begin = clock()
        entry, fresh = await self._lookup(remote)
        try:
            return await self._dial_through(entry, remote, port)
        except DialFailed:
            # An entry that is out of date fails fast; a peer that is silent stays so.
            if fresh or clock() - begin > TRY_NEXT_AFTER:
                raise
        self._entries.pop(remote, None)
        entry, _ = await self._lookup(remote)
        return await self._dial_through(entry, remote, port)

    async def _lookup(self, remote: PubKey) -> tuple[Entry, bool]:
        """The entry of a client, and whether it was asked for just now."""
        now = asyncio.get_running_loop().time()
        known = self._entries.get(remote)
        if known is not None and now - known[0] < ENTRY_AGE:
            return known[1], False
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT):
                entry = await self._directory.entry(remote)
        except NotFound as error:
            self._entries.pop(remote, None)
            raise NotFound(error_text(Code.ENTRY_NOT_FOUND, remote.hex())) from error
        except (SkywireError, TimeoutError) as error:
            if known is not None:  # better an old hint than no way at all: a dial proves it
                return known[1], True
            raise DialFailed(f"entry of {remote}: {error or 'no answer'}") from error
        if entry.client is None:
            raise NotFound(error_text(Code.ENTRY_NOT_CLIENT, remote.hex()))
        self._entries.pop(remote, None)
        self._entries[remote] = (now, entry)
        while len(self._entries) > MAX_ENTRIES:
            del self._entries[next(iter(self._entries))]
        return entry, True

    async def _dial_through(self, entry: Entry, remote: PubKey, port: int) -> DmsgStream:
        delegated = list((entry.client and entry.client.delegated_servers) or ())
        if not delegated:
            raise DialFailed(error_text(Code.ENTRY_WITHOUT_SERVERS, remote.hex()))
        delegated.sort(key=lambda server: server not in self._sessions)
        del delegated[MAX_SERVERS:]
        attempts = []
        for index, server in enumerate(delegated):
            last = index == len(delegated) - 1
            try:
                session = await self._session_to(server)
                return await open_stream(
                    session,
                    self._ports,
                    public=self.public,
                    secret=self._secret,
                    remote=remote,
                    port=port,
                    within=DIAL_TIMEOUT if last else TRY_NEXT_AFTER,
                )
            except Refused as error:
                if error.reason != Code.NO_NEXT_SESSION:
                    raise
                attempts.append(f"{server.hex()[:8]}: {error}")
            except (StreamError, DialFailed, Unavailable) as error:
                attempts.append(f"{server.hex()[:8]}: {error}")
        raise DialFailed(
            f"cannot reach {remote}:{port} through its {len(delegated)} server(s): "
            + "; ".join(attempts)
        )

    async def _session_to(self, server: PubKey) -> Session:
        session = self._sessions.get(server)
        if session is not None and session.is_open:
            return session
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT):
                entry = await self._directory.entry(server)
        except (SkywireError, TimeoutError) as error:
            raise DialFailed(f"entry of server {server}: {error or 'no answer'}") from error
        return await self._session_with(entry)

    async def look_up_ip(self, server: PubKey | None = None) -> str:
        """Our address as a server sees it: of `server`, or of any we have a session with.

        Raises DialFailed, Refused, StreamReset, Unavailable (no session).
        """
        if server is None and not self.sessions:
            raise Unavailable("no session with a dmsg server yet")
        session = await self._session_to(server or self.sessions[0])
        port = self._ports.reserve()
        try:
            return await look_up_address(
                session, public=self.public, secret=self._secret, port=port, within=DIAL_TIMEOUT
            )
        finally:
            self._ports.release(port)


def split_host_port(address: str) -> tuple[str, int]:
    """ "host:port" or "[v6]:port". Raises InvalidValue."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or not 0 < int(port) < 65536:
        raise InvalidValue(f'"{address[:80]}" is no server address: expected host:port')
    return host.strip("[]"), int(port)
