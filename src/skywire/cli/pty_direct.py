"""Terminals over plain TCP: `skywire cli pty shell|host`. Source: cli.md B1, pty.md §1."""

from pathlib import Path

import click

from skywire.cli import output
from skywire.cli.dmsg_options import Identity, parse_keys, parse_secret
from skywire.cli.pty import Place, Way, open_terminal, passed_on_environment
from skywire.cli.runtime import log_option, run, serve
from skywire.cli.values import host_port
from skywire.config.values import HostPort
from skywire.crypto.keys import PubKey, SecKey
from skywire.errors import InvalidValue, NotFound

LISTENING = {"public_key": str, "address": str}


def _visor_key(file: Path | None) -> SecKey:
    """Of the visor on this machine. Raises NotFound."""
    from skywire.cli.config_found import found_config

    found = found_config(file)
    if found is None:
        raise NotFound("no config of a visor is here: name it with -i, or give a key with --sk")
    return found.config.sk


class _Shell(click.Command):
    """Without `--`, all that follows PK@HOST belongs to the remote command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.allow_interspersed_args = "--" in args
        return super().parse_args(ctx, args)


@click.command(cls=_Shell, epilog="Example: skywire cli pty shell PK@192.0.2.1:2022")
@click.argument("place", metavar="PK@HOST[:PORT]")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option("--sk", metavar="KEY", envvar="DMSG_SK", help="Our secret key, or @FILE.")
@click.option("--no-visor-key", "fresh", is_flag=True, help="With a new key instead.")
@click.option(
    "-i",
    "--input",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The visor's config, for its key.",
)
@log_option("fatal")
def shell(
    place: str, command: tuple[str, ...], sk: str | None, fresh: bool, file: Path | None
) -> int:
    """Open a terminal on a node over plain TCP, without dmsg; the port is 2022 by default.

    The node must have "ssh_listen" in the section "pty" of its config, or be a `pty host`, and
    must have our key in its whitelist: that of the visor on this machine, unless another is given.
    """
    from skywire.pty.types import CommandReq

    if sk and fresh:
        raise InvalidValue("--sk and --no-visor-key: choose one key")
    where = Place.parse(place)
    secret = parse_secret(sk) if sk or fresh else _visor_key(file)
    name, *arguments = command or ("/bin/bash",)
    request = CommandReq(name, arguments, None, passed_on_environment())
    way = Way("", Identity(secret.public(), secret, "", 1), where.host)
    return run(open_terminal(way, where.key, where.port, request))


@click.command(epilog="Example: skywire cli pty host --listen :2022 --allow PK")
@click.option(
    "--listen",
    "place",
    default=":2022",
    show_default=True,
    callback=host_port,
    metavar="HOST:PORT",
    help="Where; no host is every address, port 0 a free one.",
)
@click.option(
    "--allow",
    "allowed",
    multiple=True,
    required=True,
    callback=parse_keys,
    metavar="PK,…",
    help="Keys that may have a shell here, as our user.",
)
@click.option("--sk", metavar="KEY", envvar="DMSG_SK", help="Our secret key, or @FILE.")
@click.option("--sk-from-visor", "as_visor", is_flag=True, help="The key of the visor here.")
@click.option(
    "-i",
    "--input",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The visor's config, for its key.",
)
@log_option("info")
@output.json_option(shape=LISTENING)
def host(
    place: HostPort,
    allowed: frozenset[PubKey],
    sk: str | None,
    as_visor: bool,
    file: Path | None,
    as_json: bool,
) -> None:
    """Let others have a shell on this machine over plain TCP, without a visor.

    Prints key and address, then serves until SIGINT or SIGTERM. Without a key: a new one.
    """
    if sk and as_visor:
        raise InvalidValue("--sk and --sk-from-visor: choose one key")
    secret = _visor_key(file) if as_visor else parse_secret(sk)
    serve(_host(place, allowed, secret, as_json))


async def _host(place: HostPort, allowed: frozenset[PubKey], secret: SecKey, as_json: bool) -> None:
    from skywire.platform import ready
    from skywire.pty.host import PtyHost
    from skywire.pty.whitelist import Whitelist
    from skywire.streams.tcp import listen_tcp

    async with PtyHost(Whitelist(allowed), own=secret.public()) as pty:
        listener = await listen_tcp(place.host, place.port)
        try:
            address = f"{place.host or 'localhost'}:{listener.address.port}"
            result = {"public_key": secret.public(), "address": address}
            output.emit(result, as_json=as_json, text=f"{secret.public()}@{address}")
            ready.report(public_key=secret.public(), address=address)
            await pty.accept_direct(listener, secret)
        finally:
            await listener.close()
