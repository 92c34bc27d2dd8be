"""The routes of a visor: forwards packets, ends routes in streams. Source: routing.md §4 to §6.

    async with Router(pk, sk, transports, setup_nodes=trusted) as router:
        transports.on_data = router.handle_data
        transports.on_change.append(router.link_changed)

    packet → rule → CONSUME: the route group of the descriptor, or parked until it is there
                    INTERMEDIARY: the next transport

Setup nodes bring rules by `Gateway`; `Dialler` asks for a route and comes back with `open_group`.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from types import TracebackType
from typing import Self, cast
from uuid import UUID

from skywire.crypto import generate
from skywire.crypto.keys import PubKey, SecKey
from skywire.errors import (
    Conflict,
    DialFailed,
    InvalidValue,
    NotFound,
    StreamReset,
    Unavailable,
)
from skywire.metrics import Registry
from skywire.ports import DMSG_AWAIT_SETUP
from skywire.router.dialling import Dialler, Finder, RouteSetup
from skywire.router.gateway import Gateway
from skywire.router.links import Link, Transports
from skywire.router.parking import SWEEP_INTERVAL, Parking
from skywire.router.ports import RouteListener, offline, route_ports
from skywire.router.route_group import RouteGroup
from skywire.router.rules import Entry, RuleTable
from skywire.router.setup_types import EdgeRules
from skywire.streams.stream import Address, Listener
from skywire.streams.supervise import Tasks
from skywire.wire.packet import CLOSE_REQUESTED, Packet, PacketReader, PacketType, Run, encode
from skywire.wire.route_group import GroupEnd
from skywire.wire.routes import Bounds, Path
from skywire.wire.rule import RouteDescriptor, Rule, RuleType

log = logging.getLogger(__name__)

COLLECT_INTERVAL = 5.0  # seconds; Go: the same
REFUSAL_PAUSE = 0.1  # seconds: a reference initiator loses a Close that comes sooner
CONGESTION_LIMIT = 10.0  # seconds a transport is not read because the next one is behind
MAX_GROUPS = 10_000
DEFAULT_BOUNDS = Bounds()
NO_GROUP = "route descriptor does not exist"


class Router:
    """Implements what the gateway and route groups need of it; see there."""

    def __init__(
        self,
        public: PubKey,
        secret: SecKey,
        transports: Transports,
        *,
        setup_nodes: Collection[PubKey] = (),
        dmsg_listen: Callable[[int], Listener] | None = None,
        finder: Finder | None = None,
        setup: RouteSetup | None = None,
        prepare: Callable[[PubKey], Awaitable[object]] | None = None,
        bounds: Bounds = DEFAULT_BOUNDS,
        plain_allowed: bool = True,
        registry: Registry | None = None,
    ) -> None:
        """`setup_nodes` may add rules, over `dmsg_listen`. Dialling needs `finder` and `setup`;
        `prepare` may open transports before a dial. `plain_allowed`: take routes of peers that do
        not encrypt, as the reference of 2024 does."""
        self.public = public
        self._clock = time.monotonic
        self.rules = RuleTable(self._clock)
        self.parking = Parking()
        self.ports = route_ports()
        self._secret = secret
        self._transports = transports
        self._gateway = Gateway(self, setup_nodes)
        self._dialler = Dialler(
            public,
            transports,
            self.ports,
            self.open_group,
            finder=finder,
            setup=setup,
            prepare=prepare,
            bounds=bounds,
        )
        self._dmsg_listen = dmsg_listen
        self._plain_allowed = plain_allowed
        self._epoch = time.time() - self._clock()
        self._initialising: dict[RouteDescriptor, RouteGroup] = {}
        self._established: dict[RouteDescriptor, RouteGroup] = {}
        self._readers: dict[UUID, PacketReader] = {}
        self._crowded: set[RouteGroup] = set()
        self._congested: dict[UUID, Link] = {}
        self._tasks = Tasks("router")
        self._closed = False
        registry = registry or Registry()
        self._dropped = {
            reason: registry.counter(
                "skywire_router_packets_dropped_total", "Packets dropped.", reason=reason
            )
            for reason in ("malformed", "unknown_type", "no_rule", "no_group", "no_transport")
        }
        self._forwarded = registry.counter(
            "skywire_router_packets_forwarded_total", "Packets passed on to the next visor."
        )
        self._slow = registry.counter(
            "skywire_router_slow_readers_total", "Times a route group's queue was full."
        )
        registry.gauge("skywire_router_rules", "Routing rules.", lambda: len(self.rules))
        registry.gauge("skywire_router_route_groups", "Route groups.", lambda: len(self.groups))
        registry.gauge("skywire_router_parked", "Parked packets.", lambda: len(self.parking))

    # Running

    async def __aenter__(self) -> Self:
        self._tasks.spawn(self._collect(), "collect")
        self._tasks.spawn(self._sweep(), "sweep")
        if self._dmsg_listen is not None:
            listener = self._dmsg_listen(DMSG_AWAIT_SETUP)
            self._tasks.spawn(self._serve(listener), "gateway")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _serve(self, listener: Listener) -> None:
        try:
            await self._gateway.serve(listener)
        finally:
            await listener.close()

    async def close(self) -> None:
        """Close all groups, then stop. Idempotent."""
        if self._closed:
            return
        self._closed = True
        await self.ports.close()
        await asyncio.gather(*(group.close() for group in self.groups))
        await self._tasks.close()
        self.parking.clear()

    async def _collect(self) -> None:
        while True:
            await asyncio.sleep(COLLECT_INTERVAL)
            self.collect_rules()

    def collect_rules(self) -> None:
        """Remove dead rules; a dead consume rule closes its group."""
        for rule in self.rules.collect():
            log.debug("rule expired rule=%s", rule)
            group = self._group_of(rule)
            if rule.type is RuleType.CONSUME and group is not None:
                self._tasks.spawn(group.close(), "close")

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_INTERVAL)
            self.parking.sweep(self._clock())

    @property
    def groups(self) -> list[RouteGroup]:
        """Established ones and those that are set up."""
        return [*self._established.values(), *self._initialising.values()]

    @property
    def dropped(self) -> dict[str, int]:
        """Packets dropped so far, by reason."""
        return {reason: counter.value for reason, counter in self._dropped.items()}

    # Packets

    def handle_data(self, link: Link, data: bytes) -> Awaitable[None] | None:
        """The bytes that came over a transport; what is returned asks to read no more until then.

        A transport waits for the next one when that is congested, and a short time for a route
        group whose reader is behind; then that group is closed.
        """
        reader = self._readers.get(link.id)
        if reader is None:
            reader = self._readers[link.id] = PacketReader()
        now = self._clock()
        burst: list[Packet] = []  # data of one route that was not handled yet
        for item in reader.route_data(data, self.rules.entries, now):
            if isinstance(item, Packet) and item.type == PacketType.DATA:
                if burst and burst[0].route_id != item.route_id:
                    self._handle_burst(burst)
                burst.append(item)
                continue
            self._handle_burst(burst)
            if isinstance(item, Run):
                self._forward_run(item, now)
            else:
                self._handle(item)
        self._handle_burst(burst)
        if reader.malformed or reader.unknown:
            self._dropped["malformed"].add(reader.malformed)
            self._dropped["unknown_type"].add(reader.unknown)
            reader.malformed = reader.unknown = 0
        if self._crowded or self._congested:
            return self._relieve()
        return None

    def _forward_run(self, run: Run, now: float) -> None:
        assert isinstance(run.target, UUID)  # noqa: S101 - the targets are those of `Entry`
        hops = cast("list[Entry]", run.hops)
        if not self._send(run.target, run.data, run.packets):
            for hop in hops:
                self._end_route(hop, run.target, f"transport {run.target} took no data")
            return
        self._forwarded.add(run.packets)
        for hop in hops:
            hop.expires = now + hop.lifetime

    def _send(self, transport_id: UUID, data: bytes | memoryview, packets: int = 1) -> bool:
        """False: they are lost. What is on a route must not go on with a hole in it."""
        link = self._transports.links.get(transport_id)
        try:
            if link is not None:
                link.send(data, packets)
                if link.congested:
                    self._congested[transport_id] = link
                return True
        except (StreamReset, Unavailable) as error:
            log.debug("packet dropped reason=%s", error)
        self._dropped["no_transport"].add(packets)
        return False

    def _handle_burst(self, packets: list[Packet]) -> None:
        """Data packets of one route; `packets` is empty afterwards."""
        if not packets:
            return
        entry = self.rules.entries.get(packets[0].route_id)
        group = None
        if len(packets) > 1 and entry is not None and entry.expires >= self._clock():
            group = self._group_of(entry.rule)
        if group is None or entry is None or self.parking.holds_back(group.descriptor):
            for packet in packets:
                self._handle(packet)
        else:
            self.rules.refresh(entry.rule.key_route_id)
            group.receive_data([packet.payload for packet in packets])
        packets.clear()

    def _handle(self, packet: Packet) -> None:
        """One that the fast path does not take."""
        try:
            entry = self.rules.get(packet.route_id)
        except NotFound as error:
            self._dropped["no_rule"].add()
            log.debug(
                "packet dropped reason=%s (routeID=%d, pktType=%d)",
                error,
                packet.route_id,
                packet.type,
            )
            return
        rule = entry.rule
        if rule.type is RuleType.CONSUME:
            self.rules.refresh(packet.route_id)
            self._consume(rule, packet)
        elif rule.type is RuleType.FORWARD and packet.type == PacketType.CLOSE:
            self.rules.remove(packet.route_id)
        elif rule.type is RuleType.INTERMEDIARY or packet.type != PacketType.KEEP_ALIVE:
            assert rule.next_transport_id is not None  # noqa: S101 - not a consume rule
            data = encode(packet.type, rule.next_route_id, packet.payload)
            if self._send(rule.next_transport_id, data):
                self._forwarded.add()
                self.rules.refresh(packet.route_id)
            if packet.type == PacketType.CLOSE:
                self.rules.remove(packet.route_id)

    def _consume(self, rule: Rule, packet: Packet) -> None:
        assert rule.descriptor is not None  # noqa: S101 - a consume rule has one
        if packet.type == PacketType.KEEP_ALIVE:
            return
        group = self._group_of(rule)
        if group is not None and not self.parking.holds_back(rule.descriptor):
            group.receive(packet)
        elif not self.parking.park(rule.descriptor, packet, self._clock()):
            self._dropped["no_group"].add()
            log.debug("packet dropped reason=%s descriptor=%s", NO_GROUP, rule.descriptor)
        if packet.type == PacketType.CLOSE:
            self.rules.remove(packet.route_id)

    def _group_of(self, rule: Rule) -> RouteGroup | None:
        """By descriptor; an old group with the same one may still be there, with other rules."""
        if rule.descriptor is None or rule.type is not RuleType.CONSUME:
            return None
        for table in (self._established, self._initialising):
            group = table.get(rule.descriptor)
            if group is not None and group.rules[1].key_route_id == rule.key_route_id:
                return group
        return None

    async def _relieve(self) -> None:
        crowded, self._crowded = self._crowded, set()
        congested, self._congested = self._congested, {}
        await asyncio.gather(*(group.relieved() for group in crowded))
        for link in congested.values():
            drained = asyncio.Event()
            link.when_drained(drained.set)
            try:
                async with asyncio.timeout(CONGESTION_LIMIT):
                    await drained.wait()
            except TimeoutError:
                reason = f"it took no data for {CONGESTION_LIMIT:.0f} s"
                self._end_routes_over(link, reason)

    # Transports

    def link_changed(self, link: Link) -> None:
        """A transport came up or went down."""
        self._readers.pop(link.id, None)
        if not link.is_up:
            self._end_routes_over(link, "it is down")

    def _end_routes_over(self, link: Link, reason: str) -> None:
        """Groups here fail at once; ends elsewhere are told over the route's other direction."""
        what = f"transport {link.id} ({link.type}) to {link.remote}: {reason}"
        for group in self.groups:
            if group.rules[0].next_transport_id == link.id:
                group.transport_lost(what)
        for entry in self.rules.through(link.id):
            self._end_route(entry, link.id, what)

    def _end_route(self, entry: Entry, lost: UUID, what: str) -> None:
        """A route of others that led over the transport `lost`."""
        if self.rules.remove(entry.rule.key_route_id) is not None:
            for id in entry.partners:
                self._tell_partner(id, lost, f"visor {self.public}: {what}")

    def _tell_partner(self, key_route_id: int, lost: UUID, reason: str) -> None:
        partner = self.rules.entries.get(key_route_id)
        if partner is None or not isinstance(partner.target, UUID) or partner.target == lost:
            return
        self.rules.remove(key_route_id)
        error = encode(PacketType.ERROR, partner.next_id, reason.encode())
        close = encode(PacketType.CLOSE, partner.next_id, bytes([CLOSE_REQUESTED]))
        self._send(partner.target, error + close, 2)

    # What route groups need

    def link_of(self, rule: Rule) -> Link:
        assert rule.next_transport_id is not None  # noqa: S101 - a forward rule has one
        link = self._transports.links.get(rule.next_transport_id)
        if link is None:
            raise StreamReset(f"transport {rule.next_transport_id} is down")
        return link

    def packet_sent(self, rule: Rule) -> None:
        self.rules.refresh(rule.key_route_id)

    def group_crowded(self, group: RouteGroup) -> None:
        if group not in self._crowded:
            self._crowded.add(group)
            self._slow.add()

    def group_ended(self, group: RouteGroup) -> None:
        for table in (self._established, self._initialising):
            if table.get(group.descriptor) is group:
                del table[group.descriptor]
        self._crowded.discard(group)
        for rule in group.rules:
            entry = self.rules.entries.get(rule.key_route_id)
            if entry is not None and entry.rule == rule:
                self.rules.remove(rule.key_route_id)
        if group.initiator:
            self.ports.release(group.descriptor.dst_port)
            if group.lost and group.path:
                self._dialler.failed((group.path,), group.error)

    # What setup nodes ask for

    def reserve_ids(self, count: int) -> list[int]:
        return self.rules.reserve(count)

    def add_intermediary_rules(self, rules: Sequence[bytes]) -> None:
        """Raises RemoteProtocolError, InvalidValue, or NotFound for a transport not here.

        A rule without life time takes one back.
        """
        parsed = [Rule.parse(raw) for raw in rules]
        kept = []
        for rule in parsed:
            if rule.type is not RuleType.INTERMEDIARY or rule.next_transport_id is None:
                raise InvalidValue(f"{rule} is no intermediary rule")
            if not rule.keep_alive:
                self.rules.remove(rule.key_route_id)
                continue
            if rule.next_transport_id not in self._transports.links:
                raise NotFound(f"no suitable transport: {rule.next_transport_id} is not there")
            kept.append(rule)
        self.rules.save(kept)

    def add_edge_rules(self, rules: EdgeRules) -> None:
        """Store both rules and begin to set up the group, as responder.

        Raises RemoteProtocolError, InvalidValue, NotFound, Conflict, Unavailable.
        """
        forward, consume, descriptor = self._edge_rules(rules)
        if rules_conflict := self._conflict(descriptor):
            raise rules_conflict
        self.rules.save((forward, consume))
        group = self._register(descriptor, forward, consume, initiator=False, path=[])
        self._tasks.spawn(self._accept(group), "accept")

    def _conflict(self, descriptor: RouteDescriptor) -> Conflict | Unavailable | None:
        if descriptor in self._initialising:
            return Conflict(f"a route group is being set up already: {descriptor}")
        if len(self._established) + len(self._initialising) >= MAX_GROUPS:
            return Unavailable(f"there are {MAX_GROUPS} route groups already")
        return None

    def _edge_rules(self, rules: EdgeRules) -> tuple[Rule, Rule, RouteDescriptor]:
        """Forward and consume rule and our descriptor, all checked to belong together."""
        descriptor = RouteDescriptor.parse(rules.desc)
        forward, consume = Rule.parse(rules.forward), Rule.parse(rules.reverse)
        if descriptor.dst_pk != self.public:
            raise InvalidValue(f"rules for {descriptor.dst_pk}, this is {self.public}")
        if (consume.type, consume.descriptor) != (RuleType.CONSUME, descriptor):
            raise InvalidValue(f"{consume} is not the consume rule of {descriptor}")
        if (forward.type, forward.descriptor) != (RuleType.FORWARD, descriptor.inverted()):
            raise InvalidValue(f"{forward} is not the forward rule of {descriptor}")
        if forward.next_transport_id not in self._transports.links:
            raise NotFound(f"no suitable transport: {forward.next_transport_id} is not there")
        return forward, consume, descriptor

    # Route groups

    def _register(
        self,
        descriptor: RouteDescriptor,
        forward: Rule,
        consume: Rule,
        *,
        initiator: bool,
        path: Path,
    ) -> RouteGroup:
        _, ephemeral = generate.key_pair()
        now = self._clock()
        machine = GroupEnd(
            initiator=initiator,
            public=self.public,
            secret=self._secret,
            ephemeral=ephemeral,
            remote=descriptor.src_pk,
            now=now,
            epoch=self._epoch,
            plain_allowed=self._plain_allowed,
        )
        group = RouteGroup(
            self, machine, descriptor, forward, consume, initiator=initiator, path=path
        )
        self._initialising[descriptor] = group
        self.parking.release(descriptor, now, group.receive)
        group.start()
        return group

    async def _until_open(self, group: RouteGroup) -> None:
        """Raises DialFailed; the group has its own limits."""
        await group.opened
        old = self._established.get(group.descriptor)
        if old is not None:
            old.abort()
        if self._initialising.get(group.descriptor) is group and not group.is_over:
            del self._initialising[group.descriptor]
            self._established[group.descriptor] = group
        log.info(
            "route group open remote=%s local=%s encrypted=%s",
            group.remote,
            group.local.port,
            group.encrypted,
        )

    async def _accept(self, group: RouteGroup) -> None:
        try:
            await self._until_open(group)
        except DialFailed as error:
            log.info("route group not set up reason=%s", error)
            return
        except asyncio.CancelledError:
            group.abort()
            raise
        port = group.descriptor.dst_port
        listener = self.ports.listener(port)
        if listener is not None and not listener.is_full:
            listener.offer(group)
            return
        reason = offline(port) if listener is None else f"port {port}: too many wait to be accepted"
        log.info("route group refused remote=%s reason=%s", group.remote, reason)
        await asyncio.sleep(REFUSAL_PAUSE)
        await group.refuse(reason)

    async def open_group(self, rules: EdgeRules, path: Path) -> RouteGroup:
        """The group of a route that we asked for, once data may flow; `path` is the way there.

        Raises DialFailed, and what `add_edge_rules` raises. Cancelled: the group is ended.
        """
        forward, consume, descriptor = self._edge_rules(rules)
        if conflict := self._conflict(descriptor):
            raise conflict
        self.rules.save((forward, consume))
        group = self._register(descriptor, forward, consume, initiator=True, path=path)
        try:
            await self._until_open(group)
        except asyncio.CancelledError:
            group.abort()
            raise
        return group

    async def dial(
        self, remote: PubKey, port: int, along: Callable[[Finder], Finder] | None = None
    ) -> RouteGroup:
        """A stream to `port` of a visor, over as many hops as it takes; `along`: see `Dialler`.

        Raises InvalidValue, NotFound (no path), DialFailed with the cause of each attempt.
        """
        return await self._dialler.dial(remote, port, along)

    def set_bounds(self, bounds: Bounds) -> None:
        """How many hops routes have that are dialled from now on."""
        self._dialler.bounds = bounds

    def listen(self, port: int) -> RouteListener:
        """Raises Conflict when the port is taken, InvalidValue when it is no port."""
        return self.ports.listen(Address.skynet(self.public, port))
