"""The visor's net/rpc on a TCP port, for the command line. Source: hypervisor.md §1 no. 3.

It has no authentication, so a config that names no host gets the loopback address; one that names
another address on purpose is told what that means.
"""

import logging
from contextlib import suppress

from skywire.config.values import HostPort, is_loopback
from skywire.errors import StreamClosed
from skywire.rpc.server import RpcServer
from skywire.streams.supervise import Tasks
from skywire.streams.tcp import listen_tcp
from skywire.visor.modules import Report

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 64


async def serve_local(address: HostPort, server: RpcServer, report: Report) -> None:
    """Serve until cancelled. Raises Conflict or Unavailable naming the port."""
    host = address.host or "127.0.0.1"
    if not is_loopback(host):
        log.warning(
            "cli_addr is open to the network address=%s: it has no authentication; "
            "use localhost:%d",
            address,
            address.port,
        )
    listener = await listen_tcp(host, address.port)
    tasks = Tasks("local rpc")
    report.up(rpc=str(listener.address))
    try:
        with suppress(StreamClosed):
            while True:
                stream = await listener.accept()
                if len(tasks) >= MAX_CONNECTIONS:
                    log.warning("local rpc full limit=%d", MAX_CONNECTIONS)
                    stream.abort()
                else:
                    tasks.spawn(server.serve(stream), str(stream.remote))
    finally:
        await listener.close()
        await tasks.close()
