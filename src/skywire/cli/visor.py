"""`skywire visor`: run a node. Source: cli.md §A1."""

import logging
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import click
import msgspec

from skywire import log as logs
from skywire.cli.runtime import serve
from skywire.config.load import MAX_SIZE, ConfigFile
from skywire.config.model import HypervisorConfig
from skywire.config.places import CONFIG_NAME, PACKAGE_CONFIG, user_config
from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue
from skywire.platform.lock import locked

LOG_FILE = Path("log") / "skywire.log"  # below local_path

log = logging.getLogger(__name__)


def _show_all(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    for parameter in context.command.params:
        if isinstance(parameter, click.Option):
            parameter.hidden = False
    click.echo(context.get_help())
    context.exit()


def _complete(context: click.Context, _: click.Parameter, shell: str | None) -> None:
    if shell is None:
        return
    from skywire.cli.completion import SHELLS, completion

    if shell not in SHELLS:
        raise InvalidValue(f'--completion: "{shell}": expected one of {", ".join(SHELLS)}')
    context.invoke(completion, shell=shell)
    context.exit()


@click.command(epilog="Example: skywire visor -c skywire-config.json")
@click.option("-c", "--config", "path", metavar="FILE", help=f"Config file ({CONFIG_NAME}).")
@click.option("-C", "--confarg", "text", metavar="JSON", help="The config itself.")
@click.option("-n", "--stdin", "from_stdin", is_flag=True, help="Read the config from stdin.")
@click.option("-u", "--user", is_flag=True, help=f"Use the config ~/{CONFIG_NAME}.")
@click.option("-p", "--pkg", is_flag=True, help=f"Use the config {PACKAGE_CONFIG}.")
@click.option("-i", "--hvui", is_flag=True, help="Run a hypervisor in this visor.")
@click.option("-x", "--nohvui", is_flag=True, help="Run no hypervisor, whatever the config says.")
@click.option("-j", "--hv", "more", metavar="PK,PK", help="Keys of more hypervisors to connect to.")
@click.option("-k", "--xhv", is_flag=True, help="Connect to no hypervisor of the config.")
@click.option("-s", "--loglvl", metavar="LEVEL", help="How much to log; default: as configured.")
@click.option("-l", "--storelog", is_flag=True, help=f"Also log to <local_path>/{LOG_FILE}.")
@click.option("--dmsg-server", metavar="PK", help="Connect to this dmsg server and no other.")
@click.option("-b", "--browser", is_flag=True, help="Open the hypervisor's page in a browser.")
@click.option("--csrf/--no-csrf", default=True, help="Ask for CSRF tokens in the hypervisor's API.")
@click.option("--forcecolor", is_flag=True, hidden=True, help="Colour the log wherever it goes.")
@click.option("-t", "--logtag", default="", hidden=True, help="Stands before each logger's name.")
@click.option("--systray", is_flag=True, hidden=True, help="There is no icon; -b opens the page.")
@click.option("-q", "--pprofmode", hidden=True, help="Of the Go program; without effect.")
@click.option("-r", "--pprofaddr", hidden=True, help="Of the Go program; without effect.")
@click.option(
    "-z",
    "--completion",
    metavar="SHELL",
    hidden=True,
    expose_value=False,
    is_eager=True,
    callback=_complete,
    help="Print the completion script for bash, zsh or fish.",
)
@click.option(
    "--all",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_all,
    help="Show seldom used flags, too.",
)
def visor(
    path: str | None,
    text: str | None,
    from_stdin: bool,
    user: bool,
    pkg: bool,
    hvui: bool,
    nohvui: bool,
    more: str | None,
    xhv: bool,
    loglvl: str | None,
    storelog: bool,
    dmsg_server: str | None,
    browser: bool,
    csrf: bool,
    forcecolor: bool,
    logtag: str,
    systray: bool,
    pprofmode: str | None,
    pprofaddr: str | None,
) -> None:
    """Run a node.

    It joins dmsg, opens transports and routes, offers terminals, and answers its hypervisors, until
    Ctrl-C. A config without a key gets one, which is written into the file. Flags change this run
    only. Two visors on one config file are refused.

    \b
    Example:
      skywire cli config gen
      skywire visor

    SIGHUP reads the config again. SIGUSR1 makes it drop its dmsg connections, to try what losing
    them does; it connects again. Under systemd it tells when it is ready and that it lives.
    """
    given = sum((path is not None, text is not None, from_stdin, user, pkg))
    if given > 1:
        raise InvalidValue("give the config once: with -c, -C, -n, -u or -p")
    if user or pkg:
        path = str(user_config() if user else PACKAGE_CONFIG)
    flags = Flags(hvui, nohvui, xhv, tuple(_keys(more or "")))
    server = PubKey.parse(dmsg_server) if dmsg_server else None
    file = _config(path, text, from_stdin)
    store = Path(file.config.local_path) / LOG_FILE if storelog else None
    _set_up_logs(loglvl, file.config.log_level, store, logtag, color=forcecolor or None)
    if systray:
        log.warning("there is no icon in the system tray: use -b, or open the page yourself")
    with locked(file.path, "visor") if file.path is not None else nullcontext():
        if file.new_key and file.path is not None:
            file.update(file.config)
            log.info("new key written file=%s pk=%s", file.path, file.config.pk)
        from skywire.cli.visor_service import VisorService  # after what can be refused quickly

        service = VisorService(
            lambda: flags.applied(_config(path, text, from_stdin)),
            csrf=csrf,
            browser=browser,
            dmsg_server=server,
        )
        serve(service.run(flags.applied(file)))


class Flags(NamedTuple):
    """What changes the config for this run only."""

    hvui: bool
    nohvui: bool
    xhv: bool
    hypervisors: tuple[PubKey, ...]

    def applied(self, file: ConfigFile) -> ConfigFile:
        config = file.config
        keys = dict.fromkeys([*([] if self.xhv else config.hypervisors), *self.hypervisors])
        hypervisor = None if self.nohvui else config.hypervisor
        if self.hvui and hypervisor is None:
            hypervisor = HypervisorConfig()
        file.config = msgspec.structs.replace(config, hypervisors=list(keys), hypervisor=hypervisor)
        return file


def _keys(text: str) -> list[PubKey]:
    return [PubKey.parse(key.strip()) for key in text.split(",") if key.strip()]


def _config(path: str | None, text: str | None, from_stdin: bool) -> ConfigFile:
    if text is not None:
        return ConfigFile(text, "-C")
    if from_stdin:
        return ConfigFile(sys.stdin.buffer.read(MAX_SIZE + 1), "stdin")
    name = path or CONFIG_NAME
    if not name.endswith(".json") and not Path(name).exists():
        name += ".json"
    return ConfigFile.load(name)


def _set_up_logs(
    wanted: str | None, configured: str, store: Path | None, tag: str, *, color: bool | None
) -> None:
    """A level in the file that nobody knows is told and not obeyed, as in Go."""
    known = configured.lower() in logs.LEVELS
    level = wanted if wanted is not None else configured if known else "info"
    logs.setup(level, store=store, tag=tag, color=color)
    if wanted is None and configured and not known:
        log.warning("unknown log_level in the config value=%s", configured)
