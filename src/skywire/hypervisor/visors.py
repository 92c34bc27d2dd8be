"""The visors of a hypervisor: connected now, or known from before. Source: hypervisor.md §1, §4.2.

A visor dials our dmsg port 46 and then answers our calls on that stream. One that goes away stays
listed with its last summary, until it comes back.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from skywire.crypto.keys import PubKey
from skywire.errors import NotFound, SkywireError, StreamClosed, Unavailable
from skywire.hypervisor.changes import Changes
from skywire.hypervisor.connection import Connection, DialControl, Timing
from skywire.hypervisor.proxied import ProxiedVisor
from skywire.rpc.client import RpcClient
from skywire.streams.stream import Listener, Stream
from skywire.streams.supervise import Tasks
from skywire.visor import managed, ops_hv, ops_info
from skywire.visor.client import RemoteVisor, VisorClient
from skywire.visor.types import Overview, Summary, to_json

log = logging.getLogger(__name__)

MAX_VISORS = 1024  # known at one time; one more takes the place of the one offline the longest
MAX_MESSAGE = 256 * 1024  # bytes of one gob value from a visor: some 1,500 transports
MAX_ROW = 1024 * 1024  # bytes of JSON kept of one visor
MAX_ROWS = 64 * 1024 * 1024  # bytes of JSON kept of all
STALE_AFTER = 90.0  # seconds: three polls without a summary
BEHIND_AGE = 3.0  # seconds for which it is known who is behind other hypervisors
PUSH_LIMIT = 20.0  # seconds for a visor to take our hypervisors' keys

_Answer = TypeVar("_Answer")


class _Known:
    """A visor we have heard of. `row` is the JSON of its last summary, b"" before the first."""

    def __init__(self, pk: PubKey) -> None:
        self.pk = pk
        self.connection: Connection | None = None
        self.row = b""
        self.row_time = 0.0  # of the event loop's clock
        self.last_seen: datetime | None = None
        self.offline_since: datetime | None = None

    @property
    def online(self) -> bool:
        return self.connection is not None and self.connection.answers


class Visors:
    """`push` are keys every visor shall admit to its terminals: our own hypervisors'."""

    def __init__(
        self,
        *,
        dial_control: DialControl | None = None,
        push: Sequence[PubKey] = (),
        timing: Timing | None = None,
    ) -> None:
        self._dial_control = dial_control
        self._push = list(push)
        self._timing = timing or Timing()
        self._clock = asyncio.get_running_loop().time
        self.changes = Changes()
        self._tasks = Tasks("visors")
        self._known: dict[PubKey, _Known] = {}
        self._own: PubKey | None = None
        self._behind: dict[PubKey, PubKey] = {}  # visors of other hypervisors → that one
        self._looking = asyncio.Lock()
        self._look_again = 0.0  # when they may be asked again

    def attach_own(self, pk: PubKey, visor: VisorClient) -> None:
        """The visor of this process: always listed, always first."""
        self._own = pk
        known = self._known[pk] = _Known(pk)
        known.connection = Connection(pk, visor, self._store, self._changed, self._timing)
        known.connection.start(self._dial_control)
        self.changes.touch(pk)

    async def serve(self, listener: Listener) -> None:
        """Accept visors until `listener` is closed. Does not close it."""
        while True:
            try:
                stream = await listener.accept()
            except StreamClosed:
                return
            pk = stream.remote.pk
            if pk is None or pk == self._own or (known := self._admit(pk)) is None:
                log.warning("visor refused remote=%s known=%d", stream.remote, len(self._known))
                stream.abort()
            else:
                self._tasks.spawn(self._attend(known, stream), str(pk))

    async def close(self) -> None:
        """End every connection."""
        await self._tasks.close()
        if self._own is not None:
            await self._known[self._own].connection.close()  # type: ignore[union-attr]

    def _admit(self, pk: PubKey) -> _Known | None:
        if pk not in self._known:
            if len(self._known) >= MAX_VISORS and not self._forget_oldest():
                return None
            self._known[pk] = _Known(pk)
            self.changes.touch(pk)
        return self._known[pk]

    def _forget_oldest(self) -> bool:
        offline = [
            (known.offline_since, known.pk)
            for known in self._known.values()
            if known.connection is None and known.offline_since is not None
        ]
        if offline:
            pk = min(offline)[1]
            del self._known[pk]
            self.changes.remove(pk)
        return bool(offline)

    async def _attend(self, known: _Known, stream: Stream) -> None:
        """Until the stream ends, or a newer one of the same visor replaces it."""
        pk = known.pk
        async with RpcClient(stream, MAX_MESSAGE) as rpc:
            connection = Connection(pk, RemoteVisor(rpc), self._store, self._changed, self._timing)
            older, known.connection = known.connection, connection
            known.offline_since = None
            known.last_seen = datetime.now(UTC)
            log.info("visor online pk=%s replaces=%s", pk, older is not None)
            if older is not None:
                self._tasks.spawn(older.close(), f"replaced {pk}")
            connection.start(self._dial_control)
            self.changes.touch(pk)
            push = self._tasks.spawn(self._push_keys(connection), f"keys for {pk}")
            try:
                await rpc.wait_closed()
            finally:
                push.cancel()
                if known.connection is connection:
                    known.connection = None
                    known.offline_since = datetime.now(UTC)
                    self.changes.touch(pk)
                    log.info("visor offline pk=%s", pk)
                await connection.close()

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
        overview = summary.overview or Overview()
        overview.local_pk = known.pk  # the stream's key is proven, the message's is not
        summary.overview = overview
        row = msgspec.json.encode(to_json(summary))
        others = sum(len(other.row) for other in self._known.values() if other is not known)
        known.last_seen = datetime.now(UTC)
        if len(row) > MAX_ROW or others + len(row) > MAX_ROWS:
            log.warning("visor summary too large pk=%s bytes=%d", known.pk, len(row))
            return
        known.row, known.row_time = row, self._clock()
        self.changes.touch(known.pk)

    def _changed(self, connection: Connection) -> None:
        known = self._known.get(connection.pk)
        if known is not None and known.connection is connection:
            self.changes.touch(known.pk)

    def __len__(self) -> int:
        return len(self._known)

    def row(self, pk: PubKey) -> dict[str, Any] | None:
        """As in `summaries`, without asking the visor; None for one that is not known."""
        known = self._known.get(pk)
        return None if known is None else self._row(known)

    async def summaries(self) -> list[dict[str, Any]]:
        """Every visor's row, ours first, then by key; those that answer in time are fresh."""
        known = self._listed()
        await self._refresh(known)
        return [self._row(one) for one in known]

    async def overviews(self) -> list[dict[str, Any]]:
        """Every connected visor's overview; of one that does not answer, its key alone."""
        known = [one for one in self._listed() if one.connection is not None]
        await self._refresh(known)
        return [
            self._row(one)["overview"] if one.online else to_json(Overview(local_pk=one.pk))
            for one in known
        ]

    async def summary(self, pk: PubKey) -> dict[str, Any]:
        """The row of one visor. Raises NotFound."""
        known = self._find(pk)
        await self._refresh([known])
        return self._row(known)

    def stats(self) -> list[dict[str, Any]]:
        """How each connected visor is reached."""
        return [
            to_json(one.connection.stats) for one in self._listed() if one.connection is not None
        ]

    async def check_known(self, pk: PubKey) -> None:
        """Raises NotFound for a visor that neither we nor hypervisors here have heard of."""
        if pk not in self._known:
            await self.reach(pk)

    def hostname(self, pk: PubKey) -> str:
        """As the visor says; "" when unknown."""
        known = self._known.get(pk)
        overview = msgspec.json.decode(known.row)["overview"] if known and known.row else {}
        return str(overview.get("hostname", ""))

    def connected(self, pk: PubKey) -> VisorClient:
        """For calls. Raises NotFound, or Unavailable when the visor is not connected."""
        known = self._find(pk)
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
        return await (await self.reach(pk)).call(function, *request)

    async def reach(self, pk: PubKey) -> VisorClient:
        """One that is connected, or that is behind a hypervisor which is.

        Raises NotFound, Unavailable.
        """
        known = self._known.get(pk)
        if known is not None and known.connection is not None:
            return known.connection.visor
        through = self._behind.get(pk)
        if through is None or through not in self.online():
            through = await self._find_behind(pk)
        if through is None:
            return self.connected(pk)  # says what is wrong
        return ProxiedVisor(self.connected(through), pk)

    async def _find_behind(self, pk: PubKey) -> PubKey | None:
        """The hypervisors are asked once in a while, whatever keys others ask us for."""
        async with self._looking:
            if self._clock() >= self._look_again:
                await self._look_behind()
                self._look_again = self._clock() + BEHIND_AGE
        return self._behind.get(pk)

    async def _look_behind(self) -> None:
        lists = await managed.sub_lists(self, ops_hv.list_direct_visors)
        self._behind = {
            entry.pk: key
            for key, found in lists.items()
            if not isinstance(found, SkywireError)
            for entry in found[:MAX_VISORS]
        }

    def _find(self, pk: PubKey) -> _Known:
        if pk not in self._known:
            raise NotFound(f"visor of pk '{pk}' not found")
        return self._known[pk]

    def online(self) -> list[PubKey]:
        """The others that are connected now."""
        return [one.pk for one in self._listed() if one.online and one.pk != self._own]

    def _listed(self) -> list[_Known]:
        return sorted(self._known.values(), key=lambda known: (known.pk != self._own, known.pk))

    async def _refresh(self, known: list[_Known]) -> None:
        waits = [one.connection.refresh() for one in known if one.connection is not None]
        if waits:
            await asyncio.gather(*waits)

    def _row(self, known: _Known) -> dict[str, Any]:
        """The last summary, with what only we know: state, times, and the age of the summary."""
        if known.row:
            row: dict[str, Any] = msgspec.json.decode(known.row)
        else:
            row = to_json(Summary(overview=Overview(local_pk=known.pk)))
        connection = known.connection
        row["online"] = known.online
        row["dmsg_stats"] = None if connection is None else to_json(connection.stats)
        row.pop("is_hypervisor", None)
        if known.pk == self._own:
            row["is_hypervisor"] = True
        silent = connection is not None and not connection.answers
        row["offline_since"] = _time(known.last_seen if silent else known.offline_since)
        row["last_seen_at"] = _time(known.last_seen)
        age = round(self._clock() - known.row_time, 3) if known.row else None
        row["summary_age"] = age
        row["stale"] = age is None or not known.online or age > STALE_AFTER
        return row


def _time(when: datetime | None) -> str | None:
    return None if when is None else when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
