"""The commands below `skywire cli`; `main.py` says how a line is written. Source: cli.md A2, B0."""

from skywire.cli.lazy import Lazy, LazyGroup
from skywire.cli.node_options import group_options

pty = LazyGroup(
    "pty",
    "Shells on nodes.",
    {
        "exec": Lazy(
            "skywire.cli.pty:execute", "Run one command on another node, without a terminal."
        ),
        "list": Lazy(
            "skywire.cli.pty:list_nodes",
            "List the nodes that are connected to the local one's hypervisor.",
        ),
        "start": Lazy("skywire.cli.pty:start", "Open a terminal on another node."),
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
    },
)

visor = LazyGroup(
    "visor",
    "The visor itself.",
    {
        "uptime": Lazy("skywire.visor.ops_info:uptime", "Seconds since the visor started."),
    },
)

cli = LazyGroup(
    "cli",
    "Ask and change a running visor.",
    {
        "dmsgpty": pty.twin("dmsgpty"),
        "pty": pty,
        "visor": visor,
    },
    params=group_options(),
)
