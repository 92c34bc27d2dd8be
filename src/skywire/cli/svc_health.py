"""`skywire cli svc health`: do the services of the deployment answer? Source: cli.md §B6."""

import asyncio
from typing import Any, NamedTuple

import click
import msgspec

from skywire.cli import output
from skywire.cli.fetch import Fetcher, fetch_options
from skywire.cli.runtime import run
from skywire.errors import InvalidValue, SkywireError

NAMES = (
    "dmsg_discovery",
    "transport_discovery",
    "address_resolver",
    "route_finder",
    "uptime_tracker",
    "service_discovery",
)
MAX_TEXT = 80  # characters of a version


class _Build(msgspec.Struct):
    version: str = ""


class _Health(msgspec.Struct):
    build_info: _Build | None = None
    started_at: str = ""


class Service(NamedTuple):
    """`via` is how it was asked: rpc, dmsg or http."""

    service: str
    url: str
    healthy: bool
    via: str
    version: str
    started_at: str
    error: str


@click.command(epilog="Example: skywire cli svc health")
@fetch_options
@output.json_option(shape=[Service])
def health(fetcher: Fetcher, as_json: bool) -> int:
    """Ask every service of the deployment how it is; ends with 1 when one does not answer.

    Nothing is cached.
    """
    services = run(_all(fetcher._replace(folder=None, max_age=0)))
    rows = [
        [one.service, "ok" if one.healthy else "no answer", one.via, one.version, one.started_at]
        for one in services
    ]
    table = output.Table(["service", "state", "via", "version", "started"], rows)
    output.emit([one._asdict() for one in services], as_json=as_json, text=table)
    for one in services:
        if one.error and not as_json:
            output.say(f"{one.service}: {one.error}")
    return 0 if all(one.healthy for one in services) else output.EXIT_FAILURE


async def _all(fetcher: Fetcher) -> list[Service]:
    async with asyncio.TaskGroup() as tasks:
        asked = [
            tasks.create_task(_one(fetcher, name, url))
            for name in NAMES
            if (url := getattr(fetcher.services, name))
        ]
    return [task.result() for task in asked]


async def _one(fetcher: Fetcher, name: str, base: str) -> Service:
    url = f"{base.rstrip('/')}/health"
    try:
        found = await fetcher.fetched(url, _parse)
    except (SkywireError, TimeoutError) as error:
        return Service(name, base, False, "", "", "", str(error))
    health = found.value
    version = health.build_info.version if health.build_info is not None else ""
    return Service(name, base, True, found.via, version[:MAX_TEXT], health.started_at, "")


def _parse(body: bytes) -> Any:
    """Raises InvalidValue for what is no health."""
    try:
        return msgspec.json.decode(body, type=_Health)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidValue(f"no health: {error}") from error
