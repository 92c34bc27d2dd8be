"""The visor's transports: `skywire cli tp`. Source: cli.md §A2."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from skywire.cli import output
from skywire.cli.node import NodeAddress, node_options
from skywire.cli.values import IDENTIFIER, KEY, KEYS, NANOSECONDS
from skywire.config.values import Duration
from skywire.crypto.keys import PubKey
from skywire.errors import DialFailed, InvalidValue, Refused, SkywireError

if TYPE_CHECKING:
    from skywire.visor.types import TransportSummary

AUTOMATIC_ORDER = ("stcpr", "sudph", "dmsg")  # what `tp add` tries without a type
ATTEMPT_TIME = 30.0  # seconds for one type; a visor gives up after 20
ROW = {
    "type": str,
    "id": str,
    "remote_pk": str,
    "mode": str,
    "label": str,
    "latency_ms": float,
    "received": int,
    "sent": int,
}


@click.command("ls", epilog='Examples: skywire cli tp, skywire cli tp -t "stcpr,dmsg"')
@click.option("-t", "--types", metavar="TYPE,…", default="", help="Only these types.")
@click.option("-p", "--pks", type=KEYS, default="", help="Only those to these visors.")
@click.option("-i", "--id", "id_", type=IDENTIFIER, help="Only the one with this id.")
@click.option(
    "-l/-L",
    "--logs/--no-logs",
    default=True,
    show_default=True,
    help="Show how many bytes went through.",
)
@click.option("-u", "--tptypes", is_flag=True, help="List the types the visor can open instead.")
@node_options
@output.json_option(shape=[ROW])
def list_transports(
    node: NodeAddress,
    types: str,
    pks: list[PubKey],
    id_: UUID | None,
    logs: bool,
    tptypes: bool,
    as_json: bool,
) -> None:
    """List the transports of the visor.

    The latency is null in JSON where nobody has measured it; bytes are those of payload. With -u,
    the JSON is a list of texts.
    """
    from skywire.visor import ops_transports
    from skywire.visor.ops_transports import TransportsIn

    if tptypes:
        kinds = node.ask(ops_transports.transport_types)
        output.emit(kinds, as_json=as_json, text="\n".join(kinds))
        return
    if id_ is not None:
        found = [node.ask(ops_transports.transport, id_)]
    else:
        wanted = TransportsIn([word for word in types.split(",") if word], pks, logs)
        found = node.ask(ops_transports.transports, wanted)
    show(found, as_json=as_json)


def show(found: "list[TransportSummary]", *, as_json: bool) -> None:
    rows = [_row(one) for one in sorted(found, key=lambda one: str(one.id))]
    columns = ["type", "id", "remote-pk", "mode", "label", "latency", "received", "sent"]
    table = output.Table(columns, [_cells(row) for row in rows])
    output.emit(rows, as_json=as_json, text=table if rows else "no transports")


def _row(one: "TransportSummary") -> dict[str, Any]:
    return {
        "type": one.type,
        "id": str(one.id),
        "remote_pk": str(one.remote_pk),
        "mode": "setup" if one.is_setup else "regular",
        "label": one.label,
        "latency_ms": one.latency_ms or None,
        "received": one.log.recv if one.log is not None else None,
        "sent": one.log.sent if one.log is not None else None,
    }


def _cells(row: dict[str, Any]) -> list[object]:
    latency = f"{row['latency_ms']:.1f} ms" if row["latency_ms"] else None
    return [*list(row.values())[:5], latency, row["received"], row["sent"]]


@click.command(epilog="Example: skywire cli tp add PK -t stcpr")
@click.argument("remote", metavar="PK", type=KEY, required=False)
@click.option("-r", "--rpk", type=KEY, help="The remote visor, instead of the argument.")
@click.option("-t", "--type", "kind", help=f"Type. Default: {', '.join(AUTOMATIC_ORDER)} in turn.")
@click.option("--label", default="", help="Label, 2026 visors only. Default: user.")
@node_options
@output.json_option(shape=[ROW])
def add(
    node: NodeAddress,
    remote: PubKey | None,
    rpk: PubKey | None,
    kind: str | None,
    label: str,
    as_json: bool,
) -> None:
    """Open a transport to another visor.

    Without a type, those that the visor has are tried in turn until one works.
    """
    from skywire.visor import ops_transports
    from skywire.visor.ops_transports import AddTransportIn

    target = _one(remote, rpk)
    kinds = [kind] if kind is not None else list(AUTOMATIC_ORDER)
    if kind is None:
        known = node.ask(ops_transports.transport_types)
        kinds = [each for each in kinds if each in known] or known
    patient = node._replace(timeout=max(node.timeout, ATTEMPT_TIME) if node.timeout else 0)
    failures: list[tuple[str, SkywireError]] = []
    for each in kinds:
        request = AddTransportIn(target, each, round(ATTEMPT_TIME * 1e9), label)
        try:
            made = patient.ask(ops_transports.add_transport, request)
        except (DialFailed, Refused) as error:
            failures.append((each, error))
            continue
        show([made], as_json=as_json)
        return
    raise _none_works(target, failures)


def _none_works(target: PubKey, failures: list[tuple[str, SkywireError]]) -> SkywireError:
    if len(failures) == 1:
        return failures[0][1]
    causes = "; ".join(f"{kind}: {error}" for kind, error in failures)
    return DialFailed(f"no transport to {target}: {causes or 'the visor can open none'}")


def _one(argument: PubKey | None, option: PubKey | None) -> PubKey:
    given = [key for key in (argument, option) if key is not None]
    if len(given) != 1:
        raise InvalidValue("expected one key of a visor: as argument or with -r")
    return given[0]


@click.command("rm", epilog="Examples: skywire cli tp rm ID, skywire cli tp rm -a")
@click.argument("id_", metavar="[ID]", type=IDENTIFIER, required=False)
@click.option("-i", "--id", "option", type=IDENTIFIER, help="The transport, as an option.")
@click.option("-a", "--all", "every", is_flag=True, help="Remove all transports.")
@node_options
@output.json_option(shape=str)
def remove(
    node: NodeAddress, id_: UUID | None, option: UUID | None, every: bool, as_json: bool
) -> None:
    """Close a transport, or all. One that the visor does not have is no error."""
    from skywire.visor import ops_transports

    given = [each for each in (id_, option) if each is not None]
    if len(given) + every != 1:
        raise InvalidValue("expected the id of one transport, or --all")
    if every:
        node.ask(ops_transports.remove_all_transports)
    else:
        node.ask(ops_transports.remove_transport, given[0])
    output.emit("OK", as_json=as_json)


@click.command("id", epilog="Example: skywire cli tp id PK PK stcpr")
@click.argument("a", metavar="PK", type=KEY)
@click.argument("b", metavar="PK", type=KEY)
@click.argument("kind", metavar="TYPE")
@output.json_option(shape=str)
def id_of(a: PubKey, b: PubKey, kind: str, as_json: bool) -> None:
    """Calculate the id of the transport of a type between two visors; nobody is asked."""
    from skywire.wire.transport import transport_id

    output.emit(str(transport_id(a, b, kind)), as_json=as_json)


@click.command("auto", epilog="Example: skywire cli tp auto off")
@click.argument("state", type=click.Choice(["on", "off"]))
@node_options
@output.json_option(shape=str)
def automatic(node: NodeAddress, state: str, as_json: bool) -> None:
    """Keep transports to some public visors, or no longer."""
    from skywire.visor import ops_transports

    node.ask(ops_transports.set_public_autoconnect, state == "on")
    output.emit("OK", as_json=as_json)


PERSISTENT = {"pk": str, "type": str}


@click.command("ls", epilog="Example: skywire cli tp persistent")
@node_options
@output.json_option(shape=[PERSISTENT])
def persistent_list(node: NodeAddress, as_json: bool) -> None:
    """List the transports that the visor opens again whenever they are missing."""
    from skywire.visor import ops_transports

    _show_persistent(node.ask(ops_transports.persistent_transports), as_json=as_json)


def _show_persistent(found: Any, *, as_json: bool) -> None:
    rows = [{"pk": str(one.pk), "type": one.type} for one in found]
    table = output.Table(["pk", "type"], [list(row.values()) for row in rows])
    output.emit(rows, as_json=as_json, text=table if rows else "none")


@click.command("add", epilog="Example: skywire cli tp persistent add PK stcpr")
@click.argument("remote", metavar="PK", type=KEY)
@click.argument("kind", metavar="TYPE")
@node_options
@output.json_option(shape=[PERSISTENT])
def persistent_add(node: NodeAddress, remote: PubKey, kind: str, as_json: bool) -> None:
    """Have a transport opened again whenever it is missing."""
    _change_persistent(node, (remote, kind), keep=True, as_json=as_json)


@click.command("rm", epilog="Example: skywire cli tp persistent rm PK stcpr")
@click.argument("remote", metavar="PK", type=KEY)
@click.argument("kind", metavar="TYPE")
@node_options
@output.json_option(shape=[PERSISTENT])
def persistent_remove(node: NodeAddress, remote: PubKey, kind: str, as_json: bool) -> None:
    """Have a transport not opened again; the one that is up stays."""
    _change_persistent(node, (remote, kind), keep=False, as_json=as_json)


def _change_persistent(
    node: NodeAddress, wanted: tuple[PubKey, str], *, keep: bool, as_json: bool
) -> None:
    from skywire.visor import ops_transports
    from skywire.visor.types import PersistentTransport

    found = node.ask(ops_transports.persistent_transports)
    rest = [one for one in found if (one.pk, one.type) != wanted]
    if keep:
        rest.append(PersistentTransport(*wanted))
    node.ask(ops_transports.set_persistent_transports, rest)
    _show_persistent(rest, as_json=as_json)


@click.command("rotation", epilog="Examples: skywire cli tp rotation, skywire cli tp rotation 336h")
@click.argument("interval", metavar="DURATION", type=NANOSECONDS, required=False)
@node_options
@output.json_option(shape=str)
def rotation(node: NodeAddress, interval: int | None, as_json: bool) -> None:
    """Print or set how long the files with each day's traffic are kept, at least a day."""
    from skywire.visor import ops_node

    if interval is None:
        interval = node.ask(ops_node.log_rotation_interval)
    else:
        node.ask(ops_node.set_log_rotation_interval, interval)
    output.emit(str(Duration(interval / 1e9)), as_json=as_json)
