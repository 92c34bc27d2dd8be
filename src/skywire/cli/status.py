"""`skywire status`: the visor on one screen, for a person and for a monitor."""

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from skywire.cli import figures, output
from skywire.cli.findings import CHECK, causes_text
from skywire.cli.node import NodeAddress, node_options

if TYPE_CHECKING:
    from skywire.cli.snapshot import Snapshot

SHAPE = {
    "public_key": str,
    "version": str,
    "uptime_s": float,
    "reachable": bool,
    "ways": [{"name": str, "reachable": bool, "since_s": float, "detail": str}],
    "public_ip": str,
    "nat_type": str,
    "dmsg_servers": [str],
    "transports": int,
    "transport_types": {"…": int},
    "route_groups": int,
    "apps": int,
    "apps_running": int,
    "hypervisors": int,
    "hypervisors_connected": int,
    "problems": [CHECK],
}


@click.command(epilog="Example: skywire status || skywire doctor")
@node_options
@output.json_option(shape=SHAPE)
def status(node: NodeAddress, as_json: bool) -> int:
    """Show on one screen whether the visor is reachable, by what, since when, and what is wrong.

    stcpr and sudph are direct connections, dmsg goes through servers, skynet over routes. That a
    machine has no public address is shown and is not wrong: it is reached in the other ways.

    The exit code is 0 when the visor is reachable and nothing is wrong, else 1. Times are in
    seconds in JSON.
    """
    from skywire.cli import health, snapshot

    found = node.run(snapshot.take)
    result = about(found)
    output.emit(result, as_json=as_json, text=_text(result))
    return 0 if result["reachable"] and not health.problems(found) else output.EXIT_FAILURE


def about(found: "Snapshot") -> dict[str, Any]:
    """The JSON of a snapshot."""
    from skywire.cli import health
    from skywire.visor.types import RUNNING, BuildInfo

    overview = found.overview
    ways = health.ways(found)
    return {
        "public_key": str(overview.local_pk),
        "version": (overview.build_info or BuildInfo()).version,
        "uptime_s": found.summary.uptime,
        "reachable": any(way.reachable for way in ways),
        "ways": ways,
        "public_ip": overview.public_ip,
        "nat_type": overview.nat_type,
        "dmsg_servers": list(found.dmsg_servers),
        "transports": len(overview.transports),
        "transport_types": dict(Counter(one.type for one in overview.transports)),
        "route_groups": len(found.groups),
        "apps": len(overview.apps),
        "apps_running": sum(app.status == RUNNING for app in overview.apps),
        "hypervisors": len(overview.hypervisors),
        "hypervisors_connected": len(overview.connected_hypervisor),
        "problems": health.problems(found),
    }


def _text(found: dict[str, Any]) -> str:
    kinds = ", ".join(f"{count} {kind}" for kind, count in found["transport_types"].items())
    facts = output.Facts(
        [
            ("visor", found["public_key"]),
            ("version", f"{found['version']}, up {figures.age(found['uptime_s'])}"),
            ("address", " ".join(filter(None, (found["public_ip"], found["nat_type"])))),
            ("transports", f"{found['transports']}{f' ({kinds})' if kinds else ''}"),
            ("route groups", found["route_groups"]),
            ("apps", f"{found['apps_running']} of {found['apps']} run"),
            ("hypervisors", f"{found['hypervisors_connected']} of {found['hypervisors']}"),
        ]
    )
    words = {True: "yes", False: "no", None: "unknown"}
    rows = [
        (
            way.name,
            words[way.reachable],
            "" if way.since_s is None else figures.age(way.since_s),
            way.detail,
        )
        for way in found["ways"]
    ]
    table = output.Table(["reachable by", "", "for", ""], rows)
    lines = [output.render_facts(facts), output.render(table), _wrong(found)]
    return "\n\n".join(lines)


def _wrong(found: dict[str, Any]) -> str:
    if found["problems"]:
        return causes_text(found["problems"])
    return "Nothing is wrong." if found["reachable"] else "Nobody can reach this visor."
