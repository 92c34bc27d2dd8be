"""The forwarded ports of a visor: its own for others, and others' for its machine. apps.md §9.

Its own are kept in `<local_path>/forwarded_ports.json` and are there again after a restart; a
forward to another visor lasts until it is stopped or the visor ends.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Iterable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path

import msgspec

from skywire.appkit.forward_client import FarPort, OldPort, Way
from skywire.appkit.forward_server import ForwardedPort, PortServer
from skywire.appkit.network import DMSG, Network
from skywire.config.load import parse_struct, write_private
from skywire.config.values import HostPort
from skywire.crypto.keys import PubKey
from skywire.errors import (
    Conflict,
    DialFailed,
    Forbidden,
    InvalidValue,
    NotFound,
    SkywireError,
    Unavailable,
)
from skywire.http.over_stream import serve_http
from skywire.ports import (
    DMSG_AWAIT_SETUP,
    DMSG_HTTP,
    DMSG_PTY,
    SKYNET_FORWARDING,
    SKYNET_FORWARDING_MUX,
)
from skywire.streams.relay import copy_both
from skywire.streams.serving import serve_each
from skywire.streams.stream import Listener, Stream
from skywire.streams.supervise import Tasks
from skywire.streams.tcp import dial_tcp, listen_tcp
from skywire.visor.modules import Module, Report

log = logging.getLogger(__name__)

FILE = "forwarded_ports.json"
MAX_PORTS = 256
MAX_FORWARDS = 256
MAX_CONNECTIONS = 100  # of one forward at a time
MAX_TEXT = 200  # characters of a name, label or description
MAX_WHITELIST = 1024
PROBE_LIMIT = 2.0  # seconds for a port of this machine to take a connection
DRAIN = 30.0  # seconds an answer may still come when the local program has finished asking
OWN_ON_DMSG = frozenset(  # ports of the visor itself, its services and their setup
    {1, 7, 8, DMSG_PTY, 36, *range(44, 56), DMSG_HTTP, DMSG_AWAIT_SETUP}
)
PAGE_IDLE = 75.0  # seconds a browser's connection may wait for its next request


class _File(msgspec.Struct):
    ports: list[ForwardedPort] = []


class Forward:
    """One port of another visor on a port of this machine."""

    def __init__(self, name: str, far: FarPort, listener: Listener) -> None:
        self.id = uuid.uuid4()
        self.name = name
        self.far = far
        self.listener = listener
        self.since = time.time()  # Unix time
        self.connections = 0  # now
        self.served = 0  # so far
        self.error = ""  # of the last connection that failed, "" after one that did not

    @property
    def local_port(self) -> int:
        return self.listener.address.port

    async def run(self) -> None:
        """Until the listener is closed; cancel to stop."""
        try:
            if self.far.way is Way.HTTP:
                async with OldPort(self._open, self.far.port) as app:
                    await serve_http(app, self.listener, header_timeout=PAGE_IDLE)
            else:
                name = f"forward {self.name}"
                await serve_each(self.listener, self._carry, name=name, limit=MAX_CONNECTIONS)
        finally:
            await self.listener.close()
            await self.far.close()

    async def _open(self) -> Stream:
        try:
            stream = await self.far.open()
        except (SkywireError, TimeoutError) as error:
            self.error = str(error) or "no answer in time"
            log.warning("forward failed name=%s remote=%s reason=%s", self.name, self.far.pk, error)
            raise
        self.error = ""
        self.served += 1
        return stream

    async def _carry(self, local: Stream) -> None:
        self.connections += 1
        try:
            stream = await self._open()
            if self.far.way is Way.HTTP:
                stream.abort()
                raise DialFailed(f"{self.far.pk} has become a node of 2024: stop the forward first")
            await copy_both(local, stream, drain=DRAIN)
        finally:
            self.connections -= 1


class Forwarding:
    """`rpc` is where the visor's own RPC is, which asks nobody for a key."""

    def __init__(self, pk: PubKey, network: Network, folder: Path, rpc: HostPort) -> None:
        self._pk = pk
        self._network = network
        self._rpc = rpc
        self._file = folder / FILE
        self._ports: dict[int, ForwardedPort] = {}
        self._server = PortServer(self._ports.get)
        self._forwards: dict[uuid.UUID, Forward] = {}
        self._running: dict[uuid.UUID, asyncio.Task[None]] = {}
        self._on_dmsg: dict[int, Listener] = {}
        self._left: set[Listener] = set()  # no longer listened on, about to be closed
        self._tasks = Tasks("forwarding")

    async def __aenter__(self) -> "Forwarding":
        self._ports.update((each.port, each) for each in self._read())
        return self

    async def __aexit__(self, *reason: object) -> None:
        await self._tasks.close()
        for listener in (*self._on_dmsg.values(), *self._left):
            await listener.close()

    def modules(self) -> Iterable[Module]:
        yield Module("forwarding", self._serve)

    async def _serve(self, report: Report) -> None:
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(self._server)
            one = self._network.listen(SKYNET_FORWARDING)
            stack.push_async_callback(one.close)
            many = self._network.listen(SKYNET_FORWARDING_MUX)
            stack.push_async_callback(many.close)
            for entry in self._ports.values():
                try:
                    self._follow(entry)
                except Conflict as error:
                    log.warning("port not forwarded on dmsg port=%d error=%s", entry.port, error)
            report.up(forwarded_ports=",".join(map(str, sorted(self._ports))))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(server.serve(one), name="forwarding")
                tasks.create_task(server.serve_sessions(many), name="forwarding mux")

    # Ports of this machine

    @property
    def ports(self) -> list[ForwardedPort]:
        return [self._ports[number] for number in sorted(self._ports)]

    async def register(self, port: int) -> None:
        """As nodes of 2024 ask for it. Raises Conflict, InvalidValue, NotFound (nobody listens)."""
        _check_port(port)
        if port in self._ports:
            raise Conflict(f"Port :{port} already registered")
        try:
            async with asyncio.timeout(PROBE_LIMIT):
                (await dial_tcp("localhost", port)).abort()
        except (DialFailed, TimeoutError) as error:
            raise NotFound(f"No connection on local port :{port}") from error
        self.add(ForwardedPort(port=port))

    def add(self, entry: ForwardedPort) -> None:
        """Also one that is there, which it replaces. Raises InvalidValue, Conflict, Unavailable."""
        _check_entry(entry)
        if self._rpc and not entry.whitelist and entry.place.port == self._rpc.port:
            raise Forbidden(
                f"port {self._rpc.port} is this visor's RPC, which has no authentication: "
                "give a whitelist of keys, or reach it over dmsg with --via"
            )
        if entry.port not in self._ports and len(self._ports) >= MAX_PORTS:
            raise InvalidValue(f"{MAX_PORTS} ports are forwarded already: remove one first")
        if not entry.name:
            entry = replace(entry, name=f"skynet-{entry.port}")
        before = self._ports.get(entry.port)
        self._follow(entry)
        self._ports[entry.port] = entry
        try:
            self._write()
        except Unavailable:
            self._take_back(entry.port, before)
            raise
        log.info("port forwarded port=%d to=%s", entry.port, entry.place)

    def remove(self, port: int) -> None:
        """Connections that are open stay. Raises NotFound, Unavailable."""
        before = self._ports.pop(port, None)
        if before is None:
            raise NotFound(f"Port :{port} not registered")
        try:
            self._write()
        except Unavailable:
            self._ports[port] = before
            raise
        self._take_back(port, None)
        log.info("port no longer forwarded port=%d", port)

    def _take_back(self, port: int, before: ForwardedPort | None) -> None:
        if before is None:
            self._ports.pop(port, None)
            self._follow(ForwardedPort(port=port))
        else:
            self._ports[port] = before
            self._follow(before)

    def _follow(self, entry: ForwardedPort) -> None:
        """Listen on dmsg, or no longer, as `entry` wants it. Raises Conflict."""
        listener = self._on_dmsg.get(entry.port)
        if entry.dmsg and listener is None:
            listener = self._network.listen(entry.port, DMSG)
            self._on_dmsg[entry.port] = listener
            self._tasks.spawn(self._serve_dmsg(listener, entry.port), f"dmsg port {entry.port}")
        elif not entry.dmsg and listener is not None:
            self._left.add(self._on_dmsg.pop(entry.port))
            self._tasks.spawn(self._leave(listener), "close")

    async def _leave(self, listener: Listener) -> None:
        await listener.close()
        self._left.discard(listener)

    async def _serve_dmsg(self, listener: Listener, port: int) -> None:
        try:
            await self._server.serve_directly(listener, port)
        finally:
            await listener.close()

    def _read(self) -> list[ForwardedPort]:
        """One that cannot be read is put aside: what it says must not be lost, nor be believed."""
        try:
            found = parse_struct(self._file.read_bytes(), str(self._file), _File).ports[:MAX_PORTS]
            for entry in found:
                _check_entry(entry)
        except FileNotFoundError:
            return []
        except (OSError, SkywireError) as error:
            aside = self._file.with_suffix(".bad")
            log.error("no forwarded ports, the file is put aside as=%s error=%s", aside, error)
            with suppress(OSError):
                self._file.replace(aside)
            return []
        return found

    def _write(self) -> None:
        document = msgspec.json.encode({"ports": self.ports}, enc_hook=str)
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(f"cannot write {self._file}: {error.strerror}") from error
        write_private(self._file, msgspec.json.format(document, indent=2) + b"\n")

    # Ports of other visors

    @property
    def forwards(self) -> list[Forward]:
        return list(self._forwards.values())

    async def connect(
        self, pk: PubKey, remote_port: int, local_port: int, name: str = ""
    ) -> Forward:
        """`local_port` 0 takes a free one. Raises InvalidValue, Conflict, Refused, DialFailed."""
        _check_port(remote_port)
        if local_port:
            _check_port(local_port)
        if pk == self._pk:
            raise InvalidValue("that is this visor itself: its ports are on this machine already")
        if len(name) > MAX_TEXT:
            raise InvalidValue(f"name of {len(name)} characters: expected at most {MAX_TEXT}")
        if len(self._forwards) >= MAX_FORWARDS:
            raise InvalidValue(f"there are {MAX_FORWARDS} forwards already: stop one first")
        if name and any(known.name == name for known in self._forwards.values()):
            raise Conflict(f'"{name}" is running already: stop it, or give another name')
        try:
            listener = await listen_tcp("127.0.0.1", local_port)
        except Conflict as error:
            raise Conflict(f":{local_port} local port already in use") from error
        far = FarPort(self._network.dial, pk, remote_port)
        try:
            way = await far.find_way()
        except BaseException:
            await listener.close()
            await far.close()
            raise
        forward = Forward(name or f"skynet-client-{listener.address.port}", far, listener)
        self._forwards[forward.id] = forward
        task = self._tasks.spawn(forward.run(), forward.name)
        self._running[forward.id] = task
        task.add_done_callback(lambda _: self._forget(forward.id))
        log.info("forward name=%s remote=%s port=%d way=%s", name, pk, remote_port, way.name)
        return forward

    def _forget(self, id: uuid.UUID) -> None:
        self._forwards.pop(id, None)
        self._running.pop(id, None)

    async def disconnect(self, id: uuid.UUID) -> None:
        """Its connections are cut. Raises NotFound."""
        task = self._running.get(id)
        if task is None:
            raise NotFound(f"no forward has the id {id}")
        task.cancel()
        await asyncio.wait((task,))

    async def stop(self, name: str) -> None:
        """As `disconnect`."""
        for forward in self.forwards:
            if forward.name == name:
                await self.disconnect(forward.id)
                return
        names = ", ".join(sorted(forward.name for forward in self.forwards)) or "none"
        raise NotFound(f'no forward has the name "{name[:MAX_TEXT]}"; running: {names}')


def _check_port(port: int) -> None:
    if not 0 < port < 65536:
        raise InvalidValue(f"port {port}: expected 1 to 65535")


def _check_entry(entry: ForwardedPort) -> None:
    _check_port(entry.port)
    place = HostPort.parse(entry.target) if entry.target else entry.place
    if not place.port:
        raise InvalidValue(f'target "{entry.target[:100]}": expected host:port or a port')
    if entry.no_skynet and not entry.dmsg:
        raise InvalidValue(f"port {entry.port}: expected to be on skynet, on dmsg, or on both")
    if entry.dmsg and entry.port in OWN_ON_DMSG:
        raise Conflict(f"dmsg port {entry.port} is the visor's own: choose another with a target")
    if len(entry.whitelist) > MAX_WHITELIST:
        raise InvalidValue(f"{len(entry.whitelist)} keys: expected at most {MAX_WHITELIST}")
    for what in ("name", "label", "description"):
        if len(text := getattr(entry, what)) > MAX_TEXT:
            raise InvalidValue(f"{what} of {len(text)} characters: expected at most {MAX_TEXT}")
