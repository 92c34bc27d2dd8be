"""What an app is, and what it gets. Source: architecture.md §12.

    class Echo:
        name, port, options = "echo", 45, Options

        def __init__(self, arguments: Sequence[str]) -> None: ...

        async def run(self, host: Host) -> None:
            listener = await host.listen(self.port)
            await host.set_status(RUNNING)
            ...  # `example` has the rest

The same class runs inside a visor and as a process of its own: `Host` is the visor's end of it or
a connection to the visor (`client.AppClient`). It is found by its name, see `registry`.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol

import msgspec

from skywire.appkit.network import SKYNET
from skywire.crypto.keys import PubKey
from skywire.streams.stream import Listener, Stream

OnEvent = Callable[[str, str, str], None]  # type, network, address


class Host(Protocol):
    """The network as an app sees it, and where it says how it is."""

    @property
    def pk(self) -> PubKey:
        """The visor's key, which is the app's, too."""
        ...

    @property
    def port(self) -> int:
        """The port its config has for this app."""
        ...

    async def dial(self, pk: PubKey, port: int, network: str = SKYNET) -> Stream:
        """As `Network.dial`; errors of another process arrive as Refused."""
        ...

    async def listen(self, port: int, network: str = SKYNET) -> Listener:
        """As `Network.listen`."""
        ...

    async def set_status(self, text: str) -> None:
        """ "Running" and the like (`appkit.types`); shown to people."""
        ...

    async def set_error(self, text: str) -> None: ...

    async def set_port(self, port: int) -> None: ...

    async def set_connection_duration(self, seconds: int) -> None: ...


class App(Protocol):
    """Made from its arguments, those behind its name. Raises InvalidValue for wrong ones."""

    name: ClassVar[str]
    port: ClassVar[int]  # used when the config has none
    options: ClassVar[type[msgspec.Struct]]  # its flags, see `options`

    def __init__(self, arguments: Sequence[str]) -> None: ...

    async def run(self, host: Host) -> None:
        """Until it is finished or cancelled; an exception is shown as the app's error."""
        ...
