"""Any ASGI application works: FastAPI, Starlette, Django, or a plain callable as this one."""

import asyncio
from typing import Any

import skywire


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    key, _ = scope["client"]  # who asks; nobody can pretend to be another
    text = f"{key} asks for {scope['path']}".encode()
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})


async def main() -> None:
    async with skywire.Node() as node, await node.serve(app, 80) as serving:
        print(serving.url, flush=True)
        await serving.wait()


if __name__ == "__main__":
    asyncio.run(main())
