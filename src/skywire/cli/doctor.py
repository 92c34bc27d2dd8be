"""`skywire doctor`: what is wrong, the likeliest cause first, and the command that fixes it."""

import asyncio
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Any

import click

from skywire.cli import doctor_visor, findings, net_probes, netcheck, output
from skywire.cli.config_found import CONFIG_HELP
from skywire.cli.doctor_local import Local
from skywire.cli.findings import Check, Verdict
from skywire.cli.net_probes import PeerResult
from skywire.cli.net_targets import Targets, of_config, of_deployment
from skywire.cli.node import NodeAddress, node_options
from skywire.cli.runtime import log_option, run
from skywire.config.deployment import base_deployment
from skywire.config.model import VisorConfig
from skywire.config.values import HostPort
from skywire.errors import InvalidValue
from skywire.ports import VISOR_RPC


async def examine(node: NodeAddress, named: Path | None) -> list[Check]:
    """All checks at once."""
    local = await asyncio.to_thread(Local, named)  # with --via, only to know whom to ask
    config = None if local.file is None else local.file.config
    if node.via is None and config and config.cli_addr.port and node.rpc == HostPort(VISOR_RPC):
        node = node._replace(rpc=config.cli_addr)  # nobody said otherwise
    targets, unclear = _targets(local)
    most = node.timeout or inf
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(doctor_visor.ask(node))
        looking = tasks.create_task(netcheck.look(targets, most=most, setup_nodes=True))
        comparing = tasks.create_task(_lists(targets, None if node.via else config))
        asked = await asking
        own = asked.found.overview.local_pk if asked.found is not None else None
        entry = tasks.create_task(doctor_visor.entry(asked, targets, own))
        here: list[Check] = []
        if node.via is None:
            runs = asked.found is not None
            here = await asyncio.to_thread(local.checks, visor_answers=runs)
    process = local.process if node.via is None else None
    network = netcheck.checks(looking.result(), targets)
    if unclear:
        network = [Check("network", Verdict.SKIPPED, unclear)]
    return _once(
        [
            *here,
            doctor_visor.answers(asked, node, config, process.pid if process else 0),
            *doctor_visor.checks(asked),
            entry.result(),
            *network,
            _setup_nodes(looking.result().setup_nodes),
            comparing.result(),
        ]
    )


def _targets(local: Local) -> tuple[Targets, str]:
    """Whom to ask; nobody when the config does not tell, and why."""
    nobody = Targets([], [], [], [])
    if local.error:
        return nobody, "the config cannot be read, so nobody knows whom to ask"
    try:
        if local.file is None:
            return of_deployment(base_deployment()), ""
        return of_config(local.file.config), ""
    except InvalidValue as error:
        return nobody, str(error)


async def _lists(targets: Targets, config: VisorConfig | None) -> Check:
    async with net_probes.http_session() as session:
        return await doctor_visor.lists(session, targets, config)


def _setup_nodes(results: Sequence[PeerResult]) -> Check:
    name = "setup nodes"
    if not results:
        return Check(name, Verdict.SKIPPED, "the config names none: no routes")
    failed = [one for one in results if one.error]
    if not failed:
        return Check(name, Verdict.GREEN, f"{len(results)} reached over dmsg")
    text = f"{len(failed)} of {len(results)} not reached: {failed[0].public_key}: {failed[0].error}"
    verdict = Verdict.RED if len(failed) == len(results) else Verdict.YELLOW
    return Check(name, verdict, text, f"skywire cli mdisc check {failed[0].public_key}")


def _once(checks: Sequence[Check]) -> list[Check]:
    """One of each name: the worst."""
    order = [Verdict.RED, Verdict.YELLOW, Verdict.GREEN, Verdict.SKIPPED]
    found: dict[str, Check] = {}
    for each in checks:
        known = found.get(each.name)
        if known is None or order.index(each.verdict) < order.index(known.verdict):
            found[each.name] = each
    return list(found.values())


@click.command(epilog="Example: skywire doctor --jq '.causes[0].fix'")
@click.option(
    "-c", "--config", "file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help=CONFIG_HELP,
)  # fmt: skip
@node_options
@log_option("error")
@output.json_option(shape=findings.REPORT)
def doctor(node: NodeAddress, file: Path | None, as_json: bool) -> int:
    """Find what is wrong with the visor, and how to fix it; the visor need not run.

    It looks at the config file, the machine, the network and the visor. Each check is GREEN,
    YELLOW (it works, and is probably not meant), RED (it does not), or SKIPPED where it cannot be
    made. Then come the causes, the likeliest first: what explains others stands before them, each
    with the command that fixes it or shows more.

    The exit code is 1 when a check is RED.
    """
    checks = run(examine(node, file))
    result: dict[str, Any] = findings.report(checks)
    causes = findings.causes_text(checks) or "Nothing is wrong."
    text = f"{output.render(findings.table(checks))}\n\n{causes}"
    output.emit(result, as_json=as_json, text=text)
    return output.EXIT_FAILURE if result["verdict"] == Verdict.RED.value else 0
