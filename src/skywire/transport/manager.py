"""The transports of a visor: dials, accepts, keeps one per key and type. Source: transport.md §6.

    async with TransportManager(identity, networks, discovery) as transports:
        transports.on_data = router.receive
        link = await transports.save(remote, STCPR)
        link.send(packet)

Whoever dialled: when both ends of a pair open the same transport at the same time, the connection
that edge 0 dialled stays. Nothing a peer does ends an accept loop.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from time import monotonic
from types import TracebackType
from typing import Self

from skywire.crypto.keys import PubKey
from skywire.errors import (
    DialFailed,
    InvalidValue,
    NotFound,
    RemoteProtocolError,
    SkywireError,
    StreamClosed,
)
from skywire.streams.stream import Stream
from skywire.streams.supervise import Backoff, Tasks, keep_running
from skywire.transport.discovery import TransportDiscovery
from skywire.transport.link import Link, OnData
from skywire.transport.networks import Identity, Network, in_order_of_preference
from skywire.transport.registrar import Registrar
from skywire.transport.settling import settle_accepted, settle_dialled
from skywire.wire.transport import AUTOMATIC, USER, SignedEntry, sort_edges, transport_id

log = logging.getLogger(__name__)

DIAL_TIMEOUT = 30.0  # seconds for a connection with its handshakes; settlement has its own
PROOF_TIME = 1.0  # seconds: a peer that closes sooner has refused us after all
PROBE_TIME = 3.0  # seconds for an old link to show that it lives when a new one comes
TICK = 1.0  # seconds
REDIAL_PAUSE = 2.0  # seconds after the end of a link to a node of 2024
LISTEN_RETRY = (1.0, 15.0)  # seconds until a network is served again: first, at most
MAX_LINKS = 4096  # at a time; one more is refused

OnChange = Callable[[Link], None]


class TransportManager:
    """Set `on_data` before the manager runs; it gets each link's packets as a byte stream.

    It may return an awaitable: that link is not read until it is done. `on_change` are called
    when a link has come up or gone down (`link.is_up`).
    """

    def __init__(
        self,
        identity: Identity,
        networks: Sequence[Network],
        discovery: TransportDiscovery,
        *,
        max_links: int = MAX_LINKS,
        redial_pause: float = REDIAL_PAUSE,
    ) -> None:
        self.public = identity.public
        self.links: dict[uuid.UUID, Link] = {}
        self.on_data: OnData | None = None
        self.on_change: list[OnChange] = []
        self.refused = 0  # incoming connections that broke a rule
        self.faults: dict[str, str] = {}  # by type: why it is not served just now
        self._identity = identity
        self._networks = {network.type: network for network in networks}
        self._max_links = max_links
        self._redial_pause = redial_pause
        self._lost: dict[uuid.UUID, float] = {}  # when links to nodes of 2024 ended, just now
        self._dialling: dict[uuid.UUID, asyncio.Future[Link]] = {}
        self._tasks = Tasks("transports")
        self._registrar = Registrar(self.public, discovery, self.links, self._is_wanted)
        self._closing = False

    # Running

    async def __aenter__(self) -> Self:
        for network in self._networks.values():
            self._tasks.spawn(self._serve(network), f"serve {network.type}")
        self._tasks.spawn(self._tick(), "tick")
        self._tasks.spawn(self._registrar.run(), "registrar")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End all links and withdraw them from the discovery. Idempotent."""
        if self._closing:
            return
        self._closing = True
        links = list(self.links.values())
        async with asyncio.TaskGroup() as tasks:
            for link in links:
                tasks.create_task(link.close())
        await self._tasks.close()
        await self._registrar.leave([link.id for link in links])

    async def _serve(self, network: Network) -> None:
        kind = network.type

        async def serve() -> None:
            await network.serve(partial(self._accept, kind))

        def note(error: BaseException) -> None:
            self.faults[kind] = str(error)

        await keep_running(serve, f"accept {kind}", backoff=Backoff(*LISTEN_RETRY), on_failure=note)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            now = monotonic()  # the loop's clock has steps of 1 ms, too coarse for a latency
            for link in list(self.links.values()):
                link.tick(now)
            for id in [id for id, at in self._lost.items() if at + self._redial_pause < now]:
                del self._lost[id]

    # What there is

    @property
    def types(self) -> list[str]:
        """The types that can be opened here."""
        return list(self._networks)

    def link(self, id: uuid.UUID) -> Link | None:
        return self.links.get(id)

    def links_to(self, remote: PubKey) -> list[Link]:
        return [link for link in self.links.values() if link.remote == remote]

    def _is_wanted(self, id: uuid.UUID) -> bool:
        return id in self.links or id in self._dialling

    # Dialling

    async def save(self, remote: PubKey, kind: str, label: str = USER) -> Link:
        """The transport of this type to `remote`: the one that is up, or a new one.

        Raises InvalidValue (unknown type, our own key), DialFailed with its cause.
        """
        network = self._networks.get(kind)
        if network is None:
            known = ", ".join(self._networks) or "none here"
            raise InvalidValue(f'unknown network type "{kind:.40}": expected one of {known}')
        if remote == self.public:
            raise InvalidValue(f"{remote} is this visor itself: a transport needs two ends")
        if self._closing:
            raise StreamClosed("transports are being closed")
        id = transport_id(self.public, remote, kind)
        if id in self.links:
            return self.links[id]
        result = self._dialling.get(id)
        if result is None:
            result = asyncio.get_running_loop().create_future()
            result.add_done_callback(asyncio.Future.exception)  # nobody may be waiting any more
            self._dialling[id] = result
            self._tasks.spawn(
                self._dial_for_all(network, remote, id, label, result), f"dial {kind}"
            )
        return await asyncio.shield(result)

    async def connect(self, remote: PubKey, label: str = AUTOMATIC) -> Link:
        """Any transport to `remote`: one that is up, or the first type that can be opened.

        Raises DialFailed with what was tried.
        """
        existing = {link.type: link for link in self.links_to(remote)}
        for kind in in_order_of_preference(existing):
            return existing[kind]
        tried = []
        for kind in in_order_of_preference(self._networks):
            try:
                return await self.save(remote, kind, label)
            except (SkywireError, TimeoutError) as error:
                tried.append(f"{kind}: {error or 'no time left'}")
        raise DialFailed(f"no transport to {remote} could be opened ({'; '.join(tried) or 'none'})")

    async def _dial_for_all(
        self,
        network: Network,
        remote: PubKey,
        id: uuid.UUID,
        label: str,
        result: "asyncio.Future[Link]",
    ) -> None:
        try:
            result.set_result(await self._dial(network, remote, id, label))
        except (SkywireError, TimeoutError) as error:
            if id in self.links:  # the peer was quicker
                result.set_result(self.links[id])
            else:
                why = str(error) or f"no answer within {DIAL_TIMEOUT:g} s"
                failure = DialFailed(f"{network.type} transport to {remote}: {why}")
                failure.__cause__ = error
                result.set_exception(failure)
        finally:
            del self._dialling[id]
            if not result.done():
                result.set_exception(StreamClosed("transports are being closed"))

    async def _dial(self, network: Network, remote: PubKey, id: uuid.UUID, label: str) -> Link:
        await self._pause(id)
        async with asyncio.timeout(DIAL_TIMEOUT):
            stream = await network.dial(remote)
        signed = await settle_dialled(stream, self._identity, remote, network.type)
        if (existing := self.links.get(id)) is not None and not self._is_first(remote):
            stream.abort()
            return existing
        link = self._adopt(stream, signed, label, dialled=True)
        if not self._is_first(remote):
            # Edge 0 may have said yes and close all the same: it has a connection already.
            with suppress(TimeoutError):
                async with asyncio.timeout(PROOF_TIME):
                    await asyncio.shield(link.proven)
        if not link.is_up:
            raise DialFailed(f"the peer closed it at once: {link.reason}")
        return link

    async def _pause(self, id: uuid.UUID) -> None:
        """A Go visor keeps a transport that has ended for up to a second, and a dial that meets
        it ends its accept loop for good ("transport is no longer being served")."""
        if id in self._lost:
            await asyncio.sleep(self._lost[id] + self._redial_pause - monotonic())

    def _is_first(self, remote: PubKey) -> bool:
        """Are we edge 0?"""
        return sort_edges(self.public, remote)[0] == self.public

    # Accepting

    async def _accept(self, kind: str, stream: Stream) -> None:
        """Settle an incoming connection and make it a link; returns then. Never lets a peer's
        fault out."""
        remote = stream.remote.pk
        self.faults.pop(kind, None)
        if remote is None or remote == self.public or self._closing:
            stream.abort()
            return
        try:
            signed = await settle_accepted(stream, self._identity, kind, self._may_come)
        except (SkywireError, TimeoutError) as error:
            self.refused += isinstance(error, RemoteProtocolError)
            log.info("transport not settled type=%s remote=%s error=%s", kind, remote, error)
            stream.abort()
            return
        if signed is None or (signed.entry.id in self.links and self._is_first(remote)):
            stream.abort()  # refused, or one of two that came at the same time
            return
        self._adopt(stream, signed, USER, dialled=False)

    async def _may_come(self, signed: SignedEntry) -> bool:
        id = signed.entry.id
        existing = self.links.get(id)
        if existing is not None and signed.entry.edges[0] == self.public:
            self._probe(existing)
            return False
        if existing is None and len(self.links) >= self._max_links:
            log.warning("transport refused, table full id=%s limit=%d", id, self._max_links)
            return False
        await self._registrar.register(signed)
        return True

    def _probe(self, link: Link) -> None:
        """A peer that dials again may have lost the link we think is up: find out."""
        asked = monotonic()
        link.probe()

        async def judge() -> None:
            await asyncio.sleep(PROBE_TIME)
            if link.is_up and link.latency is not None and not link.heard_since(asked):
                link.end("gone without a word; the peer has dialled again")

        self._tasks.spawn(judge(), f"probe {link.id}")

    # Links

    def _adopt(self, stream: Stream, signed: SignedEntry, label: str, *, dialled: bool) -> Link:
        link = Link(stream, signed, label, dialled=dialled, owner=self)
        old = self.links.get(link.id)
        if old is not None:
            link.label = old.label
        self.links[link.id] = link
        if old is not None:
            old.end("replaced by a newer connection")
        self._tasks.spawn(link.run(), f"link {link.id}")
        log.info("transport up id=%s type=%s remote=%s", link.id, link.type, link.remote)
        link.tick(monotonic())
        self._tell(link)
        return link

    def link_ended(self, link: Link) -> None:
        log.info("transport down id=%s remote=%s reason=%s", link.id, link.remote, link.reason)
        if self.links.get(link.id) is link:
            del self.links[link.id]
            if link.latency is None:  # it never answered a ping
                self._lost[link.id] = monotonic()
            if not self._closing:
                self._registrar.forget(link.id)
        self._tell(link)

    def _tell(self, link: Link) -> None:
        for call in list(self.on_change):
            call(link)

    async def remove(self, id: uuid.UUID) -> None:
        """Close the transport and withdraw it. Raises NotFound."""
        link = self.links.get(id)
        if link is None:
            raise NotFound(f"transport {id} is not there")
        await link.close()
