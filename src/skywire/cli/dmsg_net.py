"""`skywire dmsg ip|ping|socks`: small tools of the network. Source: cli.md A4, dmsg.md §14."""

import asyncio
from statistics import fmean
from typing import TYPE_CHECKING

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
from skywire.cli.runtime import run, serve
from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue, SkywireError, Unavailable
from skywire.platform import ready
from skywire.ports import DMSG_CONTROL

if TYPE_CHECKING:
    from skywire.dmsg.client import DmsgClient
    from skywire.streams.stream import Stream

SOCKS_PORT = 1081  # dmsg and TCP; cli.md A4
PING_WAIT = 10.0  # seconds for one pong
DIAL_WAIT = 30.0  # seconds for a stream to stand


@click.command(epilog="Example: skywire dmsg ip")
@click.option("-d", "--srv", metavar="PK", help="Ask this dmsg server. Default: any.")
@identity_options("fatal")
@output.json_option(shape={"ip": str})
def ip(srv: str | None, identity: Identity, as_json: bool) -> None:
    """Print our IP address as a dmsg server sees it."""
    server = PubKey.parse(srv) if srv else None

    async def ask() -> str:
        async with dialling(identity) as client, asyncio.timeout(DIAL_WAIT):
            return await client.look_up_ip(server)

    address = run(ask())
    output.emit({"ip": address}, as_json=as_json, text=address)


@click.command(epilog="Example: skywire dmsg ping PK")
@click.argument("public_key", metavar="PK")
@click.option(
    "-c", "--count", type=click.IntRange(1, 1_000_000), default=4, show_default=True, help="Pings."
)
@click.option(
    "-i",
    "--interval",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Wait between pings.",
)
@identity_options("fatal")
@output.json_option(
    shape={
        "public_key": str,
        "sent": int,
        "received": int,
        "min_ms": float,
        "mean_ms": float,
        "max_ms": float,
    }
)
def ping(public_key: str, count: int, interval: float, identity: Identity, as_json: bool) -> int:
    """Measure the round trip to a node over dmsg.

    The node's own control port answers; the exit code is 1 when a pong does not come back.
    """
    remote = PubKey.parse(public_key)
    times, failure = run(_ping(remote, count, interval, identity, quiet=as_json))
    if not times:
        raise failure or Unavailable(f"{remote} does not answer")
    milliseconds = [1000 * time for time in times]
    low, mean, high = min(milliseconds), fmean(milliseconds), max(milliseconds)
    result = {
        "public_key": remote,
        "sent": len(times) + (failure is not None),
        "received": len(times),
        "min_ms": round(low, 3),
        "mean_ms": round(mean, 3),
        "max_ms": round(high, 3),
    }
    text = f"{len(times)} of {count} pongs, min/mean/max {low:.2f}/{mean:.2f}/{high:.2f} ms"
    output.emit(result, as_json=as_json, text=text)
    if failure is not None:
        output.say(f"Error: {failure}")
    return 1 if failure is not None else 0


async def _ping(
    remote: PubKey, count: int, interval: float, identity: Identity, *, quiet: bool
) -> tuple[list[float], SkywireError | None]:
    """Seconds of each pong, and what ended it before `count`."""
    from skywire.dmsg.control import ping as ping_once

    times: list[float] = []
    async with dialling(identity) as client:
        stream = await _dial(client, remote, DMSG_CONTROL)
        try:
            for number in range(count):
                if number:
                    await asyncio.sleep(interval)
                async with asyncio.timeout(PING_WAIT):
                    times.append(await ping_once(stream))
                if not quiet:
                    click.echo(f"pong {number + 1} from {remote}: {1000 * times[-1]:.2f} ms")
        except SkywireError as error:
            return times, error
        except TimeoutError:
            return times, Unavailable(f"no pong from {remote} within {PING_WAIT:.0f} s")
        finally:
            stream.abort()
    return times, None


async def _dial(client: "DmsgClient", remote: PubKey, port: int) -> "Stream":
    try:
        async with asyncio.timeout(DIAL_WAIT):
            return await client.dial(remote, port)
    except TimeoutError as error:
        raise Unavailable(f"{remote}:{port} did not answer within {DIAL_WAIT:.0f} s") from error


@click.group()
def socks() -> None:
    """Reach the internet through another node."""


@socks.command("server", epilog="Example: skywire dmsg socks server -w PK")
@click.option(
    "-q",
    "--dport",
    type=click.IntRange(1, 65535),
    default=SOCKS_PORT,
    show_default=True,
    help="The dmsg port.",
)
@click.option(
    "--allow-private",
    is_flag=True,
    help="Also connect to this machine and to private networks.",
)
@whitelist_option
@identity_options("info")
@output.json_option(shape=SERVED)
def socks_server(
    dport: int,
    allow_private: bool,
    whitelist: frozenset[PubKey],
    identity: Identity,
    as_json: bool,
) -> None:
    """Run a SOCKS5 proxy on a dmsg port.

    Whoever may connect uses this machine's internet access: name them with -w.
    """
    if not whitelist:
        output.say("Warning: no -w, so everybody may use this proxy.")
    serve(_socks_server(dport, allow_private, whitelist, identity, as_json))


async def _socks_server(
    port: int, allow_private: bool, whitelist: frozenset[PubKey], identity: Identity, as_json: bool
) -> None:
    from skywire.streams.serving import only_for, serve_each
    from skywire.streams.socks5 import DialHost, dial_public, serve_socks
    from skywire.streams.tcp import dial_tcp

    dial: DialHost = dial_tcp if allow_private else dial_public

    async def handle(stream: "Stream") -> None:
        await serve_socks(stream, dial)

    async with serving(identity) as client:
        listener = client.listen(port)
        announce(identity.public, port, as_json)
        await serve_each(listener, only_for(whitelist, handle), name="socks")


@socks.command("client", epilog="Example: skywire dmsg socks client -k PK")
@click.option("-k", "--pk", "server", metavar="PK", required=True, help="Key of the proxy.")
@click.option(
    "-p",
    "--port",
    type=click.IntRange(0, 65535),
    default=SOCKS_PORT,
    show_default=True,
    help="Local port for programs; 0 is a free one.",
)
@click.option(
    "-q",
    "--dport",
    type=click.IntRange(1, 65535),
    default=SOCKS_PORT,
    show_default=True,
    help="The proxy's dmsg port.",
)
@identity_options("info")
@output.json_option(shape={"address": str})
def socks_client(server: str, port: int, dport: int, identity: Identity, as_json: bool) -> None:
    """Offer a node's SOCKS5 proxy on a local port.

    Listens on 127.0.0.1 only. Names are resolved at the proxy, so give them to it (socks5h).
    """
    serve(_socks_client(PubKey.parse(server), port, dport, identity, as_json))


async def _socks_client(
    server: PubKey, port: int, dport: int, identity: Identity, as_json: bool
) -> None:
    from skywire.streams.relay import copy_both
    from skywire.streams.serving import serve_each
    from skywire.streams.tcp import listen_tcp

    if server == identity.public:
        raise InvalidValue("-k names ourselves; give the key of the node with the proxy")
    async with dialling(identity) as client:

        async def handle(stream: "Stream") -> None:
            await copy_both(stream, await _dial(client, server, dport))

        listener = await listen_tcp("127.0.0.1", port)
        bound = f"127.0.0.1:{listener.address.port}"
        output.emit({"address": bound}, as_json=as_json, text=f"socks5h://{bound}")
        ready.report(address=bound)
        try:
            await serve_each(listener, handle, name="socks client")
        finally:
            await listener.close()
