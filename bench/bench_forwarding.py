"""Packets of 1 KiB through an intermediary's codec: headers read, ids looked up and rewritten.

Without transports. In batches of 64 KiB as a transport reads them, first of one route, then of 64
routes that take turns; wanted: at least 600,000 packets/s.
"""

import statistics
import time
from uuid import UUID

from bench.figures import figure
from skywire.router.rules import RuleTable
from skywire.wire.packet import PacketReader, PacketType, Run, encode
from skywire.wire.rule import Rule

PAYLOAD = 1024  # bytes
BATCH = 64 * 1024  # bytes
ROUTES = 64
SPAN = 0.5  # seconds of one run
ROUNDS = 7
TARGET = 600_000


def packets_per_second(routes: int) -> float:
    table = RuleTable(time.monotonic)
    ids = table.reserve(routes)
    for id in ids:
        table.save([Rule.intermediary(id, 30_000_000_000, id + 1000, UUID(int=7))])
    stream = b"".join(encode(PacketType.DATA, id, bytes(PAYLOAD)) for id in ids)
    stream *= max(1, BATCH * 4 // len(stream))
    pieces = [stream[begin : begin + BATCH] for begin in range(0, len(stream), BATCH)]
    reader, count, start = PacketReader(), 0, time.perf_counter()
    while time.perf_counter() < start + SPAN:
        now = time.monotonic()
        for piece in pieces:
            for item in reader.route_data(piece, table.entries, now):
                assert isinstance(item, Run)
                count += item.packets
    return count / (time.perf_counter() - start)


def main() -> None:
    for routes in (1, ROUTES):
        packets_per_second(routes)
        runs = [packets_per_second(routes) for _ in range(ROUNDS)]
        median = statistics.median(runs)
        figure(
            f"forwarding, 1 KiB packets, codec only, {routes} route{'s' if routes > 1 else ''}",
            runs,
            "packets/s",
            target=f"≥ {TARGET}",
            met=median >= TARGET,
        )


if __name__ == "__main__":
    main()
