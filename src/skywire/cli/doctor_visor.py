"""What `doctor` asks a visor that runs, and the directories about it."""

import asyncio
import json
import time
from collections import Counter
from datetime import datetime
from typing import Any, NamedTuple

import aiohttp
import msgspec

from skywire.cli import figures, health, net_probes, snapshot
from skywire.cli.findings import Check, Verdict
from skywire.cli.net_targets import CONF, DISCOVERY, Targets
from skywire.cli.node import NodeAddress
from skywire.cli.snapshot import Snapshot
from skywire.config.deployment import Deployment
from skywire.config.model import VisorConfig
from skywire.crypto.keys import PubKey
from skywire.dmsg.discovery import Directory
from skywire.errors import DialFailed, NotFound, Refused, SkywireError
from skywire.visor import ops_node
from skywire.visor.ops_state import DMSG, REACHABILITY, RPC

VISOR_LIMIT = 10.0  # seconds for all that the visor is asked
FLAPPING_TIME = 600.0  # seconds that are looked at …
FLAPPING = 3  # … and how often a transport may end in them
_DOWN = "transport down "


class Asked(NamedTuple):
    """`found` None: it does not answer, and `error` says why; `listens` tells that something is
    there."""

    found: Snapshot | None
    flapping: dict[str, int]  # key of the other visor → how often a transport to it ended
    error: str = ""
    listens: bool = True


async def ask(node: NodeAddress) -> Asked:
    limit = min(node.timeout or VISOR_LIMIT, VISOR_LIMIT)
    try:
        async with asyncio.timeout(limit), node.connect() as visor:
            found = await snapshot.take(visor)
            try:
                logs = await visor.call(ops_node.runtime_logs)
            except Refused:  # by a visor of 2024
                logs = ""
            return Asked(found, _flapping(logs, time.time()))
    except DialFailed as error:
        return Asked(None, {}, str(error), listens=False)
    except (SkywireError, TimeoutError) as error:
        return Asked(None, {}, net_probes.reason(error, limit))


def _flapping(logs: str, now: float) -> dict[str, int]:
    """From the visor's last log entries, in which it tells of transports that end."""
    ended: Counter[str] = Counter()
    try:
        entries = json.loads(logs)
    except (ValueError, RecursionError):
        return {}
    for entry in entries if isinstance(entries, list) else ():
        text = entry.get("msg", "") if isinstance(entry, dict) else ""
        if isinstance(text, str) and text.startswith(_DOWN) and _age(entry, now) < FLAPPING_TIME:
            words = dict(word.partition("=")[::2] for word in text.split() if "=" in word)
            ended[words.get("remote", "")[:66]] += 1
    return {pk: count for pk, count in ended.items() if count >= FLAPPING}


def _age(entry: dict[str, Any], now: float) -> float:
    try:
        return now - datetime.fromisoformat(str(entry.get("time"))).timestamp()
    except (ValueError, OverflowError):
        return float("inf")


# What the answers mean


def answers(asked: Asked, node: NodeAddress, config: VisorConfig | None, process: int) -> Check:
    """`process`: the one that has the config locked, 0 for none."""
    name, found = "visor", asked.found
    if found is not None:
        own = found.overview.local_pk
        if config is not None and node.via is None and own != config.pk:
            text = f"the one at {node} is {own}, the config is of {config.pk}"
            fix = "name the config with -c FILE, or the visor with --rpc"
            return Check(name, Verdict.YELLOW, text, fix)
        text = f"{own} answers at {node}, up {figures.age(found.summary.uptime)}"
        return Check(name, Verdict.GREEN, text)
    if process:
        text = f"process {process} runs and does not answer at {node}: {asked.error}"
        return Check(name, Verdict.RED, text, f"see its log; end it with: kill {process}")
    if config is not None and not config.cli_addr and node.via is None:
        text = f"it cannot be asked: the config has no cli_addr, and nobody is at {node}"
        return Check(name, Verdict.SKIPPED, text)
    if asked.listens:
        text = f"something is at {node} that does not answer as a visor does: {asked.error}"
        return Check(name, Verdict.RED, text, f"ss -ltnp sport = :{node.rpc.port}")
    return Check(name, Verdict.RED, f"does not run: {asked.error}", "skywire visor")


def checks(asked: Asked) -> list[Check]:
    """Of one that answers."""
    found = asked.found
    if found is None:
        return []
    wrong = health.problems(found)
    return [
        _sessions(found, wrong),
        _parts(found, wrong),
        _transports(found, asked.flapping, wrong),
        _hypervisors(found),
        *(each for each in wrong if each.name.startswith("app ") or each.name == "disk"),
    ]


def _sessions(found: Snapshot, wrong: list[Check]) -> Check:
    name = "dmsg sessions"
    for each in wrong:
        if each.name in (DMSG, REACHABILITY):
            return msgspec.structs.replace(each, name=name)
    (way,) = [way for way in health.ways(found) if way.name == "dmsg"]
    if way.reachable:
        return Check(name, Verdict.GREEN, way.detail)
    return Check(name, Verdict.RED, way.detail, "skywire netcheck")


