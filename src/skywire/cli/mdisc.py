"""`skywire cli mdisc`: what the dmsg discovery knows. Source: cli.md §A2, dmsg.md §9."""

from typing import Any

import click
import msgspec

from skywire.cli import documents, output
from skywire.cli.fetch import Fetcher, fetch_options, service_url, show
from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue
from skywire.wire import entry as entries
from skywire.wire.entry import Entry

BASE_PATH = "/dmsg-discovery"


class ServerRow(msgspec.Struct, frozen=True):
    version: str
    registered: int  # Unix time in ns
    public_key: str
    address: str
    avail_sess: int


class ClientRow(msgspec.Struct, frozen=True):
    """An entry of a client, or of a server, whose `address` is not empty."""

    public_key: str
    registered: int  # Unix time in ns
    client_type: str
    delegated_servers: list[str]
    address: str


def _url(fetcher: Fetcher, url: str, path: str) -> str:
    base = url or service_url(fetcher.services.dmsg_discovery, "dmsg discovery")
    return base.rstrip("/") + BASE_PATH + path


def _options(function: Any) -> Any:
    url = click.option("-u", "--url", default="", metavar="URL", help="Another dmsg discovery.")
    return fetch_options(url(function))


@click.command(epilog="Example: skywire cli mdisc --stats")
@click.option("-s", "--stats", is_flag=True, help="How many clients there are.")
@output.json_option(shape=list[str])
@_options
def clients(fetcher: Fetcher, url: str, stats: bool, as_json: bool) -> None:
    """List the keys of all clients that the dmsg discovery knows."""
    found = fetcher.fetch(_url(fetcher, url, "/entries"), documents.keys)
    if stats:
        count = len(found.value)
        show(found, {"clients": count}, as_json=as_json, text=f"{count} clients")
    else:
        show(found, found.value, as_json=as_json, text="\n".join(found.value))


def _client_row(entry: Entry) -> ClientRow:
    delegated = (entry.client and entry.client.delegated_servers) or ()
    return ClientRow(
        str(entry.static),
        entry.timestamp,
        documents.plain(entry.client_type),
        [str(server) for server in delegated],
        documents.shown(entry.server.address) if entry.server else "",
    )


def _facts(row: ClientRow) -> output.Facts:
    return output.Facts(
        [
            ("public key", row.public_key),
            ("registered", _time(row.registered)),
            ("type", row.client_type or ("server" if row.address else "client")),
            ("address", row.address),
            ("servers", "\n".join(row.delegated_servers)),
        ]
    )


def _time(ns: int) -> str:
    from datetime import UTC, datetime

    try:
        return datetime.fromtimestamp(ns / 1e9, UTC).isoformat(sep=" ", timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return str(ns)


def _entry_of(fetcher: Fetcher, url: str, pk: str) -> Any:
    key = PubKey.parse(pk)

    def parse(document: bytes) -> Entry:
        found = entries.parse(document)
        if found.static != key:
            raise InvalidValue(f"asked for {key}, answered with the entry of {found.static}")
        return found

    return fetcher.fetch(_url(fetcher, url, f"/entry/{key}"), parse)


@click.command(epilog="Example: skywire cli mdisc entry PK")
@click.argument("pk", metavar="PK")
@output.json_option(shape=ClientRow)
@_options
def entry(pk: str, fetcher: Fetcher, url: str, as_json: bool) -> None:
    """Show the entry of a client or a server."""
    found = _entry_of(fetcher, url, pk)
    row = _client_row(found.value)
    show(found, row, as_json=as_json, text=_facts(row))


@click.command(epilog="Example: skywire cli mdisc servers -m 0")
@output.json_option(shape=list[ServerRow])
@_options
def servers(fetcher: Fetcher, url: str, as_json: bool) -> None:
    """List the dmsg servers, and how many sessions each still takes."""
    found = fetcher.fetch(_url(fetcher, url, "/all_servers"), entries.parse_list)
    rows = [
        ServerRow(
            documents.plain(one.version),
            one.timestamp,
            str(one.static),
            documents.shown(one.server.address),
            one.server.available_sessions,
        )
        for one in found.value
        if one.server is not None
    ]
    columns = ("version", "registered", "public-key", "address", "avail-sess")
    cells = [(r.version, _time(r.registered), r.public_key, r.address, r.avail_sess) for r in rows]
    show(found, rows, as_json=as_json, text=output.Table(columns, cells))


@click.command(epilog="Example: skywire cli mdisc check PK && echo reachable")
@click.argument("pk", metavar="PK")
@output.json_option(shape={"registered": bool, "servers": [str], "unknown_servers": [str]})
@_options
def check(pk: str, fetcher: Fetcher, url: str, as_json: bool) -> None:
    """Tell whether a client can be dialled: it has an entry, with servers that exist."""
    found = _entry_of(fetcher, url, pk)
    listed = fetcher.fetch(_url(fetcher, url, "/all_servers"), entries.parse_list)
    known = {str(server.static) for server in listed.value}
    named = _client_row(found.value).delegated_servers
    lost = [server for server in named if server not in known]
    usable = [server for server in named if server in known]
    result = {"registered": bool(usable), "servers": usable, "unknown_servers": lost}
    said = f"{len(usable)} of its {len(named)} servers exist"
    show([found, listed], result, as_json=as_json, text=said)
    if not usable:
        raise InvalidValue(f"{pk} cannot be dialled: none of its {len(named)} servers exists")
