"""The command tree. One line per command; a command is imported only when it is used.

Where a command is hooked in: add a line to a table below (those of `skywire cli` are in
`tree_cli.py`), "module:attribute" and the one-line help of the command (the first sentence of its
docstring; `tests/cli/test_main.py` compares them). The attribute is a click command or an operation
with `cli=`. An old word is a hidden line or a hidden `twin` of a group.
"""

import click

from skywire import __version__
from skywire.cli.lazy import Lazy, LazyGroup, RootGroup
from skywire.cli.tree_cli import cli
from skywire.cli.tree_people import doctor, netcheck, status, top
from skywire.cli.tree_pty import app, dmsg_pty

dmsg = LazyGroup(
    "dmsg",
    "Streams between public keys, through relay servers.",
    {
        "cat": Lazy(
            "skywire.cli.dmsg_cat:cat",
            "Send standard input over a dmsg stream, and print what comes.",
        ),
        "curl": Lazy("skywire.cli.dmsg_curl:curl", "Fetch a file or send data over dmsg."),
        "disc": Lazy("skywire.cli.dmsg_disc:disc", "Run the directory of servers and clients."),
        "http": Lazy("skywire.cli.dmsg_http:http", "Serve the files of a directory over dmsg."),
        "ip": Lazy("skywire.cli.dmsg_net:ip", "Print our IP address as a dmsg server sees it."),
        "ping": Lazy("skywire.cli.dmsg_net:ping", "Measure the round trip to a node over dmsg."),
        "pty": dmsg_pty,
        "server": Lazy("skywire.cli.dmsg_server:server", "Run a relay server."),
        "socks": Lazy("skywire.cli.dmsg_net:socks", "Reach the internet through another node."),
        "web": Lazy("skywire.cli.dmsg_web:web", "Show web sites on dmsg to a local browser."),
    },
)

doc = LazyGroup(
    "doc",
    "The reference, and manual pages.",
    {
        "commands": Lazy(
            "skywire.cli.docs:commands", "Print the reference of the commands, in Markdown."
        ),
        "config": Lazy(
            "skywire.cli.docs:config", "Print the reference of the configuration, in Markdown."
        ),
        "library": Lazy(
            "skywire.cli.docs_library:library",
            "Print the reference of the Python library, in Markdown.",
        ),
        "man": Lazy(
            "skywire.cli.man:man", "Write a manual page for each command into a directory."
        ),
    },
    default="commands",
)

keys = LazyGroup(
    "keys",
    "Make and check keys.",
    {
        "gen": Lazy("skywire.cli.keys:gen", "Make new key pairs."),
        "pk": Lazy("skywire.cli.keys:pk", "Print the public key of a secret key."),
        "check": Lazy("skywire.cli.keys:check", "Check that a text is a valid public key."),
    },
)

svc = LazyGroup(
    "svc",
    "Run the services of a deployment.",
    {
        "all": Lazy(
            "skywire.cli.svc_all:run_all",
            "Run all services of a deployment in one process, on one database.",
        ),
        "ar": Lazy(
            "skywire.cli.svc:ar",
            "Run the address resolver: where visors can be reached (TCP and UDP).",
        ),
        "conf": Lazy(
            "skywire.cli.svc:conf",
            "Run the config bootstrapper: tells new visors where the services are.",
        ),
        "confbs": Lazy(
            "skywire.cli.svc:conf",
            "Run the config bootstrapper: tells new visors where the services are.",
            hidden=True,
        ),
        "kg": Lazy("skywire.cli.keys:gen", "Make new key pairs.", hidden=True),
        "nv": Lazy(
            "skywire.cli.svc:nv", "Run the node visualizer's data: visors and their transports."
        ),
        "sd": Lazy("skywire.cli.svc:sd", "Run the service discovery: which visors offer what."),
        "tpd": Lazy("skywire.cli.svc:tpd", "Run the transport discovery: which transports exist."),
        "rf": Lazy(
            "skywire.cli.svc_rf:rf", "Run the route finder: paths over the transports that exist."
        ),
        "sn": Lazy("skywire.cli.svc_sn:sn", "Run a route setup node."),
        "ut": Lazy("skywire.cli.svc_ut:ut", "Run the uptime tracker: how long visors were up."),
        "tps": Lazy("skywire.cli.svc_tps:tps", "Run the transport setup service, or ask it."),
    },
)

root = RootGroup(
    "skywire",
    "Skywire: a mesh network whose addresses are public keys.",
    {
        "app": app,
        "autoconfig": Lazy(
            "skywire.cli.autoconfig:autoconfig",
            "Make the config of the installed visor anew, with the choices of the SKYENV file.",
        ),
        "cli": cli,
        "completion": Lazy(
            "skywire.cli.completion:completion",
            "Print a script that lets a shell complete our commands.",
        ),
        "demo": Lazy(
            "skywire.cli.demo:demo",
            "Run a private network on this machine: its services, three nodes, a web page.",
        ),
        "dmsg": dmsg,
        "doc": doc,
        "doctor": doctor,
        "keys": keys,
        "netcheck": netcheck,
        "ping": Lazy(
            "skywire.cli.ping:ping", "Measure the way to a visor over routes, hop by hop."
        ),
        "status": status,
        "svc": svc,
        "top": top,
        "tree": Lazy(
            "skywire.cli.tree:tree", "Show the tree of commands, or what is below the words."
        ),
        "visor": Lazy("skywire.cli.visor:visor", "Run a node."),
    },
    epilog="Exit codes: 0 success, 1 failure, 2 bad usage, 130 interrupted. "
    'Begin with "skywire demo"; see all there is with "skywire tree".',
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
click.version_option(__version__, "-v", "--version", message="skywire version v%(version)s")(root)


def main() -> None:
    """The `skywire` script."""
    root.main()
