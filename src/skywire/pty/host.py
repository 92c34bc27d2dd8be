"""Who may have a shell here: the pty host of a node. Source: pty.md §1, §2, §6.3.

network stream    key in the whitelist?   dmsgpty/pty
plain TCP         Noise, then the same    dmsgpty/pty
control socket    file permissions        dmsgpty/pty, dmsgpty/whitelist, dmsgpty/proxy
"""

import asyncio
import logging
import os
import shlex
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Self

from skywire.crypto.keys import NULL_KEY, PubKey, SecKey
from skywire.errors import NotSupported, SkywireError, StreamClosed
from skywire.platform.processes import merge_environment
from skywire.platform.pty import spawn_on_terminal
from skywire.pty.client import MAX_EXEC_MESSAGE
from skywire.pty.dialing import Dial, dial_host
from skywire.pty.direct import shake_hands
from skywire.pty.execute import MAX_STDIN, execute
from skywire.pty.gateway import Gateway
from skywire.pty.mux import receive_request
from skywire.pty.proxy import parse_query, proxy_methods
from skywire.pty.registry import SWEEP_INTERVAL, Registry
from skywire.pty.session import Session
from skywire.pty.shell import ShellOutput, TerminalShell
from skywire.pty.types import (
    NO_SESSIONS,
    PROXY_URI,
    PTY_URI,
    WHITELIST_URI,
    CommandExecReq,
    CommandExecResult,
    CommandReq,
)
from skywire.pty.whitelist import Whitelist
from skywire.rpc.server import RpcServer
from skywire.streams.stream import Listener, Stream
from skywire.streams.supervise import Tasks
from skywire.wire.pty_mux import ACCEPTED, REJECTED, Target, parse_target

HANDSHAKE_TIMEOUT = 10.0  # seconds a peer has to say what it wants
ANSWER_TIMEOUT = 10.0  # seconds a peer has to take our one byte
DIAL_TIMEOUT = 20.0  # seconds to reach the host behind a proxy request
MAX_CONNECTIONS = 256
MAX_EXECS = 16  # one-shot commands at a time; more wait
MAX_MESSAGE = MAX_STDIN + (1 << 20)  # bytes of a call
LOGGED_KEYS = 1024  # refused keys that are remembered, so that each is logged once

log = logging.getLogger(__name__)


