"""What a visor's own words mean: by what it is reachable, and what is wrong with it."""

from collections.abc import Iterator

import msgspec

from skywire.cli import figures
from skywire.cli.findings import Check, Verdict
from skywire.cli.snapshot import Snapshot
from skywire.visor.ops_state import (
    DMSG,
    FAILED,
    REACHABILITY,
    ROUTING,
    RPC,
    RUNNING,
    WAITING,
    PartState,
)
from skywire.visor.types import ERRORED

_HYPERVISOR = "hypervisor "  # begins the name of a link's part
_UNHEALTHY = "unhealthy"
DISK_FULL = 98.0  # percent
GRACE = 10.0  # seconds a part may wait for another one
_DETAILS = "skywire doctor"


class Way(msgspec.Struct, frozen=True):
    """`reachable` None: the visor does not tell. `since_s`: how long it has been as it is."""

    name: str
    reachable: bool | None
    since_s: float | None
    detail: str


def ways(found: Snapshot) -> list[Way]:
    """How others reach the visor: stcpr, sudph, stcp (if configured), dmsg, skynet."""
    if found.parts is None:
        return _of_older(found)
    parts = found.parts
    listed = [_stcpr(found), _sudph(found)]
    if "transport stcp" in parts:
        listed.append(_part("stcp", parts["transport stcp"], "listens", fact="stcp"))
    dmsg = _dmsg(found)
    return [*listed, dmsg, _skynet(found, dmsg)]


def _of_older(found: Snapshot) -> list[Way]:
    servers = found.dmsg_servers
    unknown = "this visor does not tell"
    return [
        Way("stcpr", None, None, unknown),
        Way("sudph", None, None, unknown),
        Way("dmsg", bool(servers), None, _servers(servers)),
        Way("skynet", None, None, unknown),
    ]


def _part(name: str, part: PartState, text: str, *, fact: str = "") -> Way:
    """Reachable when the part runs and, where one is asked for, has the fact."""
    runs = part.state == RUNNING
    if runs and (not fact or fact in part.facts):
        value = f" {part.facts[fact]}" if fact else ""
        return Way(name, True, part.age_s, f"{text}{value}")
    return Way(name, False, part.age_s, part.reason or part.state)


def _stcpr(found: Snapshot) -> Way:
    part = (found.parts or {}).get("transport stcpr")
    if part is None:
        return Way("stcpr", False, None, "off: the config names no address resolver")
    if part.state == RUNNING and "stcpr_port" not in part.facts:
        return Way("stcpr", False, part.age_s, "no public address here: others cannot dial in")
    return _part("stcpr", part, "TCP port", fact="stcpr_port")


def _sudph(found: Snapshot) -> Way:
    part = (found.parts or {}).get("transport sudph")
    if part is None:
        return Way("sudph", False, None, "off: the config names no address resolver for UDP")
    return _part("sudph", part, "UDP port", fact="sudph_port")


def _servers(servers: dict[str, float]) -> str:
    if not servers:
        return "no dmsg server"
    trips = [trip for trip in servers.values() if trip]
    nearest = f", the nearest {figures.milliseconds(min(trips))} away" if trips else ""
    return f"{len(servers)} server{'s' if len(servers) > 1 else ''}{nearest}"


def _dmsg(found: Snapshot) -> Way:
    parts = found.parts or {}
    part, tried = parts.get(DMSG), parts.get(REACHABILITY)
    if part is None:
        return Way("dmsg", False, None, "this visor does not run it")
    if tried is not None and tried.state == FAILED:
        return Way("dmsg", False, tried.age_s, tried.reason)
    servers = found.dmsg_servers
    if part.state == RUNNING and not servers:
        return Way("dmsg", False, None, "the last session has just ended")
    return _part("dmsg", part, _servers(servers))


def _skynet(found: Snapshot, dmsg: Way) -> Way:
    part = (found.parts or {}).get(ROUTING)
    if part is None or part.state != RUNNING:
        return Way("skynet", False, None, part.reason if part else "this visor has no routes")
    if not dmsg.reachable:
        return Way("skynet", False, dmsg.since_s, "needs dmsg: setup nodes come that way")
    count = part.facts.get("setup_nodes", "?")
    text = f"{count} setup nodes may lay routes; {len(found.groups)} route groups"
    return Way("skynet", True, dmsg.since_s, text)


# What is wrong


def problems(found: Snapshot) -> list[Check]:
    """Nothing for what is only so: no public address, a symmetric NAT."""
    return [
        *(_failing_parts(found) if found.parts is not None else _unwell(found)),
        *_failing_apps(found),
        *_missing_transports(found),
        *_load(found),
    ]


def _failing_parts(found: Snapshot) -> Iterator[Check]:
    for name, part in (found.parts or {}).items():
        if part.state not in (FAILED, WAITING) or _is_natural(found, name):
            continue
        if part.state == WAITING and part.age_s < GRACE:
            continue
        verdict = Verdict.RED if name in (DMSG, RPC, REACHABILITY) else Verdict.YELLOW
        evidence = f"{part.reason}; for {figures.age(part.age_s)}"
        yield Check(name, verdict, evidence, _fix(name, part))


def _is_natural(found: Snapshot, name: str) -> bool:
    return name == "transport sudph" and found.overview.is_symmetic_nat


def _fix(name: str, part: PartState) -> str:
    if name.startswith(_HYPERVISOR):
        return f"skywire dmsg ping {name.removeprefix(_HYPERVISOR)}"
    if name in (DMSG, REACHABILITY):
        return "skywire netcheck"
    if part.state == WAITING:
        return ""  # that of what it waits for
    return _DETAILS


def _unwell(found: Snapshot) -> Iterator[Check]:
    """The words of a Go visor."""
    health = found.summary.health
    if not found.dmsg_servers:
        yield Check(DMSG, Verdict.RED, "no dmsg server", "skywire netcheck")
    if health is None:
        return
    words = {
        "services": health.services_health,
        "uptime tracker": health.uptime_tracker_health,
        "public autoconnect": health.autoconnect_health,
        REACHABILITY: health.transportability_health,
    }
    for name, word in words.items():
        if word == _UNHEALTHY:
            yield Check(name, Verdict.YELLOW, word, _DETAILS)


def _failing_apps(found: Snapshot) -> Iterator[Check]:
    for app in found.overview.apps:
        if app.status == ERRORED:
            name = app.app_config.name
            text = app.detailed_status or "it ended with an error"
            fix = f"skywire cli visor app log {name}"
            yield Check(f"app {name}", Verdict.YELLOW, text, fix)


def _missing_transports(found: Snapshot) -> Iterator[Check]:
    there = {(one.remote_pk, one.type) for one in found.overview.transports}
    for each in found.summary.persistent_transports:
        if (each.pk, each.type) not in there:
            text = f"the {each.type} transport to {each.pk} is wanted and is not up"
            fix = f"skywire cli tp add -t {each.type} {each.pk}"
            yield Check("persistent transports", Verdict.YELLOW, text, fix)


def _load(found: Snapshot) -> Iterator[Check]:
    load = found.summary.load
    if load is not None and load.disk_used_percent >= DISK_FULL:
        text = f"{figures.percent(load.disk_used_percent)} of the disk is used"
        yield Check("disk", Verdict.YELLOW, text, "df -h; make room")
