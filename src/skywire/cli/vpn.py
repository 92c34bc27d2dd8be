"""The VPN through another visor: `skywire cli vpn`. Source: cli.md §A2, B4."""

from typing import TYPE_CHECKING

import click

from skywire.cli import output
from skywire.cli.app_states import STATE, mode_options, rows_of, run_app, status_word, wait_option
from skywire.cli.hv import page_of
from skywire.cli.node import NodeAddress, node_options
from skywire.cli.proxy import show_state, start_server
from skywire.cli.values import KEY, KEYS
from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue

if TYPE_CHECKING:
    from skywire.visor.client import RemoteVisor

CLIENT, SERVER = "vpn-client", "vpn-server"


@click.command(epilog="Example: skywire cli vpn start PK")
@click.argument("server", metavar="[PK]", type=KEY, required=False)
@click.option("-k", "--pk", "named", type=KEY, help="The same as PK.")
@wait_option
@mode_options
@node_options
@output.json_option(shape=STATE)
def start(
    node: NodeAddress,
    server: PubKey | None,
    named: PubKey | None,
    wait: float,
    mode: str,
    as_json: bool,
) -> None:
    """Send the traffic of this machine through another visor.

    Without a PK: to the server that the config has.
    """
    key = named or server
    if key is not None and mode:
        raise InvalidValue(f"--{mode} goes without a PK: `skywire cli visor app arg pk` sets it")

    async def work(visor: "RemoteVisor") -> None:
        from skywire.visor import ops_apps
        from skywire.visor.types_apps import StartApp

        if key is not None:
            await visor.call(ops_apps.start_vpn_client, key)
        else:
            await visor.call(ops_apps.start_app, StartApp(CLIENT, mode))

    state = run_app(node, CLIENT, work, wait)
    output.emit(rows_of([state])[0], as_json=as_json, text="running")


@click.command(epilog="Example: skywire cli vpn stop")
@node_options
@output.json_option(shape=str)
def stop(node: NodeAddress, as_json: bool) -> None:
    """Disconnect the VPN."""
    from skywire.visor import ops_apps

    node.ask(ops_apps.stop_vpn_client, CLIENT)
    output.emit("OK", as_json=as_json)


@click.command(epilog="Example: skywire cli vpn status")
@node_options
@output.json_option(shape={"status": str, "detailed_status": str, "server": str})
def status(node: NodeAddress, as_json: bool) -> None:
    """Show whether the VPN is connected, and to which visor."""
    from skywire.appkit.arguments import get_text
    from skywire.visor import ops_apps

    state = node.ask(ops_apps.app, CLIENT)
    word, server = status_word(state), get_text(state.app_config.args, "--srv")
    found = {"status": word, "detailed_status": state.detailed_status, "server": server}
    text = output.Facts([("Status", word), ("Says", state.detailed_status), ("Server", server)])
    output.emit(found, as_json=as_json, text=text)


@click.command(epilog="Example: skywire cli vpn url")
@node_options
@output.json_option(shape={"url": str})
def url(node: NodeAddress, as_json: bool) -> None:
    """Print the address of the VPN's page in the hypervisor of this visor."""
    place = _page(node)
    output.emit({"url": place}, as_json=as_json, text=place)


@click.command(epilog="Example: skywire cli vpn ui")
@node_options
@output.json_option(shape={"url": str})
def ui(node: NodeAddress, as_json: bool) -> None:
    """Open the VPN's page in a browser."""
    place = _page(node)
    if click.launch(place):
        output.say("no browser could be started; open this address in one:")
    output.emit({"url": place}, as_json=as_json, text=place)


def _page(node: NodeAddress) -> str:
    from skywire.visor import ops_info

    pk = node.ask(ops_info.overview).local_pk
    return f"{page_of(node).rstrip('/')}/#/vpn/{pk}/"


@click.command(epilog="Example: skywire cli vpn server start -w PK,PK")
@click.option("-w", "--whitelist", type=KEYS, help="Whose keys to let in. Default: as configured.")
@wait_option
@mode_options
@node_options
@output.json_option(shape=STATE)
def server_start(
    node: NodeAddress, whitelist: list[PubKey] | None, wait: float, mode: str, as_json: bool
) -> None:
    """Let other visors send their traffic through this one."""
    start_server(node, SERVER, whitelist, wait, mode, as_json=as_json)


@click.command(epilog="Example: skywire cli vpn server stop")
@node_options
@output.json_option(shape=str)
def server_stop(node: NodeAddress, as_json: bool) -> None:
    """Let nobody send their traffic through this visor any more."""
    from skywire.visor import ops_apps

    node.ask(ops_apps.stop_app, SERVER)
    output.emit("OK", as_json=as_json)


@click.command(epilog="Example: skywire cli vpn server status")
@node_options
@output.json_option(shape=STATE)
def server_status(node: NodeAddress, as_json: bool) -> None:
    """Show whether other visors may send their traffic through this one."""
    show_state(node, SERVER, as_json=as_json)
