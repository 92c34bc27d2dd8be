"""Who is logged in. Source: hypervisor.md §3.

The cookie holds an opaque random id of 256 bits; everything else stays here, in memory, so that a
restart logs everyone out. (Go seals a session id with keys from the config instead; a cookie is
read by nobody but the hypervisor that made it.) Kept under the hash of the id: whoever reads this
process's memory by accident, or times our look-ups, learns no usable id.
"""

import asyncio
import hashlib
import ipaddress
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID, uuid4

COOKIE = "swm-session"
MAX_SESSIONS = 1000  # the one that ends first makes room
_TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class Session:
    id: UUID  # shown to its owner; of no use as a cookie
    user: str
    expires: float  # seconds of the clock given to `Sessions`
    mark: bytes = field(default=b"", repr=False)  # of the password it was made with


class Sessions:
    """`clock` gives seconds since 1970; `lifetime` is in seconds."""

    def __init__(self, clock: Callable[[], float], lifetime: float) -> None:
        self._clock = clock
        self._lifetime = lifetime
        self._sessions: dict[bytes, Session] = {}  # in order of expiry, for the lifetime is fixed
        self._ending: dict[UUID, set[Callable[[], object]]] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def create(self, user: str, mark: bytes = b"") -> tuple[str, Session]:
        """A new session and the text of its cookie."""
        self._drop_expired()
        if len(self._sessions) >= MAX_SESSIONS:
            self.end(next(iter(self._sessions.values())))
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        session = Session(uuid4(), user, self._clock() + self._lifetime, mark)
        self._sessions[_key(token)] = session
        return token, session

    def find(self, token: str | None) -> Session | None:
        """The session of a cookie; None when there is none or it has expired."""
        session = self._sessions.get(_key(token)) if token else None
        return session if session is not None and session.expires > self._clock() else None

    @contextmanager
    def tied(self, session: Session, end: Callable[[], object]) -> Iterator[None]:
        """Inside, `end` is called when the session ends: by logout, new password, or expiry.

        At once if it has ended already.
        """
        calls = self._ending.setdefault(session.id, set())
        calls.add(end)
        timer = _Timer(lambda: session.expires - self._clock(), self._drop_expired)
        if not any(one.id == session.id for one in self._sessions.values()):
            end()
        try:
            yield
        finally:
            timer.cancel()
            calls.discard(end)
            if not calls:
                self._ending.pop(session.id, None)

    def end(self, session: Session) -> None:
        self._keep(lambda other: other.id != session.id)

    def end_all(self, user: str) -> None:
        self._keep(lambda session: session.user != user)

    def others(self, session: Session) -> list[Session]:
        """The user's other sessions, oldest first."""
        self._drop_expired()
        return [
            other
            for other in self._sessions.values()
            if other.user == session.user and other.id != session.id
        ]

    def _drop_expired(self) -> None:
        now = self._clock()
        self._keep(lambda session: session.expires > now)

    def _keep(self, wanted: Callable[[Session], bool]) -> None:
        ended = [one for one in self._sessions.values() if not wanted(one)]
        self._sessions = {key: one for key, one in self._sessions.items() if wanted(one)}
        for session in ended:
            for call in list(self._ending.get(session.id, ())):
                call()


class _Timer:
    """Calls `due` when `left` says that no seconds are left.

    It looks again after `LOOK` seconds at the latest: the loop's clock knows nothing of a wall
    clock that is set, or of a machine that slept.
    """

    LOOK = 30.0

    def __init__(self, left: Callable[[], float], due: Callable[[], object]) -> None:
        self._left = left
        self._due = due
        self._handle = self._set()

    def _set(self) -> asyncio.TimerHandle:
        pause = min(max(self._left(), 0.0), self.LOOK)
        return asyncio.get_running_loop().call_later(pause, self._look)

    def _look(self) -> None:
        if self._left() <= 0:
            self._due()
        else:
            self._handle = self._set()

    def cancel(self) -> None:
        self._handle.cancel()


class Attempts:
    """How often one address may fail: `limit` times in `period` seconds, then it must wait.

    At most `MAX_ADDRESSES` are remembered; when more fail at once, the longest-known is forgotten.
    """

    LIMIT = 10
    PERIOD = 60.0  # seconds
    MAX_ADDRESSES = 4096

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures: dict[str, list[float]] = {}

    def wait(self, address: str) -> float:
        """Seconds until `address` may try again; 0 when it may now."""
        recent = self._recent(_network(address))
        return recent[0] + self.PERIOD - self._clock() if len(recent) >= self.LIMIT else 0.0

    def failed(self, address: str) -> None:
        address = _network(address)
        recent = [*self._recent(address), self._clock()]
        self._failures.pop(address, None)
        if len(self._failures) >= self.MAX_ADDRESSES:
            del self._failures[next(iter(self._failures))]
        self._failures[address] = recent

    def succeeded(self, address: str) -> None:
        self._failures.pop(_network(address), None)

    def _recent(self, address: str) -> list[float]:
        start = self._clock() - self.PERIOD
        return [when for when in self._failures.get(address, ()) if when > start]


def _network(address: str) -> str:
    """Of an IPv6 address, the network of 64 bits: whoever has one of its addresses has all."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False))


def _key(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()
