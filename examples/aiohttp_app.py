"""An aiohttp application on the network, that knows who asks: `python aiohttp_app.py`."""

import asyncio

from aiohttp import web

import skywire

routes = web.RouteTableDef()


@routes.get("/")
async def hello(request: web.Request) -> web.Response:
    return web.Response(text=f"Hello, {skywire.remote_pk(request)}")


@routes.post("/sum")
async def add(request: web.Request) -> web.Response:
    return web.json_response({"sum": sum(await request.json())})


async def main() -> None:
    app = web.Application()
    app.add_routes(routes)
    async with skywire.Node() as node, await node.serve(app, 80) as serving:
        print(serving.url, flush=True)
        await serving.wait()


if __name__ == "__main__":
    asyncio.run(main())
