"""`skywire autoconfig`: what a package's installer runs. Source: cli.md B0, config.md §3."""

import os
from pathlib import Path

import click

from skywire.cli import output
from skywire.cli.config_file import default_file
from skywire.cli.config_gen import gen
from skywire.config import environment
from skywire.errors import InvalidValue

REWARD = "REWARDSKYADDR"  # a variable of the SKYENV file
RESULT = {"file": str, "pk": str, "reward_address": str}


@click.command(epilog="Example: SKYENV=/etc/skywire.conf skywire autoconfig")
@click.option("-u", "--user", is_flag=True, help="In the home directory, not the package's.")
@click.option(
    "-o",
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Another config file.",
)
@output.json_option(shape=RESULT)
def autoconfig(user: bool, out: Path | None, as_json: bool) -> None:
    """Make the config of the installed visor anew, with the choices of the SKYENV file.

    Key, hypervisors and the keys that may open terminals stay; there is a backup of what was there.
    REWARDSKYADDR of that file is where rewards go. A visor that runs takes it up with
    "skywire cli visor reload".
    """
    from skywire.config.load import ConfigFile
    from skywire.visor.reward import RewardAddress, checked

    variable = os.environ.get(environment.VARIABLE)
    found = environment.read(Path(variable)).get(REWARD, "") if variable else ""
    if not isinstance(found, str):
        raise InvalidValue(f"{variable}: {REWARD} is a list, expected one address")
    address = checked(found) if found else ""
    path = out or default_file(pkg=not user, user=user)
    words = ["-u" if user else "-p", "-r", "-o", str(path), "-w"]
    if path.exists():
        words.append("-x")
    gen.main(words, standalone_mode=False)
    config = ConfigFile.load(path).config
    if address:
        reward = RewardAddress(config.local_path)
        reward.path.parent.mkdir(parents=True, exist_ok=True)
        reward.set(address)
    if as_json:
        result = {"file": str(path), "pk": config.pk, "reward_address": address}
        output.emit(result, as_json=True)
