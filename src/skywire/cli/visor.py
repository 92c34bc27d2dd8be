"""`skywire visor`: run a node. Source: cli.md §A1."""

import asyncio
import logging
import signal
import sys
from contextlib import suppress
from pathlib import Path

import click
import msgspec

from skywire import log as logs
from skywire.cli.runtime import serve
from skywire.config.load import MAX_SIZE, ConfigFile
from skywire.config.model import HypervisorConfig
from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue, NotSupported
from skywire.hypervisor.part import hypervisor_part
from skywire.platform import ready
from skywire.visor.modules import State
from skywire.visor.visor import Visor

DEFAULT_FILE = "skywire-config.json"

log = logging.getLogger(__name__)


@click.command()
@click.option("-c", "--config", "path", metavar="FILE", help=f"Config file ({DEFAULT_FILE}).")
@click.option("-C", "--confarg", "text", metavar="JSON", help="The config itself.")
@click.option("-n", "--stdin", "from_stdin", is_flag=True, help="Read the config from stdin.")
@click.option("-i", "--hvui", is_flag=True, help="Run a hypervisor in this visor.")
@click.option("-x", "--nohvui", is_flag=True, help="Run no hypervisor, whatever the config says.")
@click.option("-j", "--hv", "more", metavar="PK,PK", help="Keys of more hypervisors to connect to.")
@click.option("-k", "--xhv", is_flag=True, help="Connect to no hypervisor of the config.")
@click.option("-s", "--loglvl", metavar="LEVEL", help="How much to log; default: as configured.")
@click.option("--csrf/--no-csrf", default=True, help="Ask for CSRF tokens in the hypervisor's API.")
def visor(
    path: str | None,
    text: str | None,
    from_stdin: bool,
    hvui: bool,
    nohvui: bool,
    more: str | None,
    xhv: bool,
    loglvl: str | None,
    csrf: bool,
) -> None:
    """Run a node.

    It joins dmsg, offers terminals, and answers its hypervisors, until Ctrl-C. A config without a
    key gets one, which is written into the file. Flags change this run only.

    SIGUSR1 makes it drop its dmsg connections, to try what losing them does; it connects again.
    """
    file = _config(path, text, from_stdin)
    config = file.config
    _set_up_logs(loglvl, config.log_level)
    if file.new_key and file.path is not None:
        file.update(config)
        log.info("new key written file=%s pk=%s", file.path, config.pk)
    hypervisors = [] if xhv else list(config.hypervisors)
    hypervisors += [PubKey.parse(key.strip()) for key in (more or "").split(",") if key.strip()]
    hypervisor = None if nohvui else config.hypervisor
    if hvui and hypervisor is None:
        hypervisor = HypervisorConfig()
    file.config = msgspec.structs.replace(
        config, hypervisors=list(dict.fromkeys(hypervisors)), hypervisor=hypervisor
    )
    serve(_run(file, csrf))


async def _run(file: ConfigFile, csrf: bool) -> None:
    node = Visor(file)
    if node.config.hypervisor is not None:
        node.add_part("hypervisor", hypervisor_part(node, csrf=csrf))

    def tell() -> None:
        facts: dict[str, object] = {"pk": str(node.pk)}
        failed = {}
        for name, report in node.modules.reports().items():
            facts |= report.facts
            if report.state is State.FAILED:
                failed[name] = report.reason
        shown = " ".join(f"{name}={value}" for name, value in facts.items())
        log.info("visor ready %s failed=%s", shown, ",".join(failed) or "none")
        ready.report(**facts, failed=failed)

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, _drop_sessions, node)
    await node.run(tell)


def _drop_sessions(node: Visor) -> None:
    log.warning("dropping all dmsg sessions, by signal")
    with suppress(NotSupported):  # it starts or ends: there are none
        node.dmsg.drop_sessions()


def _config(path: str | None, text: str | None, from_stdin: bool) -> ConfigFile:
    if sum((path is not None, text is not None, from_stdin)) > 1:
        raise InvalidValue("give the config once: with -c, -C or -n")
    if text is not None:
        return ConfigFile(text, "-C")
    if from_stdin:
        return ConfigFile(sys.stdin.buffer.read(MAX_SIZE + 1), "stdin")
    name = path or DEFAULT_FILE
    if not name.endswith(".json") and not Path(name).exists():
        name += ".json"
    return ConfigFile.load(name)


def _set_up_logs(wanted: str | None, configured: str) -> None:
    """A level in the file that nobody knows is told and not obeyed, as in Go."""
    if wanted is not None:
        logs.setup(wanted)
    elif configured.lower() in logs.LEVELS:
        logs.setup(configured)
    else:
        logs.setup()
        if configured:
            log.warning("unknown log_level in the config value=%s", configured)
