"""`skywire netcheck`: can this machine take part, and how will others reach it? Needs no visor."""

import asyncio
import statistics
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from math import inf
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click
import msgspec

from skywire.cli import figures, findings, net_probes, output
from skywire.cli.config_found import CONFIG_HELP, found_config
from skywire.cli.findings import Check, Verdict
from skywire.cli.net_probes import NameResult, NatResult, ServerResult, ServiceResult
from skywire.cli.net_targets import DISCOVERY, Targets, of_config, of_deployment
from skywire.cli.progress import progress
from skywire.cli.runtime import log_option, run
from skywire.config.deployment import PRODUCTION, TEST, base_deployment, deployment
from skywire.crypto.keys import PubKey
from skywire.dmsg.direct import delegate_to_all
from skywire.dmsg.discovery import Directory
from skywire.platform.addresses import local_addresses, public_address
from skywire.wire.entry import Entry

SKEW_YELLOW, SKEW_RED = 2.0, 5.0  # seconds; a discovery refuses entries 5 s in the future

_Answer = TypeVar("_Answer")


class Found(msgspec.Struct):
    """All that was asked."""

    addresses: list[str]
    nat: NatResult
    names: list[NameResult]
    services: list[ServiceResult]
    servers: list[ServerResult]
    servers_error: str = ""  # why the discovery did not list them
    setup_nodes: list[net_probes.PeerResult] = []

    def over(self, way: str) -> list[ServiceResult]:
        return [one for one in self.services if one.over == way]

    @property
    def clock_skew(self) -> float | None:
        """Seconds this machine is ahead, by most services; None when nobody told the time."""
        told = [one.clock_skew_s for one in self.services if one.clock_skew_s is not None]
        return statistics.median(told) if told else None

    @property
    def public_ip(self) -> str:
        seen = [one.own_address for one in self.servers if one.own_address]
        return public_address(self.addresses) or self.nat.public_ip or next(iter(seen), "")

    @property
    def tcp(self) -> bool:
        """Whether connections get out."""
        waits = [one.latency_ms for one in self.over("http")]
        return any(wait is not None for wait in [*waits, *(one.latency_ms for one in self.servers)])

    @property
    def reachable_by(self) -> list[str]:
        """How others could reach a visor on this machine."""
        ways = []
        if public_address(self.addresses):
            ways.append("stcpr")
        if self.nat.udp and not self.nat.symmetric and self.nat.nat_type != "unknown":
            ways.append("sudph")
        if any(one.session_ms is not None for one in self.servers):
            ways += ["dmsg", "skynet"]
        return ways


class Asking:
    """Asks questions at the same time, none longer than `most` seconds; counts the answers."""

    def __init__(self, tasks: asyncio.TaskGroup, most: float) -> None:
        self._tasks = tasks
        self._most = most
        self._asked = self._answered = 0

    def limit(self, usual: float) -> float:
        return min(usual, self._most)

    def ask(self, question: Coroutine[Any, Any, _Answer]) -> "asyncio.Task[_Answer]":
        return self._tasks.create_task(self.count(question))

    async def count(self, question: Coroutine[Any, Any, _Answer]) -> _Answer:
        self._asked += 1
        try:
            return await question
        finally:
            self._answered += 1

    def __str__(self) -> str:
        return f"asking the network: {self._answered} of {self._asked} answered"


