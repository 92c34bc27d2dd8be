"""How far away visors are: `skywire ping`, `skywire cli visor ping|test`. Source: cli.md §A2."""

from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from skywire.cli import output
from skywire.cli.node import NodeAddress, node_of, node_options
from skywire.cli.node_options import command_options
from skywire.cli.values import KEY
from skywire.crypto.keys import NULL_KEY, PubKey
from skywire.errors import NotSupported

if TYPE_CHECKING:
    from skywire.visor.ping_report import PingInfo

_HOP = {
    "start": str,
    "end": str,
    "transport": str,
    "type": str,
    "latency_ms": float,
    "age_s": float,
    "round_trip_ms": float,
}
REPORT = {"source": str, "target": str, "hops": [_HOP], "round_trips_ms": [float]}
_TRIES = click.IntRange(1, 100)
_SIZE = click.IntRange(0, 64)


def _asked(function: Any) -> Any:
    """As `node_options`, where `--via` may be a plain key, too, which is no matter of the RPC."""

    @wraps(function)
    def command(*, rpc: str, via: str, timeout: float, **named: Any) -> Any:
        over = None if not via or "://" in via else KEY.convert(via, None, None)
        node = node_of(rpc, "" if over is not None else via, timeout)
        return function(node=node, over=over, **named)

    wrapped: Any = command
    kept = list(getattr(wrapped, "__click_params__", ()))
    own = [option for option in command_options() if option.name != "via"]
    wrapped.__click_params__ = [*reversed(own), *kept]
    return wrapped


@click.command(epilog="Examples: skywire ping PK, skywire ping PK --via PK2, skywire ping PK -t 10")
@click.argument("remote", metavar="PK", type=KEY)
@click.option(
    "--via",
    default="",
    metavar="PK",
    help="Lead the route over this visor. dmsg://PK: have that visor ping, if it allows our key.",
)
@click.option("-t", "--tries", type=_TRIES, default=5, show_default=True, help="Messages.")
@click.option(
    "-s", "--size", type=_SIZE, default=0, show_default=True, help="KiB of each; 0: a byte."
)
@_asked
@output.json_option(shape=REPORT)
def ping(
    node: NodeAddress,
    over: PubKey | None,
    remote: PubKey,
    tries: int,
    size: int,
    as_json: bool,
) -> None:
    """Measure the way to a visor over routes, hop by hop.

    For each hop: the visor it leads to, the transport, its latency and how old that figure is, and
    the round trip from here to there. The latency of a far transport is the difference of two
    round trips.
    """
    from skywire.visor import ops_ping
    from skywire.visor.ops_ping import PingTrace, TracePingIn
    from skywire.visor.ping_report import report

    request = TracePingIn(remote, over or NULL_KEY, tries, size)
    try:
        trace = node.ask(ops_ping.trace_ping, request)
    except NotSupported:  # the visor that pings is of another version
        if over is not None:
            raise
        trace = PingTrace(_taken(node, remote, tries, size))
    found = report(trace, remote)
    output.emit(found, as_json=as_json, text=ping_text(found))


def ping_text(found: "PingInfo") -> str:
    """For people."""
    rows = [
        (
            number,
            hop.end,
            hop.type,
            _figure(hop.latency_ms, "ms"),
            _figure(hop.age_s, "s"),
            _figure(hop.round_trip_ms, "ms"),
        )
        for number, hop in enumerate(found.hops, 1)
    ]
    columns = ("HOP", "TO", "TRANSPORT", "LATENCY", "AGE", "ROUND TRIP")
    times = found.round_trips_ms
    table = f"{output.render(output.Table(columns, rows))}\n\n" if rows else ""
    way = f" over {len(rows)} {'hop' if len(rows) == 1 else 'hops'}" if rows else ""
    return (
        f"{table}{found.source or 'the visor'} to {found.target}{way}, "
        f"{len(times)} messages: {min(times):.2f} to {max(times):.2f} ms there and back"
    )


def _figure(value: float | None, unit: str) -> str:
    return "?" if value is None else f"{value:.2f} {unit}"


def _taken(node: NodeAddress, remote: PubKey, tries: int, size: int) -> list[int]:
    """ns of each message, over a route that is closed afterwards."""
    from skywire.visor import ops_ping
    from skywire.visor.client import RemoteVisor
    from skywire.visor.ops_ping import PingConfig

    async def work(visor: RemoteVisor) -> list[int]:
        request = PingConfig(remote, tries, size)
        await visor.call(ops_ping.dial_ping, request)
        try:
            return await visor.call(ops_ping.ping, request)
        finally:
            await visor.call(ops_ping.stop_ping, remote)

    return node.run(work)


@click.command("ping", epilog="Example: skywire cli visor ping PK -t 3 -s 8")
@click.argument("remote", metavar="PK", type=KEY)
@click.option("-t", "--tries", type=_TRIES, default=1, show_default=True, help="Messages.")
@click.option("-s", "--size", type=_SIZE, default=2, show_default=True, help="KiB of each.")
@node_options
@output.json_option(shape=[{"latency_ms": float, "speed_kib_s": float}])
def visor_ping(node: NodeAddress, remote: PubKey, tries: int, size: int, as_json: bool) -> None:
    """Ping a visor over a route, as older versions do; "skywire ping" shows more."""
    rows = [
        {"latency_ms": taken / 1e6, "speed_kib_s": size / (taken / 1e9) if taken else 0.0}
        for taken in _taken(node, remote, tries, size)
    ]
    lines = (
        f"Latency: {row['latency_ms']:.2f} ms | Speed: {row['speed_kib_s']:.3f} KB/s"
        for row in rows
    )
    output.emit(rows, as_json=as_json, text="\n".join(lines))


@click.command("test", epilog="Example: skywire cli visor test -c 3 --timeout 120")
@click.option(
    "-c", "--count", type=click.IntRange(1, 50), default=2, show_default=True, help="Visors."
)
@click.option("-t", "--tries", type=_TRIES, default=1, show_default=True, help="Messages to each.")
@click.option("-s", "--size", type=_SIZE, default=2, show_default=True, help="KiB of each.")
@node_options
@output.json_option(shape=[{"pk": str, "max": str, "min": str, "mean": str, "status": str}])
def visor_test(node: NodeAddress, count: int, tries: int, size: int, as_json: bool) -> None:
    """Ping some public visors, as the service discovery lists them; times are in ms."""
    import msgspec

    from skywire.visor import ops_ping
    from skywire.visor.ops_ping import PingConfig

    request = PingConfig(tries=tries, size=size, public_visors=count)
    rows = [msgspec.to_builtins(found) for found in node.ask(ops_ping.test_visor, request)]
    columns = ("PK", "MAX", "MIN", "MEAN", "STATUS")
    table = output.Table(columns, [list(row.values()) for row in rows])
    output.emit(rows, as_json=as_json, text=table if rows else "no public visors are listed")
