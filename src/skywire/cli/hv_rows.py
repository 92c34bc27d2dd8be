"""Visors of a hypervisor as rows of a table. Source: hypervisor.md §8."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from skywire.cli.output import Marked
from skywire.config.values import Duration

if TYPE_CHECKING:
    from skywire.visor.types import LoadStats
    from skywire.visor.types_managed import HVVisorEntry

COLUMNS = ("PK", "LABEL", "VERSION", "UPTIME", "TP", "APPS", "IP", "CC", "STATUS")
LOAD_COLUMNS = ("LOAD", "MEM%", "DISK%")
MAX_STATUS = 25  # characters of an error
BUSY, SATURATED = "yellow", "bold red"  # ours
LOAD_BUSY, LOAD_SATURATED = 0.75, 1.0  # of the cores
PERCENT_BUSY, PERCENT_SATURATED = 80.0, 95.0


def columns(*, load: bool) -> Sequence[str]:
    return (*COLUMNS, *LOAD_COLUMNS) if load else COLUMNS


def cells(one: "HVVisorEntry", *, load: bool) -> list[object]:
    """Of the columns in their order."""
    found: list[object] = [
        one.pk,
        one.hostname,
        one.version,
        Duration(int(one.uptime_seconds)) if one.uptime_seconds else None,
        one.transports,
        one.apps,
        one.public_ip,
        one.country_code,
        _status(one),
    ]
    return [*found, *load_cells(one.load)] if load else found


def _status(one: "HVVisorEntry") -> object:
    if one.error:
        short = one.error if len(one.error) <= MAX_STATUS else one.error[:MAX_STATUS] + "..."
        return Marked(short, SATURATED)
    if one.is_local:
        return "local"
    return "ok" if one.online else Marked("offline", SATURATED)


def load_cells(load: "LoadStats | None") -> tuple[object, object, object]:
    """LOAD, MEM% and DISK%, as the reference shows them; what is scarce stands out."""
    if load is None:
        return "-", "-", "-"
    cores = f"/{load.cpu_cores}" if load.cpu_cores > 0 else ""
    share = load.load1 / load.cpu_cores if load.cpu_cores > 0 else 0.0
    return (
        _marked(f"{load.load1:.2f}{cores}", share, LOAD_BUSY, LOAD_SATURATED),
        _percent(load.mem_used_percent),
        _percent(load.disk_used_percent),
    )


def _percent(value: float) -> object:
    return _marked(f"{value:.0f}%", value, PERCENT_BUSY, PERCENT_SATURATED)


def _marked(text: str, value: float, busy: float, saturated: float) -> object:
    if value >= saturated:
        return Marked(text, SATURATED)
    return Marked(text, BUSY) if value >= busy else text
