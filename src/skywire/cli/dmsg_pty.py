"""`skywire dmsg pty`: terminals without a visor. Source: cli.md A4; pty.md §1, §3.3, §7."""

import asyncio
import ipaddress
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skywire.cli import output
from skywire.cli.dmsg_options import Identity, parse_keys, parse_secret, serving
from skywire.cli.pty import (
    Way,
    find_socket,
    open_terminal,
    passed_on_environment,
    socket_option,
)
from skywire.cli.runtime import log_option, run, serve
from skywire.cli.values import host_port
from skywire.config.values import HostPort
from skywire.crypto.keys import NULL_KEY, PubKey
from skywire.errors import InvalidValue
from skywire.ports import DMSG_PTY

if TYPE_CHECKING:
    from skywire.config.pty_host import PtyHostConfig

HOSTING = {"public_key": str, "port": int, "socket": str}
SHOWING = {"url": str}


def _remote(text: str) -> tuple[PubKey, int]:
    """PK, PK:PORT; "" is the local host."""
    if not text:
        return NULL_KEY, DMSG_PTY
    key, _, port = text.partition(":")
    numeric = port.isdecimal() and len(port) <= 5 and 0 < int(port) <= 0xFFFF
    if port and not numeric:
        raise InvalidValue(f'--addr "{text[:120]}": expected PK or PK:PORT')
    return PubKey.parse(key), int(port or DMSG_PTY)


@click.command(epilog="Example: skywire dmsg pty cli --addr PK")
@click.option(
    "--addr",
    "remote",
    default="",
    metavar="PK[:PORT]",
    help="The node. Default: this one, by its control socket.",
)
@click.option("-c", "--cmd", default="/bin/bash", show_default=True, help="The program to run.")
@click.option("-a", "--arg", "arguments", multiple=True, help="An argument for it; repeatable.")
@socket_option
@log_option("fatal")
def start(remote: str, cmd: str, arguments: tuple[str, ...], socket: str | None) -> int:
    """Open a terminal here, or on another node by way of the host on this machine."""
    from skywire.pty.types import CommandReq

    key, port = _remote(remote)
    request = CommandReq(cmd, list(arguments), None, passed_on_environment())
    secret = parse_secret(None)  # of no use: the way is the host's
    way = Way(find_socket(socket), Identity(secret.public(), secret, "", 0))
    return run(open_terminal(way, key, port, request))


@click.command(epilog="Example: skywire dmsg pty host start --wl PK")
@click.option(
    "-c",
    "--config",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Config file; it is made when it is not there. Default: a new key, and nothing is kept.",
)
@click.option("--confstdin", "from_stdin", is_flag=True, help="Read the config from stdin.")
@click.option("--dmsgdisc", envvar="DMSGPTY_DMSGDISC", metavar="URL", help="The dmsg discovery.")
@click.option(
    "--dmsgsessions",
    envvar="DMSGPTY_DMSGSESSIONS",
    type=click.IntRange(0),
    metavar="N",
    help="How many dmsg servers to connect to; 0 is all.",
)
@click.option(
    "--dmsgport",
    envvar="DMSGPTY_DMSGPORT",
    type=click.IntRange(1, 0xFFFF),
    metavar="N",
    help="The dmsg port.",
)
@click.option(
    "--clinet",
    envvar="DMSGPTY_CLINET",
    type=click.Choice(["unix"]),
    help="The kind of the control socket.",
)
@click.option("--cliaddr", envvar="DMSGPTY_CLIADDR", metavar="PATH", help="The control socket.")
@click.option(
    "--wl",
    "allowed",
    envvar="DMSGPTY_WL",
    multiple=True,
    callback=parse_keys,
    metavar="PK,…",
    help="Keys that may have a shell here, as our user.",
)
@log_option("info")
@output.json_option(shape=HOSTING)
def host(
    file: Path | None,
    from_stdin: bool,
    dmsgdisc: str | None,
    dmsgsessions: int | None,
    dmsgport: int | None,
    clinet: str | None,
    cliaddr: str | None,
    allowed: frozenset[PubKey],
    as_json: bool,
) -> None:
    """Let others have a shell on this machine over dmsg, without a visor.

    Each option is also a variable, DMSGPTY_ and its name, and beats the config file.
    """
    import msgspec

    from skywire.config import pty_host

    if file is not None and from_stdin:
        raise InvalidValue("--config and --confstdin: choose one")
    if from_stdin:
        config = pty_host.parse(sys.stdin.buffer.read(pty_host.MAX_FILE + 1), "standard input")
    else:
        config = pty_host.new() if file is None else pty_host.read(file)
    given = {
        "dmsgdisc": dmsgdisc,
        "dmsgsessions": dmsgsessions,
        "dmsgport": dmsgport,
        "clinet": clinet,
        "cliaddr": cliaddr,
        "wl": sorted(allowed) or None,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    serve(_host(msgspec.structs.replace(config, **chosen), as_json))


async def _host(config: "PtyHostConfig", as_json: bool) -> None:
    from skywire.platform import ready
    from skywire.pty.control import listen_control
    from skywire.pty.dialing import check_scheme
    from skywire.pty.host import PtyHost
    from skywire.pty.whitelist import Whitelist
    from skywire.streams.stream import Stream

    identity = Identity(config.pk, config.sk, config.dmsgdisc, config.dmsgsessions)
    async with serving(identity) as client:

        async def dial(remote: PubKey, port: int, scheme: str) -> Stream:
            check_scheme(scheme)
            return await client.dial(remote, port)

        whitelist = Whitelist([config.pk, *config.wl])
        async with PtyHost(whitelist, dial=dial, own=config.pk) as pty:
            listener = client.listen(config.dmsgport)
            control = await listen_control(config.clinet, config.cliaddr)
            try:
                result = {
                    "public_key": config.pk,
                    "port": config.dmsgport,
                    "socket": config.cliaddr,
                }
                output.emit(result, as_json=as_json, text=f"{config.pk}:{config.dmsgport}")
                ready.report(**result)
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(pty.accept(listener), name="dmsg")
                    tasks.create_task(pty.accept_control(control), name="control socket")
            finally:
                await control.close()
                await listener.close()


@click.command(epilog="Example: skywire dmsg pty host confgen config.json")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), default="config.json")
@click.option("--unsafe", is_flag=True, help="Replace the file, and with it a key, if it exists.")
@output.json_option(shape={"public_key": str, "file": str})
def confgen(file: Path, unsafe: bool, as_json: bool) -> None:
    """Write a config file for the host, with a new key pair."""
    from skywire.config import pty_host

    made = pty_host.write(file, replace=unsafe)
    result = {"public_key": made.pk, "file": str(file)}
    output.emit(result, as_json=as_json, text=f"{file}: host {made.pk}")


