"""The commands below `skywire cli` that ask a deployment's services. Source: cli.md A2, B6."""

from skywire.cli.lazy import Lazy, LazyGroup

mdisc = LazyGroup(
    "mdisc",
    "The dmsg discovery: clients, entries, servers.",
    {
        "check": Lazy(
            "skywire.cli.mdisc:check",
            "Tell whether a client can be dialled: it has an entry, with servers that exist.",
        ),
        "clients": Lazy(
            "skywire.cli.mdisc:clients",
            "List the keys of all clients that the dmsg discovery knows.",
        ),
        "entry": Lazy("skywire.cli.mdisc:entry", "Show the entry of a client or a server."),
        "servers": Lazy(
            "skywire.cli.mdisc:servers",
            "List the dmsg servers, and how many sessions each still takes.",
        ),
    },
    default="clients",
)

rewards = LazyGroup(
    "rewards",
    "What the reward system collects.",
    {
        "bw-collect": Lazy(
            "skywire.cli.rewards_bw:bw_collect",
            "Write down how many bytes each visor carried on a day, as both ends confirm it.",
        ),
    },
)

log = LazyGroup(
    "log",
    "Surveys and transport logs of visors, for the reward system.",
    {
        "collect": Lazy(
            "skywire.cli.log_collect:collect",
            "Fetch health, survey and transport logs of all visors that are online, over dmsg.",
        ),
        "st": Lazy("skywire.cli.log_show:st", "Show what was collected, as a tree."),
        "tp": Lazy(
            "skywire.cli.log_show:tp",
            "Compare what the two ends of each transport wrote down, line by line.",
        ),
    },
    default="collect",
)

ut = LazyGroup(
    "ut",
    "How long visors were up, and who is there now.",
    {
        "mdisc": Lazy(
            "skywire.cli.ut:mdisc", "List visors that are registered with the dmsg discovery now."
        ),
        "sd": Lazy(
            "skywire.cli.ut:sd", "List visors that are registered with the service discovery now."
        ),
        "tpd": Lazy(
            "skywire.cli.ut:tpd",
            "List how long visors were up, by day, as the transport discovery tells it.",
        ),
    },
    default="tpd",
)

sd = Lazy(
    "skywire.cli.lists:sd",
    "List what is registered with the service discovery; TYPE is vpn, proxy or visor.",
)
survey = Lazy(
    "skywire.cli.survey:survey", "Make the survey of this machine, and print what it would tell."
)
vpn_list = Lazy("skywire.cli.lists:vpn", "List visors that offer a VPN and are online.")
proxy_list = Lazy(
    "skywire.cli.lists:proxy", "List visors that offer a SOCKS5 proxy and are online."
)
tp_tree = Lazy("skywire.cli.tp_tree:tree", "Draw the transports of all visors as trees.")
tp_disc = Lazy(
    "skywire.cli.tp_tree:disc", "Find a transport, or those of a visor, in the transport discovery."
)
