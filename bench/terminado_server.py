"""terminado's web terminal, a process: the yardstick of the web terminal's echo."""

import asyncio

from terminado.management import UniqueTermManager
from terminado.websocket import TermSocket
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from bench.net import report


async def main() -> None:
    terminals = UniqueTermManager(shell_command=["cat"])
    application = Application([(r"/terminal", TermSocket, {"term_manager": terminals})])
    sockets = bind_sockets(0, "127.0.0.1")
    HTTPServer(application).add_sockets(sockets)
    report(port=sockets[0].getsockname()[1])
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
