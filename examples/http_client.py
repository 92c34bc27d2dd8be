"""Get a page of the network: `python http_client.py dmsg://KEY:80/path`."""

import asyncio
import sys

import skywire


async def main(url: str) -> None:
    async with skywire.Node() as node, node.http() as http:
        async with http.get(url) as response:  # an aiohttp session: all it can do works
            print(response.status, response.content_type)
            print(await response.text())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