class PtyHost:
    """`async with` it: leaving ends all connections and stops all shells.

    `whitelist` is shared and may change at any time. `dial` reaches other hosts for the control
    socket's proxy. `clock` gives seconds for the idle times of sessions. `own` is the
    node's key.
    """

    def __init__(
        self,
        whitelist: Whitelist,
        *,
        persistent_sessions: bool = False,
        dial: Dial | None = None,
        environment: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
        own: PubKey = NULL_KEY,
    ) -> None:
        self.whitelist = whitelist
        self.sessions = Registry(own=own) if persistent_sessions else None
        self._dial = dial
        self._environment = os.environ if environment is None else environment
        self._clock = clock
        self._tasks = Tasks("pty host")
        self._connections = 0
        self._execs = asyncio.Semaphore(MAX_EXECS)
        self._refused: OrderedDict[PubKey | None, None] = OrderedDict()

    async def __aenter__(self) -> Self:
        if self.sessions is not None:
            self._tasks.spawn(self._keep_sweeping(), "sweep")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.close()
        if self.sessions is not None:
            await self._stop(self.sessions.clear())

    # Ways in.

    async def accept(self, listener: Listener) -> None:
        """Serve what comes in over the network until `listener` is closed."""
        await self._accept(listener, self.serve)

    async def accept_direct(self, listener: Listener, secret: SecKey) -> None:
        """Serve what comes in over TCP, as the host with this key, until `listener` is closed."""

        async def serve(raw: Stream) -> None:
            async with self._connected(raw):
                stream = await shake_hands(raw, secret)
                key = stream.remote.pk
                if key is None or key not in self.whitelist:
                    self._log_refusal(key, stream)  # and no answer, as Go does it
                    return
                await self._dispatch(stream, key, control=False)

        await self._accept(listener, serve)

    async def accept_control(self, listener: Listener) -> None:
        """Serve the control socket until `listener` is closed."""
        await self._accept(listener, self.serve_control)

    async def _accept(
        self, listener: Listener, serve: Callable[[Stream], Coroutine[None, None, None]]
    ) -> None:
        while True:
            try:
                stream = await listener.accept()
            except StreamClosed:
                return
            if self._connections >= MAX_CONNECTIONS:
                log.warning(
                    "pty connection refused remote=%s open=%d", stream.remote, MAX_CONNECTIONS
                )
                stream.abort()
                continue
            self._tasks.spawn(serve(stream), f"connection {stream.remote}")

    async def serve(self, stream: Stream) -> None:
        """One connection from the network; its key must be in the whitelist. Closes `stream`."""
        key = stream.remote.pk
        async with self._connected(stream):
            if key is None or key not in self.whitelist:
                self._log_refusal(key, stream)
                await _answer(stream, REJECTED)
                return
            await self._dispatch(stream, key, control=False)

    async def serve_control(self, stream: Stream) -> None:
        """One connection from the control socket. Closes `stream`."""
        async with self._connected(stream):
            await self._dispatch(stream, NULL_KEY, control=True)

    @asynccontextmanager
    async def _connected(self, stream: Stream) -> AsyncIterator[None]:
        self._connections += 1
        try:
            yield
        except (SkywireError, TimeoutError) as error:
            log.info("pty connection ended remote=%s reason=%s", stream.remote, error)
        finally:
            self._connections -= 1
            await stream.close()

    def _log_refusal(self, key: PubKey | None, stream: Stream) -> None:
        if key in self._refused:
            self._refused.move_to_end(key)
            return
        self._refused[key] = None
        if len(self._refused) > LOGGED_KEYS:
            self._refused.popitem(last=False)
        log.warning("pty refused: key is not in the whitelist key=%s remote=%s", key, stream.remote)

    # What is asked for.

    async def _dispatch(self, stream: Stream, owner: PubKey, *, control: bool) -> None:
        try:
            async with asyncio.timeout(HANDSHAKE_TIMEOUT):
                uri = await receive_request(stream)
        except TimeoutError:
            uri = b""  # names nothing
        target = parse_target(uri)
        if target is not None and target.path == PTY_URI:
            await self._serve_pty(stream, owner)
        elif target is not None and control and target.path == WHITELIST_URI:
            await _answer(stream, ACCEPTED)
            await RpcServer(self.whitelist.methods()).serve(stream)
        elif target is not None and control and target.path == PROXY_URI:
            await self._serve_proxy(stream, target)
        else:
            log.info("pty request for an unknown service remote=%s uri=%r", stream.remote, uri)
            await _answer(stream, REJECTED)

    async def _serve_pty(self, stream: Stream, owner: PubKey) -> None:
        gateway = Gateway(
            owner,
            start=self._start,
            execute=self._execute,
            registry=self.sessions,
            clock=self._clock,
            stop_later=self._stop_later,
        )
        try:
            await _answer(stream, ACCEPTED)
            server = RpcServer(gateway.methods(), max_message=MAX_MESSAGE)
            await server.serve(stream)
        finally:
            await gateway.close()

    async def _serve_proxy(self, stream: Stream, target: Target) -> None:
        """A failure before the answer closes the stream without one, as Go does."""
        pk, port, scheme = parse_query(target.query)
        if self._dial is None:
            raise NotSupported("this pty host reaches no other hosts")
        async with asyncio.timeout(DIAL_TIMEOUT):
            remote = await dial_host(self._dial, pk, port, scheme, max_message=MAX_EXEC_MESSAGE)
        async with remote:
            await _answer(stream, ACCEPTED)
            server = RpcServer(proxy_methods(remote), max_message=MAX_MESSAGE)
            await server.serve(stream)

    def _start(self, owner: PubKey, request: CommandReq) -> Session:
        size = request.size
        environment = merge_environment(self._environment, request.env)

        def start(output: ShellOutput) -> TerminalShell:
            master, child = spawn_on_terminal(
                request.name,
                request.arg,
                environment,
                None if size is None else (size.rows, size.cols, size.x, size.y),
            )
            log.info("shell started owner=%s pid=%d", owner, child.pid)
            return TerminalShell(master, child, output)

        return Session(
            owner,
            start,
            lossless=self.sessions is None,
            command=shlex.join([request.name, *request.arg]),
            clock=self._clock,
        )

    async def _execute(self, request: CommandExecReq) -> CommandExecResult:
        async with self._execs:
            return await execute(request, self._environment)

    # What nobody came back to.

    async def _keep_sweeping(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_INTERVAL)
            await self.sweep()

    async def sweep(self) -> None:
        """Stop the kept sessions that have ended or were left for too long."""
        if self.sessions is not None:
            await self._stop(self.sessions.sweep(self._clock()))

    def idle(self, session: Session) -> float:
        """Seconds since its last viewer left; 0 while there is one, and before the first."""
        return session.idle(self._clock())

    async def end_session(self, name: str, key: PubKey) -> None:
        """Stop one that `key` may end. Raises NotFound, NotSupported when none are kept."""
        if self.sessions is None:
            raise NotSupported(NO_SESSIONS)
        session = self.sessions.find(name, key)
        self.sessions.remove(name)
        await self._stop([session])

    def _stop_later(self, session: Session) -> None:
        self._tasks.spawn(self._stop([session]), "stop")

    async def _stop(self, sessions: list[Session]) -> None:
        async with asyncio.TaskGroup() as tasks:
            for session in sessions:
                log.info(
                    "session over id=%s owner=%s end=%s", session.id, session.owner, session.end
                )
                tasks.create_task(session.stop())


async def _answer(stream: Stream, answer: bytes) -> None:
    async with asyncio.timeout(ANSWER_TIMEOUT):
        await stream.write(answer)
