"""Which hypervisors control the visor, whether it is one; its password. hypervisor.md §8."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skywire.cli import output
from skywire.cli.config_file import Target, target_options
from skywire.cli.node import NodeAddress, node_options
from skywire.cli.values import KEY
from skywire.crypto.keys import PubKey
from skywire.errors import AuthenticationFailed, NotFound

if TYPE_CHECKING:
    from skywire.hypervisor.users import Users
    from skywire.visor.ops_hypervisors import HypervisorOut

RELOAD = 'It is so once the visor has read its config again: "skywire cli visor reload".'
SWITCHED = {"enabled": bool, "live": bool, "url": str, "users": str}


@click.command(epilog="Example: skywire cli visor hv add PK")
@click.argument("key", metavar="PK", type=KEY)
@node_options
@output.json_option(shape=str)
def add(node: NodeAddress, key: PubKey, as_json: bool) -> None:
    """Let another visor control this one, from now on and in the config file, too."""
    from skywire.visor import ops_info

    node.ask(ops_info.add_hypervisor, key)
    output.emit("OK", as_json=as_json)


@click.command(epilog="Example: skywire cli visor hv rm PK")
@click.argument("key", metavar="PK", type=KEY)
@node_options
@output.json_option(shape=str)
def rm(node: NodeAddress, key: PubKey, as_json: bool) -> None:
    """Let a hypervisor no longer control this visor, from now on and in the config file, too.

    It is cut off at once and opens no more terminals; those that it has open stay. "hv cpk" lists
    the hypervisors there are.
    """
    from skywire.visor import ops_hypervisors

    node.ask(ops_hypervisors.remove_hypervisor, key)
    output.emit("OK", as_json=as_json)


@click.command(epilog="Example: skywire cli visor hv enable --addr 127.0.0.1:8000")
@click.option(
    "--addr", metavar="HOST:PORT", default="",
    help="Where its pages are, if the config does not say yet. Default: 127.0.0.1:8000.",
)  # fmt: skip
@node_options
@output.json_option(shape=SWITCHED)
def enable(node: NodeAddress, addr: str, as_json: bool) -> None:
    """Have the visor be a hypervisor, with pages for a browser: at once, and in its config file.

    Without a hypervisor section in the config a new one is written, which asks for a password: the
    first one who opens the pages chooses it.
    """
    found = _switch(node, True, addr)
    state = f"The hypervisor runs: {found.url}" if found.live else f"In the config file. {RELOAD}"
    _show(found, True, state, as_json=as_json)


@click.command(epilog="Example: skywire cli visor hv disable")
@node_options
@output.json_option(shape=SWITCHED)
def disable(node: NodeAddress, as_json: bool) -> None:
    """Have the visor be no hypervisor any more: at once, and in its config file.

    Its pages and the terminals in them end. Its accounts and its settings are kept for "hv enable";
    the visors that it controlled go on, and look for it.
    """
    found = _switch(node, False, "")
    _show(found, False, "The hypervisor is off.", as_json=as_json)


def _switch(node: NodeAddress, wanted: bool, address: str) -> "HypervisorOut":
    from skywire.visor import ops_hypervisors
    from skywire.visor.ops_hypervisors import HypervisorIn

    return node.ask(ops_hypervisors.set_hypervisor, HypervisorIn(wanted, address))


def _show(found: "HypervisorOut", enabled: bool, text: str, *, as_json: bool) -> None:
    facts = {"enabled": enabled, "live": found.live, "url": found.url, "users": found.users}
    output.emit(facts, as_json=as_json, text=text)


@click.command(epilog="Examples: skywire cli visor hv passwd, skywire cli visor hv passwd --force")
@click.option("--old", metavar="TEXT", help="The password as it is; asked for if not given.")
@click.option("--new", metavar="TEXT", help="The password it shall be; asked for if not given.")
@click.option("--force", is_flag=True, help="Without the old one: it is lost, or there is none.")
@click.option(
    "--db", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="The file with the accounts, instead of the one that the config names.",
)  # fmt: skip
@target_options(writes=False)
@output.json_option(shape={"file": str, "user": str, "created": bool})
def passwd(
    target: Target, old: str | None, new: str | None, force: bool, db: Path | None, as_json: bool
) -> None:
    """Change the password of the hypervisor's pages, in the file that keeps it, on this machine.

    Whoever is logged in has to log in again; the hypervisor may run meanwhile. A word of the
    command line can be seen by others on this machine: without --old and --new you are asked.
    """
    from skywire.hypervisor.users import ADMIN, Users
    from skywire.stores.users import UserStore

    place = db or _place(target)
    users = Users(UserStore(place))
    exists = asyncio.run(users.has(ADMIN))
    if not exists and not force:
        missing = NotFound(f"{place}: there is no account yet")
        missing.add_note("Make the first one in the pages, or here with --force.")
        raise missing
    if old is None and not force:
        old = click.prompt("Old password", hide_input=True, err=True)
    if new is None:
        new = click.prompt("New password", hide_input=True, confirmation_prompt=True, err=True)
    asyncio.run(_change(users, ADMIN, None if force else old, new))
    found = {"file": place, "user": ADMIN, "created": not exists}
    done = "is changed" if exists else "is set"
    output.emit(found, as_json=as_json, text=f'The password of "{ADMIN}" {done} in {place}.')


def _place(target: Target) -> Path:
    """A relative one is so from where the visor was started, as for the visor itself."""
    section = target.load().document.get("hypervisor")
    if not isinstance(section, dict):
        missing = NotFound(f"{target.source}: the config has no hypervisor section")
        missing.add_note('Make one with "skywire cli visor hv enable", or name the file with --db.')
        raise missing
    from skywire.config.model import HypervisorConfig

    named = section.get("db_path") or HypervisorConfig().db_path
    return Path(str(named))


async def _change(users: "Users", name: str, old: str | None, new: str) -> None:
    if old is not None and not await users.check(name, old):
        raise AuthenticationFailed("incorrect username or password")
    await users.set_password(name, new)
