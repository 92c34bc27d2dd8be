"""The UDP half of the address resolver: sessions that bind visors and push them who dials.

Source: transport.md §5.3.
"""

import asyncio
import logging

from skywire.crypto.generate import random_bytes
from skywire.crypto.keys import PubKey
from skywire.errors import SkywireError
from skywire.stores.contracts import BindingStore
from skywire.streams.kcp import KcpStream
from skywire.streams.supervise import Tasks
from skywire.streams.udp import UdpSocket
from skywire.wire.handshake import NONCE_SIZE
from skywire.wire.resolver import MAX_MESSAGE, SUDPH, Binding, Push
from skywire.wire.resolver_session import SILENCE_LIMIT, Action, ResolverSession, State

log = logging.getLogger(__name__)

MAX_VISORS = 20_000  # sessions; an idle one takes some 10 KB
MAX_UNPROVEN = 1000  # of them whose visor has not shown its key yet: anybody can open those
MAX_PUSHES = 8  # to one visor at a time; those above are dropped: a dialler asks again
WRITE_LIMIT = 5.0  # seconds for a message to find room in the window


class UdpBindings:
    """One session per visor; a newer one replaces the one before."""

    def __init__(self, store: BindingStore) -> None:
        self._store = store
        self._sessions: dict[PubKey, KcpStream] = {}
        self._pushing: dict[PubKey, int] = {}
        self._unproven = 0
        self._tasks: Tasks | None = None

    def __len__(self) -> int:
        return len(self._sessions)

    async def serve(self, socket: UdpSocket) -> None:
        """Until cancelled; closes `socket`."""
        tasks = self._tasks = Tasks("resolver udp")
        listener = socket.listen(sessions=MAX_VISORS)
        try:
            while True:
                stream = await listener.accept()
                if self._unproven >= MAX_UNPROVEN:
                    stream.abort()
                    continue
                self._unproven += 1
                tasks.spawn(self._session(stream), str(stream.remote))
        finally:
            self._tasks = None
            await tasks.close()
            await socket.close()

    async def _session(self, stream: KcpStream) -> None:
        clock = asyncio.get_running_loop().time
        session = ResolverSession(random_bytes(NONCE_SIZE), clock())
        proven = False
        try:
            while True:
                async with asyncio.timeout_at(session.next_timer()):
                    message = await stream.read_message()
                if not message:
                    break
                if len(message) > MAX_MESSAGE:
                    log.info("message too long remote=%s size=%d", stream.remote, len(message))
                    break
                action = session.receive_message(message, clock())
                if not proven and session.state is not State.HANDSHAKE:
                    proven = True
                    self._unproven -= 1
                if action is Action.UNBIND:
                    break
                await self._do(action, session, stream)
        except TimeoutError:
            log.info("visor fell silent pk=%s remote=%s", session.remote, stream.remote)
        except SkywireError as error:
            log.info("session ended pk=%s remote=%s error=%s", session.remote, stream.remote, error)
        finally:
            self._unproven -= not proven
            stream.abort()
            if self._sessions.get(session.remote) is stream:
                del self._sessions[session.remote]
                await self._store.unbind(SUDPH, session.remote)

    async def _do(self, action: Action, session: ResolverSession, stream: KcpStream) -> None:
        if action is Action.SEND:
            async with asyncio.timeout(WRITE_LIMIT):
                await stream.write(session.answer)
        elif action is Action.BIND:
            pk, seen = session.remote, f"{stream.remote.host}:{stream.remote.port}"
            before = self._sessions.get(pk)
            if before is not stream:
                self._sessions[pk] = stream
                log.info("visor bound pk=%s remote=%s", pk, seen)
                if before is not None:
                    before.abort()
            addresses = session.addresses
            binding = Binding(seen, port=addresses.port, addresses=addresses.addresses)
            await self._store.bind(SUDPH, pk, binding, SILENCE_LIMIT)

    def push(self, target: PubKey, caller: PubKey, address: str) -> None:
        """Tell `target` that `caller` dials from `address`; as well as it goes."""
        stream, tasks = self._sessions.get(target), self._tasks
        if stream is None or tasks is None or self._pushing.get(target, 0) >= MAX_PUSHES:
            log.debug("push dropped target=%s caller=%s", target, caller)
            return
        self._pushing[target] = self._pushing.get(target, 0) + 1
        tasks.spawn(self._push(stream, target, Push(str(caller), address)), "push")

    async def _push(self, stream: KcpStream, target: PubKey, push: Push) -> None:
        try:
            async with asyncio.timeout(WRITE_LIMIT):
                await stream.write(push.encode())
        except (SkywireError, TimeoutError) as error:
            log.info("push failed target=%s error=%s", target, error)
        finally:
            self._pushing[target] -= 1
            if not self._pushing[target]:
                del self._pushing[target]
