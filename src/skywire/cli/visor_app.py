"""The apps of a visor: `skywire cli visor app`. Source: cli.md §A2, B5."""

from typing import TYPE_CHECKING

import click

from skywire.cli import output
from skywire.cli.app_states import STATE, mode_options, rows_of
from skywire.cli.node import NodeAddress, node_options
from skywire.cli.values import KEY, KEYS, Parsed
from skywire.crypto.keys import NULL_KEY, PubKey
from skywire.errors import InvalidValue

if TYPE_CHECKING:
    from skywire.wire.gob_types import GoTime

REMOVE = "remove"  # in place of a value
BEGINNING = "beginning"


def _switch(text: str) -> bool:
    if text not in ("true", "false"):
        raise InvalidValue(f'"{text[:40]}": expected true or false')
    return text == "true"


SWITCH = Parsed("true|false", _switch)


@click.command("ls", epilog="Example: skywire cli visor app ls")
@node_options
@output.json_option(shape=[STATE])
def list_apps(node: NodeAddress, as_json: bool) -> None:
    """List the apps of the visor, and how they are."""
    from skywire.visor import ops_apps

    rows = rows_of(node.ask(ops_apps.apps))
    shown = [[*row.values()] for row in rows]
    for cells in shown:
        cells[2] = "true" if cells[2] else "false"  # the words of `arg autostart`
    text = output.Table(list(STATE), shown)
    output.emit(rows, as_json=as_json, text=text if rows else "no apps in the visor's config")


@click.command(epilog="Example: skywire cli visor app start skychat")
@click.argument("name")
@mode_options
@node_options
@output.json_option(shape=str)
def start(node: NodeAddress, name: str, mode: str, as_json: bool) -> None:
    """Start an app as the config has it."""
    from skywire.visor import ops_apps
    from skywire.visor.types_apps import StartApp

    node.ask(ops_apps.start_app, StartApp(name, mode))
    output.emit("OK", as_json=as_json)


@click.command(epilog="Example: skywire cli visor app register -a my-app")
@click.option("-a", "--name", required=True, help="What the app is called.")
@click.option("-p", "--path", default="./local", show_default=True, help="Its directory.")
@node_options
@output.json_option(shape=str)
def register(node: NodeAddress, name: str, path: str, as_json: bool) -> None:
    """Let an app connect that the visor has not started; prints its key.

    Start the app with the variable PROC_CONFIG; the library has AppClient for it.
    """
    from skywire.appkit.launcher import absolute, new_key
    from skywire.appkit.types import ProcConfig
    from skywire.visor import ops_apps

    place = absolute(path)
    config = ProcConfig(
        name,
        proc_key=new_key(),
        proc_work_dir=str(place / name),
        log_db_loc=str(place / f"{name}_log.db"),
    )
    key = node.ask(ops_apps.register_app, config)
    output.emit(key.hex(), as_json=as_json)


@click.command(epilog="Example: skywire cli visor app deregister -k KEY")
@click.option("-k", "--key", required=True, help="The key that `register` has printed.")
@node_options
@output.json_option(shape=str)
def deregister(node: NodeAddress, key: str, as_json: bool) -> None:
    """Forget an app that was registered; its connection, if it has one, goes on."""
    from skywire.visor import ops_apps
    from skywire.wire.app_hello import ProcKey

    node.ask(ops_apps.deregister_app, ProcKey.parse(key))
    output.emit("OK", as_json=as_json)


@click.command(epilog="Example: skywire cli visor app log skychat 2026-06-12T08:00:00Z")
@click.argument("name")
@click.argument("since", metavar=f"[TIME|{BEGINNING}]", default=BEGINNING)
@node_options
@output.json_option(shape=[str])
def log(node: NodeAddress, name: str, since: str, as_json: bool) -> None:
    """Print what an app has printed and logged since a TIME, oldest first.

    A visor of ours gives a megabyte at most: ask again with the time of the last line.
    """
    from skywire.visor import ops_apps
    from skywire.visor.types_apps import LogsRequest

    lines = node.ask(ops_apps.logs_since, LogsRequest(_moment(since), name))
    output.emit(lines, as_json=as_json, text="".join(lines).rstrip("\n") or "no logs")


def _moment(text: str) -> "GoTime":
    from skywire.visor.times import go_time
    from skywire.wire.gob_types import GoTime

    return GoTime(0) if text == BEGINNING else go_time(text)


@click.command(epilog="Example: skywire cli visor app args skysocks")
@click.argument("name")
@node_options
@output.json_option(shape=[str])
def args(node: NodeAddress, name: str, as_json: bool) -> None:
    """Print the arguments with which an app is started."""
    from skywire.visor import ops_apps

    found = node.ask(ops_apps.app, name).app_config.args
    output.emit(found, as_json=as_json, text=" ".join(found) or "none")


# Settings: in force when the app is started again


@click.command(epilog="Example: skywire cli visor app arg autostart skychat true")
@click.argument("name")
@click.argument("value", type=SWITCH)
@node_options
@output.json_option(shape=str)
def autostart(node: NodeAddress, name: str, value: bool, as_json: bool) -> None:
    """Start an app with the visor, or not."""
    from skywire.visor import ops_apps
    from skywire.visor.types_apps import SetAutoStart

    node.ask(ops_apps.set_auto_start, SetAutoStart(name, value))
    output.emit("OK", as_json=as_json)


