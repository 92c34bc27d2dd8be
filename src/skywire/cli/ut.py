"""`skywire cli ut`: how long visors were up, by day. Source: 3087, cli.md §A2, §B6.

Source of the figures is the transport discovery (2026); `--url` names another one, such as an
uptime tracker of 2024.
"""

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import click

from skywire.cli import documents, output
from skywire.cli.documents import Uptime
from skywire.cli.fetch import Fetcher, Wanted, fetch_options, service_url, show
from skywire.errors import InvalidValue
from skywire.wire.service import SKYSOCKS, VISOR, VPN

MIN_DAILY = 75.0  # percent; more than that is a day that counts
MAX_DAYS = 3660
KINDS = (VISOR, VPN, SKYSOCKS)


class Choice(NamedTuple):
    """Which rows are shown."""

    above: float  # percent; -1 shows every day
    since: str  # day, the first
    until: str  # day, the last
    keys: frozenset[str]
    online: bool
    version: str
    min_version: str

    def of(self, visors: list[Uptime]) -> list[Uptime]:
        """The chosen visors, with the chosen days only."""
        lowest = documents.wanted_version(self.min_version) if self.min_version else None
        found = []
        for visor in visors:
            version = documents.version_of(visor.version)
            if (self.keys and visor.pk not in self.keys) or (self.online and not visor.on):
                continue
            if self.version and visor.version.removeprefix("v") != self.version.removeprefix("v"):
                continue
            if lowest is not None and (version is None or version < lowest):
                continue
            days = {
                day: visor.daily[day]
                for day in sorted(visor.daily)
                if self.since <= day <= self.until and visor.percent(day) > self.above
            }
            found.append(Uptime(visor.pk, visor.on, visor.version, days))
        return found


def lines(visors: list[Uptime]) -> str:
    """As the rewards read it: key, day, percent."""
    return "\n".join(f"{one.pk} {day} {text}" for one in visors for day, text in one.daily.items())


def versions(visors: list[Uptime]) -> list[tuple[str, int]]:
    """The most frequent first."""
    count = Counter(visor.version or "unknown" for visor in visors)
    return sorted(count.items(), key=lambda each: (-each[1], each[0]))


def _day(_: click.Context, parameter: click.Parameter, text: str | None) -> str:
    if text is None:
        return ""
    try:
        return dt.date.fromisoformat(text).isoformat()
    except ValueError:
        raise click.BadParameter(f'"{text[:40]}": expected a day such as 2026-06-12') from None


