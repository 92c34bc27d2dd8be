"""`skywire dmsg web`: web sites on dmsg for a browser, and a local web server for dmsg.

Source: cli.md A4. Names like `<pk>.dmsg` exist only here (dmsg.md §13).
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

import click

from skywire.cli import output
from skywire.cli.dmsg_http import SERVED, announce
from skywire.cli.dmsg_options import (
    Identity,
    dialling,
    identity_options,
    serving,
    whitelist_option,
)
from skywire.cli.runtime import serve
from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue
from skywire.platform import ready
from skywire.ports import DMSG_HTTP
from skywire.wire.dmsg_url import key_of_host, parse_address

if TYPE_CHECKING:
    from aiohttp import web as aioweb
    from yarl import URL

    from skywire.dmsg.client import DmsgClient
    from skywire.streams.stream import Listener, Stream

SOCKS_PORT = 4445  # the reference's
WEB_PORT = 8080
LOCAL_SITE = 8086
LOOPBACK = "127.0.0.1"
LOCAL_WAIT = 5.0  # seconds to connect to a server on this machine


class _Ports(NamedTuple):
    web: int
    socks: int


@click.group(invoke_without_command=True)
@click.option(
    "-f", "--filter", "suffix", default=".dmsg", show_default=True, help="Names that are on dmsg."
)
@click.option(
    "-p",
    "--port",
    type=click.IntRange(0, 65535),
    default=WEB_PORT,
    show_default=True,
    help="Local HTTP port; 0 is a free one.",
)
@click.option(
    "-q",
    "--socks",
    "socks_port",
    type=click.IntRange(0, 65535),
    default=SOCKS_PORT,
    show_default=True,
    help="Local SOCKS5 port; 0 is a free one.",
)
@click.option(
    "-r",
    "--addproxy",
    "upstream",
    metavar="HOST:PORT",
    help="A SOCKS5 proxy for all other names. Default: connect directly.",
)
@click.option(
    "-t",
    "--resolve",
    "target",
    metavar="PK:PORT",
    help="Show this one site on the local HTTP port, and no SOCKS5.",
)
@click.option(
    "-c", "--rt", "raw", is_flag=True, help="With -t: pass bytes on as they are, whatever they are."
)
@identity_options("info")
@output.json_option
@click.pass_context
def web(
    context: click.Context,
    suffix: str,
    port: int,
    socks_port: int,
    upstream: str | None,
    target: str | None,
    raw: bool,
    identity: Identity,
    as_json: bool,
) -> None:
    """Show web sites on dmsg to a local browser.

    Set the browser's SOCKS5 proxy to the port printed, with names resolved by the proxy, and open
    http://<public key>.dmsg/. The HTTP port does the same as an HTTP proxy. Both listen on
    127.0.0.1 only.
    """
    if context.invoked_subcommand is not None:
        return
    if target is not None:
        serve(_one_site(*parse_address(target), port, raw, identity, as_json))
        return
    if raw:
        raise click.UsageError("-c needs -t.", context)
    proxy = _parse_place(upstream) if upstream else None
    serve(_all_sites("." + suffix.strip("."), _Ports(port, socks_port), proxy, identity, as_json))


def _parse_place(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise InvalidValue(f'"{text}" is no proxy: expected host:port')
    return host.strip("[]"), int(port)


async def _all_sites(
    suffix: str,
    ports: _Ports,
    upstream: tuple[str, int] | None,
    identity: Identity,
    as_json: bool,
) -> None:
    from aiohttp import web as aioweb
    from yarl import URL

    from skywire.streams.serving import serve_each
    from skywire.streams.socks5 import dial_through, serve_socks
    from skywire.streams.tcp import dial_tcp, listen_tcp

    def choose(request: "aioweb.Request") -> "URL":
        """By the Host header, or the absolute URL a browser gives its HTTP proxy."""
        try:
            site = URL(f"http://{request.host}")
        except ValueError:
            raise aioweb.HTTPBadRequest(text="the Host header names no host\n") from None
        pk = key_of_host(site.host or "", suffix)
        if pk is None:
            raise aioweb.HTTPNotFound(
                text=f"{request.host}: only names ending in {suffix} are served here, for "
                f"example http://<public key>{suffix}/\n"
            )
        port = f":{site.explicit_port}" if site.explicit_port else ""
        return URL(f"dmsg://{pk}{port}")

    async with dialling(identity) as client, AsyncExitStack() as stack:

        async def reach(host: str, port: int) -> "Stream":
            pk = key_of_host(host, suffix)
            if pk is not None:
                return await client.dial(pk, port)
            if upstream is not None:
                return await dial_through(upstream, host, port)
            return await dial_tcp(host, port)

        async def handle(stream: "Stream") -> None:
            await serve_socks(stream, reach)

        web_port = await stack.enter_async_context(_http_proxy(client, choose, ports.web))
        listener = await listen_tcp(LOOPBACK, ports.socks)
        stack.push_async_callback(listener.close)
        places = {
            "http": f"{LOOPBACK}:{web_port}",
            "socks": f"{LOOPBACK}:{listener.address.port}",
        }
        text = f"socks5h://{places['socks']}\nhttp://{places['http']}"
        _announce_local(places, text, as_json)
        await serve_each(listener, handle, name="web socks")


async def _one_site(
    pk: PubKey, dmsg_port: int, port: int, raw: bool, identity: Identity, as_json: bool
) -> None:
    from yarl import URL

    from skywire.streams.relay import copy_both
    from skywire.streams.serving import serve_each
    from skywire.streams.tcp import listen_tcp

    async with dialling(identity) as client, AsyncExitStack() as stack:
        if not raw:
            site = URL(f"dmsg://{pk}:{dmsg_port}")
            bound = await stack.enter_async_context(_http_proxy(client, lambda _: site, port))
            address = f"{LOOPBACK}:{bound}"
            _announce_local({"http": address}, f"http://{address}", as_json)
            await asyncio.Event().wait()

        async def handle(stream: "Stream") -> None:
            await copy_both(stream, await client.dial(pk, dmsg_port))

        listener = await listen_tcp(LOOPBACK, port)
        stack.push_async_callback(listener.close)
        address = f"{LOOPBACK}:{listener.address.port}"
        _announce_local({"tcp": address}, address, as_json)
        await serve_each(listener, handle, name="web tcp")


@asynccontextmanager
async def _http_proxy(
    client: "DmsgClient", choose: "Callable[[aioweb.Request], URL]", port: int
) -> AsyncIterator[int]:
    """Sites on dmsg on a local HTTP port, which is yielded."""
    from skywire.http.app import listen, running
    from skywire.http.over_stream import DmsgConnector
    from skywire.http.reverse_proxy import ReverseProxy, proxy_session

    async with (
        proxy_session(DmsgConnector(client.dial)) as session,
        running(ReverseProxy(session, choose).application()) as runner,
    ):
        yield await listen(runner, LOOPBACK, port, what="the web proxy")


def _announce_local(places: dict[str, str], text: str, as_json: bool) -> None:
    output.emit(places, as_json=as_json, text=text)
    ready.report(**places)


@web.command("srv", epilog="Example: skywire dmsg web srv -l 8086")
@click.option(
    "-d",
    "--dport",
    type=click.IntRange(1, 65535),
    default=DMSG_HTTP,
    show_default=True,
    help="The dmsg port.",
)
@click.option(
    "-l",
    "--lport",
    type=click.IntRange(1, 65535),
    default=LOCAL_SITE,
    show_default=True,
    help="Local port of the web server.",
)
@click.option("-c", "--rt", "raw", is_flag=True, help="Pass bytes on as they are, HTTP or not.")
@whitelist_option
@identity_options("info", short=False)
@output.json_option(shape=SERVED)
def srv(
    dport: int,
    lport: int,
    raw: bool,
    whitelist: frozenset[PubKey],
    identity: Identity,
    as_json: bool,
) -> None:
    """Publish a local web server on a dmsg port.

    The server is the one on 127.0.0.1 at the local port.
    """
    serve(_publish(dport, lport, raw, whitelist, identity, as_json))


async def _publish(
    dmsg_port: int,
    local_port: int,
    raw: bool,
    whitelist: frozenset[PubKey],
    identity: Identity,
    as_json: bool,
) -> None:
    from skywire.streams.relay import copy_both
    from skywire.streams.serving import only_for, serve_each
    from skywire.streams.tcp import dial_tcp

    async def handle(stream: "Stream") -> None:
        async with asyncio.timeout(LOCAL_WAIT):
            local = await dial_tcp(LOOPBACK, local_port)
        await copy_both(stream, local)

    async with serving(identity) as client:
        listener = client.listen(dmsg_port)
        announce(identity.public, dmsg_port, as_json)
        if raw:
            await serve_each(listener, only_for(whitelist, handle), name="web srv")
        else:
            await _publish_http(listener, local_port, whitelist)


async def _publish_http(
    listener: "Listener", local_port: int, whitelist: frozenset[PubKey]
) -> None:
    from aiohttp import TCPConnector
    from yarl import URL

    from skywire.http.files import only_keys
    from skywire.http.over_stream import serve_http
    from skywire.http.reverse_proxy import ReverseProxy, proxy_session

    site = URL(f"http://{LOOPBACK}:{local_port}")
    async with proxy_session(TCPConnector()) as session:
        app = ReverseProxy(session, lambda _: site).application()
        if whitelist:
            app.middlewares.append(only_keys(whitelist))
        await serve_http(app, listener)
