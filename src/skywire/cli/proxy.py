"""The proxy through another visor: `skywire cli proxy`. Source: cli.md §A2, B4."""

from typing import TYPE_CHECKING, Any

import click

from skywire.cli import output
from skywire.cli.app_states import (
    STATE,
    mode_options,
    rows_of,
    run_app,
    status_word,
    wait_option,
)
from skywire.cli.node import NodeAddress, node_options
from skywire.cli.values import KEY, KEYS
from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue

if TYPE_CHECKING:
    from skywire.visor.client import RemoteVisor
    from skywire.visor.types import AppState

CLIENT, SERVER = "skysocks-client", "skysocks"
ADDRESS = ":1080"
CLIENT_STATE = {
    "name": str,
    "status": str,
    "detailed_status": str,
    "server": str,
    "address": str,
    "app_port": int,
    "autostart": bool,
    "args": [str],
}


@click.command(epilog="Example: skywire cli proxy start PK --addr :1080")
@click.argument("server", metavar="[PK]", type=KEY, required=False)
@click.option("-k", "--pk", "named", type=KEY, help="The same as PK.")
@click.option("-a", "--addr", help=f"Where to take SOCKS5 connections. Default: {ADDRESS}.")
@click.option("--http", metavar="ADDR", default="", help="Be an HTTP proxy there, too.")
@click.option("-n", "--name", default=CLIENT, show_default=True, help="Name of this client.")
@wait_option
@mode_options
@node_options
@output.json_option(shape=CLIENT_STATE)
def start(
    node: NodeAddress,
    server: PubKey | None,
    named: PubKey | None,
    addr: str | None,
    http: str,
    name: str,
    wait: float,
    mode: str,
    as_json: bool,
) -> None:
    """Reach the internet through another visor, by a SOCKS5 proxy on this machine.

    Without a PK: with the server and the addresses that the config has.
    """
    key = named or server
    if key is None and (addr or http):
        raise InvalidValue("--addr and --http go with the key of a server: name its PK")
    arguments: dict[str, Any] = {}
    if key is not None:
        arguments = {"app": CLIENT, "--srv": str(key), "--addr": addr or ADDRESS}
        arguments |= {"--http": http} if http else {}

    async def work(visor: "RemoteVisor") -> None:
        from skywire.visor import ops_apps
        from skywire.visor.types_apps import RUNNING, STARTING, AddApp, SetAll, StartApp

        states = {each.app_config.name: each for each in await visor.call(ops_apps.apps)}
        found = states.get(name)
        if found is None:
            await visor.call(ops_apps.add_app, AddApp(name, "skywire"))
        elif found.status in (RUNNING, STARTING):
            await visor.call(ops_apps.stop_app, name)
        if arguments:
            await visor.call(ops_apps.set_all_arguments, SetAll(name, arguments))
        elif found is None or "--srv" not in found.app_config.args:
            raise InvalidValue(f"{name} has no server in the config: name its PK")
        await visor.call(ops_apps.start_app, StartApp(name, mode))

    state = run_app(node, name, work, wait)
    output.emit(about(state), as_json=as_json, text="running")


@click.command(epilog="Example: skywire cli proxy stop --all")
@click.option("--all", "everything", is_flag=True, help="All proxy clients.")
@click.option("-n", "--name", default="", help="Name of one client.")
@node_options
@output.json_option(shape=str)
def stop(node: NodeAddress, everything: bool, name: str, as_json: bool) -> None:
    """Stop one proxy client, or all."""
    from skywire.visor import ops_apps

    if everything == bool(name):
        raise InvalidValue(f"choose: --all, or --name of one, such as {CLIENT}")
    if everything:
        node.ask(ops_apps.stop_skysocks_clients)
    else:
        node.ask(ops_apps.stop_app, name)
    output.emit("OK", as_json=as_json)


@click.command(epilog="Example: skywire cli proxy status")
@node_options
@output.json_option(shape=[CLIENT_STATE])
def status(node: NodeAddress, as_json: bool) -> None:
    """Show the proxy clients: their servers, where they listen, how they are."""
    from skywire.visor import ops_apps

    found = [about(state) for state in node.ask(ops_apps.apps) if is_client(state)]
    columns = [name for name in CLIENT_STATE if name != "args"]
    table = output.Table(columns, [[row[name] for name in columns] for row in found])
    output.emit(found, as_json=as_json, text=table if found else "no proxy client in the config")


def is_client(state: "AppState") -> bool:
    return CLIENT in (state.app_config.name, *state.app_config.args)


def about(state: "AppState") -> dict[str, Any]:
    from skywire.appkit.arguments import get_text

    config = state.app_config
    return {
        "name": config.name,
        "status": status_word(state),
        "detailed_status": state.detailed_status,
        "server": get_text(config.args, "--srv"),
        "address": get_text(config.args, "--addr"),
        "app_port": config.port,
        "autostart": config.auto_start,
        "args": config.args,
    }


@click.command(epilog="Example: skywire cli proxy server start -w PK,PK")
@click.option("-w", "--whitelist", type=KEYS, help="Whose keys to let in. Default: as configured.")
@wait_option
@mode_options
@node_options
@output.json_option(shape=STATE)
def server_start(
    node: NodeAddress, whitelist: list[PubKey] | None, wait: float, mode: str, as_json: bool
) -> None:
    """Let other visors reach the internet through this one."""
    start_server(node, SERVER, whitelist, wait, mode, as_json=as_json)


@click.command(epilog="Example: skywire cli proxy server stop")
@node_options
@output.json_option(shape=str)
def server_stop(node: NodeAddress, as_json: bool) -> None:
    """Let nobody use this visor as a proxy any more."""
    from skywire.visor import ops_apps

    node.ask(ops_apps.stop_app, SERVER)
    output.emit("OK", as_json=as_json)


@click.command(epilog="Example: skywire cli proxy server status")
@node_options
@output.json_option(shape=STATE)
def server_status(node: NodeAddress, as_json: bool) -> None:
    """Show whether other visors may use this one as a proxy."""
    show_state(node, SERVER, as_json=as_json)


def start_server(
    node: NodeAddress,
    name: str,
    whitelist: list[PubKey] | None,
    wait: float,
    mode: str,
    *,
    as_json: bool,
) -> None:
    """Start one of the server apps, for the keys of `whitelist` if there is one."""

    async def work(visor: "RemoteVisor") -> None:
        from skywire.visor import ops_apps
        from skywire.visor.types_apps import SetWhitelist, StartApp

        if whitelist is not None:
            keys = ",".join(map(str, whitelist))
            await visor.call(ops_apps.set_app_whitelist, SetWhitelist(name, keys))
        await visor.call(ops_apps.start_app, StartApp(name, mode))

    state = run_app(node, name, work, wait)
    output.emit(rows_of([state])[0], as_json=as_json, text="running")


def show_state(node: NodeAddress, name: str, *, as_json: bool) -> None:
    from skywire.visor import ops_apps

    row = rows_of([node.ask(ops_apps.app, name)])[0]
    text = row["status"] + (f" ({row['detailed_status']})" if row["detailed_status"] else "")
    output.emit(row, as_json=as_json, text=text)
