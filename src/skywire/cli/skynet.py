"""Ports of other visors, and ours for them: `skywire cli skynet`, `serve`, `fwd`, `rev`.

Source: cli.md §A2 (`fwd`, `rev`), §B3. A visor of 2024 is asked in its own words where ours are
unknown to it.
"""

import time
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from skywire.cli import output
from skywire.cli.node import NodeAddress, node_options
from skywire.cli.values import IDENTIFIER, KEY, KEYS
from skywire.crypto.keys import PubKey
from skywire.errors import NotFound, NotSupported

if TYPE_CHECKING:
    from skywire.appkit.forward_server import ForwardedPort
    from skywire.visor.ops_ports import ForwardState

PORT = click.IntRange(1, 65535)
FORWARD = {
    "name": str,
    "remote_pk": str,
    "remote_port": int,
    "local_port": int,
    "way": str,
    "connections": int,
    "served": int,
    "age_s": float,
    "error": str,
    "id": str,
}
SERVED = {
    "port": int,
    "name": str,
    "target": str,
    "networks": [str],
    "whitelist": [str],
    "inject_pk": bool,
    "preserve_host": bool,
    "label": str,
    "description": str,
}


def _ports(_: click.Context, __: click.Parameter, text: str) -> list[int]:
    words = text.replace(",", " ").split()
    try:
        return list(dict.fromkeys(PORT(word) for word in words))
    except click.BadParameter as error:
        raise click.BadParameter(f'"{text[:100]}": expected ports such as 80,8080') from error


# What others have, here


@click.command(epilog="Example: skywire cli skynet start PK -r 8080 -l 9000")
@click.argument("remote", metavar="PK", type=KEY, required=False)
@click.option("-k", "--pk", type=KEY, help="The visor, instead of the argument.")
@click.option("-r", "--remote-port", "--remote", type=PORT, required=True, help="Its port.")
@click.option(
    "-l",
    "--local-port",
    "--local",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port of this machine, on loopback. Default: any free one.",
)
@click.option("-n", "--name", default="", help="Default: skynet-client-<local port>.")
@node_options
@output.json_option(shape=FORWARD)
def start(
    node: NodeAddress,
    remote: PubKey | None,
    pk: PubKey | None,
    remote_port: int,
    local_port: int,
    name: str,
    as_json: bool,
) -> None:
    """Have a port of another visor on this machine, until it is stopped or the visor ends."""
    from skywire.visor import ops_ports
    from skywire.visor.ops_ports import ConnectIn, ForwardState, StartForwardIn

    target = remote or pk
    if target is None:
        raise click.UsageError("name the visor: skywire cli skynet start PK -r PORT")
    request = StartForwardIn(target, remote_port, local_port, name)
    try:
        made = node.ask(ops_ports.start_forward, request)
    except NotSupported:
        if name or not local_port:
            raise
        id_ = node.ask(ops_ports.connect, ConnectIn(target, remote_port, local_port))
        made = ForwardState(id_, "", target, remote_port, local_port)
    text = f"127.0.0.1:{made.local_port} leads to port {remote_port} of {target}"
    output.emit(_forward(made), as_json=as_json, text=f"{text} ({made.way})" if made.way else text)


@click.command(epilog="Example: skywire cli skynet status")
@node_options
@output.json_option(shape=[FORWARD])
def status(node: NodeAddress, as_json: bool) -> None:
    """List the ports of other visors that are on this machine, and how they are."""
    from skywire.visor import ops_ports
    from skywire.visor.ops_ports import ForwardState

    try:
        found = node.ask(ops_ports.forwards)
    except NotSupported:
        old = node.ask(ops_ports.list_forwards).values()
        found = [
            ForwardState(id=one.id, remote_port=one.remote_port, local_port=one.local_port)
            for one in old
        ]
    rows = [_forward(one) for one in sorted(found, key=lambda one: one.local_port)]
    shown = ("name", "local_port", "remote_pk", "remote_port", "connections", "served", "error")
    columns = [name.replace("_", "-") for name in shown]
    table = output.Table(columns, [[row[name] for name in shown] for row in rows])
    output.emit(rows, as_json=as_json, text=table if rows else "no forwards")


