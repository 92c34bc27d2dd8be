"""`skywire dmsg server`: a relay between dmsg clients. Source: cli.md A4, dmsg.md §11."""

import asyncio
import sys
from pathlib import Path

import click

from skywire import log
from skywire.cli import output
from skywire.cli.runtime import serve
from skywire.cli.values import optional_host_port
from skywire.config import dmsg_server as config_file
from skywire.config.dmsg_server import DmsgServerConfig
from skywire.config.values import HostPort
from skywire.platform import ready


@click.group()
def server() -> None:
    """Run a relay server."""


@server.group("config")
def config_group() -> None:
    """Make a server's config file."""


@config_group.command("gen", epilog="Example: skywire dmsg server config gen -o config.json")
@click.option(
    "-o",
    "--output",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("dmsg-config.json"),
    show_default=True,
    help="The new file, readable by you only.",
)
@click.option("-t", "--testenv", is_flag=True, help="Register at the test deployment.")
@click.option("--dmsg-disc", "discovery", metavar="URL", help="Register at this discovery.")
@click.option("--address", metavar="HOST:PORT", default="", help="Where clients find the server.")
@click.option(
    "--local-address",
    default=config_file.DEFAULT_ADDRESS,
    show_default=True,
    callback=optional_host_port,
    metavar="HOST:PORT",
    help="Where the server listens; no host is every address.",
)
@click.option(
    "--health-address",
    default=config_file.DEFAULT_HEALTH,
    show_default=True,
    callback=optional_host_port,
    metavar="HOST:PORT",
    help='Where it answers to /health and /metrics; "": nowhere.',
)
@output.json_option(shape={"public_key": str, "file": str})
def gen(
    path: Path,
    testenv: bool,
    discovery: str | None,
    address: str,
    local_address: HostPort,
    health_address: HostPort,
    as_json: bool,
) -> None:
    """Write a config file with a new key pair."""
    default = config_file.TEST_DISCOVERY if testenv else config_file.PRODUCTION_DISCOVERY
    made = config_file.generate_file(
        path,
        discovery=discovery or default,
        public_address=address,
        local_address=local_address,
        health_address=health_address,
    )
    result = {"public_key": made.public_key, "file": str(path)}
    output.emit(result, as_json=as_json, text=f"{path}: server {made.public_key}")


@server.command(epilog="Example: skywire dmsg server start -c config.json")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(path_type=Path),
    default=Path("config.json"),
    show_default=True,
    help="The config file; it can also be the argument FILE.",
)
@click.option("--stdin", "from_stdin", is_flag=True, help="Read the config from standard input.")
@click.option("--auth", metavar="TEXT", default="", help="Passphrase of the official servers.")
@click.option("-s", "--loglvl", metavar="LEVEL", help="Overrides log_level of the file.")
def start(file: Path | None, path: Path, from_stdin: bool, auth: str, loglvl: str | None) -> None:
    """Relay streams until SIGINT or SIGTERM.

    The config file has a key pair, the discovery to register at, and the addresses: make one with
    "skywire dmsg server config gen".
    """
    if from_stdin:
        text = sys.stdin.buffer.read(config_file.MAX_FILE + 1)
        config = config_file.load(text, "standard input")
    else:
        config = config_file.read(file or path)
    log.setup(loglvl or config.log_level or "info")
    serve(_run(config, auth))


def _place(address: str) -> tuple[str, int]:
    """Where to listen; no host is every address."""
    host, _, port = HostPort.parse(address).rpartition(":")
    return host.strip("[]"), int(port)


async def _run(config: DmsgServerConfig, passphrase: str) -> None:
    # Imported here: `--help` of this command must not load aiohttp.
    from skywire.dmsg.discovery import DiscoveryClient
    from skywire.dmsg.server import DmsgServer
    from skywire.http.app import health_route, listen, metrics_route, new_app, running
    from skywire.metrics import Registry

    metrics = Registry()
    host, port = _place(config.local_address or config.public_address)
    async with (
        DiscoveryClient(config.discovery) as directory,
        DmsgServer(
            config.public_key,
            config.secret_key,
            directory,
            public_address=config.public_address,
            max_sessions=config.max_sessions,
            server_type=passphrase,
            update_interval=config.update_interval,
            proxied=config.proxied,
            metrics=metrics,
        ) as relay,
    ):
        app = new_app()
        app.add_routes([health_route(), metrics_route(metrics)])
        async with running(app) as runner:
            if config.health_endpoint_address:
                await listen(runner, *_place(config.health_endpoint_address), what="health")
            bound = await relay.serve(host, port)
            ready.report(public_key=relay.public, address=relay.public_address, port=bound)
            await asyncio.Event().wait()
