"""The sessions of a host by id; finds those nobody came back to. Source: pty.md §6.3.

A session is its owner's: whoever's key started it. Ours: the node itself, which is the null key of
the control socket or its own key, sees and ends all, for its user could do so in other ways.
"""

from collections.abc import Callable

from skywire.crypto.generate import random_bytes
from skywire.crypto.keys import NULL_KEY, PubKey
from skywire.errors import NotFound, Unavailable
from skywire.pty.session import Session
from skywire.pty.types import SESSION_NOT_FOUND

SESSION_TTL = 5 * 60.0  # seconds without a viewer, then a session is stopped
SWEEP_INTERVAL = 30.0  # seconds
MAX_SESSIONS = 64  # ours; Go has no limit
_ID_SIZE = 8


class Registry:
    """Never stops a session itself: what it removes is returned, for the caller to stop.

    So a slow stop blocks nobody. Times are seconds of the sessions' clock. `own` is the node's key.
    """

    def __init__(
        self,
        ttl: float = SESSION_TTL,
        limit: int = MAX_SESSIONS,
        random: Callable[[int], bytes] = random_bytes,
        own: PubKey = NULL_KEY,
    ) -> None:
        self._node = (NULL_KEY, own)
        self._ttl = ttl
        self._limit = limit
        self._random = random
        self._sessions: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def make_room(self, now: float) -> Session | None:
        """Make sure one more fits: remove an ended session, or the one idle for longest.

        Raises Unavailable when all have viewers.
        """
        if len(self._sessions) < self._limit:
            return None
        longest = max(self._sessions.values(), key=lambda one: (one.end is not None, one.idle(now)))
        if longest.end is None and longest.idle(now) <= 0:
            raise Unavailable(
                f"dmsgpty: too many sessions: {self._limit} are open and all have viewers; "
                "end one with exit"
            )
        self.remove(longest.id)
        return longest

    def add(self, session: Session) -> str:
        """The new id of `session`: 16 hexadecimal digits, unguessable."""
        while (name := self._random(_ID_SIZE).hex()) in self._sessions:
            pass
        session.id = name
        self._sessions[name] = session
        return name

    def get(self, name: str, owner: PubKey) -> Session:
        """Raises NotFound; for a foreign owner too, so that ids cannot be probed."""
        session = self._sessions.get(name)
        if session is None or not self.owns(owner, session):
            raise NotFound(SESSION_NOT_FOUND)
        return session

    def owns(self, key: PubKey, session: Session) -> bool:
        return session.owner == key or (key in self._node and session.owner in self._node)

    def find(self, name: str, key: PubKey) -> Session:
        """One that `key` may see, and end. Raises NotFound."""
        session = self._sessions.get(name)
        if session is None or not self._may_see(key, session):
            raise NotFound(SESSION_NOT_FOUND)
        return session

    def seen_by(self, key: PubKey) -> list[Session]:
        """Those that `key` may see, in the order of their start."""
        return [one for one in self._sessions.values() if self._may_see(key, one)]

    def _may_see(self, key: PubKey, session: Session) -> bool:
        return key in self._node or session.owner == key

    def remove(self, name: str) -> None:
        self._sessions.pop(name, None)

    def sweep(self, now: float) -> list[Session]:
        """Remove the sessions that have ended or had no viewer for the time to live."""
        over = [
            one
            for one in self._sessions.values()
            if one.end is not None or one.idle(now) >= self._ttl
        ]
        for session in over:
            self.remove(session.id)
        return over

    def clear(self) -> list[Session]:
        """Remove all."""
        sessions = list(self._sessions.values())
        self._sessions.clear()
        return sessions