@click.command(epilog="Example: skywire cli skynet stop --name skynet-client-9000")
@click.option("-n", "--name", help="The forward to stop.")
@click.option("-a", "--all", "every", is_flag=True, help="Stop all.")
@node_options
@output.json_option(shape=[str])
def stop(node: NodeAddress, name: str | None, every: bool, as_json: bool) -> None:
    """Have ports of other visors on this machine no longer; their connections are cut."""
    from skywire.visor import ops_ports

    if every is (name is not None):
        raise click.UsageError("name one with --name, or give --all")
    names = [one.name for one in node.ask(ops_ports.forwards)] if every else [str(name)]
    for each in names:
        node.ask(ops_ports.stop_forward, each)
    output.emit(names, as_json=as_json, text="\n".join(f"{each} stopped" for each in names))


def _forward(one: "ForwardState") -> dict[str, Any]:
    known = one.since > 0
    return {
        "name": one.name,
        "remote_pk": str(one.remote_pk) if any(one.remote_pk) else None,
        "remote_port": one.remote_port,
        "local_port": one.local_port,
        "way": one.way or None,
        "connections": one.connections if known else None,
        "served": one.served if known else None,
        "age_s": round(max(0.0, time.time() - one.since), 1) if known else None,
        "error": one.error or None,
        "id": str(one.id),
    }


# What we have, for others


@click.command("start", epilog="Example: skywire cli skynet srv start -p 80,8080 -w PK")
@click.option("-p", "--ports", callback=_ports, required=True, metavar="PORT,…", help="The ports.")
@click.option("-n", "--name", default="", help="Default: skynet-<first port>.")
@click.option("-w", "--whitelist", type=KEYS, default="", help="Only for these visors.")
@node_options
@output.json_option(shape=[SERVED])
def server_start(
    node: NodeAddress, ports: list[int], name: str, whitelist: list[PubKey], as_json: bool
) -> None:
    """Let other visors reach ports of this machine; they stay when the visor restarts."""
    from skywire.appkit.forward_server import ForwardedPort

    if not ports:
        raise click.UsageError("--ports names no port")
    entries = [
        ForwardedPort(port=port, whitelist=whitelist, name=name or f"skynet-{ports[0]}")
        for port in ports
    ]
    for entry in entries:
        _add(node, entry, plain=not name and not whitelist)
    rows = [_served(entry) for entry in entries]
    lines = (f"port {port} can be reached" for port in ports)
    output.emit(rows, as_json=as_json, text="\n".join(lines))


def _add(node: NodeAddress, entry: "ForwardedPort", *, plain: bool) -> None:
    """`plain`: a visor of 2024 can do it, too."""
    from skywire.visor import ops_ports

    try:
        node.ask(ops_ports.add_forwarded_port, entry)
    except NotSupported:
        if not plain:
            raise
        node.ask(ops_ports.register_http_port, entry.port)


@click.command("status", epilog="Example: skywire cli serve ls")
@node_options
@output.json_option(shape=[SERVED])
def served(node: NodeAddress, as_json: bool) -> None:
    """List the ports of this machine that other visors can reach, and who may."""
    rows = [_served(entry) for entry in _entries(node)]
    shown = ("port", "name", "target", "networks", "whitelist", "label")
    table = output.Table(shown, [[_cell(row[name]) for name in shown] for row in rows])
    output.emit(rows, as_json=as_json, text=table if rows else "no ports")


def _entries(node: NodeAddress) -> "list[ForwardedPort]":
    from skywire.appkit.forward_server import ForwardedPort
    from skywire.visor import ops_ports

    try:
        return node.ask(ops_ports.forwarded_ports)
    except NotSupported:
        return [ForwardedPort(port=port) for port in node.ask(ops_ports.list_http_ports)]


