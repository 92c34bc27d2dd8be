"""`skywire svc all`: a whole deployment in one process. Source: issue 3; cli.md A3."""

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import click

from skywire.cli.runtime import log_option, serve
from skywire.cli.svc_options import open_url, parse_secret, register_options
from skywire.cli.values import host as host_option
from skywire.config.values import HostPort
from skywire.crypto.keys import PubKey, SecKey
from skywire.errors import InvalidValue

if TYPE_CHECKING:
    from skywire.services.base import Common

NAMES = "tpd, rf, ar, sd, ut, ut-private, conf, nv"


def _stun(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    from skywire.streams.stun import parse_server  # not needed by --help

    for text in texts:
        parse_server(text)
    return texts


@click.command(name="all", epilog="Example: skywire svc all")
@click.option(
    "--host",
    default="",
    callback=host_option,
    metavar="HOST",
    help="Where to answer. Default: every address.",
)
@click.option(
    "-p",
    "--port",
    "ports",
    multiple=True,
    metavar="NAME=PORT",
    help=f"Another port for one of {NAMES}; 0 is a free one.",
)
@click.option("--any-port", is_flag=True, help="A free port for each that has none by --port.")
@click.option(
    "--address",
    default="127.0.0.1",
    show_default=True,
    callback=host_option,
    metavar="HOST",
    help="Where visors reach this machine, for the config bootstrapper.",
)
@click.option(
    "--store",
    default="sqlite:///services.db",
    show_default=True,
    metavar="URL",
    help="Where everything is kept: sqlite:///FILE, sqlite::memory: or postgresql://HOST/DB.",
)
@click.option(
    "--sk",
    "secret",
    metavar="SK",
    envvar="SVC_SK",
    show_envvar=True,
    callback=parse_secret,
    help="The secret from which the keys of all services come. Others on this machine see "
    "arguments: prefer the variable.",
)
@click.option(
    "--dmsg-disc",
    "discovery",
    default="",
    metavar="URL",
    help="The dmsg discovery: with it and --sk the services are on dmsg, too, and there is a "
    "setup node.",
)
@click.option(
    "--stun",
    "stun_servers",
    multiple=True,
    callback=_stun,
    metavar="IP:PORT",
    help="A STUN server to tell.",
)
@log_option()
def run_all(
    host: str,
    ports: tuple[str, ...],
    any_port: bool,
    address: str,
    store: str,
    secret: SecKey | None,
    discovery: str,
    stun_servers: tuple[str, ...],
    lease: float | None,
    monitors: frozenset[PubKey],
    allow_loopback: bool,
    trust_proxy: bool,
) -> None:
    """Run all services of a deployment in one process, on one database."""
    from skywire.services.base import Common
    from skywire.services.everything import PORTS

    chosen = {name: 0 if any_port else port for name, port in PORTS.items()}
    chosen |= dict(_port(text) for text in ports)
    places = {name: HostPort.parse(f"{host}:{port}") for name, port in chosen.items()}
    common = Common(
        lease=lease, monitors=monitors, allow_loopback=allow_loopback, trust_proxy=trust_proxy
    )
    serve(_run(places, store, common, secret, discovery, address, stun_servers))


for _option in reversed(register_options(loopback=True, proxy=True)):
    run_all = _option(run_all)


def _port(text: str) -> tuple[str, int]:
    name, _, port = text.partition("=")
    numeric = port.isdecimal() and len(port) <= 5
    if name not in NAMES.split(", ") or not numeric or int(port) > 0xFFFF:
        raise InvalidValue(f'--port "{text}": expected NAME=PORT with one of {NAMES}')
    return name, int(port)


async def _run(
    places: dict[str, HostPort],
    store: str,
    common: "Common",
    secret: SecKey | None,
    discovery: str,
    address: str,
    stun_servers: tuple[str, ...],
) -> None:
    from skywire.platform import ready
    from skywire.services.everything import SETUP_NODE, start_all
    from skywire.services.host import Host

    async with AsyncExitStack() as stack:
        stores = await open_url(stack, store)
        host = await stack.enter_async_context(Host(discovery))
        urls = await start_all(
            stack,
            host,
            stores,
            places,
            common,
            secret=secret,
            dmsg_discovery=discovery,
            address=address,
            stun_servers=stun_servers,
        )
        setup_node = urls.pop(SETUP_NODE, "")
        ready.report(urls=urls, setup_node=setup_node, public_key=setup_node)
        await asyncio.Event().wait()
