"""The sessions that a pty host keeps, as others are told of them. Ours."""

from skywire.crypto.keys import PubKey
from skywire.errors import NotSupported
from skywire.pty.host import PtyHost
from skywire.pty.peek import MAX_LINES, PEEK_SIZE, last_lines
from skywire.pty.session import Session
from skywire.pty.types import NO_SESSIONS, WinSize
from skywire.visor.types_terminals import TerminalSession
from skywire.wire.gob_types import GoTime

FEW = 3  # lines of output with each session
MAX_LISTED = 10  # with each of several: 64 of them shall fit into one answer
MAX_COMMAND = 400  # characters


def shown_sessions(host: PtyHost, key: PubKey, lines: int, name: str = "") -> list[TerminalSession]:
    """Those that `key` may see, or the one named, in the order of their start.

    `lines` of output with each, 0 for a few. Raises NotFound, NotSupported when none are kept.
    """
    registry = host.sessions
    if registry is None:
        raise NotSupported(NO_SESSIONS)
    found = [registry.find(name, key)] if name else registry.seen_by(key)
    count = min(max(lines, 0) or FEW, MAX_LINES if name else MAX_LISTED)
    return [_shown(host, one, count, mine=registry.owns(key, one)) for one in found]


def _shown(host: PtyHost, session: Session, lines: int, *, mine: bool) -> TerminalSession:
    output, cut = session.tail(PEEK_SIZE)
    size = session.size or WinSize()
    return TerminalSession(
        id=session.id,
        owner=session.owner,
        mine=mine,
        command=session.command[:MAX_COMMAND],
        started=GoTime.from_unix_ns(int(session.started * 1e9)),
        idle=host.idle(session),
        viewers=session.viewers,
        rows=size.rows,
        cols=size.cols,
        end=session.end or "",
        last_lines=last_lines(output, lines, cut=cut),
    )
