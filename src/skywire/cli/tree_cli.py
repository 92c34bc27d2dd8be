"""The commands below `skywire cli`; `main.py` says how a line is written. Source: cli.md A2, B0."""

from skywire.cli.lazy import Lazy, LazyGroup
from skywire.cli.node_options import group_options
from skywire.cli.tree_apps import proxy, visor_app, vpn
from skywire.cli.tree_config import config
from skywire.cli.tree_hv import hv
from skywire.cli.tree_net import log, mdisc, rewards, sd, survey, tp_disc, tp_tree, ut
from skywire.cli.tree_people import doctor, netcheck, old_doctor, status, top, top_again
from skywire.cli.tree_pty import pty
from skywire.cli.tree_skynet import fwd, rev, serve, skynet

rg = LazyGroup(
    "rg",
    "Route groups: the routes that begin or end at the visor.",
    {
        "ls": Lazy(
            "skywire.cli.route:groups",
            "List the route groups: the routes that begin or end at the visor.",
        ),
    },
    default="ls",
)

route = LazyGroup(
    "route",
    "Routing rules: what the visor does with packets.",
    {
        "add": LazyGroup(
            "add",
            "Add a routing rule, or replace the one with its id.",
            {
                "a": Lazy(
                    "skywire.cli.route:add_consume",
                    "Add a rule that takes packets for an app here.",
                ),
                "b": Lazy(
                    "skywire.cli.route:add_intermediary", "Add a rule that passes packets on."
                ),
                "c": Lazy(
                    "skywire.cli.route:add_forward",
                    "Add a rule that sends an app's packets on their way.",
                ),
            },
        ),
        "calc": Lazy(
            "skywire.cli.route_find:calc",
            "Calculate a way from one visor to another, from the list of all transports.",
        ),
        "find": Lazy(
            "skywire.cli.route_find:find",
            "Ask the route finder for a way from one visor to another, and back.",
        ),
        "groups": Lazy(
            "skywire.cli.route:groups",
            "List the route groups: the routes that begin or end at the visor.",
        ),
        "ls": Lazy("skywire.cli.route:list_rules", "List the routing rules of the visor."),
        "minhops": Lazy(
            "skywire.cli.route:minhops",
            "Print or set over how many transports new routes lead at least.",
        ),
        "rm": Lazy("skywire.cli.route:remove", "Remove a rule: what follows it stops here."),
    },
    default="ls",
)

tp = LazyGroup(
    "tp",
    "Transports: the visor's direct connections to others.",
    {
        "add": Lazy("skywire.cli.tp:add", "Open a transport to another visor."),
        "auto": Lazy(
            "skywire.cli.tp:automatic", "Keep transports to some public visors, or no longer."
        ),
        "id": Lazy(
            "skywire.cli.tp:id_of",
            "Calculate the id of the transport of a type between two visors; nobody is asked.",
        ),
        "ls": Lazy("skywire.cli.tp:list_transports", "List the transports of the visor."),
        "metrics": Lazy(
            "skywire.visor.ops_transports:transport_figures",
            "Latency and bandwidth of each transport, with the age of each figure.",
        ),
        "persistent": LazyGroup(
            "persistent",
            "Transports that are opened again whenever they are missing.",
            {
                "add": Lazy(
                    "skywire.cli.tp:persistent_add",
                    "Have a transport opened again whenever it is missing.",
                ),
                "ls": Lazy(
                    "skywire.cli.tp:persistent_list",
                    "List the transports that the visor opens again whenever they are missing.",
                ),
                "rm": Lazy(
                    "skywire.cli.tp:persistent_remove",
                    "Have a transport not opened again; the one that is up stays.",
                ),
            },
            default="ls",
        ),
        "disc": tp_disc,
        "rm": Lazy("skywire.cli.tp:remove", "Close a transport, or all."),
        "rotation": Lazy(
            "skywire.cli.tp:rotation",
            "Print or set how long the files with each day's traffic are kept, at least a day.",
        ),
        "tree": tp_tree,
    },
    default="ls",
)

