"""Apps with faults, for the tests of the launcher."""

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from skywire.appkit.app import Host
from skywire.appkit.types import RUNNING
from skywire.errors import InvalidValue


class Nothing(msgspec.Struct):
    """No flags."""


class Odd:
    name = "odd"
    port = 77
    options: ClassVar[type[msgspec.Struct]] = Nothing
    hosts: ClassVar[list[Any]] = []

    def __init__(self, arguments: Sequence[str]) -> None:
        if arguments:
            raise InvalidValue("odd: no arguments, please")

    async def run(self, host: Host) -> None:
        self.hosts.append(host)
        await host.set_status(RUNNING)
        await self.misbehave(host)

    async def misbehave(self, host: Host) -> None:
        raise RuntimeError("a bug of this app")


class Refusing(Odd):
    async def misbehave(self, host: Host) -> None:
        raise InvalidValue("it does not like its config")


class Immortal(Odd):
    async def misbehave(self, host: Host) -> None:
        await host.listen(host.port)
        while True:
            try:
                await asyncio.sleep(1)
                if len(self.hosts) > 1:
                    return
            except asyncio.CancelledError:
                continue
