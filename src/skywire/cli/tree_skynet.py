"""Forwarded ports: the commands `skynet` and `serve` below `skywire cli`. Source: cli.md §B3."""

from skywire.cli.lazy import Lazy, LazyGroup

serve = LazyGroup(
    "serve",
    "Ports of this machine that other visors can reach.",
    {
        "add": Lazy(
            "skywire.cli.skynet:serve_add",
            "Let other visors reach a port, or change how they do; it stays when the visor "
            "restarts.",
        ),
        "ls": Lazy(
            "skywire.cli.skynet:served",
            "List the ports of this machine that other visors can reach, and who may.",
        ),
        "rm": Lazy(
            "skywire.cli.skynet:serve_remove",
            "Let other visors reach a port no longer; connections that are open stay.",
        ),
        "whitelist": Lazy(
            "skywire.cli.skynet:serve_whitelist",
            "Show or set which visors may reach a port; connections that are open stay.",
        ),
    },
    default="ls",
)

skynet = LazyGroup(
    "skynet",
    "Ports of other visors on this machine.",
    {
        "port": serve.twin("port"),
        "srv": LazyGroup(
            "srv",
            'Ports of this machine that other visors can reach; "serve" can do more.',
            {
                "start": Lazy(
                    "skywire.cli.skynet:server_start",
                    "Let other visors reach ports of this machine; they stay when the visor "
                    "restarts.",
                ),
                "status": Lazy(
                    "skywire.cli.skynet:served",
                    "List the ports of this machine that other visors can reach, and who may.",
                ),
                "stop": Lazy(
                    "skywire.cli.skynet:server_stop",
                    "Let other visors reach ports no longer; connections that are open stay.",
                ),
            },
            default="status",
        ),
        "start": Lazy(
            "skywire.cli.skynet:start",
            "Have a port of another visor on this machine, until it is stopped or the visor ends.",
        ),
        "status": Lazy(
            "skywire.cli.skynet:status",
            "List the ports of other visors that are on this machine, and how they are.",
        ),
        "stop": Lazy(
            "skywire.cli.skynet:stop",
            "Have ports of other visors on this machine no longer; their connections are cut.",
        ),
    },
    default="status",
)

fwd = Lazy(
    "skywire.cli.skynet:fwd",
    'Let other visors reach a port of this machine; "serve" can do more.',
    hidden=True,
)
rev = Lazy(
    "skywire.cli.skynet:rev",
    'Have a port of another visor on this machine; "skynet" can do more.',
    hidden=True,
)
