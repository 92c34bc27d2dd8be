"""The commands below `skywire cli config`; `main.py` says how a line is written."""

from skywire.cli.lazy import Lazy, LazyGroup

update = LazyGroup(
    "update",
    "Change a config file.",
    {
        "settings": Lazy(
            "skywire.cli.config_update:settings",
            "Change settings, or bring the services up to date.",
        ),
        "hv": Lazy(
            "skywire.cli.config_update:hv",
            "Add hypervisors to the config, or remove them all.",
        ),
        "sc": Lazy("skywire.cli.config_update:sc", "Change the proxy client (skysocks-client)."),
        "ss": Lazy("skywire.cli.config_update:ss", "Change the proxy server (skysocks)."),
        "svc": Lazy(
            "skywire.cli.config_update:svc",
            "Write the services of both deployments to a file, for `config gen -S`.",
        ),
        "vpnc": Lazy("skywire.cli.config_update:vpnc", "Change the VPN client."),
        "vpns": Lazy("skywire.cli.config_update:vpns", "Change the VPN server."),
    },
    default="settings",
)

identity = LazyGroup(
    "identity",
    "The key pair of a config.",
    {
        "export": Lazy(
            "skywire.cli.config_show:identity_export",
            "Write the key pair of a config to a file of its own.",
        ),
        "import": Lazy(
            "skywire.cli.config_show:identity_import",
            "Give a config the key pair of a file; - is standard input.",
        ),
    },
)

priv = LazyGroup(
    "priv",
    "What a visor tells of itself.",
    {
        "get": Lazy(
            "skywire.cli.config_show:priv_get",
            "Print what a visor tells of itself: its address with its services, where rewards go.",
        ),
        "set": Lazy(
            "skywire.cli.config_show:priv_set",
            "Set where rewards go, and whether the IP address is published.",
        ),
    },
)

config = LazyGroup(
    "config",
    "Make, check and change config files.",
    {
        "check": Lazy("skywire.cli.config_show:check", "Check a config file; - is standard input."),
        "check-pk": Lazy("skywire.cli.keys:check", "Check that a text is a valid public key."),
        "gen": Lazy("skywire.cli.config_gen:gen", "Make the config of a visor."),
        "gen-keys": Lazy("skywire.cli.keys:gen", "Make new key pairs."),
        "identity": identity,
        "parse": Lazy(
            "skywire.cli.config_show:parse",
            "Print a config as the visor understands it, with every key that it has.",
        ),
        "pk": Lazy("skywire.cli.config_show:pk", "Print the public key of a config file."),
        "priv": priv,
        "show": Lazy(
            "skywire.cli.config_show:show",
            "Print the config file, or a part of it, without secrets.",
        ),
        "update": update,
    },
)