def _served(entry: "ForwardedPort") -> dict[str, Any]:
    networks = ["skynet"] * (not entry.no_skynet) + ["dmsg"] * entry.dmsg
    return {
        "port": entry.port,
        "name": entry.name,
        "target": str(entry.place),
        "networks": networks,
        "whitelist": [str(pk) for pk in entry.whitelist],
        "inject_pk": entry.inject_pk,
        "preserve_host": entry.preserve_host,
        "label": entry.label,
        "description": entry.description,
    }


def _cell(value: Any) -> Any:
    return " ".join(value) if isinstance(value, list) else value


@click.command("stop", epilog="Example: skywire cli skynet srv stop --name skynet-80")
@click.option("-n", "--name", help="All ports that were begun together.")
@click.option("-p", "--port", type=PORT, help="One port.")
@node_options
@output.json_option(shape=[int])
def server_stop(node: NodeAddress, name: str | None, port: int | None, as_json: bool) -> None:
    """Let other visors reach ports no longer; connections that are open stay."""
    if (name is None) is (port is None):
        raise click.UsageError("give either --name or --port")
    ports = [port] if port is not None else []
    if name is not None:
        ports = [entry.port for entry in _entries(node) if entry.name == name]
        if not ports:
            raise NotFound(f'no ports have the name "{name}"; see "skywire cli serve ls"')
    _remove(node, ports, as_json=as_json)


def _remove(node: NodeAddress, ports: list[int], *, as_json: bool) -> None:
    from skywire.visor import ops_ports

    for each in ports:
        node.ask(ops_ports.deregister_http_port, each)
    lines = (f"port {each} can no longer be reached" for each in ports)
    output.emit(ports, as_json=as_json, text="\n".join(lines))


@click.command("add", epilog="Example: skywire cli serve add 80 --to localhost:8080 -w PK")
@click.argument("port", type=PORT)
@click.option("--to", "target", default="", metavar="[HOST:]PORT", help="Where it leads.")
@click.option("--label", default="", help="A name for people.")
@click.option("--desc", "description", default="", help="What it is.")
@click.option("--dmsg", is_flag=True, help="On dmsg, at this port.")
@click.option("--skynet", is_flag=True, help="Over routes; the default without --dmsg.")
@click.option("-w", "--whitelist", type=KEYS, default="", help="Only for these visors.")
@click.option("--inject-pk", is_flag=True, help="It is HTTP: tell it the key of who asks.")
@click.option("--preserve-host", is_flag=True, help="With --inject-pk: leave the Host header.")
@node_options
@output.json_option(shape=SERVED)
def serve_add(
    node: NodeAddress,
    port: int,
    target: str,
    label: str,
    description: str,
    dmsg: bool,
    skynet: bool,
    whitelist: list[PubKey],
    inject_pk: bool,
    preserve_host: bool,
    as_json: bool,
) -> None:
    """Let other visors reach a port, or change how they do; it stays when the visor restarts."""
    from skywire.appkit.forward_server import ForwardedPort

    if preserve_host and not inject_pk:
        raise click.UsageError("--preserve-host needs --inject-pk: else nothing changes it")
    if target.isascii() and target.isdigit():
        target = f"localhost:{target}"
    entry = ForwardedPort(
        port=port,
        label=label,
        description=description,
        target=target,
        whitelist=whitelist,
        inject_pk=inject_pk,
        preserve_host=preserve_host,
        dmsg=dmsg,
        no_skynet=dmsg and not skynet,
    )
    _add(node, entry, plain=entry == ForwardedPort(port=port))
    output.emit(_served(entry), as_json=as_json, text=f"port {port} leads to {entry.place}")


@click.command("rm", epilog="Example: skywire cli serve rm 80")
@click.argument("port", type=PORT)
@node_options
@output.json_option(shape=[int])
def serve_remove(node: NodeAddress, port: int, as_json: bool) -> None:
    """Let other visors reach a port no longer; connections that are open stay."""
    _remove(node, [port], as_json=as_json)


