"""One end of a route as a Stream. Source: routing.md §6.

Message borders are kept: a write of at most 4070 bytes is one read at the peer, and a read never
joins two. There is no half-close. A writer waits while `WINDOW` packets are on the way
(wire/liveness.py) or the transport is behind.
"""

import asyncio
import logging
from collections import deque
from functools import partial
from time import monotonic
from typing import Protocol

from skywire.errors import DialFailed, NotSupported, StreamClosed, StreamReset, Unavailable
from skywire.router.links import Link
from skywire.streams.stream import READ_SIZE, Address
from skywire.wire import liveness
from skywire.wire.liveness import Figure
from skywire.wire.packet import Packet, encode
from skywire.wire.route_group import MAX_MESSAGE, GroupEnd, State
from skywire.wire.routes import Path
from skywire.wire.rule import RouteDescriptor, Rule

log = logging.getLogger(__name__)

QUEUE = 1024  # messages nobody has read; Go: the same
BUSY_AT = QUEUE // 4  # from here on the peer is asked to wait; see WINDOW in wire/liveness.py
BATCH = 32  # messages sealed and sent at once; a write of 64 KiB is 17
PATIENCE = 1.0  # seconds a full queue may hold up its transport, until it was empty again


class Owner(Protocol):
    """The router, as a group sees it."""

    def link_of(self, rule: Rule) -> Link:
        """The transport of a forward rule. Raises StreamReset when it is not up."""
        ...

    def packet_sent(self, rule: Rule) -> None: ...

    def group_crowded(self, group: "RouteGroup") -> None:
        """Its queue is full."""
        ...

    def group_ended(self, group: "RouteGroup") -> None: ...


