"""`skywire svc rf`: the route finder. Source: cli.md A3, services.md §3."""

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import click

from skywire.cli.runtime import serve
from skywire.cli.svc_options import (
    Options,
    identity_options,
    open_url,
    run_service,
    service_options,
)

if TYPE_CHECKING:
    from skywire.services.route_finder import RouteFinder


@click.command(epilog="Example: skywire svc rf -a :9092")
@service_options(identity_options(9092, "RF_SK"))
@click.option(
    "--store",
    "url",
    default="sqlite:///transport-discovery.db",
    show_default=True,
    metavar="URL",
    help="The store of the transport discovery, which is only read: sqlite:///FILE (a fourth "
    "slash begins an absolute path), postgresql://HOST/DB or redis://HOST:PORT.",
)
def rf(options: Options, url: str) -> None:
    """Run the route finder: paths over the transports that exist."""

    async def make(stack: AsyncExitStack, _: Options) -> "RouteFinder":
        from skywire.services.route_finder import RouteFinder

        stores = await open_url(stack, url)
        return RouteFinder(stores.transports())

    serve(run_service(make, options, "route finder"))