@click.command("whitelist", epilog="Example: skywire cli serve whitelist 80 PK1 PK2")
@click.argument("port", type=PORT)
@click.argument("keys", metavar="[PK]…", nargs=-1, type=KEY)
@click.option("--everybody", is_flag=True, help="Let all visors in.")
@node_options
@output.json_option(shape=[str])
def serve_whitelist(
    node: NodeAddress, port: int, keys: tuple[PubKey, ...], everybody: bool, as_json: bool
) -> None:
    """Show or set which visors may reach a port; connections that are open stay."""
    from dataclasses import replace

    from skywire.visor import ops_ports

    if keys and everybody:
        raise click.UsageError("give keys, or --everybody")
    found = [entry for entry in _entries(node) if entry.port == port]
    if not found:
        raise NotFound(f'port {port} is not there; see "skywire cli serve ls"')
    allowed = list(keys) if keys or everybody else found[0].whitelist
    if allowed != found[0].whitelist:
        node.ask(ops_ports.add_forwarded_port, replace(found[0], whitelist=allowed))
    texts = [str(pk) for pk in allowed]
    output.emit(texts, as_json=as_json, text="\n".join(texts) or "everybody")


# The words of 2024


@click.command("fwd", epilog="Examples: skywire cli fwd 8080, skywire cli fwd -l")
@click.argument("number", metavar="[PORT]", type=PORT, required=False)
@click.option("-p", "--port", type=PORT, help="The port, instead of the argument.")
@click.option("-d", "--deregister", is_flag=True, help="Let it be reached no longer.")
@click.option("-l", "--ls", "listed", is_flag=True, help="List the ports.")
@node_options
@output.json_option(shape=str)
def fwd(
    node: NodeAddress,
    number: int | None,
    port: int | None,
    deregister: bool,
    listed: bool,
    as_json: bool,
) -> None:
    """Let other visors reach a port of this machine; "serve" can do more."""
    from skywire.visor import ops_ports

    if listed:
        ports = sorted(node.ask(ops_ports.list_http_ports))
        rows = [{"id": place, "local_port": each} for place, each in enumerate(ports)]
        table = output.Table(("id", "local_port"), [list(row.values()) for row in rows])
        output.emit(rows, as_json=as_json, text=table)
        return
    wanted = number or port
    if wanted is None:
        raise click.UsageError("name a port, or list them with -l")
    change = ops_ports.deregister_http_port if deregister else ops_ports.register_http_port
    node.ask(change, wanted)
    output.emit("OK", as_json=as_json)


@click.command("rev", epilog="Examples: skywire cli rev PK -r 8080 -p 9000, skywire cli rev -l")
@click.argument("remote", metavar="[PK]", type=KEY, required=False)
@click.option("-k", "--pk", type=KEY, help="The visor, instead of the argument.")
@click.option("-r", "--remote-port", type=PORT, help="Its port.")
@click.option("-p", "--local-port", type=PORT, help="Port of this machine.")
@click.option("-l", "--ls", "listed", is_flag=True, help="List the forwards.")
@click.option("-d", "--stop", type=IDENTIFIER, help="End the forward with this id.")
@node_options
@output.json_option(shape=str)
def rev(
    node: NodeAddress,
    remote: PubKey | None,
    pk: PubKey | None,
    remote_port: int | None,
    local_port: int | None,
    listed: bool,
    stop: UUID | None,
    as_json: bool,
) -> None:
    """Have a port of another visor on this machine; "skynet" can do more."""
    from skywire.visor import ops_ports
    from skywire.visor.ops_ports import ConnectIn

    if listed:
        found = sorted(node.ask(ops_ports.list_forwards).values(), key=lambda one: one.local_port)
        rows = [
            {"id": str(one.id), "local_port": one.local_port, "remote_port": one.remote_port}
            for one in found
        ]
        columns = ("id", "local_port", "remote_port")
        table = output.Table(columns, [list(row.values()) for row in rows])
        output.emit(rows, as_json=as_json, text=table)
        return
    if stop is not None:
        node.ask(ops_ports.disconnect, stop)
        output.emit("OK", as_json=as_json)
        return
    target = remote or pk
    if target is None or remote_port is None or local_port is None:
        raise click.UsageError("name the visor and both ports: rev PK -r REMOTE -p LOCAL")
    made = node.ask(ops_ports.connect, ConnectIn(target, remote_port, local_port))
    output.emit(str(made), as_json=as_json)
