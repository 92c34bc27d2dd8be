"""`skywire svc ut`: the uptime tracker. Source: cli.md A3; services.md §6."""

from contextlib import AsyncExitStack
from pathlib import Path

import click

from skywire.cli.runtime import serve
from skywire.cli.svc_options import (
    Options,
    identity_options,
    service_options,
    store_options,
)
from skywire.cli.values import host_port, http_url
from skywire.config.values import HostPort


@click.command(epilog="Example: skywire svc ut -a :9096 --store-data-path uptime")
@service_options(
    identity_options(9096, "UT_SK"),
    store_options("uptime-tracker.db", ", postgresql://HOST/DB or redis://HOST:PORT"),
)
@click.option(
    "-p",
    "--private-addr",
    "private",
    default="127.0.0.1:9086",
    show_default=True,
    callback=host_port,
    metavar="HOST:PORT",
    help="Where the private API answers, which tells the addresses of visors to anybody who asks.",
)
@click.option(
    "--store-data-cutoff",
    "cutoff",
    type=click.IntRange(1, 3660),
    default=7,
    show_default=True,
    metavar="DAYS",
    help="How many days before today stay in the store.",
)
@click.option(
    "--store-data-path",
    "archive",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where older days go, a file each. Without it they stay in the store for a year.",
)
@click.option(
    "--geo-url",
    default="http://ip.skycoin.com/",
    show_default=True,
    callback=http_url,
    metavar="URL",
    help="Who is asked where an IP address is; empty is nobody.",
)
@click.option(
    "--allow-loopback", is_flag=True, help="For tests: visors on this machine count as public."
)
@click.option(
    "--trust-proxy",
    is_flag=True,
    help="Behind a reverse proxy: believe the client's address that it tells.",
)
def ut(
    options: Options, private: HostPort, cutoff: int, archive: Path | None, geo_url: str
) -> None:
    """Run the uptime tracker: how long visors were up."""
    serve(_run(options, private, cutoff, archive, geo_url))


async def _run(
    options: Options, private: HostPort, cutoff: int, archive: Path | None, geo_url: str
) -> None:
    import asyncio

    from skywire.platform import ready
    from skywire.services.geo import GeoSource
    from skywire.services.host import Host
    from skywire.services.service_discovery import no_geo
    from skywire.services.uptime_tracker import PREFIX, PrivateApi, UptimeTracker

    async with AsyncExitStack() as stack:
        stores, nonces = await options.open(stack, PREFIX)
        common = options.common()
        tracker = UptimeTracker(
            stores.uptimes(),
            nonces,
            common,
            find_geo=GeoSource(geo_url).find if geo_url else no_geo,
            archive=archive,
            cutoff=cutoff,
        )
        host = await stack.enter_async_context(Host(options.discovery))
        running = await host.add("uptime tracker", tracker, options.place, options.secret)
        inside = await host.add("uptime tracker private", PrivateApi(tracker, common), private)
        ready.report(
            address=f"{options.place.host or 'localhost'}:{running.port}",
            port=running.port,
            private_address=f"{private.host or 'localhost'}:{inside.port}",
            public_key=running.public_key or "",
        )
        await asyncio.Event().wait()