async def look(targets: Targets, *, most: float = inf, setup_nodes: bool = False) -> Found:
    """Ask everything at once; takes as long as the slowest, which has a deadline."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(net_probes.http_session())
        discovery: Directory | None = None
        if targets.service(DISCOVERY).url:
            client = net_probes.discovery_client(targets.service(DISCOVERY).url)
            discovery = await stack.enter_async_context(client)
        urls = [*(one.url for one in targets.services), *targets.stun_servers]
        async with asyncio.TaskGroup() as tasks:
            asking = Asking(tasks, most)
            dns, http = asking.limit(net_probes.DNS_LIMIT), asking.limit(net_probes.HTTP_LIMIT)
            stun = asking.limit(net_probes.STUN_LIMIT)
            names = [asking.ask(net_probes.resolve(one, dns)) for one in net_probes.hosts_of(urls)]
            nat = asking.ask(net_probes.ask_stun(targets.stun_servers, stun))
            over_http = [
                asking.ask(net_probes.ask_service(session, one, http))
                for one in targets.services
                if one.url
            ]
            async with progress(lambda: str(asking)):
                addresses = await asyncio.to_thread(local_addresses)
                on_dmsg = await _dmsg(targets, discovery, asking, setup_nodes=setup_nodes)
                await asyncio.wait([nat, *over_http, *names])
    return Found(
        addresses=addresses,
        nat=nat.result(),
        names=[one.result() for one in names],
        services=[*(one.result() for one in over_http), *on_dmsg.twins],
        servers=on_dmsg.servers,
        servers_error=on_dmsg.error,
        setup_nodes=on_dmsg.setup_nodes,
    )


class _OnDmsg(NamedTuple):
    servers: list[ServerResult]
    twins: list[ServiceResult]
    setup_nodes: list[net_probes.PeerResult]
    error: str  # why the discovery did not list servers


async def _dmsg(
    targets: Targets, discovery: Directory | None, asking: Asking, *, setup_nodes: bool
) -> _OnDmsg:
    http = asking.limit(net_probes.HTTP_LIMIT)
    listed, error = await asking.count(net_probes.listed_servers(discovery, http))
    known: dict[PubKey, Entry] = {one.static: one for one in [*targets.servers, *listed]}
    servers = list(known.values())[-net_probes.MAX_SERVERS :]
    if not servers:
        return _OnDmsg([], [], [], error)
    twins = {one.twin_key: one for one in targets.services if one.twin_key is not None}
    seeds = delegate_to_all([key for key in twins if key], servers)
    tcp, dmsg = asking.limit(net_probes.SERVER_LIMIT), asking.limit(net_probes.DMSG_LIMIT)
    async with net_probes.unseen_client(seeds, discovery) as client:
        tried = [asking.ask(net_probes.ask_server(client, one, tcp)) for one in servers]
        asked = [asking.ask(net_probes.ask_twin(client, one, dmsg)) for one in twins.values()]
        nodes = [
            asking.ask(net_probes.ask_setup_node(client, one, dmsg))
            for one in (targets.setup_nodes if setup_nodes else ())
        ]
        await asyncio.wait([*tried, *asked, *nodes])
    return _OnDmsg(
        [one.result() for one in tried],
        [one.result() for one in asked],
        [one.result() for one in nodes],
        error,
    )


# Judging


def checks(found: Found, targets: Targets) -> list[Check]:
    return [
        _dns(found),
        clock(found.clock_skew),
        _services(found.over("http"), "services over http", "http"),
        _servers(found),
        _services(found.over("dmsg"), "services over dmsg", "dmsg"),
        _nat(found, targets),
    ]


def _dns(found: Found) -> Check:
    failed = [one for one in found.names if one.error]
    if not found.names:
        return Check("dns", Verdict.GREEN, "all services are named by address")
    if not failed:
        slowest = max(one.latency_ms for one in found.names)
        text = f"{len(found.names)} names found, within {figures.milliseconds(slowest)}"
        return Check("dns", Verdict.GREEN, text)
    text = f"{len(failed)} of {len(found.names)} names not found: " + "; ".join(
        f"{one.host}: {one.error}" for one in failed[:3]
    )
    verdict = Verdict.RED if len(failed) == len(found.names) else Verdict.YELLOW
    fix = f"look at /etc/resolv.conf; try: getent hosts {failed[0].host}"
    return Check("dns", verdict, text, fix)


def clock(skew: float | None) -> Check:
    if skew is None:
        return Check("clock", Verdict.SKIPPED, "no service told the time")
    way = "ahead of" if skew > 0 else "behind"
    text = f"{figures.age(abs(skew))} {way} the services" if abs(skew) >= 1 else "right"
    if abs(skew) < SKEW_YELLOW:
        return Check("clock", Verdict.GREEN, text)
    verdict = Verdict.RED if abs(skew) >= SKEW_RED else Verdict.YELLOW
    return Check("clock", verdict, text, "sudo timedatectl set-ntp true")


def _services(results: Sequence[ServiceResult], name: str, way: str) -> Check:
    if not results:
        return Check(name, Verdict.SKIPPED, f"none is reached over {way}")
    failed = [one for one in results if not one.is_well]
    if not failed:
        slowest = max(one.latency_ms or 0.0 for one in results)
        text = f"{len(results)} answer, within {figures.milliseconds(slowest)}"
        return Check(name, Verdict.GREEN, text)
    text = f"{len(failed)} of {len(results)} do not answer: " + "; ".join(
        f"{one.name}: {one.error}" for one in failed[:3]
    )
    verdict = Verdict.RED if len(failed) == len(results) else Verdict.YELLOW
    fix = "skywire netcheck"
    if way == "http" and failed[0].url:
        fix = f"curl -v {failed[0].url}/health"
    elif failed[0].url:
        fix = f"skywire dmsg curl {failed[0].url}/health"
    return Check(name, verdict, text, fix)


def _servers(found: Found) -> Check:
    name = "dmsg servers"
    if not found.servers:
        text = f"none is known: the discovery lists none ({found.servers_error or 'it is empty'})"
        return Check(name, Verdict.RED, text, "skywire cli mdisc servers")
    good = [one.session_ms for one in found.servers if one.session_ms is not None]
    total = len(found.servers)
    if not good:
        first = found.servers[0]
        text = f"none of {total} takes us: {first.address}: {first.error}"
        return Check(name, Verdict.RED, text, "let TCP out to these addresses (firewall, proxy)")
    text = f"{len(good)} of {total} take us, the nearest within {figures.milliseconds(min(good))}"
    if len(good) == total:
        return Check(name, Verdict.GREEN, text)
    first = next(one for one in found.servers if one.session_ms is None)
    text += f"; {first.address}: {first.error}"
    return Check(name, Verdict.GREEN if 2 * len(good) >= total else Verdict.YELLOW, text)


def _nat(found: Found, targets: Targets) -> Check:
    nat = found.nat
    if not targets.stun_servers:
        return Check("nat", Verdict.SKIPPED, nat.error)
    if nat.udp is False:
        fix = "let UDP out (firewall); until then others reach you over dmsg only"
        return Check("nat", Verdict.YELLOW, f"UDP gets no answer: {nat.error}", fix)
    text = f"{nat.nat_type}, public address {nat.public_ip or 'unknown'}"
    if nat.symmetric:
        return Check(
            "nat",
            Verdict.YELLOW,
            f"{text}: no hole can be punched, so no sudph",
            "forward a TCP port to this machine, or be reached over dmsg",
        )
    return Check("nat", Verdict.GREEN, text)


# The command

SHAPE = {
    **findings.REPORT,
    "reachable_by": [str],
    "own_addresses": [str],
    "public_ip": str,
    "nat_type": str,
    "udp": bool,
    "tcp": bool,
    "clock_skew_s": float,
    "dns": [NameResult],
    "services": [ServiceResult],
    "dmsg_servers": [ServerResult],
}


def to_json(found: Found, targets: Targets) -> dict[str, Any]:
    return {
        **findings.report(checks(found, targets)),
        "reachable_by": found.reachable_by,
        "own_addresses": found.addresses,
        "public_ip": found.public_ip,
        "nat_type": found.nat.nat_type,
        "udp": found.nat.udp,
        "tcp": found.tcp,
        "clock_skew_s": found.clock_skew,
        "dns": found.names,
        "services": found.services,
        "dmsg_servers": found.servers,
    }


def _text(found: Found, targets: Targets) -> str:
    judged = checks(found, targets)
    ways = ", ".join(found.reachable_by) or "nothing"
    facts = output.Facts(
        [
            ("own addresses", " ".join(found.addresses)),
            ("public address", found.public_ip),
            ("NAT", found.nat.nat_type),
            ("TCP gets out", _word(found.tcp)),
            ("UDP gets out", _word(found.nat.udp)),
            ("reachable by", ways),
        ]
    )
    services = output.Table(
        ["service", "over", "status", "latency", "version", "what is wrong"],
        [
            (
                one.name,
                one.over,
                one.status,
                _latency(one.latency_ms),
                one.version,
                one.error,
            )
            for one in found.services
        ],
    )
    servers = output.Table(
        ["dmsg server", "address", "tcp", "session", "what is wrong"],
        [
            (one.public_key, one.address, _latency(one.latency_ms), _latency(one.session_ms),
             one.error)
            for one in found.servers
        ],
    )  # fmt: skip
    parts = [output.render_facts(facts), output.render(findings.table(judged))]
    parts += [output.render(each) for each in (services, servers) if each.rows]
    causes = findings.causes_text(judged)
    return "\n\n".join([*parts, causes] if causes else parts)


def _word(value: bool | None) -> str:
    return "unknown" if value is None else "yes" if value else "no"


def _latency(value: float | None) -> str:
    return "" if value is None else figures.milliseconds(value)


def targets_of(file: Path | None, name: str) -> Targets:
    """Of the config, unless a deployment is named or there is no config. Raises InvalidValue."""
    if not name:
        config = found_config(file)
        if config is not None:
            return of_config(config.config)
    return of_deployment(deployment(name) if name else base_deployment())


@click.command(epilog="Example: skywire netcheck --json")
@click.option(
    "-c", "--config", "file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help=CONFIG_HELP,
)  # fmt: skip
@click.option(
    "--deployment", "name", type=click.Choice([PRODUCTION, TEST]), default=None,
    help="Ask this public deployment, not what the config names.",
)  # fmt: skip
@click.option(
    "--timeout",
    "most",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="Wait for no answer longer. Default: 5 to 20 s, by what is asked.",
)
@log_option("error")
@output.json_option(shape=SHAPE)
def netcheck(file: Path | None, name: str | None, most: float | None, as_json: bool) -> int:
    """Check the network: own address, NAT, DNS, clock, each service and dmsg server.

    It asks what the config names, or production where there is no config; a visor need not run.
    Everything is asked at once, with a key of its own that no directory ever sees. Times are in ms,
    the clock's skew in s (above 0: this machine is ahead). REACHABLE BY is what would work for a
    visor here: stcpr needs a public address, sudph a NAT that lets holes be punched, dmsg a server.

    The exit code is 1 when a check is RED.
    """
    targets = targets_of(file, name or "")
    found = run(look(targets, most=most or inf))
    result = to_json(found, targets)
    output.emit(result, as_json=as_json, text=_text(found, targets))
    return output.EXIT_FAILURE if result["verdict"] == Verdict.RED.value else 0
