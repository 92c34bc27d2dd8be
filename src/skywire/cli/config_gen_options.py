"""The options of `skywire cli config gen`, in sections, and their values from the SKYENV file."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from skywire.cli import values
from skywire.config import environment
from skywire.config.environment import VARIABLE
from skywire.config.values import Duration
from skywire.crypto.keys import PubKey, SecKey
from skywire.errors import InvalidValue
from skywire.log import LEVELS

_Function = TypeVar("_Function", bound=Callable[..., Any])
MAX_KEYS = 1000  # in one option


class Keys(click.ParamType[Any]):
    """Public keys, separated by commas or blanks."""

    name = "PK,PK"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[PubKey, ...]:
        words = Words().convert(value, param, ctx)
        if len(words) > MAX_KEYS:
            self.fail(f"{len(words)} keys; expected at most {MAX_KEYS}", param, ctx)
        try:
            return tuple(dict.fromkeys(PubKey.parse(word) for word in words))
        except InvalidValue as error:
            self.fail(str(error), param, ctx)


class Words(click.ParamType[Any]):
    """Texts, separated by commas or blanks."""

    name = "A,B"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        parts = value.replace(",", " ").split() if isinstance(value, str) else value
        return tuple(str(part) for part in parts)


class Key(click.ParamType[Any]):
    name = "PK"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """As text; "" is allowed and is none."""
        try:
            return str(PubKey.parse(value)) if value else ""
        except InvalidValue as error:
            self.fail(str(error), param, ctx)


class Secret(click.ParamType[Any]):
    """A secret key; it is not shown in an error."""

    name = "SK"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> SecKey | None:
        if isinstance(value, SecKey) or not value:
            return value or None
        try:
            return SecKey.parse(value)
        except InvalidValue:
            self.fail("no secret key; expected 64 hexadecimal characters", param, ctx)


def _duration(_: click.Context, __: click.Parameter, text: str) -> float:
    try:
        seconds = Duration.parse(text)
    except InvalidValue as error:
        raise click.BadParameter(f'"{text}": {error}') from error
    return float(seconds)


def _option(*names: str, **settings: Any) -> click.Option:
    return click.Option(names, **settings)


def _flag(*names: str, help: str, hidden: bool = False) -> click.Option:
    return click.Option(names, is_flag=True, help=help, hidden=hidden)


def _file(*names: str, help: str) -> click.Option:
    return click.Option(
        names, type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help=help
    )


def _port(*names: str, help: str) -> click.Option:
    return click.Option(names, type=click.IntRange(0, 65535), default=0, metavar="PORT", help=help)


SECTIONS: dict[str, list[click.Option]] = {
    "Where it goes": [
        _option("-o", "--out", default="", metavar="FILE", help="File to write; STDOUT: print."),
        _flag("-n", "--stdout", help="Print the config and write nothing."),
        _flag("-N", "--squash", help="With -n: on one line."),
        _flag("-r", "--regen", help="Make an existing file anew and keep its secret key."),
        _flag("-x", "--retainhv", help="With -r: keep hypervisors and who may open terminals."),
        _flag("-f", "--force", help="Replace an existing file, its key included."),
        _flag("-p", "--pkg", help="Paths of the installed package, below /opt/skywire."),
        _flag("-u", "--user", help="Paths in the home directory; runs a hypervisor."),
        _option(
            "-k",
            "--os",
            "system",
            type=click.Choice(["linux", "mac", "win"]),
            default="linux",
            show_default=True,
            help="Whose package paths.",
        ),
        _flag("--sn", help="Make the config of a route setup node."),
        _flag("-q", "--envs", help=f"Print a template for the file that {VARIABLE} names."),
    ],
    "Deployment": [
        _flag("-t", "--testenv", help="The test deployment."),
        _flag("-d", "--dmsghttp", help="Reach the services over dmsg only."),
        _flag("--http", help="Reach the services over HTTP only."),
        _flag("--dual", help="Tell both ways: HTTP, and dmsg beside it. The default."),
        _option(
            "-a",
            "--url",
            type=Words(),
            default="",
            metavar="URL",
            help="Ask this config service for the services.",
        ),
        _flag("--fetch", help="Ask the deployment's config service for the services."),
        _flag("--nofetch", help="Ask nobody. The default.", hidden=True),
        _flag("-b", "--bestproto", help="Replaced by --dual.", hidden=True),
        _flag("--nodefaults", help="Know no services but those of -S, -D and -a.", hidden=True),
        _file("-S", "--svcconf", help="Services from this file (services-config.json)."),
        _file("-D", "--dmsgconf", help="Services on dmsg from this file (dmsghttp-config.json)."),
        _option(
            "--minsess",
            type=click.IntRange(0, 4096),
            default=2,
            show_default=True,
            metavar="N",
            help="dmsg servers to stay connected to; 0: all.",
        ),
        _option(
            "--stun",
            type=Words(),
            default="",
            metavar="HOST:PORT,…",
            help="STUN servers instead of the deployment's.",
        ),
    ],
    "Who may": [
        _flag("-i", "--ishv", help="Run a hypervisor in this visor."),
        _flag("-e", "--auth", help="Its web pages ask for a password."),
        _flag("-c", "--noauth", help="Its web pages ask for none."),
        _option(
            "--hvaddr",
            default=":8000",
            show_default=True,
            metavar="ADDRESS",
            callback=values.host_port,
            help="Where its web pages are.",
        ),
        _option("-j", "--hvpks", type=Keys(), default="", help="Hypervisors of this visor."),
        _option("--dmsgpty", type=Keys(), default="", help="Who may open terminals."),
        _option("--survey", type=Keys(), default="", help="Who else may read the survey."),
        _option("--routesetup", type=Keys(), default="", help="More route setup nodes."),
        _option("--tpsetup", type=Keys(), default="", help="Who else may open transports."),
        _option(
            "--cliaddr",
            default="localhost:3435",
            show_default=True,
            metavar="ADDRESS",
            callback=values.optional_host_port,
            help='For the command line; "": nowhere.',
        ),
        _option("--ptysock", default="", metavar="PATH", help="Control socket of the terminals."),
        _option(
            "--stcpaddr",
            default=":7777",
            show_default=True,
            metavar="ADDRESS",
            callback=values.optional_host_port,
            help='Where to take stcp transports; "": nowhere.',
        ),
        _option(
            "--appaddr",
            default="localhost:5505",
            show_default=True,
            metavar="ADDRESS",
            callback=values.optional_host_port,
            help="For apps that are processes of their own.",
        ),
        _flag("--persistent", help="Shells outlive the connection and can be taken up again."),
    ],
    "Transports": [
        _flag("-z", "--public", help="Let others find this visor; needs a public address."),
        _flag("-y", "--autoconn", help="Open no transports to public visors by itself."),
        _port("--stcpr", help="TCP port for stcpr; 0: any."),
        _port("--sudph", help="UDP port for sudph; 0: any."),
        _option(
            "--minhops",
            type=click.IntRange(0, 65535),
            default=0,
            metavar="N",
            help="Transports a route has at least.",
        ),
        _flag("-l", "--publicip", help="Publish the IP address with the services."),
    ],
    "Apps": [
        _option(
            "-g",
            "--disableapps",
            type=Words(),
            default="",
            metavar="APP,APP",
            help="Leave these apps out.",
        ),
        _flag("-m", "--example-apps", help="Add the example app."),
        _option("--binpath", default="", metavar="DIR", help="Directory of the apps' programs."),
        _option(
            "--chataddr",
            default=":8001",
            show_default=True,
            metavar="ADDRESS",
            callback=values.host_port,
            help="Where the chat's page is.",
        ),
        _option("--proxyclientpk", type=Key(), default="", help="Proxy server to use."),
        _flag("--startproxyclient", help="Start the proxy client with the visor."),
        _flag("--noproxyserver", help="Do not start the proxy server with the visor."),
        _option(
            "--proxyserverpass", default="", metavar="TEXT", help="Passcode of the proxy server."
        ),
        _option(
            "--proxyclientpass",
            default="",
            metavar="TEXT",
            hidden=True,
            help="Given by the program that uses the proxy instead.",
        ),
        _flag("-v", "--servevpn", help="Start the VPN server with the visor."),
        _option("--addvpn", type=Key(), default="", help="VPN server to use."),
        _option("--vpnpass", default="", metavar="TEXT", help="Passcode of that VPN server."),
        _flag("--killsw", help="No traffic past the VPN, when it is down."),
        _option("--vpnserverpass", default="", metavar="TEXT", help="Passcode of our VPN server."),
        _option(
            "--secure",
            type=bool,
            default=None,
            metavar="BOOL",
            help="Keep VPN clients off the local network.",
        ),
        _option("--netifc", default="", metavar="NAME", help="Interface of the VPN server."),
    ],
    "Other": [
        _option(
            "-s",
            "--sk",
            type=Secret(),
            default=None,
            help=f"Secret key; better in {VARIABLE}, others see the arguments of a program.",
        ),
        _option(
            "--loglvl",
            type=click.Choice(LEVELS, case_sensitive=False),
            default=None,
            metavar="LEVEL",
            help="Log level.",
        ),
        _option(
            "--shutdown",
            default="10s",
            metavar="DURATION",
            callback=_duration,
            help="How long a Go visor may take to stop.",
        ),
        _option("--version", default="", metavar="TEXT", help="Version in the file."),
        _flag("-w", "--hide", help="The config is never shown unless asked.", hidden=True),
    ],
}


class SectionedCommand(click.Command):
    """Its help has the options in sections; its defaults come from the file SKYENV names."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        path = os.environ.get(VARIABLE)
        if path:
            extra["default_map"] = defaults(Path(path))
        return super().make_context(info_name, args, parent, **extra)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        known = {id(option) for options in SECTIONS.values() for option in options}
        rest = [each for each in self.get_params(ctx) if id(each) not in known]
        sections: dict[str, Sequence[click.Parameter]] = {**SECTIONS, "Output": rest}
        for title, options in sections.items():
            rows = [row for option in options if (row := option.get_help_record(ctx))]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def gen_options(function: _Function) -> _Function:
    """All options of SECTIONS."""
    added = [option for options in SECTIONS.values() for option in options]
    kept: Sequence[click.Parameter] = getattr(function, "__click_params__", [])
    function.__click_params__ = [*kept, *reversed(added)]  # type: ignore[attr-defined]
    return function


def defaults(path: Path) -> dict[str, Any]:
    """Values of options from the SKYENV file. Raises InvalidValue.

    A variable that we do not know is none of ours: the file serves other programs, too.
    """
    found = environment.read(path)
    options = {each.name: each.option for each in environment.VARIABLES}
    kinds = {str(option.name): option for listed in SECTIONS.values() for option in listed}
    result: dict[str, Any] = {}
    for name, value in found.items():
        if name not in options or value in ("", []):
            continue
        option = kinds[options[name]]
        if isinstance(value, list) and not isinstance(option.type, Keys | Words):
            raise InvalidValue(f"{VARIABLE}={path}: {name}: expected one value, not a list")
        try:
            option.type.convert(value, option, None)
        except click.BadParameter as error:
            raise InvalidValue(f"{VARIABLE}={path}: {name}: {error.message}") from error
        result[options[name]] = value
    return result
