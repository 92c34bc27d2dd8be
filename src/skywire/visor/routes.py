"""The routes of a visor, as its config has them: router, finder, setup nodes. Source: visor.md §1.

a dial:  prepare a transport → route finder, or our own calculation → setup node → route group
"""

from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

from skywire.config.model import VisorConfig
from skywire.crypto.keys import PubKey
from skywire.dmsg.client import DmsgClient
from skywire.metrics import Registry
from skywire.router.dialling import Avoid, Finder
from skywire.router.dialling import Routes as Found
from skywire.router.finder import (
    NOTHING,
    Fixed,
    LocalRoutes,
    RouteFinder,
    Through,
    all_transports,
)
from skywire.router.ports import RouteListener
from skywire.router.route_group import RouteGroup
from skywire.router.router import Router
from skywire.router.setup_client import SetupClient
from skywire.visor.services import Services, check_url
from skywire.visor.transports import Transports
from skywire.wire.routes import MAX_HOPS, Bounds, Path
from skywire.wire.transport import Entry


class _EitherFinder:
    """The Finder that `choose` gives for each question."""

    def __init__(self, choose: Callable[[], Finder]) -> None:
        self._choose = choose

    async def find(self, source: PubKey, target: PubKey, bounds: Bounds, avoid: Avoid) -> Found:
        return await self._choose().find(source, target, bounds, avoid)


class Routes:
    """Use it as an async context manager, inside the transports."""

    def __init__(
        self, config: VisorConfig, dmsg: DmsgClient, transports: Transports, services: Services
    ) -> None:
        self._config = config
        self._dmsg = dmsg
        self._transports = transports
        self._services = services
        self._stack = AsyncExitStack()
        self.metrics = Registry()
        self.calculates = config.routing.calculate_routes  # in place of asking the route finder
        self.router: Router

    async def __aenter__(self) -> "Routes":
        """Raises InvalidValue naming the key of a URL that is none."""
        config, manager = self._config.routing, self._transports.manager
        setup = None
        if config.route_setup_nodes:
            setup = SetupClient(self._dmsg.dial, config.route_setup_nodes).dial_route_group
        self._finds = await self._finder()
        self.router = Router(
            self._config.pk,
            self._config.sk,
            manager,
            setup_nodes=config.route_setup_nodes,
            dmsg_listen=self._dmsg.listen,
            finder=self._finds,
            setup=setup,
            prepare=self._transports.prepare,
            bounds=Bounds(config.min_hops, MAX_HOPS),
            plain_allowed=False,  # the peer's key is proven by the encryption
            registry=self.metrics,
        )
        manager.on_data = self.router.handle_data
        manager.on_change.append(self.router.link_changed)
        await self._stack.enter_async_context(self.router)
        return self

    async def __aexit__(self, *reason: object) -> None:
        await self._stack.aclose()

    async def _finder(self) -> Finder:
        url, listing = self._config.routing.route_finder, self._transports.listing
        everything = None if listing is None else partial(all_transports, listing.plain)
        local = self._local = LocalRoutes(everything, self._own)
        if not url:
            return local
        check_url("routing.route_finder", url)
        connector = await self._stack.enter_async_context(self._services.connector(url))
        limit = self._config.routing.route_finder_timeout
        finder = RouteFinder(url, local=local, connector=connector, timeout=limit)
        remote = await self._stack.enter_async_context(finder)
        return _EitherFinder(lambda: local if self.calculates else remote)

    def _own(self) -> list[Entry]:
        return [link.signed.entry for link in self._transports.links]

    async def find(
        self, source: PubKey, target: PubKey, bounds: Bounds, *, calculate: bool = False
    ) -> Found:
        """As for a dial, or calculated here. Raises NotFound, Unavailable."""
        finder = self._local if calculate else self._finds
        return await finder.find(source, target, bounds, NOTHING)

    def set_min_hops(self, hops: int) -> None:
        """For routes dialled from now on."""
        self.router.set_bounds(Bounds(hops, MAX_HOPS))

    # The carrier of `appkit.network.Network`

    @property
    def can_dial(self) -> bool:
        return bool(self._config.routing.route_setup_nodes and self._transports.manager.links)

    async def dial(self, remote: PubKey, port: int) -> RouteGroup:
        return await self.router.dial(remote, port)

    async def dial_via(self, remote: PubKey, port: int, via: PubKey) -> RouteGroup:
        """Over a route that leads over `via`. Raises NotFound, too, when there is none."""
        return await self.router.dial(remote, port, lambda finder: Through(finder, via))

    async def dial_along(self, path: Path, port: int) -> RouteGroup:
        """Over this route and no other; it may lead back to this visor."""
        return await self.router.dial(path[-1].to_pk, port, lambda _: Fixed(path))

    def listen(self, port: int) -> RouteListener:
        return self.router.listen(port)