util = LazyGroup(
    "util",
    "Small helpers for scripts.",
    {
        "foreach": Lazy(
            "skywire.cli.util:foreach",
            "Run a command for each public key; {pk} stands for the key, else it comes last.",
        ),
        "jq": Lazy(
            "skywire.cli.util:jq",
            "Print what a jq filter makes of JSON from a file or standard input.",
        ),
        "nc": Lazy(
            "skywire.cli.util_net:nc",
            "Send standard input over a TCP connection, and print what comes.",
        ),
        "serve": Lazy(
            "skywire.cli.util_net:serve_files",
            "Serve the files of a directory over HTTP, to this machine unless --addr says "
            "otherwise.",
        ),
    },
)

cli_dmsg = LazyGroup(
    "dmsg",
    "The visor's dmsg client.",
    {
        "cat": Lazy(
            "skywire.cli.dmsg_cat:cat",
            "Send standard input over a dmsg stream, and print what comes.",
            hidden=True,
        ),
        "curl": Lazy(
            "skywire.cli.dmsg_curl:curl", "Fetch a file or send data over dmsg.", hidden=True
        ),
        "connect-all": Lazy(
            "skywire.visor.ops_dmsg:dmsg_connect_all",
            "Connect to every dmsg server, until the visor restarts.",
        ),
        "sessions": Lazy(
            "skywire.visor.ops_dmsg:dmsg_sessions",
            "The dmsg servers that this visor is connected to, and how far away they are.",
        ),
        "set-sessions": Lazy(
            "skywire.visor.ops_dmsg:set_dmsg_sessions",
            "Stay connected to so many dmsg servers, 0 for every one; in the config file, too.",
        ),
    },
)

visor = LazyGroup(
    "visor",
    "The visor itself.",
    {
        "app": visor_app,
        "dmsg-servers": Lazy(
            "skywire.cli.visor_info:dmsg_servers",
            "List the dmsg servers that the visor is connected to; round trips are in ns in JSON.",
        ),
        "doctor": old_doctor,
        "halt": Lazy(
            "skywire.cli.visor_power:halt",
            "Have the visor stop; systemd, where it runs one, starts it again.",
        ),
        "health": Lazy(
            "skywire.visor.ops_info:health",
            "Whether the services this visor needs can be reached.",
        ),
        "hv": hv,
        "info": Lazy(
            "skywire.cli.visor_info:info",
            "Show the visor on one screen: key, address, dmsg server, version, health, uptime.",
        ),
        "ip": Lazy(
            "skywire.cli.visor_info:ip",
            "Show the visor's public address and the NAT it is behind, as it found them by STUN.",
        ),
        "load": Lazy("skywire.visor.ops_info:host_stats", "How busy the machine of this visor is."),
        "log": Lazy(
            "skywire.cli.visor_power:log", "Show the last log entries of the visor, up to 300."
        ),
        "ping": Lazy(
            "skywire.cli.ping:visor_ping",
            'Ping a visor over a route, as older versions do; "skywire ping" shows more.',
        ),
        "pk": Lazy("skywire.cli.visor_info:pk", "Print the public key of the visor."),
        "ports": Lazy(
            "skywire.cli.visor_info:ports",
            "List the ports that the visor has open, by what they are for.",
        ),
        "ready": Lazy(
            "skywire.cli.visor_info:ready",
            "Tell whether the visor is on dmsg: prints true and ends with 0, or false and 1.",
        ),
        "reload": Lazy(
            "skywire.cli.visor_power:reload",
            "Have the visor read its config file again and start anew; waits until it answers.",
        ),
        "reward": Lazy(
            "skywire.cli.reward:reward",
            "Show or set the Skycoin address that the visor's rewards go to.",
        ),
        "start": Lazy(
            "skywire.cli.visor_power:start", "Run a visor in this terminal; Ctrl-C ends it."
        ),
        "state": Lazy(
            "skywire.visor.ops_state:part_states",
            "Each part of the visor: whether it runs, since when, and why not.",
        ),
        "test": Lazy(
            "skywire.cli.ping:visor_test",
            "Ping some public visors, as the service discovery lists them; times are in ms.",
        ),
        "ver": Lazy(
            "skywire.cli.visor_info:ver", "Show the version of the visor and how it was built."
        ),
        "uptime": Lazy("skywire.visor.ops_info:uptime", "Seconds since the visor started."),
    },
)

