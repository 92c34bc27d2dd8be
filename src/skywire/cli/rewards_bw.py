"""`skywire cli rewards bw-collect`: how many bytes each visor carried. Source: 3087, rewards.md §8.

A transport's two ends each say what they sent and received. Per direction the smaller of the two
counts, for the sender: a claim that the other end does not confirm is worth nothing.
"""

import datetime as dt
import json
from collections import Counter
from pathlib import Path

import click
import msgspec

from skywire.cli import documents, output
from skywire.cli.fetch import Fetcher, fetch_options, service_url, show
from skywire.errors import Conflict, InvalidValue, Unavailable

QUERY = "/metrics?days=1&bandwidth=true&edges=true"
MIN_BANDWIDTH = 64  # bytes
MAX_SURVEY = 1024 * 1024  # bytes
MAX_COUNT = 1 << 63  # bytes one end can claim


class Traffic(msgspec.Struct, frozen=True):
    """Bytes that one end counted on a day."""

    sent: int = 0
    recv: int = 0


class Day(msgspec.Struct, frozen=True):
    date: str
    a: Traffic | None = None  # what edges[0] says
    b: Traffic | None = None


class Metric(msgspec.Struct, frozen=True):
    edges: tuple[str, str]
    daily: tuple[Day, ...] = ()


def metrics(document: bytes) -> list[Metric]:
    """Raises InvalidValue."""
    found = documents.records(document, Metric, "metrics")
    return [one for one in found if all(documents.is_key(edge) for edge in one.edges)]


def addresses(folder: Path, keys: set[str]) -> dict[str, str]:
    """The external address of each visor that a collected survey tells."""

    class Survey(msgspec.Struct):
        ip_address: str = ""

    found = {}
    for pk in keys:
        try:
            with (folder / pk / "node-info.json").open("rb") as file:
                text = file.read(MAX_SURVEY)
            address = msgspec.json.decode(text, type=Survey).ip_address
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
        if address:
            found[pk] = address
    return found


def credits(found: list[Metric], day: str, where: dict[str, str]) -> Counter[str]:
    """Bytes of each visor on `day`. Two ends behind one address say what they like: left out."""
    total: Counter[str] = Counter()
    for metric in found:
        first, second = metric.edges
        if first == second or (first in where and where[first] == where.get(second)):
            continue
        for each in metric.daily:
            if each.date == day and each.a and each.b:
                total[first] += _confirmed(each.a.sent, each.b.recv)
                total[second] += _confirmed(each.b.sent, each.a.recv)
    return total


def _confirmed(sent: int, received: int) -> int:
    return min(max(0, sent), max(0, received), MAX_COUNT)


def write(path: Path, result: dict[str, int], *, stale: bool) -> None:
    """Raises Conflict rather than replace a file by one made from old data; Unavailable."""
    from skywire.config.load import write_private

    if stale and path.exists():
        raise Conflict(f"{path} exists, and what could be had now is older: it stays as it is")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"cannot make {path.parent}: {error.strerror}") from error
    write_private(path, json.dumps(result, indent=2).encode() + b"\n")


def _day(_: click.Context, __: click.Parameter, text: str | None) -> str:
    if text is None:
        return dt.datetime.now(dt.UTC).date().isoformat()
    try:
        return dt.date.fromisoformat(text).isoformat()
    except ValueError:
        raise InvalidValue(f'--date "{text[:40]}": expected a day such as 2026-06-12') from None


@click.command(name="bw-collect", epilog="Example: skywire cli rewards bw-collect -n -p hist")
@click.option("-n", "--no-cache", is_flag=True, help="Fresh figures or an error.")
@click.option(
    "-p",
    "--hist",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("hist"),
    show_default=True,
    help="Directory of the result, DAY_bandwidth.json.",
)
@click.option(
    "-b",
    "--min-bw",
    type=click.IntRange(0),
    default=MIN_BANDWIDTH,
    show_default=True,
    metavar="BYTES",
    help="Visors with less are left out.",
)
@click.option(
    "-l",
    "--lpath",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("log_collecting"),
    show_default=True,
    help="Directory of the collected surveys, which tell external addresses.",
)
@click.option("--date", "day", callback=_day, metavar="DAY", help="The day (UTC). Default: today.")
@click.option("--tpdurl", default="", metavar="URL", help="Transport discovery to ask.")
@output.json_option(shape={"file": str, "day": str, "visors": int, "bytes": int})
@lambda function: fetch_options(function, "-s", "--loglvl")
def bw_collect(
    no_cache: bool,
    hist: Path,
    min_bw: int,
    lpath: Path,
    day: str,
    tpdurl: str,
    as_json: bool,
    fetcher: Fetcher,
) -> None:
    """Write down how many bytes each visor carried on a day, as both ends confirm it.

    The result is a JSON object of public keys and bytes.
    """
    if no_cache:
        fetcher = fetcher._replace(max_age=0)
    base = tpdurl or service_url(fetcher.services.transport_discovery, "transport discovery")
    found = fetcher.fetch(base.rstrip("/") + QUERY, metrics)
    keys = {edge for metric in found.value for edge in metric.edges}
    total = credits(found.value, day, addresses(lpath, keys))
    result = {pk: total[pk] for pk in sorted(total) if total[pk] >= max(1, min_bw)}
    path = hist / f"{day}_bandwidth.json"
    write(path, result, stale=found.stale)
    carried = sum(result.values())
    told = {"file": str(path), "day": day, "visors": len(result), "bytes": carried}
    show(found, told, as_json=as_json, text=f"{path}: {len(result)} visors, {carried} bytes")