@click.command(epilog="Example: skywire cli visor app arg killswitch vpn-client true")
@click.argument("name")
@click.argument("value", type=SWITCH)
@node_options
@output.json_option(shape=str)
def killswitch(node: NodeAddress, name: str, value: bool, as_json: bool) -> None:
    """Have a VPN client let nothing pass outside the tunnel, even when it is down."""
    from skywire.visor import ops_apps
    from skywire.visor.types_apps import SetSwitch

    node.ask(ops_apps.set_app_killswitch, SetSwitch(name, value))
    output.emit("OK", as_json=as_json)


@click.command(epilog="Example: skywire cli visor app arg secure vpn-server true")
@click.argument("name")
@click.argument("value", type=SWITCH)
@node_options
@output.json_option(shape=str)
def secure(node: NodeAddress, name: str, value: bool, as_json: bool) -> None:
    """Have a VPN server keep its clients off its own network."""
    from skywire.visor import ops_apps
    from skywire.visor.types_apps import SetSwitch

    node.ask(ops_apps.set_app_secure, SetSwitch(name, value))
    output.emit("OK", as_json=as_json)


@click.command(epilog="Example: skywire cli visor app arg passcode skysocks remove")
@click.argument("name")
@click.argument("code", metavar=f"CODE|{REMOVE}")
@node_options
@output.json_option(shape=str)
def passcode(node: NodeAddress, name: str, code: str, as_json: bool) -> None:
    """Set or remove the passcode of a server app, or the one a VPN client gives."""
    from skywire.visor import ops_apps
    from skywire.visor.types_apps import SetPassword

    node.ask(ops_apps.set_app_password, SetPassword(name, _value(code)))
    output.emit("OK", as_json=as_json)


@click.command(epilog="Example: skywire cli visor app arg whitelist skysocks PK,PK")
@click.argument("name")
@click.argument("keys", metavar=f"PK,PK|{REMOVE}")
@node_options
@output.json_option(shape=str)
def whitelist(node: NodeAddress, name: str, keys: str, as_json: bool) -> None:
    """Set whose keys a server app lets in; without any, it lets everybody in."""
    from skywire.visor import ops_apps
    from skywire.visor.types_apps import SetWhitelist

    allowed: list[PubKey] = KEYS.convert(_value(keys), None, None)
    node.ask(ops_apps.set_app_whitelist, SetWhitelist(name, ",".join(map(str, allowed))))
    output.emit("OK", as_json=as_json)


@click.command(epilog="Example: skywire cli visor app arg netifc vpn-server eth0")
@click.argument("name")
@click.argument("interface", metavar=f"INTERFACE|{REMOVE}")
@node_options
@output.json_option(shape=str)
def netifc(node: NodeAddress, name: str, interface: str, as_json: bool) -> None:
    """Set the interface by which a VPN server reaches the internet."""
    from skywire.visor import ops_apps
    from skywire.visor.types_apps import SetNetworkInterface

    node.ask(ops_apps.set_app_network_interface, SetNetworkInterface(name, _value(interface)))
    output.emit("OK", as_json=as_json)


@click.command(epilog="Example: skywire cli visor app arg pk vpn-client PK")
@click.argument("name")
@click.argument("server", metavar=f"PK|{REMOVE}")
@node_options
@output.json_option(shape=str)
def pk(node: NodeAddress, name: str, server: str, as_json: bool) -> None:
    """Set the server of a client app."""
    from skywire.visor import ops_apps
    from skywire.visor.types_apps import SetPk

    key: PubKey = KEY.convert(server, None, None) if _value(server) else NULL_KEY
    node.ask(ops_apps.set_app_pk, SetPk(name, key))
    output.emit("OK", as_json=as_json)


@click.command(epilog="Example: skywire cli visor app arg address skychat :8001")
@click.argument("name")
@click.argument("place", metavar=":PORT|*:PORT")
@node_options
@output.json_option(shape=str)
def address(node: NodeAddress, name: str, place: str, as_json: bool) -> None:
    """Set where skychat has its page: on this machine only, or on every address (*:PORT)."""
    from skywire.visor import ops_apps
    from skywire.visor.types_apps import SetText

    node.ask(ops_apps.set_app_address, SetText(name, place))
    output.emit("OK", as_json=as_json)


@click.command(epilog="Example: skywire cli visor app arg dns vpn-client 1.1.1.1")
@click.argument("name")
@click.argument("server", metavar=f"IP|{REMOVE}")
@node_options
@output.json_option(shape=str)
def dns(node: NodeAddress, name: str, server: str, as_json: bool) -> None:
    """Set the name server that a VPN client uses while it is connected."""
    from skywire.visor import ops_apps
    from skywire.visor.types_apps import SetText

    node.ask(ops_apps.set_app_dns, SetText(name, _value(server)))
    output.emit("OK", as_json=as_json)


def _value(text: str) -> str:
    return "" if text == REMOVE else text