svc = LazyGroup(
    "svc",
    "The services of the deployment.",
    {
        "health": Lazy(
            "skywire.cli.svc_health:health",
            "Ask every service of the deployment how it is; ends with 1 when one does not answer.",
        ),
        "dmsgd": LazyGroup(
            "dmsgd",
            "The dmsg discovery, as mdisc has it.",
            {
                "all-servers": mdisc.lazy["servers"],
                "clients": mdisc.lazy["clients"],
            },
            hidden=True,
        ),
    },
)

got = LazyGroup(
    "got",
    "HTTP requests, over the internet or over dmsg.",
    {
        "dl": Lazy("skywire.cli.got:dl", "Download a file; it appears when it is complete."),
        "head": Lazy(
            "skywire.cli.got:head",
            "Show the status and the headers of an answer; ends with 1 for an error status.",
        ),
        "req": Lazy(
            "skywire.cli.got:req",
            "Send a request and print the answer's body; ends with 1 for an error status.",
        ),
    },
)

tps = LazyGroup(
    "tps",
    "Ask the transport setup service to open and close transports of other visors.",
    {
        "add": Lazy("skywire.cli.svc_tps:add", "Have a visor open a transport."),
        "list": Lazy(
            "skywire.cli.svc_tps:list_transports",
            "Show the transports of a visor that were opened this way.",
        ),
        "rm": Lazy(
            "skywire.cli.svc_tps:rm",
            "Have a visor close a transport that was opened this way.",
        ),
    },
)

cli = LazyGroup(
    "cli",
    "Ask and change a running visor.",
    {
        "completion": Lazy(
            "skywire.cli.completion:completion",
            "Print a script that lets a shell complete our commands.",
            hidden=True,
        ),
        "config": config,
        "dmsg": cli_dmsg,
        "dmsgpty": pty.twin("dmsgpty"),
        "doctor": doctor,
        "fwd": fwd,
        "got": got,
        "gotop": top_again,
        "halt": Lazy(
            "skywire.cli.visor_power:halt",
            "Have the visor stop; systemd, where it runs one, starts it again.",
        ),
        "hv": hv,
        "log": log,
        "mdisc": mdisc,
        "netcheck": netcheck,
        "pk": Lazy("skywire.cli.visor_info:pk", "Print the public key of the visor."),
        "proxy": proxy,
        "pty": pty,
        "pv": Lazy("skywire.cli.lists:pv", "List public visors that are online."),
        "reward": Lazy(
            "skywire.cli.reward:reward",
            "Show or set the Skycoin address that the visor's rewards go to.",
        ),
        "rev": rev,
        "rewards": rewards,
        "rg": rg,
        "route": route,
        "sd": sd,
        "serve": serve,
        "skynet": skynet,
        "status": status,
        "survey": survey,
        "svc": svc,
        "top": top,
        "tp": tp,
        "tps": tps,
        "tree": Lazy(
            "skywire.cli.tree:tree",
            "Show the tree of commands, or what is below the words.",
            hidden=True,
        ),
        "ut": ut,
        "util": util,
        "visor": visor,
        "vpn": vpn,
    },
    params=group_options(),
).with_options(lambda: group_options(hidden=True))
