"""`skywire cli survey`: what the survey of this machine says. Source: cli.md §A2, visor.md §7."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skywire import log
from skywire.cli import output
from skywire.cli.progress import progress
from skywire.cli.runtime import run
from skywire.config.places import CONFIG_NAME, PACKAGE_CONFIG, user_config
from skywire.errors import InvalidValue

if TYPE_CHECKING:
    from skywire.config.load import ConfigFile

TIME_LIMIT = 60.0  # seconds


@click.command(epilog="Example: skywire cli survey -c skywire-config.json --jq .ip_address")
@click.option("-c", "--config", "path", metavar="FILE", help=f"Config file ({CONFIG_NAME}).")
@click.option("-p", "--pkg", is_flag=True, help=f"That of the package, {PACKAGE_CONFIG}.")
@click.option("-u", "--user", is_flag=True, help="That of this user, in the home directory.")
@click.option("-D", "--dmsg-disc", default="", metavar="URL", help="Another dmsg discovery.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=TIME_LIMIT,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for a dmsg server, which tells our address; 0 is for ever.",
)
@output.json_option(shape=object)
def survey(
    path: str | None, pkg: bool, user: bool, dmsg_disc: str, timeout: float, as_json: bool
) -> None:
    """Make the survey of this machine, and print what it would tell.

    Nothing is stored or sent. Without a config file it is made for a new key.
    """
    if sum((path is not None, pkg, user)) > 1:
        raise InvalidValue("name one config file: with -c, -p or -u")
    log.setup("error")
    named = str(PACKAGE_CONFIG) if pkg else str(user_config()) if user else path
    found = run(_make(_config(named), dmsg_disc, timeout))
    from skywire.visor.survey import as_text

    output.emit(found, as_json=as_json, text=as_text(found))


def _config(path: str | None) -> "ConfigFile":
    from skywire.config.load import ConfigFile

    if path is None and not Path(CONFIG_NAME).exists():
        return ConfigFile("{}", "no config file")
    return ConfigFile.load(path or CONFIG_NAME)


async def _make(file: "ConfigFile", discovery: str, limit: float) -> dict[str, Any]:
    from skywire.cli.dmsg_options import client_of
    from skywire.visor.reward import RewardAddress
    from skywire.visor.survey import Survey

    config = file.config
    reward = RewardAddress(config.local_path)
    where = discovery or config.dmsg.discovery
    try:
        async with (
            asyncio.timeout(limit or None),
            progress(lambda: "asking a dmsg server for our address …"),
            client_of(config.sk, where, 1) as (client, _),
        ):
            await client.connected()
            return await Survey(lambda: config, client, reward).make(reward.get())
    except TimeoutError as error:
        late = TimeoutError(f"no dmsg server told our address within {limit:g} s")
        late.add_note('Name another discovery with -D, or see "skywire dmsg ip -l debug".')
        raise late from error
