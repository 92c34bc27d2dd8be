"""A node of the network in your own program: dial and listen by public key.

    async with skywire.Node() as node:
        async with await node.dial(pk, 80) as connection:
            await connection.write(b"hello\\n")
            print(await connection.readline())

A node is a visor without what only a machine's own visor needs: no terminal, no command line
socket, no files. Given the file of a visor it is that visor.
"""

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from aiohttp import ClientSession, ClientTimeout, web

from skywire.appkit.network import DMSG, NETWORKS, SKYNET, Network
from skywire.config.deployment import PRODUCTION, Deployment, deployment
from skywire.config.load import ConfigFile
from skywire.crypto.generate import key_pair, random_bytes
from skywire.crypto.keys import PubKey, SecKey
from skywire.errors import InvalidValue, SkywireError, StreamClosed, Unavailable
from skywire.http.app import running
from skywire.http.over_stream import (
    HEADER_TIMEOUT,
    IDLE_TIMEOUT,
    MAX_CONNECTIONS,
    DmsgConnector,
    serve_http,
)
from skywire.ports import DMSG_RPC
from skywire.rpc.client import RpcClient
from skywire.streams.connection import Connection, ConnectionListener, asyncio_streams
from skywire.streams.merged import MergedListener
from skywire.streams.stream import Listener, Stream
from skywire.streams.supervise import Tasks
from skywire.visor.client import LocalVisor, RemoteVisor
from skywire.visor.modules import Report
from skywire.visor.visor import Visor

if TYPE_CHECKING:
    from skywire.http.asgi import AsgiApp

READY_WITHIN = 20.0  # seconds until a node must be reachable
DIAL_LIMIT = 60.0  # seconds for a dial, all that it tries included
REQUEST_LIMIT = 60.0  # seconds for an HTTP request, unless the session or request says otherwise
START_APP_LIMIT = 35.0  # seconds for a served application to start
CALL_LIMIT = 60.0  # seconds for an operation of the visor

_Answer = TypeVar("_Answer")


