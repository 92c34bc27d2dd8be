"""The dmsg ports of a client. Source: dmsg.md §6, §7."""

from typing import TypeAlias

from skywire.dmsg.stream import DmsgStream
from skywire.streams.ports import PortListener, PortTable
from skywire.wire.dmsg import Code, error_text

# Streams waiting for `accept`; a further one is refused with code 401. Go has 20, and its acceptors
# run at once; here one turn of the loop brings as many requests as fit in a read.
ACCEPT_BACKLOG = 256

DmsgListener: TypeAlias = PortListener[DmsgStream]
DmsgPorts: TypeAlias = PortTable[DmsgStream]


def dmsg_ports() -> DmsgPorts:
    return PortTable(ACCEPT_BACKLOG, error_text(Code.PORT_OCCUPIED))
