"""`skywire cli config gen`: make a config. Source: config.md §3."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
import msgspec

from skywire.cli import output
from skywire.cli.config_gen_options import SectionedCommand, gen_options
from skywire.config import environment, services
from skywire.config.apps import AppChoices, default_apps
from skywire.config.check import warnings
from skywire.config.deployment import PRODUCTION, TEST, Deployment, deployment
from skywire.config.generate import FORMAT, Choices, Places, generated, setup_node
from skywire.config.load import ConfigFile, keep_backup, write_private
from skywire.config.values import HostPort
from skywire.crypto import generate
from skywire.crypto.keys import PubKey, SecKey
from skywire.errors import Conflict, InvalidValue, Unavailable

STDOUT = "STDOUT"  # as name of the file
FETCH_LIMIT = 15.0  # seconds; Go: the same


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What was said on the command line, or in the SKYENV file."""

    out: str
    stdout: bool
    squash: bool
    regen: bool
    retainhv: bool
    force: bool
    pkg: bool
    user: bool
    system: str
    sn: bool
    testenv: bool
    dmsghttp: bool
    http: bool
    dual: bool
    url: tuple[str, ...]
    fetch: bool
    bestproto: bool
    nodefaults: bool
    svcconf: Path | None
    dmsgconf: Path | None
    minsess: int
    stun: tuple[str, ...]
    ishv: bool
    auth: bool
    noauth: bool
    hvaddr: str
    hvpks: tuple[PubKey, ...]
    dmsgpty: tuple[PubKey, ...]
    survey: tuple[PubKey, ...]
    routesetup: tuple[PubKey, ...]
    tpsetup: tuple[PubKey, ...]
    cliaddr: str
    ptysock: str
    stcpaddr: str
    appaddr: str
    persistent: bool
    public: bool
    autoconn: bool
    stcpr: int
    sudph: int
    minhops: int
    publicip: bool
    disableapps: tuple[str, ...]
    example_apps: bool
    binpath: str
    chataddr: str
    proxyclientpk: str
    startproxyclient: bool
    noproxyserver: bool
    proxyserverpass: str
    proxyclientpass: str
    servevpn: bool
    addvpn: str
    vpnpass: str
    killsw: bool
    vpnserverpass: str
    secure: bool | None
    netifc: str
    sk: SecKey | None
    loglvl: str | None
    shutdown: float
    version: str


class Kept(msgspec.Struct, frozen=True):
    """What an existing file hands on to the new one."""

    sk: SecKey | None = None
    hypervisors: tuple[PubKey, ...] = ()
    pty_whitelist: tuple[PubKey, ...] = ()


@click.command(
    cls=SectionedCommand, epilog="Example: skywire cli config gen -b -o skywire-config.json"
)
@gen_options
@output.json_option(shape={"file": "", "pk": "", "backup": "", "hypervisor": False})
def gen(envs: bool, nofetch: bool, hide: bool, as_json: bool, **given: Any) -> None:
    """Make the config of a visor.

    \b
      skywire cli config gen -i                 with a hypervisor
      skywire cli config gen -r -j PK           anew, with the same key
      skywire cli config gen -n -t | less       look at one of the test deployment

    It is written to skywire-config.json, readable by you only. The services are those this program
    knows. A file that is there stays, unless -r or -f is given, and is kept with .bak after its
    name. The variable SKYENV may name a file with defaults for the options (-q).
    """
    if envs:
        click.echo(environment.template(), nl=False)
        return
    options = msgspec.convert(given, Options, dec_hook=_as_it_is)
    _check(options)
    places = _places(options)
    to_stdout = options.stdout or options.out == STDOUT
    path = Path(options.out) if options.out and options.out != STDOUT else places.config
    kept = Kept() if options.sn else _kept(options, path)
    if path.exists() and not (to_stdout or options.regen or options.force):
        raise Conflict(
            f"Config file already exists. Specify the '-r --regen' flag to regenerate. ({path}; "
            "-f replaces it and its key)"
        )
    choices = _choices(options, places, kept)
    text = setup_node(choices) if options.sn else generated(choices)
    if to_stdout:
        document = msgspec.json.decode(text)
        click.echo(output.to_json(document, indent=-1 if options.squash else 2))
        return
    backup = keep_backup(path)
    write_private(path, text)
    result = {
        "file": path,
        "pk": choices.sk.public(),
        "backup": backup or "",
        "hypervisor": b'"hypervisor": {' in text,
    }
    shown = f"Config file: {path}\nPublic key: {choices.sk.public()}"
    output.emit(result, as_json=as_json, text=shown)
    if backup is not None:
        output.say(f"What was there before is in {backup}.")
    for each in () if options.sn else warnings(ConfigFile(text, str(path), path)):
        output.say(f"Warning: {each}")


def _as_it_is(_: type, value: Any) -> Any:
    return value