class Node:
    """Use it as an async context manager; what it opened ends with it.

    `config` is the path of a visor's config file, or values with the same keys that differ from a
    plain node's. Without `secret_key` (or "sk" there) the node has a new key each time.
    `deployment` says whose services to use: "prod", "test" or one's own; with a file, the file
    says it. Entering waits until others can reach the node, for `ready_within` seconds at most;
    0 enters at once and leaves the rest to `ready`.
    """

    def __init__(
        self,
        config: str | os.PathLike[str] | Mapping[str, Any] | None = None,
        *,
        secret_key: SecKey | str | None = None,
        deployment: Deployment | str = PRODUCTION,
        ready_within: float = READY_WITHIN,
    ) -> None:
        """Raises InvalidValue for a config that is not valid, naming the key and the value."""
        self._stack = AsyncExitStack()
        self._tasks = Tasks("node")
        self._ready_within = ready_within
        self._kept: list[_Closable] = []
        self._scratch: Path | None = None  # a directory for what a visor keeps
        self._started = asyncio.Event()
        self._failure: BaseException | None = None
        plain = not isinstance(config, str | os.PathLike)
        if isinstance(config, str | os.PathLike):
            if secret_key is not None:
                raise InvalidValue("secret_key: the config file has one; give one or the other")
            file = ConfigFile.load(config)
        else:
            self._scratch = Path(tempfile.gettempdir()) / f"skywire-{random_bytes(12).hex()}"
            values = plain_config(deployment, str(self._scratch))
            if secret_key is not None:
                values["sk"] = secret_key if isinstance(secret_key, str) else secret_key.hex()
            file = ConfigFile(json.dumps(_overlaid(values, config or {}), default=str), "Node")
        self.visor = Visor(file, plain=plain)
        """All parts of the node, for what this class has no method for."""

    # Running

    async def __aenter__(self) -> Self:
        """Raises Unavailable when the node is not reachable in time, with the reason."""
        if self._scratch is not None:
            self._scratch.mkdir(mode=0o700)
            self._stack.callback(shutil.rmtree, self._scratch, ignore_errors=True)
        self._stack.push_async_callback(self._tasks.close)
        self.visor.add_part("node", self._be_a_part)
        self._tasks.spawn(self._run(), "visor")
        try:
            await self._started.wait()
            if self._failure is not None:
                raise self._failure
            if self._ready_within:
                await self._ready_or_raise()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _run(self) -> None:
        try:
            await self.visor.run()
        except (SkywireError, OSError) as error:
            self._failure = error
        finally:
            self._started.set()

    async def _be_a_part(self, report: Report) -> None:
        """Started with the parts of the visor: then all of them are there."""
        report.up()
        self._started.set()
        await asyncio.Event().wait()

    async def _ready_or_raise(self) -> None:
        try:
            async with asyncio.timeout(self._ready_within):
                await self.ready()
        except TimeoutError:
            dmsg = self.visor.dmsg
            reason = dmsg.entry_error or dmsg.servers_error or "no dmsg server answers"
            raise Unavailable(
                f"the node is not on the network after {self._ready_within:g} s: {reason}"
            ) from None

    async def ready(self) -> None:
        """Wait until others can reach the node; give it a deadline."""
        await self.visor.dmsg.ready()
        await self.visor.modules.settled()

    async def close(self) -> None:
        """End everything that was opened by this node, and the node. Idempotent."""
        while self._kept:
            await self._kept.pop().close()
        await self._stack.aclose()

    def _keep(self, opened: "_Closable") -> None:
        """Close it with the node."""
        self._kept = [each for each in self._kept if not each.closed]
        self._kept.append(opened)

    # Who we are

    @property
    def pk(self) -> PubKey:
        """The address of this node."""
        return self.visor.pk

    @property
    def _network(self) -> Network:
        try:
            return self.visor.network
        except SkywireError:
            raise StreamClosed(
                "the node does not run: use it inside `async with Node() as node`"
            ) from self._failure

    # Streams

    async def dial(self, pk: PubKey | str, port: int, *, network: str = "") -> Connection:
        """A connection to `port` of the node `pk`, whose key is proven, encrypted end to end.

        `network` is "skynet" (over a route of transports), "dmsg" (through a relay server) or "":
        a route if we have transports, else dmsg. Raises NotFound (nobody has that key), DialFailed,
        Refused, NotSupported, InvalidValue, TimeoutError. `async with asyncio.timeout(…)` makes it
        give up before `DIAL_LIMIT`.
        """
        return Connection(await self._dial(_key(pk), port, network))

    async def _dial(self, pk: PubKey, port: int, network: str) -> Stream:
        async with asyncio.timeout(DIAL_LIMIT):
            return await self._network.dial_by_scheme(pk, port, network)

    def listen(self, port: int, *, network: str = "") -> ConnectionListener:
        """Take connections to `port`: `network` is "dmsg", "skynet" or "", which is both.

        Raises Conflict when the port is taken, InvalidValue when it is none.
        """
        return ConnectionListener(self._listen(port, network))

    def _listen(self, port: int, network: str) -> MergedListener:
        listeners: list[Listener] = []
        try:
            for name in _names(network):
                listener = self._network.listen(port, name)
                listeners.append(listener)
        except SkywireError:
            for listener in listeners:
                self._tasks.spawn(listener.close(), "close listener")
            raise
        merged = MergedListener(listeners)
        self._keep(merged)
        return merged

    async def open_connection(
        self, pk: PubKey | str, port: int, *, network: str = ""
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """As `asyncio.open_connection`, for code that is written for its reader and writer.

        Raises what `dial` raises.
        """
        return asyncio_streams(await self._dial(_key(pk), port, network), self._tasks)

    # HTTP

    def http(self, *, network: str = DMSG, **options: Any) -> ClientSession:
        """An aiohttp session for `dmsg://<pk>[:port]/path`, or `skynet://…` with that network.

        `http://<pk>:<port>/path` means the same, and is the form to use with `base_url` and for
        sites that redirect: `urljoin` knows no other. `options` are those of
        `aiohttp.ClientSession`. A request may take `REQUEST_LIMIT` seconds unless `timeout` says
        otherwise, and raises what `dial` and aiohttp raise. The session is closed by its
        `async with`, or with the node.
        """
        if network not in NETWORKS:
            raise InvalidValue(f'unknown network "{network[:40]}": expected dmsg or skynet')
        options.setdefault("timeout", ClientTimeout(total=REQUEST_LIMIT))
        connector = DmsgConnector(
            lambda pk, port: self._dial(pk, port, network), schemes=(network, "http")
        )
        session = ClientSession(connector=connector, **options)
        self._keep(session)
        return session

    async def serve(
        self,
        app: "web.Application | AsgiApp",
        port: int,
        *,
        network: str = "",
        max_connections: int = MAX_CONNECTIONS,
        header_timeout: float = HEADER_TIMEOUT,
        idle_timeout: float = IDLE_TIMEOUT,
        max_body: int | None = None,
    ) -> "Serving":
        """Answer HTTP on `port` with an aiohttp application or any ASGI one.

        Returns once the application has started and the port is open; serving ends with
        `Serving.close`, its `async with`, or the node. `header_timeout` and `idle_timeout` are
        seconds for the head of the first request and until the next one; `max_body` bytes of a
        request (ASGI; an aiohttp application has its own `client_max_size`). Who asks is
        `skywire.remote_pk(request)`, in ASGI `scope["client"][0]`. Raises what `listen` raises,
        Unavailable or the application's own error when it does not start.
        """
        if not isinstance(app, web.Application):
            from skywire.http.asgi import MAX_BODY, asgi_application

            app = asgi_application(app, max_body=MAX_BODY if max_body is None else max_body)
        elif max_body is not None:
            raise InvalidValue("max_body: an aiohttp application has its own, client_max_size")
        stack = AsyncExitStack()
        try:
            async with asyncio.timeout(START_APP_LIMIT):
                runner = await stack.enter_async_context(running(app, idle_timeout=idle_timeout))
            listener = self._listen(port, network)
            stack.push_async_callback(listener.close)
        except BaseException:
            await stack.aclose()
            raise
        work = serve_http(
            runner,
            listener,
            header_timeout=header_timeout,
            idle_timeout=idle_timeout,
            max_connections=max_connections,
        )
        urls = tuple(f"{name}://{self.pk}:{port}" for name in _names(network))
        serving = Serving(urls, self._tasks.spawn(work, f"http {port}"), stack)
        self._keep(serving)
        return serving

    # The visor

    async def call(self, function: Callable[..., Awaitable[_Answer]], *request: Any) -> _Answer:
        """Do an operation of the visor, e.g. `await node.call(ops_info.summary)`.

        Operations are in `skywire.visor.ops_*`. Raises what the operation raises, TimeoutError.
        """
        async with asyncio.timeout(CALL_LIMIT):
            return await LocalVisor(self.visor).call(function, *request)

    @asynccontextmanager
    async def remote_visor(self, pk: PubKey | str) -> AsyncIterator[RemoteVisor]:
        """Do operations of the visor `pk`, which must have us among its hypervisors.

            async with node.remote_visor(pk) as visor, asyncio.timeout(10):
                print(await visor.call(ops_info.uptime))

        Raises what `dial` raises; StreamReset on the first call when the visor does not admit us,
        Refused with its text when it answers no. Deadlines of calls are the caller's.
        """
        stream = await self._dial(_key(pk), DMSG_RPC, DMSG)
        async with RpcClient(stream) as rpc:
            yield RemoteVisor(rpc)


class Serving:
    """An application that is served. `urls` are where others find it, one for each network."""

    def __init__(
        self, urls: tuple[str, ...], task: "asyncio.Task[None]", stack: AsyncExitStack
    ) -> None:
        self.urls = urls
        self.closed = False
        self._task = task
        self._stack = stack

    @property
    def url(self) -> str:
        return self.urls[0]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *reason: object) -> None:
        await self.close()

    async def wait(self) -> None:
        """Until it ends: with `close`, or with the node."""
        await asyncio.wait((self._task,))

    async def close(self) -> None:
        """Free the port, let requests under way end soon, end the application. Idempotent."""
        self.closed = True
        await self._stack.aclose()
        await asyncio.wait((self._task,))


