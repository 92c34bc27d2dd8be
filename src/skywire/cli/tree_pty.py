"""The commands for terminals: `skywire cli pty`, `skywire dmsg pty`, `skywire app pty`.

Source: cli.md A4, B1.
"""

import click

from skywire.cli.lazy import Lazy, LazyGroup

EXECUTE = Lazy("skywire.cli.pty:execute", "Run one command on another node, without a terminal.")
WHITELIST = {
    "whitelist": Lazy(
        "skywire.cli.pty:whitelist", "Show whose keys may open terminals on the local node."
    ),
    "whitelist-add": Lazy(
        "skywire.cli.pty:whitelist_add",
        "Let more keys open terminals, until the local node restarts.",
    ),
    "whitelist-remove": Lazy(
        "skywire.cli.pty:whitelist_remove",
        "Let keys open no more terminals; those that are open stay.",
    ),
}
DIRECT = Lazy(
    "skywire.cli.pty_direct:host",
    "Let others have a shell on this machine over plain TCP, without a visor.",
)
PAGE = Lazy("skywire.cli.dmsg_pty:ui", "Show a terminal of this machine in a browser.")

pty = LazyGroup(
    "pty",
    "Shells on nodes.",
    {
        "end": Lazy(
            "skywire.cli.pty_sessions:end",
            "End a terminal session that a node keeps, with all that runs in it.",
        ),
        "exec": EXECUTE,
        "host": DIRECT,
        "list": Lazy(
            "skywire.cli.pty:list_nodes",
            "List the nodes that are connected to the local one's hypervisor.",
        ),
        "sessions": Lazy(
            "skywire.cli.pty_sessions:sessions",
            "List the terminal sessions that a node keeps, with their last lines.",
        ),
        "shell": Lazy(
            "skywire.cli.pty_direct:shell",
            "Open a terminal on a node over plain TCP, without dmsg; the port is 2022 by default.",
        ),
        "start": Lazy("skywire.cli.pty:start", "Open a terminal on another node."),
        "ui": Lazy(
            "skywire.cli.hv:terminal_ui",
            "Open a terminal on a visor in a browser, in the pages of the local hypervisor.",
        ),
        "url": Lazy(
            "skywire.cli.hv:terminal_url",
            "Print the address of a terminal on a visor, in the pages of the local hypervisor.",
        ),
        **WHITELIST,
    },
)

_host = LazyGroup(
    "host",
    "Let others have a shell on this machine over dmsg, without a visor.",
    {
        "confgen": Lazy(
            "skywire.cli.dmsg_pty:confgen",
            "Write a config file for the host, with a new key pair.",
        ),
        "start": Lazy(
            "skywire.cli.dmsg_pty:host",
            "Let others have a shell on this machine over dmsg, without a visor.",
        ),
    },
    default="start",
)

dmsg_pty = LazyGroup(
    "pty",
    "Terminals without a visor.",
    {
        "cli": LazyGroup(
            "cli",
            "Open a terminal by way of the host on this machine, and say who may.",
            {
                "start": Lazy(
                    "skywire.cli.dmsg_pty:start",
                    "Open a terminal here, or on another node by way of the host on this machine.",
                ),
                **WHITELIST,
            },
            default="start",
        ),
        "host": _host,
        "ui": PAGE,
    },
)


class _Apps(LazyGroup):
    """All words but "pty" are those of an app: a visor runs "skywire app NAME --flags"."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        known = args and (args[0] in self.lazy or args[0] == "--all")
        return super().parse_args(ctx, args if known else ["run", *args])


app = _Apps(
    "app",
    "Run an app, as a visor does.",
    {
        "pty": LazyGroup(
            "pty",
            "Terminals without a visor, over dmsg, plain TCP or in a browser.",
            {"dmsg": _host, "exec": EXECUTE, "http": PAGE, "tcp": DIRECT, **WHITELIST},
        ),
        "run": Lazy("skywire.cli.app:app", "Run an app, as a visor does."),
    },
)
