"""The commands below `skywire cli visor hv`; `main.py` says how a line is written."""

from skywire.cli.lazy import Lazy, LazyGroup

_LIST = "List the visors that are connected to the hypervisor, and those of hypervisors among them."

hv = LazyGroup(
    "hv",
    "The visor and its hypervisors.",
    {
        "add": Lazy(
            "skywire.cli.hv_change:add",
            "Let another visor control this one, from now on and in the config file, too.",
        ),
        "cpk": Lazy("skywire.cli.hv:cpk", "List the hypervisors in the visor's config."),
        "disable": Lazy(
            "skywire.cli.hv_change:disable",
            "Have the visor be no hypervisor any more: at once, and in its config file.",
        ),
        "enable": Lazy(
            "skywire.cli.hv_change:enable",
            "Have the visor be a hypervisor, with pages for a browser: at once, and in its config "
            "file.",
        ),
        "ls": Lazy("skywire.cli.hv_list:list_visors", _LIST),
        "passwd": Lazy(
            "skywire.cli.hv_change:passwd",
            "Change the password of the hypervisor's pages, in the file that keeps it, on this "
            "machine.",
        ),
        "pk": Lazy("skywire.cli.hv:pk", "List the hypervisors that the visor is connected to."),
        "rm": Lazy(
            "skywire.cli.hv_change:rm",
            "Let a hypervisor no longer control this visor, from now on and in the config file, "
            "too.",
        ),
        "status": Lazy(
            "skywire.cli.hv:status",
            "Show whether the visor is a hypervisor, and which ones control it.",
        ),
        "tree": Lazy("skywire.cli.hv_list:list_visors", _LIST, hidden=True),
        "tui": Lazy(
            "skywire.cli.hv_tui:tui",
            "Watch the visors of the hypervisor and of those below it; look into one, open a shell "
            "on it.",
        ),
        "ui": Lazy(
            "skywire.cli.hv:ui",
            "Open the hypervisor's pages in a browser, and print their address.",
        ),
    },
)
