"""The visor as a program: its log, reading its config again, its end. Source: visor.md §2, §3.2."""

from typing import TYPE_CHECKING, Annotated

import msgspec

from skywire.config.values import Duration
from skywire.errors import InvalidValue
from skywire.operations import operation
from skywire.wire.gob_types import DURATION

if TYPE_CHECKING:
    from skywire.visor.visor import Visor

NANOSECONDS = 1_000_000_000
MIN_KEPT = 24 * 3600.0  # seconds; less would remove the file of the day


@operation(rpc="RuntimeLogs", http="GET /visors/{pk}/runtime-logs")
async def runtime_logs(visor: "Visor") -> str:
    """The last 300 log entries of the visor, a JSON array of objects."""
    return visor.logs.text()


@operation(rpc="Reload", http="POST /visors/{pk}/reload")
async def reload(visor: "Visor") -> None:
    """Have the visor read its config file again and start anew, in the same process.

    A file that cannot be used is refused, and the visor goes on as it is.
    """
    visor.reload()


@operation(rpc="Shutdown", http="POST /visors/{pk}/shutdown")
async def shutdown(visor: "Visor") -> None:
    """Have the visor stop; systemd, where it runs one, starts it again."""
    visor.end()


@operation(rpc="GetLogRotationInterval", http="GET /visors/{pk}/log/rotation")
async def log_rotation_interval(visor: "Visor") -> Annotated[int, DURATION]:
    """How long the files with each day's traffic are kept, in nanoseconds."""
    return round(visor.config.transport.log_store.rotation_interval * NANOSECONDS)


@operation(rpc="SetLogRotationInterval", http="PUT /visors/{pk}/log/rotation")
async def set_log_rotation_interval(visor: "Visor", nanoseconds: Annotated[int, DURATION]) -> None:
    """Keep the files with each day's traffic for so long, at least a day; also after a restart."""
    seconds = nanoseconds / NANOSECONDS
    if seconds < MIN_KEPT:
        raise InvalidValue(f'"{Duration(seconds)}": expected at least {Duration(MIN_KEPT)}')
    transport = visor.config.transport
    store = msgspec.structs.replace(transport.log_store, rotation_interval=Duration(seconds))
    changed = msgspec.structs.replace(transport, log_store=store)
    visor.file.update(msgspec.structs.replace(visor.config, transport=changed))
    visor.transports.keep_logs_for(seconds)
