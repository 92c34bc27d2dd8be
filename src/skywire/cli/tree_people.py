"""The commands that tell what is wrong: below `skywire`, and below `skywire cli` as well."""

from skywire.cli.lazy import Lazy

_DOCTOR = (
    "skywire.cli.doctor:doctor",
    "Find what is wrong with the visor, and how to fix it; the visor need not run.",
)
doctor = Lazy(*_DOCTOR)
old_doctor = Lazy(*_DOCTOR, hidden=True)
netcheck = Lazy(
    "skywire.cli.netcheck:netcheck",
    "Check the network: own address, NAT, DNS, clock, each service and dmsg server.",
)
status = Lazy(
    "skywire.cli.status:status",
    "Show on one screen whether the visor is reachable, by what, since when, and what is wrong.",
)
top = Lazy(
    "skywire.cli.top:top",
    "Watch the visor: transports with their traffic, routes, apps, dmsg sessions, health, load.",
)
top_again = top._replace(hidden=True)  # under the name that the Go program has