class RouteGroup:
    """Made by the router. `opened` gets its result when data may flow, or DialFailed."""

    __slots__ = (
        "_broken",
        "_clock",
        "_closed",
        "_consume",
        "_ended",
        "_forward",
        "_loop",
        "_machine",
        "_messages",
        "_owner",
        "_patience",
        "_reader",
        "_relieved",
        "_timer",
        "_timer_at",
        "_writer",
        "descriptor",
        "initiator",
        "local",
        "opened",
        "path",
        "remote",
    )

    def __init__(
        self,
        owner: Owner,
        machine: GroupEnd,
        descriptor: RouteDescriptor,
        forward: Rule,
        consume: Rule,
        *,
        initiator: bool,
        path: Path,
    ) -> None:
        """`descriptor` has this end as destination; `path` is the way there, [] if not known."""
        self.descriptor = descriptor
        self.initiator = initiator
        self.local = Address.skynet(descriptor.dst_pk, descriptor.dst_port)
        self.remote = Address.skynet(descriptor.src_pk, descriptor.src_port)
        self.path = path
        self._owner = owner
        self._machine = machine
        self._forward = forward
        self._consume = consume
        self._loop = asyncio.get_running_loop()
        self._clock = monotonic  # latencies need it: the loop's has steps of 1 ms
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._messages: deque[bytes] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._relieved: asyncio.Future[None] | None = None
        self._patience = PATIENCE
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._closed = False  # by us
        self._broken = False  # the transport that leads out of here

    @property
    def rules(self) -> tuple[Rule, Rule]:
        """Forward and consume."""
        return self._forward, self._consume

    @property
    def is_open(self) -> bool:
        return self._machine.state is State.OPEN

    @property
    def is_over(self) -> bool:
        return self._machine.state is State.CLOSED

    @property
    def encrypted(self) -> bool:
        return self._machine.encrypted

    @property
    def error(self) -> str:
        """Why it ended, "" while it runs or after an orderly close."""
        return self._machine.error

    @property
    def lost(self) -> bool:
        """It broke on the way, rather than being closed by one of its ends."""
        visors = (str(hop.to_pk) for hop in self.path[:-1])
        return self._broken or (
            self._machine.liveness.state is liveness.State.LOST
            or any(self.error.startswith(f"visor {visor}: ") for visor in visors)
        )

    @property
    def latency(self) -> tuple[float, float] | None:
        """Round trip in seconds, and the age of that figure in seconds."""
        return self._aged(self._machine.liveness.latency)

    @property
    def upload(self) -> tuple[float, float] | None:
        """Bytes/s that the peer receives, and the age of that figure in seconds."""
        return self._aged(self._machine.liveness.upload)

    @property
    def download(self) -> tuple[float, float] | None:
        """Bytes/s that we receive, and the age of that figure in seconds."""
        return self._aged(self._machine.liveness.download)

    def _aged(self, figure: Figure | None) -> tuple[float, float] | None:
        return None if figure is None else (figure.value, self._clock() - figure.at)

    # What the router tells

    def start(self) -> None:
        """Registered: the initiator sends its handshake."""
        self._machine.start()
        self._after()

    def receive(self, packet: Packet) -> None:
        """A packet for this group, Close included; its payload is not too short for its type."""
        machine = self._machine
        machine.receive(packet.type, packet.payload, self._clock())
        if machine.received:
            self._take_messages()
        self._after()

    def receive_data(self, payloads: list[bytes]) -> None:
        """Data packets for this group, right behind each other."""
        machine = self._machine
        machine.receive_data(payloads, self._clock())
        if machine.received:
            self._take_messages()
        self._after()

    def transport_lost(self, reason: str) -> None:
        """The transport that leads out of here is down: nothing can be sent any more."""
        self._broken = True
        self._machine.fail(f"route to {self.remote}: {reason}")
        self._machine.output.clear()
        self._after()

    def _take_messages(self) -> None:
        messages = self._machine.received
        if not self._closed:
            self._messages.extend(messages)
            waiting = len(self._messages)
            if waiting >= BUSY_AT:
                self._machine.busy = True
            if waiting >= QUEUE:
                self._owner.group_crowded(self)
            _wake(self._reader)
        messages.clear()

    def _after(self) -> None:
        """Something happened to the machine: send what it wants, tell who waits, set the timer."""
        machine = self._machine
        if machine.output:
            self._flush()
        if machine.state is State.OPEN:
            if not self.opened.done():
                self.opened.set_result(None)
            if self._writer is not None and machine.liveness.room:
                _wake(self._writer)
        elif machine.state is State.CLOSED:
            self._over()
            return
        when = machine.next_timer()
        if when is not None and (self._timer is None or when < self._timer_at):
            self._set_timer(when)

    def _flush(self) -> None:
        output = self._machine.output
        count = len(output)
        data = b"".join(
            encode(kind, self._forward.next_route_id, payload) for kind, payload in output
        )
        output.clear()
        try:
            self._owner.link_of(self._forward).send(data, count)
        except (StreamReset, Unavailable) as error:
            self._broken = True
            self._machine.fail(f"route to {self.remote}: {error}")
            output.clear()
        else:
            self._owner.packet_sent(self._forward)

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = when
        self._timer = self._loop.call_later(max(0.0, when - self._clock()), self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._machine.handle_timer(self._clock())
        self._after()

    def _over(self) -> None:
        """The route is closed; what was received can still be read. Called once or more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self.opened.done():
            reason = self._machine.error or "it was closed"
            self.opened.set_exception(DialFailed(f"route to {self.remote}: {reason}"))
            self.opened.exception()  # seen: the router may not be waiting any more
        for waiter in (self._reader, self._writer, self._relieved):
            _wake(waiter)
        if not self._ended.done():
            self._ended.set_result(None)
            if self._machine.error:
                log.info("route group ended remote=%s reason=%s", self.remote, self.error)
            self._owner.group_ended(self)

    # A reader that is behind

    async def relieved(self) -> None:
        """Wait for the reader to make room in the full queue, as long as patience lasts.

        A group whose reader does not is ended: others of its transport wait behind it.
        """
        begin = self._clock()
        try:
            async with asyncio.timeout(self._patience):
                while len(self._messages) >= QUEUE and not self.is_over:
                    if self._relieved is None or self._relieved.done():
                        self._relieved = self._loop.create_future()
                    await asyncio.shield(self._relieved)
        except TimeoutError:
            self._machine.fail(f"{len(self._messages)} messages wait and nobody reads them")
            self._after()
        finally:
            self._patience = max(0.0, self._patience - (self._clock() - begin))

    def _caught_up(self) -> None:
        waiting = len(self._messages)
        if waiting < QUEUE:
            _wake(self._relieved)
        if not waiting:
            self._patience = PATIENCE
        if self._machine.busy and waiting < BUSY_AT // 2:
            self._machine.caught_up()
            self._after()

    # The Stream

    async def read(self, max_bytes: int = READ_SIZE) -> bytes:
        """One message of the peer, or as much of it as is asked for; the rest comes next."""
        messages = self._messages
        while not messages:
            if self._closed:
                raise StreamClosed(f"route to {self.remote} was closed")
            if self._machine.state is State.CLOSED:
                if self._machine.error:
                    raise StreamReset(self._why())
                return b""
            self._reader = self._loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        message = messages.popleft()
        if len(message) > max_bytes:
            messages.appendleft(message[max_bytes:])
            return message[:max_bytes]
        self._caught_up()
        return message

    def _why(self) -> str:
        """What happened and, to find the hop at fault, the way the route takes."""
        hops = "".join(f" → {hop.to_pk} (transport {hop.tp_id})" for hop in self.path)
        first = f"first hop over transport {self._forward.next_transport_id}"
        return f"{self._machine.error} (path: {hops[3:] or first})"

    async def write(self, data: bytes) -> None:
        view = memoryview(data)
        machine, position = self._machine, 0
        if not data:
            self._check_writable()
        while position < len(view):
            await self._until_writable()
            size = min(machine.liveness.room, BATCH) * MAX_MESSAGE
            piece = view[position : position + size]
            packets, count = machine.data_packets(piece, self._forward.next_route_id)
            try:
                self._owner.link_of(self._forward).send(packets, count)
            except (StreamReset, Unavailable) as error:
                self.transport_lost(str(error))
                self._check_writable()
            self._owner.packet_sent(self._forward)
            machine.data_sent(count, self._clock())
            if machine.output:
                self._after()
            position += size

    def _check_writable(self) -> None:
        if self._closed:
            raise StreamClosed(f"route to {self.remote} was closed")
        if self._machine.state is not State.OPEN:
            error = self._machine.error
            raise StreamReset(
                self._why() if error else f"route to {self.remote}: the peer has closed it"
            )

    async def _until_writable(self) -> None:
        while True:
            self._check_writable()
            congested: Link | None = None
            if self._machine.liveness.room:
                try:
                    congested = self._owner.link_of(self._forward)
                except StreamReset:
                    return  # the caller finds out
                if not congested.congested:
                    return
            self._writer = writer = self._loop.create_future()
            if congested is not None:
                congested.when_drained(partial(_wake, writer))
            else:
                self._after()
            try:
                await writer
            finally:
                self._writer = None

    async def write_eof(self) -> None:
        raise NotSupported("a route group has no half-close: use close()")

    async def close(self) -> None:
        await self._close("")

    async def refuse(self, reason: str) -> None:
        """Close, and tell the peer's application why."""
        await self._close(reason)

    async def _close(self, error: str) -> None:
        if not self._closed:
            self._shut()
            self._machine.close(self._clock(), error)
            self._after()
        await asyncio.shield(self._ended)  # the machine has the limit

    def abort(self) -> None:
        if not self._closed:
            self._shut()
        self._machine.fail("the peer aborted the connection")
        self._after()

    def _shut(self) -> None:
        self._closed = True
        self._messages.clear()
        for waiter in (self._reader, self._writer, self._relieved):
            _wake(waiter)


def _wake(waiter: "asyncio.Future[None] | None") -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