def _check(options: Options) -> None:
    """Raises UsageError for options that exclude each other, and tells of those that are over."""
    together = {
        "-p and -u": options.pkg and options.user,
        "-c and -e": options.noauth and options.auth,
        "-f and -r": options.force and options.regen,
        "-d, --http and --dual": options.dmsghttp + options.http + options.dual > 1,
    }
    for names, both in together.items():
        if both:
            raise click.UsageError(f"{names} exclude each other")
    needed = {
        "-x needs -r": options.retainhv and not options.regen,
        "-N needs -n": options.squash and not (options.stdout or options.out == STDOUT),
        "-D needs -d or --dual": options.dmsgconf is not None and options.http,
    }
    for text, missing in needed.items():
        if missing:
            raise click.UsageError(text)
    if options.bestproto:
        output.say("-b is not needed: the config tells both ways to the services (--dual).")
    if options.proxyclientpass:
        output.say(
            "--proxyclientpass is not written: the program that uses the proxy gives the passcode, "
            "as SOCKS user or password."
        )


def _places(options: Options) -> Places:
    system: Any = options.system
    if options.pkg:
        places = Places.of_package(system)
    elif options.user:
        places = Places.of_user(Path.home())
    else:
        places = Places.here(system)
    return places._replace(bin=options.binpath) if options.binpath else places


def _kept(options: Options, path: Path) -> Kept:
    """Raises InvalidValue when the file is to be made anew and is none of a visor."""
    if not options.regen or not path.exists():
        return Kept()
    file = ConfigFile.load(path)
    if file.new_key:
        raise InvalidValue(f"{path}: no sk to keep; -f makes a new file with a new key")
    if not options.retainhv:
        return Kept(file.config.sk)
    whitelist = file.config.pty.whitelist if file.config.pty else []
    return Kept(file.config.sk, tuple(file.config.hypervisors), tuple(whitelist))


def _choices(options: Options, places: Places, kept: Kept) -> Choices:
    protocol: Any = "dmsg" if options.dmsghttp else "http" if options.http else "dual"
    return Choices(
        known=_known(options, places),
        sk=options.sk or kept.sk or generate.key_pair()[1],
        places=places,
        protocol=protocol,
        version=options.version or FORMAT,
        log_level=(options.loglvl or "info").lower(),
        sessions=options.minsess,
        cli_addr=options.cliaddr,
        pty_socket=options.ptysock,
        stcp_addr=options.stcpaddr,
        app_addr=options.appaddr,
        stcpr_port=options.stcpr,
        sudph_port=options.sudph,
        min_hops=options.minhops,
        autoconnect=not options.autoconn,
        is_public=options.public,
        display_node_ip=options.publicip,
        shutdown_timeout=options.shutdown,
        hypervisors=tuple(dict.fromkeys(options.hvpks + kept.hypervisors)),
        pty_whitelist=tuple(dict.fromkeys(options.dmsgpty + kept.pty_whitelist)),
        survey_whitelist=options.survey,
        route_setup_nodes=options.routesetup,
        transport_setup=options.tpsetup,
        stun_servers=options.stun,
        persistent_shells=options.persistent,
        hypervisor=options.ishv or options.user,
        hypervisor_addr=options.hvaddr,
        auth=True if options.auth else False if options.noauth else None,
        apps=default_apps(_apps(options)),
    )


def _apps(options: Options) -> AppChoices:
    return AppChoices(
        chat_addr=options.chataddr,
        proxy_server_pk=options.proxyclientpk,
        proxy_client=options.startproxyclient,
        proxy_server=not options.noproxyserver,
        proxy_server_passcode=options.proxyserverpass,
        vpn_killswitch=options.killsw or None,
        vpn_server_pk=options.addvpn,
        vpn_client_passcode=options.vpnpass,
        vpn_server=options.servevpn,
        vpn_server_passcode=options.vpnserverpass,
        vpn_server_secure=options.secure,
        vpn_server_interface=options.netifc,
        without=options.disableapps,
        examples=options.example_apps,
    )


def _known(options: Options, places: Places) -> Deployment:
    """The services: those we know, then what the files and the config service say of them."""
    name = TEST if options.testenv else PRODUCTION
    known = Deployment() if options.nodefaults else deployment(name)
    downloaded = places.config.with_name(services.FILE)
    path = options.svcconf or (downloaded if options.pkg and downloaded.exists() else None)
    if path is not None:
        known = services.parse_services(services.read(path), str(path), name, known)
    if options.dmsgconf is not None:
        text = services.read(options.dmsgconf)
        known = services.parse_dmsghttp(text, str(options.dmsgconf), name, known)
    urls = options.url or ((known.conf,) if options.fetch and known.conf else ())
    return asked(urls, name, known) if urls else known


def asked(urls: Sequence[str], name: str, known: Deployment) -> Deployment:
    """`known` with what the first config service that answers says. Raises Unavailable, and
    InvalidValue for what is no URL."""
    from skywire.cli.fetch import DMSG, HTTP, Fetcher
    from skywire.cli.node import NodeAddress

    node = NodeAddress(HostPort(""), timeout=FETCH_LIMIT)
    fetcher = Fetcher(node, known, max_age=0, folder=None, ways=frozenset({DMSG, HTTP}))
    failures = []
    for url in urls:
        parse = partial(services.parse_services, source=url, name=name, base=known)
        try:
            return fetcher.fetch(url, parse).value
        except Unavailable as error:
            failures.append(str(error))
    raise Unavailable(
        f"no config service answered: {'; '.join(failures)}; without -a and --fetch the services "
        "are those this program knows"
    )
