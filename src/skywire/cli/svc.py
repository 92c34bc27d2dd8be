"""`skywire svc tpd|ar|sd|conf|nv`: one service of a deployment each. Source: cli.md A3."""

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, BinaryIO

import click
import msgspec

from skywire.cli.runtime import log_option, serve
from skywire.cli.svc_options import (
    Options,
    identity_options,
    register_options,
    run_service,
    service_options,
    store_options,
)
from skywire.cli.values import host, host_port, http_url
from skywire.config.deployment import DOMAIN
from skywire.config.values import HostPort
from skywire.errors import InvalidValue

if TYPE_CHECKING:
    from skywire.services.address_resolver import AddressResolver
    from skywire.services.config_bootstrapper import ConfigBootstrapper
    from skywire.services.node_visualizer import NodeVisualizer
    from skywire.services.service_discovery import ServiceDiscovery
    from skywire.services.transport_discovery import TransportDiscovery

ALL_KINDS = ", postgresql://HOST/DB or redis://HOST:PORT"
MAX_LISTS = 1024 * 1024  # bytes of the config of `conf`


@click.command(epilog="Example: skywire svc tpd -a :9091")
@service_options(
    identity_options(9091, "TPD_SK"),
    store_options("transport-discovery.db", ALL_KINDS),
    register_options(),
)
def tpd(options: Options) -> None:
    """Run the transport discovery: which transports exist."""

    async def make(stack: AsyncExitStack, options: Options) -> "TransportDiscovery":
        from skywire.services.transport_discovery import PREFIX, TransportDiscovery

        stores, nonces = await options.open(stack, PREFIX)
        uptimes = stores.transport_uptimes()
        return TransportDiscovery(stores.transports(), nonces, options.common(), uptimes=uptimes)

    serve(run_service(make, options, "transport discovery"))


@click.command(epilog="Example: skywire svc ar -a :9093")
@service_options(
    identity_options(9093, "AR_SK"),
    store_options("address-resolver.db", ALL_KINDS),
    register_options(loopback=True, proxy=True),
)
def ar(options: Options) -> None:
    """Run the address resolver: where visors can be reached (TCP and UDP)."""

    async def make(stack: AsyncExitStack, options: Options) -> "AddressResolver":
        from skywire.services.address_resolver import PREFIX, AddressResolver

        stores, nonces = await options.open(stack, PREFIX)
        return AddressResolver(stores.bindings(), nonces, options.common())

    serve(run_service(make, options, "address resolver"))


@click.command(epilog="Example: skywire svc sd -a :9098")
@service_options(
    identity_options(9098, "SD_SK"),
    store_options("service-discovery.db", " or postgresql://HOST/DB"),
    register_options(loopback=True, proxy=True),
)
@click.option(
    "--geo-url",
    default="http://ip.skycoin.com/",
    show_default=True,
    callback=http_url,
    metavar="URL",
    help="Who is asked where an IP address is; empty is nobody.",
)
def sd(options: Options, geo_url: str) -> None:
    """Run the service discovery: which visors offer what."""

    async def make(stack: AsyncExitStack, options: Options) -> "ServiceDiscovery":
        from skywire.services.geo import GeoSource
        from skywire.services.service_discovery import PREFIX, ServiceDiscovery, no_geo

        stores, nonces = await options.open(stack, PREFIX)
        find = GeoSource(geo_url).find if geo_url else no_geo
        return ServiceDiscovery(stores.services(), nonces, options.common(), find_geo=find)

    serve(run_service(make, options, "service discovery"))


class Lists(msgspec.Struct):
    """The file of `conf`: what it adds to the addresses of the services."""

    stun_servers: tuple[str, ...] = ()
    route_setup_nodes: tuple[str, ...] = ()
    survey_whitelist: tuple[str, ...] = ()
    transport_setup: tuple[str, ...] = ()


@click.command(epilog="Example: skywire svc conf -a :9082")
@service_options(identity_options(9082, "CONFBS_SK"))
@click.option(
    "-c",
    "--config",
    "path",
    type=click.File("rb"),
    metavar="FILE",
    help="JSON with stun_servers, route_setup_nodes, survey_whitelist, transport_setup. "
    "Default: the public deployment's.",
)
@click.option(
    "-d",
    "--domain",
    default=DOMAIN,
    show_default=True,
    callback=host,
    metavar="NAME",
    help="Domain of the services.",
)
def conf(options: Options, path: BinaryIO | None, domain: str) -> None:
    """Run the config bootstrapper: tells new visors where the services are."""

    async def make(_: AsyncExitStack, __: Options) -> "ConfigBootstrapper":
        from skywire.config.deployment import deployment
        from skywire.services.config_bootstrapper import ConfigBootstrapper

        found = deployment().at(domain)
        if path is not None:
            try:
                lists = msgspec.json.decode(path.read(MAX_LISTS), type=Lists)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise InvalidValue(f"{path.name}: {error}") from error
            found = msgspec.structs.replace(found, **msgspec.structs.asdict(lists))
        return ConfigBootstrapper(found)

    serve(run_service(make, options, "config bootstrapper"))


@click.command(epilog="Example: skywire svc nv --tpd http://tpd.example.org")
@click.option(
    "-a",
    "--addr",
    "place",
    default=":9081",
    show_default=True,
    callback=host_port,
    metavar="HOST:PORT",
    help="Where to answer; no host is every address, port 0 a free one.",
)
@click.option(
    "--tpd",
    "transport_discovery",
    envvar="TPD_URL",
    show_envvar=True,
    required=True,
    callback=http_url,
    metavar="URL",
    help="The transport discovery.",
)
@click.option(
    "--ut",
    "uptime_tracker",
    envvar="UT_URL",
    show_envvar=True,
    default="",
    callback=http_url,
    metavar="URL",
    help="The private API of the uptime tracker; without it the map has no addresses.",
)
@log_option()
def nv(place: HostPort, transport_discovery: str, uptime_tracker: str) -> None:
    """Run the node visualizer's data: visors and their transports."""

    async def make(_: AsyncExitStack, __: Options) -> "NodeVisualizer":
        from skywire.services.node_visualizer import NodeVisualizer

        return NodeVisualizer(transport_discovery, uptime_tracker)

    serve(run_service(make, Options(place=place, secret=None, discovery=""), "node visualizer"))
