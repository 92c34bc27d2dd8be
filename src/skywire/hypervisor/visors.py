"""The visors of a hypervisor: connected now, or known from before. Source: hypervisor.md §1, §4.2.

A visor dials our dmsg port 46 and then answers our calls on that stream. One that goes away stays
listed with its last summary, until it comes back.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from time import time
from typing import Any, TypeVar

import msgspec

from skywire.crypto.keys import PubKey
from skywire.errors import Conflict, SkywireError, StreamClosed, Unavailable
from skywire.hypervisor.connection import Connection, DialControl, Timing
from skywire.hypervisor.contest import Contest
from skywire.hypervisor.fleet import Fleet, Known
from skywire.hypervisor.history import History
from skywire.hypervisor.keeper import Keeper
from skywire.hypervisor.nested import Nested
from skywire.hypervisor.proxied import ProxiedVisor
from skywire.operations import operation_of
from skywire.rpc.client import RpcClient
from skywire.stores.fleet import FleetStore
from skywire.streams.stream import Listener, Stream
from skywire.streams.supervise import Tasks
from skywire.visor import ops_info
from skywire.visor.client import RemoteVisor, VisorClient
from skywire.visor.types import Overview, Summary, to_json
from skywire.visor.types_managed import HVSection, HVVisorEntry

log = logging.getLogger(__name__)

MAX_MESSAGE = 1024 * 1024  # bytes of one gob value from a visor: its 2,000 visors and more
POLLS = 30.0  # a second for all visors together while somebody looks on
DIRECT_WAIT = 1.0  # seconds a list waits for summaries that are old
MAX_PUSHED = 64  # keys
PUSH_LIMIT = 20.0  # seconds for a visor to take our hypervisors' keys
# RPC names of operations after which a summary is another one
CHANGING = (
    *("Add", "Connect", "Delete", "Deregister", "Disconnect", "Do", "DmsgConnect", "Kill"),
    *("Put", "Register", "Reload", "Remove", "Restart", "Save", "Set", "Start", "Stop"),
)

_Answer = TypeVar("_Answer")


class Visors:
    """`push` are keys every visor shall admit to its terminals: our own hypervisors'.

    With a `store` it remembers from run to run: `restore` first, and `close` at the end.
    """

    def __init__(
        self,
        *,
        dial_control: DialControl | None = None,
        push: Sequence[PubKey] = (),
        timing: Timing | None = None,
        store: FleetStore | None = None,
    ) -> None:
        self._dial_control = dial_control
        self._push = list(dict.fromkeys(push))
        self._timing = timing or Timing()
        self._clock = asyncio.get_running_loop().time
        self._tasks = Tasks("visors")
        self._known = Fleet()
        self._contest = Contest(self._known)
        self._watchers = 0
        self.changes = self._known.changes
        self.history = History()
        self.keeper = Keeper(self._known, self.history, store)
        self._own: PubKey | None = None
        self.nested = Nested()

    async def restore(self) -> None:
        """What an earlier run knew, marked as old; from now on it is kept up to date."""
        await self.keeper.restore()
        self._tasks.spawn(self.keeper.run(), "keeper")

    def attach_own(self, pk: PubKey, visor: VisorClient) -> None:
        """The visor of this process: always listed, always first."""
        self._own = self._known.own = self.nested.own = pk
        known = self._known.admit(pk)
        assert known is not None  # noqa: S101 - it comes first
        timing = self._timing  # ours costs nothing: it is always as if somebody looked on
        known.connection = self._connection(pk, visor, lambda: min(timing.poll, timing.watched))
        known.offline_since = None
        known.connection.start(self._dial_control)
        self._known.touch(known, state=True)

    def _connection(
        self, pk: PubKey, visor: VisorClient, pause: Callable[[], float] | None = None
    ) -> Connection:
        pause = pause or self._pause
        return Connection(pk, visor, self._store, self._changed, self._timing, pause)

    def _pause(self) -> float:
        """Seconds between two polls of a visor; less while somebody looks on."""
        if not self._watchers:
            return self._timing.poll
        return min(self._timing.poll, max(self._timing.watched, len(self._known) / POLLS))

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Somebody looks on: polls are more frequent, and there is one now if that is cheap."""
        self._watchers += 1
        if self._watchers == 1 and self._pause() <= self._timing.watched:
            for known in self._known:
                if known.connection is not None:
                    known.connection.poll_soon()
        try:
            yield
        finally:
            self._watchers -= 1

    async def serve(self, listener: Listener) -> None:
        """Accept visors until `listener` is closed. Does not close it."""
        while True:
            try:
                stream = await listener.accept()
            except StreamClosed:
                return
            pk = stream.remote.pk
            if pk is None or pk == self._own or (known := self._known.admit(pk)) is None:
                log.warning("visor refused remote=%s known=%d", stream.remote, len(self._known))
                stream.abort()
            else:
                self._tasks.spawn(self._attend(known, stream), str(pk))

    async def close(self) -> None:
        """End every connection."""
        await self._tasks.close()
        await self.nested.close()
        own = None if self._own is None else self._known[self._own].connection
        if own is not None:
            await own.close()
        await self.keeper.close()

    async def _attend(self, known: Known, stream: Stream) -> None:
        """Until the stream ends, or a newer one of the same visor replaces it."""
        pk = known.pk
        if not await self._contest.may_connect(known):
            stream.abort()
            return
        async with RpcClient(stream, MAX_MESSAGE) as rpc:
            connection = self._connection(pk, RemoteVisor(rpc))
            older, known.connection = known.connection, connection
            known.offline_since = None
            known.last_seen = datetime.now(UTC)
            log.info("visor online pk=%s replaces=%s", pk, older is not None)
            if older is not None:
                self._tasks.spawn(older.close(), f"replaced {pk}")
            connection.start(self._dial_control)
            self.nested.joined(pk, connection.visor)
            self._known.touch(known, state=True)
            push = self._tasks.spawn(self._push_keys(connection), f"keys for {pk}")
            try:
                await rpc.wait_closed()
            finally:
                push.cancel()
                if known.connection is connection:
                    known.connection = None
                    self.nested.left(pk)
                    known.offline_since = datetime.now(UTC)
                    self._known.touch(known, state=True)
                    log.info("visor offline pk=%s", pk)
                await connection.close()

    def admit(self, keys: Iterable[PubKey]) -> None:
        """Have every visor admit these to its terminals, too; at most MAX_PUSHED in all."""
        new = [key for key in dict.fromkeys(keys) if key not in self._push]
        new = new[: MAX_PUSHED - len(self._push)]
        if not new:
            return
        self._push += new
        for known in self._known:
            if known.connection is not None and known.pk != self._own:
                self._tasks.spawn(self._push_keys(known.connection), f"keys for {known.pk}")

    async def _push_keys(self, connection: Connection) -> None:
        if not self._push:
            return
        try:
            async with asyncio.timeout(PUSH_LIMIT):
                await connection.visor.call(ops_info.add_pty_whitelist, self._push)
        except (SkywireError, TimeoutError) as error:  # a visor of 2024 has no such method
            log.info("visor did not take keys pk=%s reason=%s", connection.pk, error)

    def _store(self, connection: Connection, summary: Summary) -> None:
        known = self._known.get(connection.pk)
        if known is None or known.connection is not connection:
            return
        if not self._known.keep(known, summary):
            log.warning("visor summary too large pk=%s", known.pk)
            return
        self.history.add(known.pk, summary, time())
        if summary.is_hypervisor:
            self.nested.says_it_is_one(known.pk)

    def _changed(self, connection: Connection) -> None:
        known = self._known.get(connection.pk)
        if known is not None and known.connection is connection:
            self._known.touch(known)

    def __len__(self) -> int:
        return len(self._known)

    def rows(self) -> list[msgspec.Raw]:
        """What is known of every visor, ours first, then by key; nobody is asked."""
        return [self._known.row(one) for one in self._known]

    def rows_without(self, keys: Collection[PubKey]) -> list[msgspec.Raw]:
        """The same but for some of them."""
        return [self._known.row(one) for one in self._known if one.pk not in keys]

    def row_json(self, pk: PubKey) -> msgspec.Raw | None:
        """One of these; None for a visor that is not known."""
        known = self._known.get(pk)
        return None if known is None else self._known.row(known)

    def row(self, pk: PubKey) -> dict[str, Any] | None:
        """The same, to look into."""
        found = self.row_json(pk)
        return None if found is None else msgspec.json.decode(found)

    async def remove(self, pk: PubKey) -> None:
        """Forget a visor that is not connected. Raises NotFound, Conflict."""
        if self._known[pk].connection is not None:
            raise Conflict(
                f"visor '{pk}' is connected; only one that is offline can be removed"
                if pk != self._own
                else "this hypervisor's own visor cannot be removed"
            )
        self._known.forget(pk)
        self.history.forget(pk)
        self.nested.forget(pk)
        await self.keeper.forget(pk)

    async def summaries(self) -> list[dict[str, Any]]:
        """`rows` to look into."""
        return [msgspec.json.decode(row) for row in self.rows()]

    def overviews(self) -> list[Any]:
        """Every connected visor's overview; of one that does not answer, its key alone."""
        return [
            msgspec.json.decode(one.row, type=_Row).overview
            if one.online and one.row
            else to_json(Overview(local_pk=one.pk))
            for one in self._known
            if one.connection is not None
        ]

    async def summary(self, pk: PubKey) -> msgspec.Raw:
        """The row of one visor, fresh if it answers in time. Raises NotFound."""
        known = self._known[pk]
        if known.connection is not None:
            await known.connection.refresh()
        return self._known.row(known)

    def stats(self) -> list[dict[str, Any]]:
        """How each connected visor is reached."""
        return [to_json(one.connection.stats) for one in self._known if one.connection is not None]

    async def check_known(self, pk: PubKey) -> None:
        """Raises NotFound for a visor that neither we nor hypervisors here have heard of."""
        if pk not in self._known and pk not in self.nested:
            await self.reach(pk)

    def hostname(self, pk: PubKey) -> str:
        """As the visor says; "" when unknown."""
        known = self._known.get(pk)
        return self.nested.hostname(pk) if known is None else known.hostname

    def connected(self, pk: PubKey) -> VisorClient:
        """For calls. Raises NotFound, or Unavailable when the visor is not connected."""
        known = self._known[pk]
        if known.connection is None:
            ago = "never"
            if known.last_seen is not None:
                seconds = (datetime.now(UTC) - known.last_seen).total_seconds()
                ago = f"{seconds:.0f}s ago"
            raise Unavailable(
                f"visor '{pk}' is currently disconnected (last seen {ago}) — retrying"
            )
        return known.connection.visor

    async def call(
        self, pk: PubKey, function: Callable[..., Awaitable[_Answer]], *request: Any
    ) -> _Answer:
        """One operation of one visor; the caller sets the deadline. Raises as `reach`."""
        answer = await (await self.reach(pk)).call(function, *request)
        if operation_of(function).rpc.startswith(CHANGING):
            known = self._known.get(pk)
            if known is not None and known.connection is not None:
                known.connection.poll_soon()
        return answer

    async def reach(self, pk: PubKey) -> VisorClient:
        """One that is connected, or that is behind a hypervisor which is.

        Raises NotFound, Unavailable.
        """
        if self.is_connected(pk):
            return self.connected(pk)
        through = await self.through(pk)
        if through is None:
            return self.connected(pk)  # says what is wrong
        return ProxiedVisor(self.connected(through), pk)

    # What operations of our own visor ask for: `visor.managed.Managed`.

    def is_connected(self, pk: PubKey) -> bool:
        known = self._known.get(pk)
        return known is not None and known.connection is not None

    async def through(self, pk: PubKey) -> PubKey | None:
        """The hypervisor among ours that `pk` is behind. Raises Unavailable."""
        return await self.nested.through(pk)

    def passing(self, pk: PubKey) -> AbstractContextManager[None]:
        """A request for `pk` is passed on. Raises Unavailable when it goes in a circle."""
        return self.nested.passing(pk)

    async def below(self) -> list[HVSection]:
        """What the hypervisors among ours tell about their visors."""
        return await self.nested.below()

    async def direct(self) -> list[HVVisorEntry]:
        """Ours first, then those that are connected, by key; from summaries that are not old.

        Those that are slow are as they were told last, or have none yet.
        """
        there = [one for one in self._known if one.connection is not None]
        age = max(self._timing.watched, len(self._known) / POLLS)
        asked = [
            self._tasks.spawn(one.connection.refresh(), f"list {one.pk}")
            for one in there
            if one.connection is not None and one.online
            if one.entry is None or self._clock() - one.row_time > age
        ]
        if asked:
            await asyncio.wait(asked, timeout=DIRECT_WAIT)
        return [self._known.entry(one) for one in there]

    def online(self) -> list[PubKey]:
        """The others that are connected now."""
        return [one.pk for one in self._known if one.online and one.pk != self._own]


class _Row(msgspec.Struct):
    overview: msgspec.Raw
