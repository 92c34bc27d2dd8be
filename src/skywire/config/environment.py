"""The file that `SKYENV` names: what `config gen` does unless an option says it. config.md §3.

The Go programs let bash run the file. We run nothing: it is read as a list of assignments, of which
one stands on a line of its own or spans the lines of an array.

    HYPERVISORPKS=('02ab…' '03cd…')   # a list
    ISHYPERVISOR=true                 # true, false, 1, 0
    LOCAL="$HOME/visor"               # variables of the environment, as in bash
"""

import os
import re
from pathlib import Path
from typing import NamedTuple

from skywire.errors import InvalidValue

VARIABLE = "SKYENV"
MAX_FILE = 1024 * 1024  # bytes
_START = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)=(\()?")
_PIECE = re.compile(
    r"""'([^']*)'|"((?:[^"\\]|\\.)*)"|((?:[^\s'"()`;&|<>#\\]|\\.)(?:[^\s'"()`;&|<>\\]|\\.)*)""",
    re.DOTALL,
)
_REFERENCE = re.compile(r"\\(.)|\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))", re.DOTALL | re.ASCII)
_BLANK = re.compile(r"(?:\s|#[^\n]*)*")
_END_OF_LINE = re.compile(r"[ \t]*;?[ \t]*(?:#[^\n]*)?(?:\n|\Z)")


class Variable(NamedTuple):
    """`option` is the option of `config gen`, by the name it has in the program."""

    name: str
    option: str
    help: str
    example: str


SECTIONS = {
    "Place": (
        Variable("PKGENV", "pkg", "Paths of the installed package", "true"),
        Variable("USRENV", "user", "Paths in the home directory", "true"),
        Variable("OUTPUT", "out", "The config file; STDOUT prints it", "'./skywire-config.json'"),
        Variable("BINPATH", "binpath", "Directory of the apps' programs", "'./apps'"),
    ),
    "Deployment": (
        Variable("SVCCONF", "svcconf", "File with the services", "'services-config.json'"),
        Variable("DMSGCONF", "dmsgconf", "The same on dmsg", "'dmsghttp-config.json'"),
        Variable("SVCCONFADDR", "url", "URL of a config service to ask", "('')"),
        Variable("TESTENV", "testenv", "The test deployment", "true"),
        Variable("DMSGHTTP", "dmsghttp", "Reach the services over dmsg only", "true"),
        Variable("MINDMSGSESS", "minsess", "dmsg servers to stay connected to, 0: all", "8"),
        Variable("STUNSERVERS", "stun", "STUN servers instead of the deployment's", "('')"),
    ),
    "Transports": (
        Variable("VISORISPUBLIC", "public", "Let others find this visor", "true"),
        Variable("DISABLEPUBLICAUTOCONN", "autoconn", "No transports to public visors", "true"),
        Variable("TPSETUPPKS", "tpsetup", "Keys that may open transports", "('')"),
        Variable("SUDPHPORT", "sudph", "UDP port for sudph, 0: any", "0"),
        Variable("STCPRPORT", "stcpr", "TCP port for stcpr, 0: any", "0"),
    ),
    "Routing": (
        Variable("ROUTESETUPPKS", "routesetup", "More route setup nodes", "('')"),
        Variable("MINHOPS", "minhops", "Transports a route has at least", "0"),
    ),
    "Access": (
        Variable("HYPERVISORPKS", "hvpks", "Keys of hypervisors", "('')"),
        Variable("DMSGPTYPKS", "dmsgpty", "Keys that may open terminals", "('')"),
        Variable("SURVEYPKS", "survey", "Keys that may read the survey", "('')"),
        Variable("CLIADDR", "cliaddr", "Address for the command line", "'localhost:3435'"),
        Variable("PTYSOCKET", "ptysock", "Control socket of the terminals", "'/tmp/pty.sock'"),
        Variable("STCPADDR", "stcpaddr", "Where to take stcp transports", "':7777'"),
        Variable("APPADDR", "appaddr", "Address for the apps", "'localhost:5505'"),
    ),
    "Hypervisor": (
        Variable("ISHYPERVISOR", "ishv", "Run a hypervisor in this visor", "true"),
        Variable("HVHTTPADDR", "hvaddr", "Address of its web pages", "':8000'"),
    ),
    "Apps": (
        Variable("DISPLAYNODEIP", "publicip", "Publish the IP address with the services", "true"),
        Variable("SKYCHATADDR", "chataddr", "Address of the chat's page", "':8001'"),
        Variable("VPNSERVER", "servevpn", "Start the VPN server", "true"),
        Variable("PROXYCLIENTPK", "proxyclientpk", "Key of the proxy server to use", "''"),
        Variable("STARTPROXYCLIENT", "startproxyclient", "Start the proxy client", "true"),
        Variable("NOPROXYSERVER", "noproxyserver", "Do not start the proxy server", "true"),
        Variable("PROXYSEVERPASS", "proxyserverpass", "Passcode of the proxy server", "''"),
        Variable("VPNKS", "killsw", "Killswitch of the VPN client", "true"),
        Variable("ADDVPNPK", "addvpn", "Key of the VPN server to use", "''"),
        Variable("VPNCLIENTPASS", "vpnpass", "Passcode of that VPN server", "''"),
        Variable("VPNSEVERPASS", "vpnserverpass", "Passcode of our VPN server", "''"),
        Variable("VPNSEVERSECURE", "secure", "Keep VPN clients off the local network", "true"),
        Variable("VPNSEVERNETIFC", "netifc", "Network interface of the VPN server", "'eth0'"),
    ),
    "Miscellaneous": (
        Variable("SK", "sk", "Secret key", "''"),
        Variable("VERSION", "version", "Version in the file", "''"),
        Variable("LOGLVL", "loglvl", "Log level", "debug"),
        Variable("SHUTDOWNTIMEOUT", "shutdown", "How long a Go visor may take to end", "10s"),
    ),
}
VARIABLES = tuple(each for section in SECTIONS.values() for each in section)


def template() -> str:
    """A file with every variable, each commented out."""
    lines = [
        "#",
        "# Defaults of `skywire cli config gen`, while the variable SKYENV names this file.",
        "# Remove the # before a line to use it. true and false are the truth values.",
    ]
    for section, variables in SECTIONS.items():
        lines += ["#", f"### {section} ".ljust(72, "#")]
        for each in variables:
            lines += ["", f"#--\t{each.help}", f"#{each.name}={each.example}"]
    return "\n".join(lines) + "\n"


def read(path: Path) -> dict[str, str | list[str]]:
    """The assignments of the file. Raises InvalidValue naming the line; never shows a value."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE + 1)
        text = raw.decode()
    except OSError as error:
        raise InvalidValue(f"{VARIABLE}={path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidValue(f"{VARIABLE}={path}: not UTF-8 at byte {error.start}") from error
    if len(raw) > MAX_FILE:
        raise InvalidValue(f"{VARIABLE}={path}: larger than {MAX_FILE} bytes")
    return parse(text, str(path))


def parse(text: str, source: str) -> dict[str, str | list[str]]:
    found: dict[str, str | list[str]] = {}
    at = _skip(text, 0)
    while at < len(text):
        start = _START.match(text, at)
        if start is None:
            raise _error(text, at, source, "expected NAME=value")
        if start[2]:
            values, at = _array(text, start.end(), source)
            found[start[1]] = values
        else:
            found[start[1]], at = _word(text, start.end(), source)
        end = _END_OF_LINE.match(text, at)
        if end is None:
            raise _error(text, at, source, "expected the end of the line after a value")
        at = _skip(text, end.end())
    return found


def _array(text: str, at: int, source: str) -> tuple[list[str], int]:
    values = []
    at = _skip(text, at)
    while not text.startswith(")", at):
        start = at
        word, at = _word(text, at, source)
        if at == start:
            raise _error(text, at, source, "expected a value or )")
        values.append(word)
        at = _skip(text, at)
    return [value for value in values if value], at + 1


def _word(text: str, at: int, source: str) -> tuple[str, int]:
    """A value of quoted and bare pieces, and where it ends."""
    pieces = []
    while piece := _PIECE.match(text, at):
        quoted, double, bare = piece.groups()
        if quoted is not None:
            pieces.append(quoted)
        else:
            pieces.append(_expand(double if double is not None else bare, text, at, source))
        at = piece.end()
    return "".join(pieces), at


def _expand(piece: str, text: str, at: int, source: str) -> str:
    if "$(" in piece or "`" in piece:
        raise _error(text, at, source, "a command in it: nothing of the file is run")
    return _REFERENCE.sub(lambda match: match[1] or os.environ.get(match[2] or match[3], ""), piece)


def _skip(text: str, at: int) -> int:
    """Past blanks and comments."""
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at


def _error(text: str, at: int, source: str, expected: str) -> InvalidValue:
    return InvalidValue(f"{source}: line {text.count(chr(10), 0, at) + 1}: {expected}")
