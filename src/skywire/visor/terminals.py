"""A visor's terminals: the pty host on dmsg, skynet and its control socket. Source: pty.md §1."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from skywire.appkit.network import Network
from skywire.config.model import PtyConfig
from skywire.crypto.keys import PubKey
from skywire.dmsg.client import DmsgClient
from skywire.errors import NotSupported, StreamClosed
from skywire.pty.control import listen_control
from skywire.pty.exec_pool import ExecPool
from skywire.pty.host import PtyHost
from skywire.pty.peek import MAX_LINES, PEEK_SIZE, last_lines
from skywire.pty.session import Session
from skywire.pty.types import NO_SESSIONS, WinSize
from skywire.pty.whitelist import Whitelist
from skywire.streams.stream import Listener, Stream
from skywire.streams.unix import dial_unix
from skywire.visor.modules import Module, Report
from skywire.visor.types_terminals import TerminalSession
from skywire.wire.gob_types import GoTime

DIAL_LIMIT = 20.0  # seconds
FEW = 3  # lines of output with each session
MAX_LISTED = 10  # with each of several: 64 of them shall fit into one answer
MAX_COMMAND = 400  # characters


class Terminals:
    """Owns the pty host, and with it the shells: use it as an async context manager."""

    def __init__(
        self, config: PtyConfig, dmsg: DmsgClient, network: Network, admitted: Iterable[PubKey]
    ) -> None:
        """`admitted` are keys besides the whitelist of the config: our own, our hypervisors'."""
        self._config = config
        self._dmsg = dmsg
        self._network = network
        dial = network.dial_by_scheme
        self.host = PtyHost(
            Whitelist([*admitted, *config.whitelist]),
            persistent_sessions=config.persistent_sessions,
            dial=dial,
            own=dmsg.public,
        )
        self.commands = ExecPool(dial)  # on other visors

    async def __aenter__(self) -> "Terminals":
        await self.host.__aenter__()
        return self

    async def __aexit__(self, *reason: object) -> None:
        await self.commands.__aexit__(*reason)
        await self.host.__aexit__(*reason)

    def allow(self, keys: Iterable[PubKey]) -> None:
        self.host.whitelist.add(keys)

    def sessions(self, key: PubKey, lines: int, name: str = "") -> list[TerminalSession]:
        """Those that `key` may see, or the one named, in the order of their start.

        `lines` of output with each, 0 for a few. Raises NotFound, NotSupported when none are kept.
        """
        registry = self.host.sessions
        if registry is None:
            raise NotSupported(NO_SESSIONS)
        found = [registry.find(name, key)] if name else registry.seen_by(key)
        count = min(max(lines, 0) or FEW, MAX_LINES if name else MAX_LISTED)
        return [self._shown(one, count, mine=registry.owns(key, one)) for one in found]

    def _shown(self, session: Session, lines: int, *, mine: bool) -> TerminalSession:
        output, cut = session.tail(PEEK_SIZE)
        size = session.size or WinSize()
        return TerminalSession(
            id=session.id,
            owner=session.owner,
            mine=mine,
            command=session.command[:MAX_COMMAND],
            started=GoTime.from_unix_ns(int(session.started * 1e9)),
            idle=self.host.idle(session),
            viewers=session.viewers,
            rows=size.rows,
            cols=size.cols,
            end=session.end or "",
            last_lines=last_lines(output, lines, cut=cut),
        )

    async def end_session(self, name: str, key: PubKey) -> None:
        """End one that `key` may end. Raises NotFound, NotSupported."""
        await self.host.end_session(name, key)

    def modules(self) -> Iterable[Module]:
        """What to run; a port or socket that the config leaves out is not there."""
        if self._config.dmsg_port:
            yield Module("terminals", self._serve_dmsg)
            yield Module("terminals skynet", self._serve_skynet)
        if self._config.cli_network:
            yield Module("terminal control socket", self._serve_control)

    async def dial_own(self) -> Stream:
        """A way to this visor's own terminals, for a hypervisor in the same process.

        The caller asks for a service on it. Raises DialFailed.
        """
        if self._config.cli_network:
            async with asyncio.timeout(DIAL_LIMIT):
                return await dial_unix(self._config.cli_address)
        return await self._dmsg.dial(self._dmsg.public, self._config.dmsg_port)

    async def _serve_dmsg(self, report: Report) -> None:
        listener = self._dmsg.listen(self._config.dmsg_port)
        await _serve(listener, self.host.accept, report)

    async def _serve_skynet(self, report: Report) -> None:
        listener = self._network.listen(self._config.dmsg_port)
        await _serve(listener, self.host.accept, report)

    async def _serve_control(self, report: Report) -> None:
        listener = await listen_control(self._config.cli_network, self._config.cli_address)
        await _serve(listener, self.host.accept_control, report, socket=self._config.cli_address)


async def _serve(
    listener: Listener,
    accept: Callable[[Listener], Awaitable[None]],
    report: Report,
    **facts: str,
) -> None:
    report.up(**facts)
    try:
        await accept(listener)
        raise StreamClosed(f"listener {listener.address} was closed")
    finally:
        await listener.close()
