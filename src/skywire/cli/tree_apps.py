"""The commands of apps below `skywire cli`; `main.py` says how a line is written."""

from skywire.cli.lazy import Lazy, LazyGroup
from skywire.cli.tree_net import proxy_list, vpn_list

visor_app = LazyGroup(
    "app",
    "The apps of the visor.",
    {
        "add": Lazy(
            "skywire.visor.ops_apps:add_app",
            "Add an app to the config, on a free port: NAME, run by the program BINARY in "
            "bin_path.",
        ),
        "arg": LazyGroup(
            "arg",
            "Change how an app is started.",
            {
                "address": Lazy(
                    "skywire.cli.visor_app:address",
                    "Set where skychat has its page: on this machine only, or on every address "
                    "(*:PORT).",
                ),
                "autostart": Lazy(
                    "skywire.cli.visor_app:autostart", "Start an app with the visor, or not."
                ),
                "dns": Lazy(
                    "skywire.cli.visor_app:dns",
                    "Set the name server that a VPN client uses while it is connected.",
                ),
                "killswitch": Lazy(
                    "skywire.cli.visor_app:killswitch",
                    "Have a VPN client let nothing pass outside the tunnel, even when it is down.",
                ),
                "netifc": Lazy(
                    "skywire.cli.visor_app:netifc",
                    "Set the interface by which a VPN server reaches the internet.",
                ),
                "passcode": Lazy(
                    "skywire.cli.visor_app:passcode",
                    "Set or remove the passcode of a server app, or the one a VPN client gives.",
                ),
                "pk": Lazy("skywire.cli.visor_app:pk", "Set the server of a client app."),
                "secure": Lazy(
                    "skywire.cli.visor_app:secure",
                    "Have a VPN server keep its clients off its own network.",
                ),
                "whitelist": Lazy(
                    "skywire.cli.visor_app:whitelist",
                    "Set whose keys a server app lets in; without any, it lets everybody in.",
                ),
            },
        ),
        "args": Lazy(
            "skywire.cli.visor_app:args", "Print the arguments with which an app is started."
        ),
        "conns": Lazy(
            "skywire.visor.ops_apps:app_connections",
            "The streams of an app: are they alive, how fast, how much went through.",
        ),
        "deregister": Lazy(
            "skywire.cli.visor_app:deregister",
            "Forget an app that was registered; its connection, if it has one, goes on.",
        ),
        "kill": Lazy("skywire.visor.ops_apps:kill_app", "End an app at once."),
        "log": Lazy(
            "skywire.cli.visor_app:log",
            "Print what an app has printed and logged since a TIME, oldest first.",
        ),
        "ls": Lazy(
            "skywire.cli.visor_app:list_apps", "List the apps of the visor, and how they are."
        ),
        "register": Lazy(
            "skywire.cli.visor_app:register",
            "Let an app connect that the visor has not started; prints its key.",
        ),
        "restart": Lazy(
            "skywire.visor.ops_apps:restart_app",
            "Stop an app and start it, with the arguments that the config has now.",
        ),
        "rm": Lazy(
            "skywire.visor.ops_apps:remove_app",
            "Take an app out of the config; one that runs is stopped first.",
        ),
        "start": Lazy("skywire.cli.visor_app:start", "Start an app as the config has it."),
        "stop": Lazy(
            "skywire.visor.ops_apps:stop_app",
            "Ask an app to end; after ten seconds it is ended.",
        ),
    },
    default="ls",
)

proxy = LazyGroup(
    "proxy",
    "Reach the internet through another visor, by SOCKS5.",
    {
        "list": proxy_list,
        "server": LazyGroup(
            "server",
            "Be a proxy for other visors.",
            {
                "start": Lazy(
                    "skywire.cli.proxy:server_start",
                    "Let other visors reach the internet through this one.",
                ),
                "status": Lazy(
                    "skywire.cli.proxy:server_status",
                    "Show whether other visors may use this one as a proxy.",
                ),
                "stop": Lazy(
                    "skywire.cli.proxy:server_stop",
                    "Let nobody use this visor as a proxy any more.",
                ),
            },
        ),
        "start": Lazy(
            "skywire.cli.proxy:start",
            "Reach the internet through another visor, by a SOCKS5 proxy on this machine.",
        ),
        "status": Lazy(
            "skywire.cli.proxy:status",
            "Show the proxy clients: their servers, where they listen, how they are.",
        ),
        "stop": Lazy("skywire.cli.proxy:stop", "Stop one proxy client, or all."),
    },
)

vpn = LazyGroup(
    "vpn",
    "Send the traffic of this machine through another visor.",
    {
        "list": vpn_list,
        "server": LazyGroup(
            "server",
            "Be a VPN server for other visors.",
            {
                "start": Lazy(
                    "skywire.cli.vpn:server_start",
                    "Let other visors send their traffic through this one.",
                ),
                "status": Lazy(
                    "skywire.cli.vpn:server_status",
                    "Show whether other visors may send their traffic through this one.",
                ),
                "stop": Lazy(
                    "skywire.cli.vpn:server_stop",
                    "Let nobody send their traffic through this visor any more.",
                ),
            },
        ),
        "start": Lazy(
            "skywire.cli.vpn:start", "Send the traffic of this machine through another visor."
        ),
        "status": Lazy(
            "skywire.cli.vpn:status", "Show whether the VPN is connected, and to which visor."
        ),
        "stop": Lazy("skywire.cli.vpn:stop", "Disconnect the VPN."),
        "ui": Lazy("skywire.cli.vpn:ui", "Open the VPN's page in a browser."),
        "url": Lazy(
            "skywire.cli.vpn:url",
            "Print the address of the VPN's page in the hypervisor of this visor.",
        ),
    },
)
