"""An app to learn from and to test with: returns what it is sent. Source: apps.md §1."""

import logging
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from skywire.appkit.app import Host
from skywire.appkit.network import SKYNET
from skywire.appkit.options import parse
from skywire.appkit.types import RUNNING
from skywire.streams.serving import serve_each
from skywire.streams.stream import Stream

log = logging.getLogger(__name__)


class Options(msgspec.Struct, frozen=True):
    network: Annotated[str, Meta(description="skynet or dmsg")] = SKYNET


class ExampleServer:
    name = "example-server-app"
    port = 45
    options = Options

    def __init__(self, arguments: Sequence[str]) -> None:
        self._options = parse(arguments, Options, self.name)

    async def run(self, host: Host) -> None:
        port = host.port or self.port
        listener = await host.listen(port, self._options.network)
        try:
            await host.set_port(port)
            await host.set_status(RUNNING)
            await serve_each(listener, _echo, name=self.name)
        finally:
            await listener.close()


async def _echo(stream: Stream) -> None:
    log.info("echo for remote=%s", stream.remote)
    while data := await stream.read():
        await stream.write(data)
    await stream.close()
