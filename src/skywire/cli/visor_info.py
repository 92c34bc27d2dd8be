"""What a visor tells about itself: `skywire cli visor info|pk|ver|ip|…`. Source: cli.md §A2, B5."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skywire.cli import output
from skywire.cli.node import NodeAddress, node_options
from skywire.config.values import Duration
from skywire.errors import InvalidValue, Refused

if TYPE_CHECKING:
    from skywire.visor.types import DmsgStats, Overview, Summary

INFO = {
    "public_key": str,
    "symmetric_nat": bool,
    "ip": str,
    "dmsg_server": str,
    "ping": str,
    "visor_version": str,
    "skybian_version": str,
    "uptime_tracker": str,
    "time_online": float,
    "build_tag": str,
    "transports": int,
    "apps": int,
    "hypervisors": [str],
    "online": bool,
}


@click.command(epilog="Example: skywire cli visor info --jq .time_online")
@node_options
@output.json_option(shape=INFO)
def info(node: NodeAddress, as_json: bool) -> None:
    """Show the visor on one screen: key, address, dmsg server, version, health, uptime.

    The time online is in seconds in JSON.
    """
    from skywire.visor import ops_info

    summary = node.ask(ops_info.summary)
    found = about(summary)
    text = {
        "Public key": found["public_key"],
        "Version": found["visor_version"],
        "Build tag": found["build_tag"],
        "Skybian version": found["skybian_version"],
        "Time online": Duration(round(found["time_online"])),
        "Services": found["uptime_tracker"],
        "IP address": found["ip"],
        "Symmetric NAT": "yes" if found["symmetric_nat"] else "no",
        "dmsg server": found["dmsg_server"],
        "Round trip": found["ping"],
        "Transports": found["transports"],
        "Apps": found["apps"],
        "Hypervisors": " ".join(found["hypervisors"]),
    }
    output.emit(found, as_json=as_json, text=output.Facts(text.items()))


def about(summary: "Summary") -> dict[str, Any]:
    """The JSON of `visor info`; its first ten keys are the reference's."""
    from skywire.visor.types import BuildInfo, HealthInfo, Overview

    overview = summary.overview or Overview()
    build = overview.build_info or BuildInfo()
    server, trip = _dmsg_server(summary.dmsg_stats, summary)
    return {
        "public_key": str(overview.local_pk),
        "symmetric_nat": overview.is_symmetic_nat,
        "ip": overview.public_ip,
        "dmsg_server": server,
        "ping": trip,
        "visor_version": build.version,
        "skybian_version": summary.skybian_build_version,
        "uptime_tracker": (summary.health or HealthInfo()).services_health,
        "time_online": summary.uptime,
        "build_tag": summary.build_tag,
        "transports": len(overview.transports),
        "apps": len(overview.apps),
        "hypervisors": [str(pk) for pk in overview.connected_hypervisor],
        "online": summary.online,
    }


def _dmsg_server(stats: "DmsgStats | None", summary: "Summary") -> tuple[str, str]:
    """Key of the server and the round trip to it, as far as the visor tells."""
    if stats is not None and not stats.server_public_key.is_null:
        return str(stats.server_public_key), _round_trip(stats.round_trip)
    if summary.dmsg_servers:
        first = summary.dmsg_servers[0]
        return str(first.pk), _round_trip(first.latency)
    return next(iter(summary.connected_dmsg_servers), ""), ""


def _round_trip(nanoseconds: int) -> str:
    return str(Duration(nanoseconds / 1e9)) if nanoseconds else ""


@click.command(epilog="Example: skywire cli visor pk -i /opt/skywire/skywire.json")
@click.option(
    "-i",
    "--input",
    "file",
    type=click.Path(path_type=Path),
    help="Read it from a config file instead of asking a visor.",
)
@click.option("-p", "--pkg", is_flag=True, help="Read it from the config of the package.")
@click.option(
    "-w", "--http", "to_serve", is_flag=True, help="Tell it over HTTP, too, until Ctrl-C."
)
@click.option(
    "-x",
    "--prt",
    "port",
    type=click.IntRange(0, 0xFFFF),
    default=7998,
    show_default=True,
    metavar="PORT",
    help="The port for -w, at every address; 0 is a free one.",
)
@node_options
@output.json_option(shape=str)
def pk(
    node: NodeAddress, file: Path | None, pkg: bool, to_serve: bool, port: int, as_json: bool
) -> None:
    """Print the public key of the visor."""
    from skywire.config.places import PACKAGE_CONFIG

    if file is not None and pkg:
        raise InvalidValue("-i and -p: choose one file")
    place = PACKAGE_CONFIG if pkg else file
    key = str(_overview(node).local_pk) if place is None else _key_in(place)
    output.emit(key, as_json=as_json)
    if to_serve:
        from skywire.cli.runtime import serve

        serve(_tell(key, port))


