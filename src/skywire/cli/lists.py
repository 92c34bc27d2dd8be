"""`skywire cli vpn list`, `proxy list`, `sd`: who offers what. Source: cli.md §A2, services.md §5.

A visor is listed when the service discovery has it and the source of uptimes says that it is on.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import click

from skywire.cli import documents, output
from skywire.cli.documents import Offer
from skywire.cli.fetch import Fetcher, Wanted, fetch_options, service_url, show
from skywire.cli.ut import uptimes_url
from skywire.errors import NotFound
from skywire.wire.service import SKYSOCKS, VISOR, VPN

KINDS = {"vpn": VPN, "proxy": SKYSOCKS, "skysocks": SKYSOCKS, "visor": VISOR}


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    options = [
        click.option("-a", "--sdurl", default="", metavar="URL", help="Service discovery to ask."),
        click.option("-w", "--uturl", default="", metavar="URL", help="Source of who is online."),
        click.option("-r", "--raw", is_flag=True, help="All that is known of each, one per row."),
        click.option(
            "-o",
            "--noton",
            is_flag=True,
            help="Also those that are not online; asks the service discovery only.",
        ),
        click.option("-k", "--pk", default="", metavar="PK", help="This visor only."),
        click.option(
            "-u", "--unfilter", is_flag=True, help="The whole list: as --noton and --raw together."
        ),
        click.option("-v", "--ver", default="", metavar="VERSION", help="This version only."),
        click.option("-c", "--country", default="", metavar="CC", help="This country only."),
        click.option("-s", "--stats", is_flag=True, help="How many there are."),
        click.option("-l", "--label", is_flag=True, help="With the country."),
    ]
    for option in reversed(options):
        function = option(function)
    return fetch_options(output.json_option(shape=list[Offer])(function))


def _run(
    kind: str,
    fetcher: Fetcher,
    sdurl: str,
    uturl: str,
    raw: bool,
    noton: bool,
    pk: str,
    unfilter: bool,
    ver: str,
    country: str,
    stats: bool,
    label: bool,
    as_json: bool,
) -> None:
    key = documents.wanted_key(pk) if pk else ""
    services = fetcher.services
    base = sdurl or service_url(services.service_discovery, "service discovery")
    asked = {"type": kind, "version": ver, "country": country.upper()}
    query = urlencode({name: value for name, value in asked.items() if value})
    wanted = [Wanted(f"{base.rstrip('/')}/api/services?{query}", documents.offers)]
    if not (noton or unfilter):
        up = uturl or services.uptime_tracker or services.transport_discovery
        up = service_url(up, "source of uptimes: list without it with --noton, or name one")
        wanted.append(Wanted(uptimes_url(up, "v2", frozenset()), documents.uptimes))
    found = fetcher.fetch_all(*wanted)
    offers: list[Offer] = found[0].value
    if len(found) > 1:
        online = {visor.pk for visor in found[1].value if visor.on}
        offers = [offer for offer in offers if offer.pk in online]
    if key:
        offers = [offer for offer in offers if offer.pk == key]
        if not offers:
            raise NotFound(f"{key} offers no {kind} now")
    offers = sorted(offers, key=lambda offer: (offer.pk, offer.port))
    if stats:
        show(found, {"count": len(offers)}, as_json=as_json, text=str(len(offers)))
        return
    text: str | output.Table
    if raw or unfilter or key:
        rows = [(o.pk, o.port, o.version, o.country, o.region) for o in offers]
        text = output.Table(("pk", "port", "version", "country", "region"), rows)
    elif label:
        text = "\n".join(f"{offer.pk} {offer.country or '-'}" for offer in offers)
    else:
        text = "\n".join(offer.pk for offer in offers)
    show(found, offers, as_json=as_json, text=text)


@click.command(name="list", epilog="Example: skywire cli vpn list --country DE --label")
@_options
def vpn(**options: Any) -> None:
    """List visors that offer a VPN and are online."""
    _run(VPN, **options)


@click.command(name="list", epilog="Example: skywire cli proxy list --stats")
@_options
def proxy(**options: Any) -> None:
    """List visors that offer a SOCKS5 proxy and are online."""
    _run(SKYSOCKS, **options)


@click.command(epilog="Example: skywire cli sd visor --noton --json")
@click.argument("kind", type=click.Choice(sorted(KINDS)), metavar="TYPE")
@_options
def sd(kind: str, **options: Any) -> None:
    """List what is registered with the service discovery; TYPE is vpn, proxy or visor."""
    _run(KINDS[kind], **options)


@click.command(epilog="Example: skywire cli pv --noton --stats")
@_options
def pv(**options: Any) -> None:
    """List public visors that are online."""
    _run(VISOR, **options)
