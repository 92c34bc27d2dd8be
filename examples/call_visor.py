"""Ask a visor how it is: `SKYWIRE_SK=… python call_visor.py KEY`.

It answers keys that its config has among `hypervisors`; yours is that of the secret key.
"""

import asyncio
import os
import sys

import skywire
from skywire.visor import ops_info


async def main(pk: str) -> None:
    async with skywire.Node(secret_key=os.environ["SKYWIRE_SK"]) as node:
        async with node.remote_visor(pk) as visor, asyncio.timeout(20):
            summary = await visor.call(ops_info.summary)  # see skywire.visor.ops_* for the others
            print(f"{pk} is up for {summary.uptime:.0f} s")
            for transport in summary.overview.transports if summary.overview else []:
                print(transport.type, transport.remote_pk)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
