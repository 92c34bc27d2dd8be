"""Where the visor's rewards go: `skywire cli reward`. Source: cli.md §A2, rewards.md."""

from pathlib import Path

import click

from skywire.cli import output
from skywire.cli.node import NodeAddress, node_options
from skywire.errors import InvalidValue, NotFound

PACKAGE_FILE = Path("/opt/skywire/local/reward.txt")
MAX_FILE = 4096  # bytes


@click.command(epilog="Examples: skywire cli reward, skywire cli reward ADDRESS")
@click.argument("address", metavar="[ADDRESS]", required=False)
@click.option("-a", "--address", "option", metavar="ADDRESS", help="The address, as an option.")
@click.option(
    "-o",
    "--out",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"Work on this file and ask no visor; a visor of the package reads {PACKAGE_FILE}.",
)
@click.option("-r", "--read", is_flag=True, help=f"Print the file: that of -o, or {PACKAGE_FILE}.")
@click.option("-d", "--delete", is_flag=True, help="Forget the address: no rewards.")
@node_options
@output.json_option(shape={"address": str})
def reward(
    node: NodeAddress,
    address: str | None,
    option: str | None,
    file: Path | None,
    read: bool,
    delete: bool,
    as_json: bool,
) -> None:
    """Show or set the Skycoin address that the visor's rewards go to.

    With an address set, you consent to the collection of the visor's survey and transport logs,
    from which rewards are calculated.
    """
    wanted = [each for each in (address, option) if each is not None]
    if len(wanted) + delete + read > 1:
        raise InvalidValue("an address, --read and --delete: choose one")
    if wanted:
        from skywire.crypto.address import parse_address

        parse_address(wanted[0])  # before anybody is asked
    if file is not None or read:
        found = _in_file(file or PACKAGE_FILE, wanted[0] if wanted else None, delete=delete)
    else:
        found = _at_visor(node, wanted[0] if wanted else None, delete=delete)
    text = f"Reward address:\n  {found}" if found else "no reward address"
    output.emit({"address": found}, as_json=as_json, text=text)


def _at_visor(node: NodeAddress, wanted: str | None, *, delete: bool) -> str:
    from skywire.visor import ops_reward

    if wanted is not None:
        return node.ask(ops_reward.set_reward_address, wanted)
    if delete:
        node.ask(ops_reward.delete_reward_address)
        return ""
    return node.ask(ops_reward.reward_address).strip()


def _in_file(file: Path, wanted: str | None, *, delete: bool) -> str:
    """The address in the file afterwards."""
    if delete:
        file.unlink(missing_ok=True)
        return ""
    if wanted is not None:
        file.write_text(wanted + "\n")
        return wanted
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_FILE).decode("ascii", "replace").strip()
    except FileNotFoundError as error:
        raise NotFound(f"{file}: no such file, no reward address is set") from error
