"""Where a route could go: `skywire cli route find|calc`. Source: cli.md §A2, B6."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import click

from skywire.cli import documents, output
from skywire.cli.documents import Transport
from skywire.cli.fetch import Fetcher, fetch_options, service_url
from skywire.cli.fetch import show as show_fetched
from skywire.cli.node import NodeAddress
from skywire.cli.runtime import run
from skywire.cli.values import KEY
from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue, Unavailable

if TYPE_CHECKING:
    from skywire.router.dialling import Routes
    from skywire.router.finder import RouteFinder

HOP = {"TpID": str, "From": str, "To": str}
FOUND = {"forward": [HOP], "reverse": [HOP]}
MAX_HOPS = 1000  # what is asked for by default, as by the reference


def _ends_and_bounds(function: Any) -> Any:
    for option in (
        click.option(
            "-x",
            "--max",
            "high",
            type=click.IntRange(1, 0xFFFF),
            default=MAX_HOPS,
            help="Most hops.",
        ),
        click.option(
            "-n",
            "--min",
            "low",
            type=click.IntRange(0, 0xFFFF),
            default=1,
            show_default=True,
            help="Fewest hops.",
        ),
        click.argument("keys", metavar="[FROM] TO", nargs=-1, type=KEY, required=True),
    ):
        function = option(function)
    return function


def _ends(node: NodeAddress, keys: Sequence[PubKey]) -> tuple[PubKey, PubKey]:
    """Without FROM, the local visor."""
    if len(keys) > 2:
        raise InvalidValue(f"{len(keys)} keys: expected one or two")
    if len(keys) == 2:
        return keys[0], keys[1]
    from skywire.visor import ops_info

    return node.ask(ops_info.overview).local_pk, keys[0]


@click.command(epilog="Example: skywire cli route find PK")
@_ends_and_bounds
@click.option("-a", "--addr", default="", metavar="URL", help="Route finder to ask.")
@fetch_options
@output.json_option(shape=FOUND)
def find(
    fetcher: Fetcher, keys: tuple[PubKey, ...], low: int, high: int, addr: str, as_json: bool
) -> None:
    """Ask the route finder for a way from one visor to another, and back.

    Without FROM, from the local visor. Nothing is cached.
    """
    source, target = _ends(fetcher.node, keys)
    url = addr or service_url(fetcher.services.route_finder, "route finder")
    routes = run(_find(fetcher, url, source, target, (low, high)))
    found = {"forward": _hops(routes.forward), "reverse": _hops(routes.reverse)}
    output.emit(found, as_json=as_json, text=_table(found))


async def _find(
    fetcher: Fetcher, url: str, source: PubKey, target: PubKey, bounds: tuple[int, int]
) -> "Routes":
    """Over HTTP; if that fails, over dmsg, where the deployment has the finder there, too."""
    from skywire.wire.routes import Bounds

    twin = "" if url.startswith("dmsg://") else fetcher.services.twin(url)
    async with fetcher.node.deadline():
        try:
            async with _finder(fetcher, url) as finder:
                return await finder.find(source, target, Bounds(*bounds))
        except Unavailable:
            if not twin:
                raise
        async with _finder(fetcher, twin) as finder:
            return await finder.find(source, target, Bounds(*bounds))


@asynccontextmanager
async def _finder(fetcher: Fetcher, url: str) -> "AsyncIterator[RouteFinder]":
    from skywire.router.finder import RouteFinder

    if not url.startswith("dmsg://"):
        async with RouteFinder(url) as finder:
            yield finder
        return
    from skywire.cli.dmsg_direct import direct_client
    from skywire.http.over_stream import DmsgConnector
    from skywire.wire.dmsg_url import parse_url

    async with direct_client(fetcher.services, [parse_url(url).pk]) as client:
        await client.connected()
        async with (
            DmsgConnector(client.dial) as connector,
            RouteFinder(url, connector=connector) as finder,
        ):
            yield finder


@click.command(epilog="Example: skywire cli route calc PK PK")
@_ends_and_bounds
@click.option("-a", "--tpdurl", default="", metavar="URL", help="Transport discovery to ask.")
@fetch_options
@output.json_option(shape=FOUND)
def calc(
    fetcher: Fetcher, keys: tuple[PubKey, ...], low: int, high: int, tpdurl: str, as_json: bool
) -> None:
    """Calculate a way from one visor to another, from the list of all transports.

    Without FROM, from the local visor.
    """
    from skywire.router.finder import turned
    from skywire.wire.routes import Bounds

    source, target = _ends(fetcher.node, keys)
    base = tpdurl or fetcher.services.transport_discovery
    base = service_url(base, "transport discovery").rstrip("/")
    fetched = fetcher.fetch(f"{base}/all-transports", documents.transports)
    path = _graph(fetched.value).paths(source, target, Bounds(low, high), limit=1)[0]
    found = {"forward": _hops([path]), "reverse": _hops([turned(path)])}
    show_fetched(fetched, found, as_json=as_json, text=_table(found))


def _graph(transports: Sequence[Transport]) -> Any:
    from uuid import UUID

    from skywire.wire.route_graph import Edge, RouteGraph

    graph = RouteGraph()
    for one in transports:
        a, b = (PubKey.parse(edge) for edge in one.edges)
        graph.add(Edge(UUID(one.id), a, b, one.type))
    return graph


def _hops(paths: Sequence[Any]) -> list[dict[str, str]]:
    """Of the first path, which is the best."""
    return [
        {"TpID": str(hop.tp_id), "From": str(hop.from_pk), "To": str(hop.to_pk)}
        for hop in (paths[0] if paths else ())
    ]


def _table(found: dict[str, list[dict[str, str]]]) -> output.Table:
    rows = [
        (way, number, hop["From"], hop["To"], hop["TpID"])
        for way, hops in found.items()
        for number, hop in enumerate(hops, 1)
    ]
    return output.Table(["way", "hop", "from", "to", "transport"], rows)
