"""`skywire dmsg disc`: the directory of a dmsg network. Source: cli.md A4, dmsg.md §9."""

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import click

from skywire.cli.runtime import log_option, serve
from skywire.cli.values import duration, host_port
from skywire.config.values import HostPort
from skywire.crypto.keys import PubKey, SecKey
from skywire.platform import ready
from skywire.ports import DMSG_DISCOVERY_HTTP, DMSG_HTTP

if TYPE_CHECKING:
    from skywire.dmsg.client import DmsgClient
    from skywire.services.dmsg_discovery import Settings

DEFAULT_STORE = "sqlite:///dmsg-discovery.db"
PASSWORD_VARIABLE = "REDIS_PASSWORD"  # noqa: S105 - a name, as the reference has it


@click.command(epilog="Example: skywire dmsg disc -a :9090")
@click.option(
    "-a",
    "--addr",
    "address",
    default=f":{DMSG_DISCOVERY_HTTP}",
    callback=host_port,
    show_default=True,
    metavar="HOST:PORT",
    help="Where to answer; no host is every address, port 0 a free one.",
)
@click.option(
    "--store",
    default=DEFAULT_STORE,
    show_default=True,
    metavar="URL",
    help="Where entries are kept: sqlite:///FILE (a fourth slash begins an absolute path), "
    "sqlite::memory: or redis://HOST:PORT.",
)
@click.option(
    "--redis",
    metavar="URL",
    help=f"The same as --store, for Redis; a password may come from ${PASSWORD_VARIABLE}.",
)
@click.option(
    "--sk",
    "secret",
    metavar="SK",
    envvar="DMSG_DISC_SK",
    show_envvar=True,
    help="Serve on dmsg, too, with this secret key. Others on this machine see arguments: "
    "prefer the variable.",
)
@click.option("--auth", metavar="TEXT", default="", help="Passphrase of the official servers.")
@click.option("--official-servers", metavar="PK,…", default="", help="Servers that are official.")
@click.option("--whitelist-keys", metavar="PK,…", default="", help="Keys that may deregister.")
@click.option(
    "--entry-timeout",
    default="3m",
    callback=duration,
    show_default=True,
    metavar="DURATION",
    help="How long the entry of a client from before v0.5.0 lives.",
)
@click.option("-t", "--test-mode", is_flag=True, help="Accept servers with loopback addresses.")
@log_option()
def disc(
    address: HostPort,
    store: str,
    redis: str | None,
    secret: str | None,
    auth: str,
    official_servers: str,
    whitelist_keys: str,
    entry_timeout: float,
    test_mode: bool,
) -> None:
    """Run the directory of servers and clients."""
    from skywire.services.dmsg_discovery import Settings

    settings = Settings(
        test_mode=test_mode,
        passphrase=auth,
        official=_keys(official_servers),
        monitors=_keys(whitelist_keys),
        entry_timeout=entry_timeout,
    )
    serve(_run(address, redis or store, settings, SecKey.parse(secret) if secret else None))


def _keys(text: str) -> frozenset[PubKey]:
    return frozenset(PubKey.parse(part.strip()) for part in text.split(",") if part.strip())


async def _run(place: HostPort, url: str, settings: "Settings", secret: SecKey | None) -> None:
    # Imported here: `--help` of this command must not load aiohttp.
    from skywire.dmsg.client import DmsgClient
    from skywire.http.app import listen, running
    from skywire.services.dmsg_discovery import DmsgDiscovery
    from skywire.services.over_dmsg import OwnDirectory, serve_over_dmsg
    from skywire.stores.open import open_discovery

    async with AsyncExitStack() as stack:
        store = await open_discovery(url, os.environ.get(PASSWORD_VARIABLE, ""))
        stack.push_async_callback(store.close)
        discovery = DmsgDiscovery(store, settings)
        client = None
        if secret is not None:
            directory = OwnDirectory(store)
            client = DmsgClient(secret.public(), secret, directory, min_sessions=0)
        runner = await stack.enter_async_context(running(discovery.app(*_on_dmsg(client))))
        port = await listen(runner, place.host, place.port, what="dmsg discovery")
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        tasks.create_task(discovery.run(), name="sweep")
        if client is not None:
            await stack.enter_async_context(client)
            tasks.create_task(serve_over_dmsg(client, runner), name="dmsg")
        ready.report(
            address=f"{place.host or 'localhost'}:{port}",
            port=port,
            public_key=client.public if client else "",
        )
        await asyncio.Event().wait()


def _on_dmsg(client: "DmsgClient | None") -> tuple[str, Callable[[], Sequence[str]]]:
    """What `/health` tells of dmsg: our address there, and the servers we have sessions with."""
    if client is None:
        return "", tuple
    return f"{client.public}:{DMSG_HTTP}", lambda: [str(key) for key in client.sessions]
