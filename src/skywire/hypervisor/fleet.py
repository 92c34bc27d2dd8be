"""What is known of each visor of a hypervisor: its last summary, its state, and the age of both.

Rows are kept as JSON and answered as they are: 1,000 of them cost a list no more than their bytes.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from time import time
from typing import Any

import msgspec

from skywire.crypto.keys import PubKey
from skywire.errors import NotFound
from skywire.hypervisor.changes import Changes
from skywire.hypervisor.connection import Connection
from skywire.stores.fleet import Label, SavedVisor
from skywire.visor.types import Overview, Summary, to_json
from skywire.visor.types_managed import HVVisorEntry

MAX_VISORS = 2048  # known at one time; one more takes the place of the one offline the longest
MAX_ROW = 1024 * 1024  # bytes of JSON kept of one visor
MAX_ROWS = 64 * 1024 * 1024  # bytes of JSON kept of all
STALE_AFTER = 90.0  # seconds: three polls without a summary
# keys of a summary that are not the visor's to tell
OURS = ("online", "dmsg_stats", "is_hypervisor", "offline_since", "last_seen_at")
VISOR, SAVED = "visor", "saved"  # where a row is from: this run, or an earlier one


class Known:
    """A visor we have heard of. `row` is the JSON of its last summary, b"" before the first."""

    __slots__ = (
        "changed",
        "connection",
        "contested_until",
        "entry",
        "hostname",
        "last_seen",
        "offline_since",
        "pk",
        "replaced",
        "row",
        "row_time",
        "saved_at",
        "source",
        "waiting",
    )

    def __init__(self, pk: PubKey) -> None:
        self.pk = pk
        self.connection: Connection | None = None
        self.row = b""
        self.row_time = 0.0  # of the event loop's clock
        self.entry: HVVisorEntry | None = None  # of the last summary, if it is of this run
        self.source: str | None = None
        self.hostname = ""
        self.replaced: list[float] = []  # when newer connections took the place of older ones
        self.waiting = 0  # newer connections that may have to
        self.contested_until = 0.0  # two nodes have this key, it seems
        self.last_seen: datetime | None = None
        self.offline_since: datetime | None = None
        self.changed = True  # its state, or what is saved is of no use
        self.saved_at: float | None = None  # of the event loop's clock

    @property
    def online(self) -> bool:
        return self.connection is not None and self.connection.answers


class Fleet:
    """All of them, by key. `changes` tells followers which rows to look at again."""

    def __init__(self) -> None:
        self.changes = Changes()
        self.own: PubKey | None = None
        self.labels: dict[str, Label] = {}  # by what they are for
        self._clock = asyncio.get_running_loop().time
        self._known: dict[PubKey, Known] = {}
        self._size = 0  # of all rows

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, pk: PubKey) -> bool:
        return pk in self._known

    def __iter__(self) -> Iterator[Known]:
        """Ours first, then by key."""
        return iter(sorted(self._known.values(), key=lambda one: (one.pk != self.own, one.pk)))

    def get(self, pk: PubKey) -> Known | None:
        return self._known.get(pk)

    def __getitem__(self, pk: PubKey) -> Known:
        """Raises NotFound."""
        if pk not in self._known:
            raise NotFound(f"visor of pk '{pk}' not found")
        return self._known[pk]

    def admit(self, pk: PubKey) -> Known | None:
        """Known from now on; None when there is no room and nobody who would have to go."""
        if pk not in self._known:
            if len(self._known) >= MAX_VISORS and not self._forget_oldest():
                return None
            self._known[pk] = Known(pk)
            self.changes.touch(pk)
        return self._known[pk]

    def _forget_oldest(self) -> bool:
        offline = [
            (known.offline_since, known.pk)
            for known in self._known.values()
            if known.connection is None and known.offline_since is not None
        ]
        if offline:
            self.forget(min(offline)[1])
        return bool(offline)

    def forget(self, pk: PubKey) -> None:
        """Of one that is not connected."""
        self._size -= len(self._known.pop(pk).row)
        self.changes.remove(pk)

    def touch(self, known: Known, *, state: bool = False) -> None:
        """Its row is another; with `state`, so that it is worth being saved soon."""
        known.changed = known.changed or state
        if self._known.get(known.pk) is known:
            self.changes.touch(known.pk)

    def keep(self, known: Known, summary: Summary) -> bool:
        """Take over what the visor says; False when it is too much to be kept."""
        known.last_seen = datetime.now(UTC)
        overview = summary.overview or Overview()
        overview.local_pk = known.pk  # the stream's key is proven, the message's is not
        summary.overview = overview
        base = to_json(summary)
        for key in OURS:
            base.pop(key, None)
        kept = self._replace_row(known, msgspec.json.encode(base))
        if kept:
            known.row_time, known.source = self._clock(), VISOR
            known.hostname = overview.hostname
            known.entry = HVVisorEntry.of(known.pk, summary)
        self.touch(known, state=known.saved_at is None)
        return kept

    def _replace_row(self, known: Known, row: bytes) -> bool:
        size = self._size - len(known.row) + len(row)
        if len(row) > MAX_ROW or size > MAX_ROWS:
            return False
        self._size, known.row = size, row
        return True

    def row(self, known: Known) -> msgspec.Raw:
        """The last summary, with what only we know: state, times, and the age of the summary."""
        connection = known.connection
        age = max(0.0, round(self._clock() - known.row_time, 3)) if known.row else None
        label = self.labels.get(str(known.pk))
        silent = connection is not None and not connection.answers
        ours: dict[str, Any] = {
            "online": known.online,
            "dmsg_stats": None if connection is None else to_json(connection.stats),
            "offline_since": _text(known.last_seen if silent else known.offline_since),
            "last_seen_at": _text(known.last_seen),
            "summary_age": age,
            "stale": age is None or not known.online or age > STALE_AFTER,
            "source": known.source,
            "label": None if label is None else label.label,
        }
        if known.pk == self.own:
            ours["is_hypervisor"] = True
        if connection is not None and connection.error:
            ours["summary_error"] = connection.error
        if self._clock() < known.contested_until:
            ours["contested"] = True
        row = known.row or _unknown(known.pk)
        return msgspec.Raw(row[:-1] + b"," + msgspec.json.encode(ours)[1:])

    def entry(self, known: Known) -> HVVisorEntry:
        """The same for those who list our visors from afar."""
        error = "" if known.online else "no answer"
        if known.entry is None:
            error = error or "no summary yet"
        return replace(
            known.entry or HVVisorEntry(known.pk),
            online=not error,
            error=error,
            is_local=known.pk == self.own,
        )

    def restore(self, visors: list[SavedVisor]) -> None:
        """As they were when an earlier run ended; those that are there already stay."""
        for saved in visors:
            if saved.pk in self._known or len(self._known) >= MAX_VISORS:
                continue
            known = Known(saved.pk)
            if saved.row and (hostname := _hostname(saved.row)) is not None:
                if not self._replace_row(known, saved.row):
                    continue
                age = max(0.0, time() - (saved.row_time or 0.0))
                known.row_time, known.source = self._clock() - age, SAVED
                known.hostname = hostname
            known.last_seen = _moment(saved.last_seen)
            known.offline_since = _moment(saved.offline_since) or known.last_seen
            known.offline_since = known.offline_since or datetime.now(UTC)
            known.changed, known.saved_at = False, self._clock()
            self._known[saved.pk] = known
            self.changes.touch(saved.pk)

    def unsaved(self, age: float) -> Iterator[Known]:
        """Whose state has changed, or whose saved row is older than `age` seconds."""
        now = self._clock()
        for known in self._known.values():
            too_old = known.saved_at is None or (
                known.row_time > known.saved_at and now - known.saved_at >= age
            )
            if known.changed or too_old:
                yield known

    def save(self, known: Known) -> SavedVisor:
        """What to write down of it, which is taken for done."""
        known.changed, known.saved_at = False, self._clock()
        row_time = time() - (self._clock() - known.row_time) if known.row else None
        return SavedVisor(
            known.pk, known.row, row_time, _seconds(known.last_seen), _seconds(known.offline_since)
        )


def _unknown(pk: PubKey) -> bytes:
    """Of a visor without any summary: what would be numbers is null."""
    row = to_json(Summary(overview=Overview(local_pk=pk)))
    for key in OURS:
        row.pop(key, None)
    row["uptime"] = row["min_hops"] = row["overview"]["routes_count"] = None
    return msgspec.json.encode(row)


class _Overview(msgspec.Struct):
    hostname: str = ""


class _Row(msgspec.Struct):
    overview: _Overview


def _hostname(row: bytes) -> str | None:
    """None for what is no row of ours."""
    try:
        return msgspec.json.decode(row, type=_Row).overview.hostname
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _moment(seconds: float | None) -> datetime | None:
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _seconds(when: datetime | None) -> float | None:
    return None if when is None else when.timestamp()


def _text(when: datetime | None) -> str | None:
    return None if when is None else when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
