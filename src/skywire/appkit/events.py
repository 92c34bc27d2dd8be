"""Tells apps that the visor connects somewhere, so that a VPN keeps those ways open.

Source: apps.md §3.3. The visor is the RPC client here: it dials the address of the app's hello.
"""

import asyncio
import logging
from collections.abc import Collection

import msgspec

from skywire.appkit.types import Event
from skywire.config.values import HostPort, is_loopback
from skywire.errors import InvalidValue, SkywireError
from skywire.rpc.client import RpcClient
from skywire.streams.tcp import dial_tcp
from skywire.wire.app_hello import Hello
from skywire.wire.gob_types import EMPTY

log = logging.getLogger(__name__)

TCP_DIAL = "tcp_dial"
TCP_CLOSE = "tcp_close"
DIAL_LIMIT = 5.0  # seconds
TELL_LIMIT = 1.0  # seconds all apps together have to take an event, as in Go
MAX_SUBSCRIBERS = 64


class _Data(msgspec.Struct):
    remote_net: str
    remote_addr: str


class Subscriber:
    """An app that wants some types of events."""

    def __init__(self, name: str, hello: Hello) -> None:
        self.name = name
        self.types = hello.events
        self._method = f"{hello.key}.Notify"
        self._network = hello.egress_network
        self._address = hello.egress_address
        self._rpc: RpcClient | None = None

    async def connect(self) -> RpcClient:
        """Raises InvalidValue for an address of another machine, DialFailed, TimeoutError."""
        address = HostPort.parse(self._address)
        if self._network != "tcp" or not is_loopback(address.host) or not address.port:
            raise InvalidValue(
                f'events to "{self._network[:20]}" "{address[:100]}": expected tcp on this machine'
            )
        async with asyncio.timeout(DIAL_LIMIT):
            self._rpc = RpcClient(await dial_tcp(address.host, address.port))
        return self._rpc

    async def tell(self, event: Event) -> None:
        """Returns when the app has dealt with it. Raises as `RpcClient.call`."""
        if self._rpc is not None:
            await self._rpc.call(self._method, Event, event, EMPTY)


class Broadcaster:
    """The events of one visor."""

    def __init__(self) -> None:
        self._subscribers: list[Subscriber] = []

    async def serve(self, subscriber: Subscriber) -> None:
        """Until its connection ends. Raises as `Subscriber.connect`."""
        if len(self._subscribers) >= MAX_SUBSCRIBERS:
            raise InvalidValue(f"more than {MAX_SUBSCRIBERS} apps want events")
        async with await subscriber.connect() as rpc:
            self._subscribers.append(subscriber)
            try:
                await rpc.wait_closed()
            finally:
                self._forget([subscriber])

    async def tell(self, kind: str, network: str, address: str) -> None:
        """Returns when every app has dealt with it, at the latest after `TELL_LIMIT`.

        One that fails or is late gets no more events.
        """
        wanting = [each for each in self._subscribers if kind in each.types]
        if not wanting:
            return
        event = Event(kind, msgspec.json.encode(_Data(network, address)))
        async with asyncio.TaskGroup() as tasks:
            for each in wanting:
                tasks.create_task(self._tell(each, event), name=f"tell {each.name}")

    async def _tell(self, subscriber: Subscriber, event: Event) -> None:
        try:
            async with asyncio.timeout(TELL_LIMIT):
                await subscriber.tell(event)
        except (SkywireError, TimeoutError) as error:
            log.warning("app took no event name=%s reason=%s", subscriber.name, error or "time")
            self._forget([subscriber])

    def _forget(self, gone: Collection[Subscriber]) -> None:
        self._subscribers = [each for each in self._subscribers if each not in gone]