def _parts(found: Snapshot, wrong: list[Check]) -> Check:
    """All but those that have a check of their own."""
    name, parts = "parts", found.parts
    if parts is None:
        return Check(name, Verdict.SKIPPED, "this visor does not tell of its parts")
    failing = [each for each in wrong if each.name in parts and each.name not in (DMSG, RPC)]
    failing = [each for each in failing if not each.name.startswith("hypervisor ")]
    failing = [each for each in failing if each.name != REACHABILITY]
    if not failing:
        return Check(name, Verdict.GREEN, f"{len(parts)} are as they should be")
    text = "; ".join(f"{each.name}: {each.evidence}" for each in failing)
    return Check(name, Verdict.YELLOW, text, "skywire cli visor log; skywire cli visor state")


def _transports(found: Snapshot, flapping: dict[str, int], wrong: list[Check]) -> Check:
    name, links = "transports", found.overview.transports
    missing = [each for each in wrong if each.name == "persistent transports"]
    if missing:
        text = "; ".join(each.evidence for each in missing)
        return Check(name, Verdict.YELLOW, text, missing[0].fix)
    if flapping:
        text = ", ".join(f"to {pk} {count} times" for pk, count in flapping.items())
        text = f"end again and again, within {figures.age(FLAPPING_TIME)}: {text}"
        return Check(name, Verdict.YELLOW, text, f"skywire ping {next(iter(flapping))}")
    return Check(name, Verdict.GREEN, f"{len(links)} up, none flaps")


def _hypervisors(found: Snapshot) -> Check:
    name, overview = "hypervisor link", found.overview
    wanted = [pk for pk in overview.hypervisors if pk != overview.local_pk]
    if not wanted:
        return Check(name, Verdict.SKIPPED, "the config names no other hypervisor")
    missing = [pk for pk in wanted if pk not in overview.connected_hypervisor]
    if not missing:
        return Check(name, Verdict.GREEN, f"{len(wanted)} connected")
    part = (found.parts or {}).get(f"hypervisor {missing[0]}")
    text = f"{len(missing)} of {len(wanted)} are not connected: {missing[0]}"
    if part is not None:
        text += f": {part.reason} (for {figures.age(part.age_s)})"
    return Check(name, Verdict.YELLOW, text, f"skywire dmsg ping {missing[0]}")


# Directories


async def entry(asked: Asked, targets: Targets, own: PubKey | None) -> Check:
    """What the dmsg discovery tells others about this visor."""
    name = "discovery entry"
    if asked.found is None or own is None:
        return Check(name, Verdict.SKIPPED, "only a visor that runs has one")
    url = targets.service(DISCOVERY).url
    if not url:
        return Check(name, Verdict.SKIPPED, "the config names no discovery over HTTP")
    async with net_probes.discovery_client(url) as discovery:
        return await _entry(name, discovery, own, set(asked.found.dmsg_servers))


async def _entry(name: str, discovery: Directory, own: PubKey, sessions: set[str]) -> Check:
    fix = "skywire cli visor reload"
    try:
        async with asyncio.timeout(net_probes.HTTP_LIMIT):
            found = await discovery.entry(own)
    except NotFound:
        return Check(name, Verdict.RED, "there is none: nobody can dial this visor", fix)
    except (SkywireError, TimeoutError) as error:
        text = net_probes.reason(error, net_probes.HTTP_LIMIT)
        return Check(name, Verdict.SKIPPED, f"the discovery does not tell: {text}")
    servers = {str(pk) for pk in (found.client and found.client.delegated_servers) or ()}
    if not servers:
        return Check(name, Verdict.RED, "it names no server: nobody can dial this visor", fix)
    if sessions and not servers & sessions:
        text = "it names other servers than those this visor is connected to"
        return Check(name, Verdict.RED, text, fix)
    return Check(name, Verdict.GREEN, f"it names {len(servers)} servers")


async def lists(
    session: aiohttp.ClientSession, targets: Targets, config: VisorConfig | None
) -> Check:
    """Whether the config's services are still those that the deployment tells new visors."""
    name, url = "lists", targets.service(CONF).url
    if config is None or not url:
        return Check(name, Verdict.SKIPPED, "no config service tells what they should be")
    try:
        told = msgspec.convert(await net_probes.get_json(session, url), Deployment)
    except (SkywireError, msgspec.ValidationError) as error:
        return Check(name, Verdict.SKIPPED, str(error)[: net_probes.MAX_TEXT])
    tracker = config.uptime_tracker
    pairs: dict[str, tuple[Any, Any]] = {
        "transport.discovery": (config.transport.discovery, told.transport_discovery),
        "transport.address_resolver": (config.transport.address_resolver, told.address_resolver),
        "routing.route_finder": (config.routing.route_finder, told.route_finder),
        "uptime_tracker.addr": (tracker.addr if tracker else "", told.uptime_tracker),
        "launcher.service_discovery": (config.launcher.service_discovery, told.service_discovery),
        "routing.route_setup_nodes": (
            {str(pk) for pk in config.routing.route_setup_nodes},
            set(told.route_setup_nodes),
        ),
        "stun_servers": (set(config.stun_servers), set(told.stun_servers)),
    }
    old = [
        key
        for key, (ours, theirs) in pairs.items()
        if theirs and ours and ours != theirs and not _on_dmsg(ours)
    ]
    if not old:
        return Check(name, Verdict.GREEN, f"as {url} tells them")
    text = f"{', '.join(old)}: {url} tells others"
    return Check(name, Verdict.YELLOW, text, "skywire cli config update --fetch")


def _on_dmsg(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("dmsg://")