def _keys(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> frozenset[str]:
    words = [word for text in texts for word in re.split(r"[,;\s]+", text) if word]
    return frozenset(documents.wanted_key(word) for word in words)


def _period(days: int | None, date: str, since: str, until: str) -> tuple[str, str]:
    if date:
        return date, date
    if days is not None:
        if since or until:
            raise InvalidValue("--days goes with neither --since nor --until: choose one")
        since = (dt.datetime.now(dt.UTC).date() - dt.timedelta(days=days - 1)).isoformat()
    return since or "0000-00-00", until or "9999-99-99"


def uptimes_url(base: str, form: str, visors: frozenset[str]) -> str:
    """`base` is a service, or a whole URL of a list, which is asked as it is."""
    if urlsplit(base).path.strip("/"):
        return base
    query = {} if form == "v1" else {"v": form}
    if visors:
        query["visors"] = ",".join(sorted(visors))
    return f"{base.rstrip('/')}/uptimes" + (f"?{urlencode(query, safe=',')}" if query else "")


_OPTIONS: list[Callable[[Any], Any]] = [
    click.option("-a", "--all", "everything", is_flag=True, help="Every day, however short."),
    click.option(
        "-d",
        "--days",
        type=click.IntRange(1, MAX_DAYS),
        metavar="N",
        help="The last N days, today included (UTC).",
    ),
    click.option("--date", callback=_day, metavar="DAY", help="This day only."),
    click.option("--since", callback=_day, metavar="DAY", help="From this day on."),
    click.option("--until", callback=_day, metavar="DAY", help="Up to this day."),
    click.option(
        "-n",
        "--min-daily",
        type=click.FloatRange(0, 100),
        default=MIN_DAILY,
        show_default=True,
        metavar="PERCENT",
        help="Days with more than this.",
    ),
    click.option(
        "-k", "--pk", "keys", multiple=True, callback=_keys, metavar="PK,…", help="These visors."
    ),
    click.option(
        "--visors",
        multiple=True,
        callback=_keys,
        metavar="PK,…",
        help="Ask the service for these visors only.",
    ),
    click.option("-o", "--on", "online", is_flag=True, help="Keys of visors that are online."),
    click.option("-l", "--long", is_flag=True, help="One row per visor: online, version, days."),
    click.option("-s", "--stats", is_flag=True, help="How many visors are online."),
    click.option("-t", "--versions", "by_version", is_flag=True, help="How many run a version."),
    click.option("--version", default="", metavar="V", help="Visors of this version."),
    click.option("--min-version", default="", metavar="V", help="Of this version or a later one."),
    click.option(
        "-v",
        "--form",
        type=click.Choice(["v1", "v2"]),
        default="v2",
        show_default=True,
        help="Which form to ask for; v1 knows who is online only.",
    ),
    click.option("-u", "--url", default="", metavar="URL", help="Another source of the list."),
]


def _run(
    fetcher: Fetcher,
    everything: bool,
    days: int | None,
    date: str,
    since: str,
    until: str,
    min_daily: float,
    keys: frozenset[str],
    visors: frozenset[str],
    online: bool,
    long: bool,
    stats: bool,
    by_version: bool,
    version: str,
    min_version: str,
    form: str,
    url: str,
    as_json: bool,
) -> None:
    first, last = _period(days, date, since, until)
    above = -1.0 if everything else min_daily
    choice = Choice(above, first, last, keys, online, version, min_version)
    if min_version:
        documents.wanted_version(min_version)
    base = url or service_url(fetcher.services.transport_discovery, "transport discovery")
    found = fetcher.fetch(uptimes_url(base, form, visors), documents.uptimes)
    chosen = choice.of(found.value)
    if stats:
        count = sum(visor.on for visor in chosen)
        show(
            found,
            {"online": count, "visors": len(chosen)},
            as_json=as_json,
            text=f"{count} visors online",
        )
    elif by_version:
        counted = versions(chosen)
        result = [{"version": name, "visors": count} for name, count in counted]
        show(found, result, as_json=as_json, text="\n".join(f"{n} {v}" for v, n in counted))
    elif long:
        rows = [(v.pk, "yes" if v.on else "no", v.version, len(v.daily)) for v in chosen]
        table = output.Table(("pk", "online", "version", f"days > {above:g} %"), rows)
        show(found, chosen, as_json=as_json, text=table)
    else:
        text = "\n".join(visor.pk for visor in chosen) if online else lines(chosen)
        show(found, chosen, as_json=as_json, text=text)


def _listing(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_OPTIONS):
        function = option(function)
    return fetch_options(output.json_option(shape=list[Uptime])(function))


@click.command(epilog="Example: skywire cli ut -m 0 --date 2026-06-12 > ut.txt")
@_listing
def tpd(**options: Any) -> None:
    """List how long visors were up, by day, as the transport discovery tells it.

    Lines of key, day and percent of the day, for days of more than 75 percent.
    """
    _run(**options)


def _presence(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options of the lists that only know who is there."""
    options = [
        click.option(
            "-k", "--pk", "keys", multiple=True, callback=_keys, metavar="PK,…", help="These only."
        ),
        click.option("-s", "--stats", is_flag=True, help="How many there are."),
        click.option("-u", "--url", default="", metavar="URL", help="Another source of the list."),
    ]
    for option in reversed(options):
        function = option(function)
    return fetch_options(output.json_option(shape=list[str])(function))


def _show_keys(
    found: Any, present: list[str], keys: frozenset[str], stats: bool, as_json: bool
) -> None:
    chosen = [pk for pk in present if not keys or pk in keys]
    if stats:
        show(found, {"visors": len(chosen)}, as_json=as_json, text=f"{len(chosen)} visors")
    else:
        show(found, chosen, as_json=as_json, text="\n".join(chosen))


@click.command(epilog="Example: skywire cli ut sd --stats")
@_presence
def sd(fetcher: Fetcher, keys: frozenset[str], stats: bool, url: str, as_json: bool) -> None:
    """List visors that are registered with the service discovery now."""
    base = url or service_url(fetcher.services.service_discovery, "service discovery")
    wanted = [Wanted(f"{base}/api/services?type={kind}", documents.offers) for kind in KINDS]
    found = fetcher.fetch_all(*wanted)
    present = sorted({offer.pk for one in found for offer in one.value})
    _show_keys(found, present, keys, stats, as_json)


@click.command(epilog="Example: skywire cli ut mdisc -k PK")
@_presence
def mdisc(fetcher: Fetcher, keys: frozenset[str], stats: bool, url: str, as_json: bool) -> None:
    """List visors that are registered with the dmsg discovery now."""
    base = url or service_url(fetcher.services.dmsg_discovery, "dmsg discovery")
    found = fetcher.fetch(f"{base}/dmsg-discovery/visorEntries", documents.keys)
    _show_keys(found, found.value, keys, stats, as_json)