def plain_config(services: Deployment | str, local_path: str) -> dict[str, Any]:
    """The config of a node that is not the visor of a machine, with a new key."""
    known = deployment(services) if isinstance(services, str) else services
    return {
        "sk": key_pair()[1].hex(),
        "dmsg": {"discovery": known.dmsg_discovery},
        "pty": None,
        "cli_addr": "",
        "local_path": local_path,
        "transport": {
            "discovery": known.transport_discovery,
            "address_resolver": known.address_resolver,
            "public_autoconnect": False,
            "log_store": {"type": "memory"},
        },
        "routing": {
            "route_setup_nodes": list(known.route_setup_nodes),
            "route_finder": known.route_finder,
        },
        "launcher": {"service_discovery": known.service_discovery},
        "stun_servers": list(known.stun_servers),
    }


def _overlaid(base: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `values` in place of its own, section by section."""
    result = dict(base)
    for key, value in values.items():
        before = base.get(key)
        both = isinstance(before, dict) and isinstance(value, Mapping)
        result[key] = _overlaid(before or {}, value) if both else value
    return result


def _key(pk: PubKey | str) -> PubKey:
    return pk if isinstance(pk, PubKey) else PubKey.parse(pk)


def _names(network: str) -> tuple[str, ...]:
    return (network,) if network else (DMSG, SKYNET)


class _Closable(Protocol):
    @property
    def closed(self) -> bool: ...

    async def close(self) -> None: ...
