"""A visor's terminals: the pty host on dmsg, skynet and its control socket. Source: pty.md §1."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from skywire.appkit.network import Network
from skywire.config.model import PtyConfig
from skywire.crypto.keys import PubKey, SecKey
from skywire.dmsg.client import DmsgClient
from skywire.errors import StreamClosed
from skywire.pty.control import listen_control
from skywire.pty.exec_pool import ExecPool
from skywire.pty.host import PtyHost
from skywire.pty.whitelist import Whitelist
from skywire.streams.stream import Listener, Stream
from skywire.streams.tcp import listen_tcp
from skywire.streams.unix import dial_unix
from skywire.visor.modules import Module, Report
from skywire.visor.terminal_sessions import shown_sessions
from skywire.visor.types_terminals import TerminalSession

DIAL_LIMIT = 20.0  # seconds


class Terminals:
    """Owns the pty host, and with it the shells: use it as an async context manager."""

    def __init__(
        self,
        config: PtyConfig,
        dmsg: DmsgClient,
        network: Network,
        admitted: Iterable[PubKey],
        secret: SecKey,
    ) -> None:
        """`secret` is the visor's. `admitted` are keys besides the whitelist of the config: our
        own, our hypervisors'.
        """
        self._config = config
        self._secret = secret
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
        """Those that `key` may see; see `shown_sessions`."""
        return shown_sessions(self.host, key, lines, name)

    async def end_session(self, name: str, key: PubKey) -> None:
        """End one that `key` may end. Raises NotFound, NotSupported."""
        await self.host.end_session(name, key)

    def modules(self) -> Iterable[Module]:
        """What to run; a port or socket that the config leaves out is not there."""
        if self._config.dmsg_port:
            yield Module("terminals", self._serve_dmsg)
            yield Module("terminals skynet", self._serve_skynet)
        if self._config.ssh_listen:
            yield Module("terminals tcp", self._serve_direct)
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

    async def _serve_direct(self, report: Report) -> None:
        place = self._config.ssh_listen
        listener = await listen_tcp(place.host, place.port)

        async def accept(listener: Listener) -> None:
            await self.host.accept_direct(listener, self._secret)

        await _serve(listener, accept, report, address=str(listener.address))

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
