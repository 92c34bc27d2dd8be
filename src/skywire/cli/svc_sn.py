"""`skywire svc sn`: the route setup node. Source: cli.md A3, services.md §10."""

from contextlib import AsyncExitStack
from pathlib import Path

import click

from skywire import log
from skywire.cli.runtime import serve
from skywire.cli.values import optional_host_port
from skywire.config import setup as config_file
from skywire.config.setup import RouteSetupConfig
from skywire.config.values import HostPort
from skywire.platform import ready
from skywire.ports import DMSG_SETUP_NODE


@click.command(epilog="Example: skywire svc sn setup-node.json")
@click.argument("file", type=click.Path(path_type=Path), default=Path("config.json"))
@click.option(
    "-m",
    "--metrics",
    default="",
    callback=optional_host_port,
    metavar="HOST:PORT",
    help="Answer /health and /metrics here; by default nowhere.",
)
@click.option("-i", "--stdin", "from_stdin", is_flag=True, help="Read the config from stdin.")
@click.option("--tag", default="setup_node", show_default=True, help="Name in the log.")
@click.option("-s", "--loglvl", metavar="LEVEL", help="Overrides log_level of the file.")
def sn(file: Path, metrics: HostPort, from_stdin: bool, tag: str, loglvl: str | None) -> None:
    """Run a route setup node.

    FILE, config.json by default, has public_key, secret_key and a dmsg section. Visors obey when
    the key is in their route_setup_nodes.
    """
    config = config_file.read(config_file.STDIN if from_stdin else file, RouteSetupConfig)
    log.setup(loglvl or config.log_level or "info")
    serve(_run(config, metrics, tag))


async def _run(config: RouteSetupConfig, place: HostPort, tag: str) -> None:
    # Imported here: `--help` of this command must not load aiohttp.
    from skywire.http.app import health_route, listen, metrics_route, new_app, running
    from skywire.metrics import Registry
    from skywire.router.setup_node import SetupNode
    from skywire.visor.directory import open_client

    metrics = Registry()
    async with AsyncExitStack() as stack:
        opening = open_client(config.dmsg, config.secret_key)
        client, _ = await stack.enter_async_context(opening)
        node = SetupNode(client.dial, metrics=metrics)
        stack.push_async_callback(node.close)
        listener = client.listen(DMSG_SETUP_NODE)
        stack.push_async_callback(listener.close)
        port = 0
        if place:
            app = new_app()
            health = health_route(
                f"{client.public}:{DMSG_SETUP_NODE}", lambda: [str(key) for key in client.sessions]
            )
            app.add_routes([health, metrics_route(metrics)])
            runner = await stack.enter_async_context(running(app))
            port = await listen(runner, place.host, place.port, what=f"metrics of {tag}")
        await client.ready()
        ready.report(public_key=client.public, port=port)
        await node.serve_all(listener)