@click.command(epilog="Example: skywire dmsg pty ui --addr localhost:8080")
@click.option(
    "--addr",
    "place",
    default="localhost:8080",
    show_default=True,
    callback=host_port,
    metavar="HOST:PORT",
    help="Where the page is. Whoever reaches it has a shell: nobody is asked for a password.",
)
@click.option("--hnet", type=click.Choice(["unix"]), default="unix", help="The host's socket.")
@click.option(
    "--haddr",
    "socket",
    metavar="PATH",
    help="The control socket of the host. Default: where a visor or a host of this machine has it.",
)
@log_option("info")
@output.json_option(shape=SHOWING)
def ui(place: HostPort, hnet: str, socket: str | None, as_json: bool) -> None:
    """Show a terminal of this machine in a browser.

    Nobody is asked for a password, so only this machine should reach the page; a hypervisor has
    terminals with accounts. A page by a name other than localhost is refused: a foreign web site
    could have given that name to this machine.
    """
    serve(_ui(place, find_socket(socket), as_json))


async def _ui(place: HostPort, socket: str, as_json: bool) -> None:
    from aiohttp import web

    from skywire import ui as files
    from skywire.http.app import listen, new_app, running
    from skywire.platform import ready
    from skywire.pty.control import CONNECT_TIMEOUT
    from skywire.pty.web import WebTerminals, refusal
    from skywire.streams.stream import Stream
    from skywire.streams.unix import dial_unix

    terminals = WebTerminals()

    async def dial(_: PubKey, __: int, ___: str) -> Stream:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            return await dial_unix(socket)

    async def page(request: web.Request) -> web.StreamResponse:
        if not is_of_this_machine(request.host):
            return refusal(403, f"{request.host}: expected localhost or an address")
        return await terminals.handle(request, NULL_KEY, dial)

    app = new_app()
    app.add_routes([web.get("/", page)])
    files.add_static(app.router)

    async def leave(_: web.Application) -> None:
        await terminals.close()

    app.on_shutdown.append(leave)
    async with running(app) as runner:
        port = await listen(runner, place.host, place.port, what="terminal page")
        url = f"http://{place.host or 'localhost'}:{port}/"
        output.emit({"url": url}, as_json=as_json, text=url)
        ready.report(url=url, port=port)
        await asyncio.Event().wait()


def is_of_this_machine(host: str) -> bool:
    """Whether the name in a request is none that somebody else could have given out."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    name = name.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
