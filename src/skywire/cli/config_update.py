"""`skywire cli config update`: change a config file. Source: config.md §3.

What a command does not name stays as it is, unknown keys included; the Go programs lose them.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec.structs import replace

from skywire.cli import output
from skywire.cli.config_file import CHANGED, Target, target_options
from skywire.cli.config_gen import asked
from skywire.cli.config_gen_options import Key, Keys, Words
from skywire.config.apps import (
    SKYSOCKS,
    SKYSOCKS_CLIENT,
    VPN_CLIENT,
    VPN_SERVER,
    AppChoices,
    default_apps,
)
from skywire.config.arguments import with_switch, with_text
from skywire.config.deployment import (
    PRODUCTION,
    TEST,
    Deployment,
    deployment,
    of_discovery,
)
from skywire.config.load import write_private
from skywire.config.model import AppConfig, UptimeTrackerConfig, VisorConfig
from skywire.config.services import FILE as SERVICES_FILE
from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue, Unavailable
from skywire.log import LEVELS

_reset = click.option("-r", "--reset", is_flag=True, help="Back to what `config gen` writes.")
_update = target_options(writes=True)
_json = output.json_option(shape=CHANGED)


@click.command(epilog="Example: skywire cli config update")
@click.option(
    "-a",
    "--endpoints",
    is_flag=True,
    help="Services as this program knows them, or as -b or --fetch tells.",
)
@click.option(
    "-b",
    "--url",
    type=Words(),
    default="",
    metavar="URL",
    help="Ask this config service for the services.",
)
@click.option("--fetch", is_flag=True, help="Ask the deployment's config service.")
@click.option("-t", "--testenv", is_flag=True, help="The services of the test deployment.")
@click.option(
    "--log-level",
    type=click.Choice(LEVELS, case_sensitive=False),
    metavar="LEVEL",
    help="Log level.",
)
@click.option(
    "--public-autoconn",
    type=bool,
    metavar="BOOL",
    help="Open transports to public visors by itself.",
)
@click.option(
    "--set-minhop",
    "min_hops",
    type=click.IntRange(0, 65535),
    metavar="N",
    help="Transports a route has at least.",
)
@_update
@_json
def settings(
    target: Target,
    endpoints: bool,
    url: tuple[str, ...],
    fetch: bool,
    testenv: bool,
    log_level: str | None,
    public_autoconn: bool | None,
    min_hops: int | None,
    as_json: bool,
) -> None:
    """Change settings, or bring the services up to date.

    \b
      skywire cli config update --log-level debug
      skywire cli config update -a              the services this program knows

    The file as it was before is kept with .bak after its name. A running visor reads the file only
    at its start.
    """

    def change(config: VisorConfig) -> VisorConfig:
        if endpoints or url or fetch or testenv:
            config = _with_services(config, _services(config, url, fetch, testenv))
        if log_level is not None:
            config = replace(config, log_level=log_level.lower())
        if public_autoconn is not None:
            transport = replace(config.transport, public_autoconnect=public_autoconn)
            config = replace(config, transport=transport)
        if min_hops is not None:
            config = replace(config, routing=replace(config.routing, min_hops=min_hops))
        return config

    target.change(change, as_json=as_json)


@click.command(epilog="Example: skywire cli config update hv --add-pks PK")
@click.option("-+", "--add-pks", type=Keys(), default="", help="Hypervisors to add.")
@click.option("-r", "--reset", is_flag=True, help="Remove all of them first.")
@_update
@_json
def hv(target: Target, add_pks: tuple[PubKey, ...], reset: bool, as_json: bool) -> None:
    """Add hypervisors to the config, or remove them all.

    Example: skywire cli config update hv --add-pks PK,PK
    """
    _something(bool(add_pks) or reset, "--add-pks or -r")

    def change(config: VisorConfig) -> VisorConfig:
        kept = [] if reset else config.hypervisors
        return replace(config, hypervisors=list(dict.fromkeys([*kept, *add_pks])))

    target.change(change, as_json=as_json)


@click.command(epilog="Example: skywire cli config update sc --add-server PK")
@click.option("-+", "--add-server", type=Key(), default="", help="Proxy server to use.")
@_reset
@_update
@_json
def sc(target: Target, add_server: str, reset: bool, as_json: bool) -> None:
    """Change the proxy client (skysocks-client).

    Example: skywire cli config update sc --add-server PK
    """
    _something(bool(add_server) or reset, "--add-server or -r")
    _change_app(target, SKYSOCKS_CLIENT, [_text("--srv", add_server)], reset, as_json=as_json)


@click.command(epilog="Example: skywire cli config update ss --passwd secret")
@click.option("-s", "--passwd", default="", metavar="TEXT", help="Passcode clients must give.")
@_reset
@_update
@_json
def ss(target: Target, passwd: str, reset: bool, as_json: bool) -> None:
    """Change the proxy server (skysocks).

    Example: skywire cli config update ss --passwd open-sesame
    """
    _something(bool(passwd) or reset, "--passwd or -r")
    _change_app(target, SKYSOCKS, [_text("--passcode", passwd)], reset, as_json=as_json)


@click.command(epilog="Example: skywire cli config update vpnc --add-server PK")
@click.option("-x", "--killsw", type=bool, metavar="BOOL", help="No traffic past the VPN.")
@click.option("--add-server", type=Key(), default="", help="VPN server to use.")
@click.option("-s", "--pass", "passcode", default="", metavar="TEXT", help="Its passcode.")
@_reset
@_update
@_json
def vpnc(
    target: Target, killsw: bool | None, add_server: str, passcode: str, reset: bool, as_json: bool
) -> None:
    """Change the VPN client.

    Example: skywire cli config update vpnc --add-server PK --killsw true
    """
    wanted = bool(add_server or passcode or reset) or killsw is not None
    _something(wanted, "--add-server, --pass, --killsw or -r")
    edits = [
        _switch("--killswitch", killsw),
        _text("--srv", add_server),
        _text("--passcode", passcode),
    ]
    _change_app(target, VPN_CLIENT, edits, reset, as_json=as_json)


@click.command(epilog="Example: skywire cli config update vpns --autostart true")
@click.option("-s", "--passwd", default="", metavar="TEXT", help="Passcode clients must give.")
@click.option("--secure", type=bool, metavar="BOOL", help="Keep clients off the local network.")
@click.option("--autostart", type=bool, metavar="BOOL", help="Start it with the visor.")
@click.option("--netifc", default="", metavar="NAME", help="Network interface to use.")
@_reset
@_update
@_json
def vpns(
    target: Target,
    passwd: str,
    secure: bool | None,
    autostart: bool | None,
    netifc: str,
    reset: bool,
    as_json: bool,
) -> None:
    """Change the VPN server.

    Example: skywire cli config update vpns --autostart true
    """
    wanted = bool(passwd or netifc or reset) or secure is not None or autostart is not None
    _something(wanted, "--passwd, --secure, --autostart, --netifc or -r")
    edits = [
        _text("--passcode", passwd),
        _text("--netifc", netifc),
        _switch("--secure", secure),
    ]
    _change_app(target, VPN_SERVER, edits, reset, autostart, as_json=as_json)


@click.command(epilog="Example: skywire cli config update svc")
@click.option(
    "-p",
    "--path",
    type=click.Path(dir_okay=False, path_type=Path),
    default=f"/opt/skywire/{SERVICES_FILE}",
    show_default=True,
    metavar="FILE",
    help="File to write.",
)
@click.option("--known", is_flag=True, help="Ask nobody: write what this program knows.")
@output.json_option(shape={"file": ""})
def svc(path: Path, known: bool, as_json: bool) -> None:
    """Write the services of both deployments to a file, for `config gen -S`.

    Example: skywire cli config update svc -p services-config.json --known
    """
    found = {name: msgspec.to_builtins(_asked(name, ask=not known)) for name in (PRODUCTION, TEST)}
    write_private(path, output.to_json(found).encode())
    output.emit({"file": path}, as_json=as_json, text=f"Services: {path}")


def _asked(name: str, *, ask: bool) -> Deployment:
    embedded = deployment(name)
    return asked((embedded.conf,), name, embedded) if ask and embedded.conf else embedded


def _something(wanted: bool, what: str) -> None:
    if not wanted:
        raise click.UsageError(f"nothing to do: give {what}")


def _services(config: VisorConfig, urls: Sequence[str], fetch: bool, testenv: bool) -> Deployment:
    """Those of the deployment the config is in. Raises Unavailable, InvalidValue."""
    name = TEST if testenv else ""
    known = deployment(TEST) if testenv else of_discovery(config.dmsg.discovery)
    if known is None and not urls:
        raise InvalidValue(
            f'dmsg.discovery: "{config.dmsg.discovery}" is no deployment this program knows; '
            "name its config service with -b URL, or use -t"
        )
    known = known or Deployment()
    if fetch and not urls:
        if not known.conf:
            raise Unavailable("the deployment has no config service; name one with -b URL")
        urls = (known.conf,)
    return asked(urls, name or PRODUCTION, known) if urls else known


def _with_services(config: VisorConfig, known: Deployment) -> VisorConfig:
    """Addresses are replaced; keys are added to those that are there. What `known` does not know
    stays."""
    on_dmsg = config.dmsg.discovery.startswith("dmsg://")
    both = bool(config.dmsg.discovery_dmsg)

    def addresses(service: str, key: str) -> dict[str, Any]:
        found = getattr(known, f"{service}_dmsg" if on_dmsg else service)
        twin = getattr(known, f"{service}_dmsg") if both else ""
        return ({key: found} if found else {}) | ({f"{key}_dmsg": twin} if twin else {})

    def keys(there: list[PubKey], more: Sequence[str]) -> list[PubKey]:
        return list(dict.fromkeys([*there, *map(PubKey.parse, more)]))

    transport, routing = config.transport, config.routing
    tracker = config.uptime_tracker or UptimeTrackerConfig()
    return replace(
        config,
        dmsg=replace(config.dmsg, **addresses("dmsg_discovery", "discovery")),
        transport=replace(
            transport,
            **addresses("transport_discovery", "discovery"),
            **addresses("address_resolver", "address_resolver"),
            transport_setup=keys(transport.transport_setup, known.transport_setup),
        ),
        routing=replace(
            routing,
            **addresses("route_finder", "route_finder"),
            route_setup_nodes=keys(routing.route_setup_nodes, known.route_setup_nodes),
        ),
        uptime_tracker=replace(tracker, **addresses("uptime_tracker", "addr")),
        launcher=replace(config.launcher, **addresses("service_discovery", "service_discovery")),
        survey_whitelist=keys(config.survey_whitelist, known.survey_whitelist),
        stun_servers=list(known.stun_servers) or config.stun_servers,
    )


_Edit = Callable[[Sequence[str]], list[str]]


def _text(option: str, value: str) -> _Edit:
    return lambda arguments: with_text(arguments, option, value) if value else list(arguments)


def _switch(option: str, value: bool | None) -> _Edit:
    return lambda arguments: (
        list(arguments) if value is None else with_switch(arguments, option, value)
    )


def _change_app(
    target: Target,
    name: str,
    edits: Sequence[_Edit],
    reset: bool,
    auto_start: bool | None = None,
    *,
    as_json: bool,
) -> None:
    """Edit an app's arguments; one that the config does not have is added."""
    new = next(app for app in default_apps(AppChoices()) if app.name == name)

    def edited(app: AppConfig) -> AppConfig:
        arguments = list(new.args if reset or not app.args else app.args)
        for edit in edits:
            arguments = edit(arguments)
        return replace(
            app,
            args=arguments,
            auto_start=app.auto_start if auto_start is None else auto_start,
        )

    def change(config: VisorConfig) -> VisorConfig:
        apps = config.launcher.apps
        if all(app.name != name for app in apps):
            apps = [*apps, new]
        changed = [edited(app) if app.name == name else app for app in apps]
        return replace(config, launcher=replace(config.launcher, apps=changed))

    target.change(change, as_json=as_json)