async def _tell(key: str, port: int) -> None:
    from aiohttp import web

    from skywire.http.app import listen, new_app, running
    from skywire.platform import ready

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=f"{key}\n")

    app = new_app()
    app.add_routes([web.get("/", answer)])
    async with running(app) as runner:
        ready.report(port=await listen(runner, "", port, what="public key"))
        await asyncio.Event().wait()


def _key_in(file: Path) -> str:
    from skywire.config.load import ConfigFile

    return str(ConfigFile.load(str(file)).config.pk)


def _overview(node: NodeAddress) -> "Overview":
    from skywire.visor import ops_info

    return node.ask(ops_info.overview)


@click.command(epilog="Example: skywire cli visor ver --json")
@node_options
@output.json_option(shape={"version": str, "commit": str, "date": str})
def ver(node: NodeAddress, as_json: bool) -> None:
    """Show the version of the visor and how it was built."""
    from skywire.visor.types import BuildInfo

    build = _overview(node).build_info or BuildInfo()
    text = f'Version "{build.version}" built on "{build.date}" against commit "{build.commit}"'
    found = {"version": build.version, "commit": build.commit, "date": build.date}
    output.emit(found, as_json=as_json, text=text)


@click.command(epilog="Example: skywire cli visor ip")
@node_options
@output.json_option(
    shape={"ip": str, "local_ip": str, "nat_type": str, "symmetric_nat": bool, "country_code": str}
)
def ip(node: NodeAddress, as_json: bool) -> None:
    """Show the visor's public address and the NAT it is behind, as it found them by STUN."""
    overview = _overview(node)
    found = {
        "ip": overview.public_ip,
        "local_ip": overview.local_ip,
        "nat_type": overview.nat_type,
        "symmetric_nat": overview.is_symmetic_nat,
        "country_code": overview.country_code,
    }
    nat = overview.nat_type or ("symmetric" if overview.is_symmetic_nat else "not symmetric")
    text = {"IP": overview.public_ip, "Public status": nat, "Local IP": overview.local_ip}
    output.emit(found, as_json=as_json, text=output.Facts(text.items()))


@click.command("dmsg-servers", epilog="Example: skywire cli visor dmsg-servers")
@node_options
@output.json_option(shape=[{"public_key": str, "round_trip": int}])
def dmsg_servers(node: NodeAddress, as_json: bool) -> None:
    """List the dmsg servers that the visor is connected to; round trips are in ns in JSON."""
    from skywire.visor import ops_info

    summary = node.ask(ops_info.summary)
    found = {str(server.pk): server.latency for server in summary.dmsg_servers}
    for key in summary.connected_dmsg_servers:
        found.setdefault(key, 0)
    stats = summary.dmsg_stats
    if stats is not None and not stats.server_public_key.is_null:  # all that one of 2024 tells
        found.setdefault(str(stats.server_public_key), stats.round_trip)
    rows = [(key, _round_trip(trip)) for key, trip in found.items()]
    result = [{"public_key": key, "round_trip": trip} for key, trip in found.items()]
    table = output.Table(["public-key", "round-trip"], rows)
    output.emit(result, as_json=as_json, text=table if rows else "not connected to any dmsg server")


@click.command(epilog="Example: skywire cli visor ready --timeout 60")
@node_options
@output.json_option(shape=bool)
def ready(node: NodeAddress, as_json: bool) -> int:
    """Tell whether the visor is on dmsg: prints true and ends with 0, or false and 1."""
    found = _is_ready(node)
    output.emit(found, as_json=as_json, text=str(found).lower())
    return 0 if found else output.EXIT_FAILURE


def _is_ready(node: NodeAddress) -> bool:
    from skywire.visor import ops_info

    try:
        return node.ask(ops_info.is_dmsg_ready)
    except Refused:  # "dmsg client is not ready"
        return False


@click.command(epilog="Example: skywire cli visor ports")
@node_options
@output.json_option(shape={"…": {"Port": str, "Type": str}})
def ports(node: NodeAddress, as_json: bool) -> None:
    """List the ports that the visor has open, by what they are for.

    DMSG ports are reached by keys over dmsg, SKYNET ports by apps over routes.
    """
    from skywire.visor import ops_info

    found = sorted(node.ask(ops_info.ports).items())
    result = {name: {"Port": one.port, "Type": one.type} for name, one in found}
    rows = [(name, one.type, one.port) for name, one in found]
    output.emit(result, as_json=as_json, text=output.Table(["app/service", "type", "port"], rows))
