"""A visor that answers what a test says, on a TCP port and in a thread of its own."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from skywire.operations import Operation, operation_of
from skywire.rpc.server import Method, RpcServer
from skywire.streams.supervise import Tasks
from skywire.streams.tcp import listen_tcp
from skywire.visor.go_types import SERVICE, go_type, go_types

Function = Callable[..., Awaitable[Any]]


class FakeRpc:
    """`answers`: by operation, a value or an error to raise. Others are unknown methods."""

    def __init__(self, answers: Mapping[Function, Any], port: int = 0) -> None:
        self.answers = dict(answers)
        self._port = port
        self.asked: list[tuple[str, Any]] = []  # RPC name and argument
        self.address = ""
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()

    def run(self, ready: threading.Event) -> None:
        self._loop.run_until_complete(self._serve(ready))
        self._loop.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)

    async def _serve(self, ready: threading.Event) -> None:
        server = RpcServer({f"{SERVICE}.{o.rpc}": self._method(f, o) for f, o in self._known()})
        listener = await listen_tcp("127.0.0.1", self._port)
        self.address = f"127.0.0.1:{listener.address.port}"
        tasks = Tasks("fake rpc")

        async def accept() -> None:
            while True:
                tasks.spawn(server.serve(await listener.accept()))

        accepting = tasks.spawn(accept())
        ready.set()
        await self._stop.wait()
        accepting.cancel()
        await listener.close()
        await tasks.close()

    def _known(self) -> Iterator[tuple[Function, Operation]]:
        for function in self.answers:
            yield function, operation_of(function)

    def _method(self, function: Function, known: Operation) -> Method:
        async def handler(argument: Any) -> Any:
            self.asked.append((known.rpc, argument))
            answer = self.answers[function]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return Method(go_types(known.request), go_type(known.answer), handler)


@contextmanager
def fake_rpc(answers: Mapping[Function, Any], port: int = 0) -> Iterator[FakeRpc]:
    fake, ready = FakeRpc(answers, port), threading.Event()
    thread = threading.Thread(target=fake.run, args=(ready,))
    thread.start()
    try:
        assert ready.wait(5)
        yield fake
    finally:
        fake.stop()
        thread.join(5)
