"""`python send_file.py` takes files into this directory; `python send_file.py KEY FILE` sends."""

import asyncio
import hashlib
import sys
from pathlib import Path

import skywire

PORT = 2002
PIECE = 64 * 1024


async def take(connection: skywire.Connection) -> None:
    size, name = (await connection.readline()).decode().strip().split(" ", 1)
    left, digest = int(size), hashlib.sha256()
    with Path(Path(name).name).open("xb") as file:  # never outside, never over another file
        while left:
            digest.update(piece := await connection.readexactly(min(PIECE, left)))
            left -= file.write(piece)
    await connection.write(digest.hexdigest().encode() + b"\n")


async def serve() -> None:
    async with skywire.Node() as node, node.listen(PORT) as listener:
        print(node.pk, flush=True)
        await listener.serve(take, limit=4)


async def send(pk: str, path: Path) -> None:
    async with skywire.Node() as node, await node.dial(pk, PORT) as connection:
        await connection.write(f"{path.stat().st_size} {path.name}\n".encode())
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                await connection.write(piece)
        print("arrived, sha256", (await connection.readline()).decode().strip())


if __name__ == "__main__":
    asyncio.run(send(sys.argv[1], Path(sys.argv[2])) if len(sys.argv) > 1 else serve())
