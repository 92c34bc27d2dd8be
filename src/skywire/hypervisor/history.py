"""Load, memory, disk and traffic of each visor over the last 24 hours, for sparklines. Ours.

Each poll adds to the sample of the present 5 minutes; finished ones go to the store's ring.
"""

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any
from uuid import UUID

from skywire.crypto.keys import PubKey
from skywire.stores.fleet import SLOTS, STEP, Sample
from skywire.visor.types import Summary

MAX_BYTES = 2**50  # of one interval; more is not believed
MAX_TRANSPORTS = 1024  # of one visor whose counters are remembered

_Counters = dict[UUID, tuple[int, int]]  # received, sent


class _Meter:
    """One visor's present interval."""

    __slots__ = ("counters", "number", "polls", "received", "sent", "sums", "times")

    def __init__(self) -> None:
        self.counters: _Counters | None = None  # of the last poll
        self.start(0)

    def start(self, number: int) -> None:
        self.number = number
        self.polls = 0
        self.sums = [0.0, 0.0, 0.0]  # load, mem, disk
        self.times = 0  # polls that told these
        self.received = self.sent = 0

    def add(self, summary: Summary) -> None:
        self.polls += 1
        load = summary.load
        if load is not None:
            values = (load.load1, load.mem_used_percent, load.disk_used_percent)
            if all(isfinite(value) and 0 <= value < 1e6 for value in values):
                self.times += 1
                self.sums = [total + value for total, value in zip(self.sums, values, strict=True)]
        transports = summary.overview.transports if summary.overview else []
        counters: _Counters = {
            one.id: (one.log.recv, one.log.sent)
            for one in transports[:MAX_TRANSPORTS]
            if one.log is not None
        }
        before = self.counters
        for key, (received, sent) in counters.items() if before is not None else ():
            # a transport that is new, or begins anew, has counted from 0
            old_received, old_sent = (before or {}).get(key, (0, 0))
            self.received += received - old_received if received >= old_received else received
            self.sent += sent - old_sent if sent >= old_sent else sent
        self.counters = counters

    def sample(self, pk: PubKey) -> Sample:
        load, mem, disk = (total / self.times if self.times else None for total in self.sums)
        received, sent = min(self.received, MAX_BYTES), min(self.sent, MAX_BYTES)
        return Sample(pk, self.number, self.polls, load, mem, disk, received, sent)


class History:
    """Times are seconds since 1970."""

    def __init__(self) -> None:
        self._meters: dict[PubKey, _Meter] = {}
        self._finished: list[Sample] = []

    def add(self, pk: PubKey, summary: Summary, now: float) -> None:
        number = int(now // STEP)
        meter = self._meters.setdefault(pk, _Meter())
        if meter.number != number:
            self._finish(pk, meter)
            meter.start(number)
        meter.add(summary)

    def _finish(self, pk: PubKey, meter: _Meter) -> None:
        if meter.polls:
            self._finished.append(meter.sample(pk))

    def forget(self, pk: PubKey) -> None:
        self._meters.pop(pk, None)
        self._finished = [one for one in self._finished if one.pk != pk]

    def take(self, now: float, *, present: bool = False) -> list[Sample]:
        """The samples of finished intervals, with `present` also of that one, for the store."""
        number = int(now // STEP)
        for pk, meter in self._meters.items():
            if present or meter.number != number:
                self._finish(pk, meter)
                meter.start(meter.number)
        samples, self._finished = self._finished, []
        return samples

    def put_back(self, samples: Sequence[Sample]) -> None:
        """The store did not take them; of each visor only so many are kept as are of use."""
        limit = 12 * max(1, len(self._meters))  # one hour
        self._finished = [*samples, *self._finished][-limit:]

    def unsaved(self, pk: PubKey) -> list[Sample]:
        """Of one visor, the present interval last."""
        samples = [one for one in self._finished if one.pk == pk]
        meter = self._meters.get(pk)
        if meter is not None and meter.polls:
            samples.append(meter.sample(pk))
        return samples


def columns(samples: Iterable[Sample], first: int, last: int) -> dict[str, Any]:
    """The intervals `first` to `last` as lists that fit a chart; null where nothing is known.

    Samples of one interval are put together, the polls of each counting.
    """
    size = max(0, min(last - first + 1, SLOTS))
    polls = [0] * size
    values: dict[str, list[float | None]] = {key: [None] * size for key in ("load", "mem", "disk")}
    traffic: dict[str, list[int | None]] = {key: [None] * size for key in ("received", "sent")}
    for one in samples:
        place = one.number - first
        if not 0 <= place < size:
            continue
        before, polls[place] = polls[place], polls[place] + one.polls
        for key, column in values.items():
            value, old = getattr(one, key), column[place]
            if value is not None and old is not None:
                value = (old * before + value * one.polls) / max(1, polls[place])
            column[place] = old if value is None else round(value, 3)
        for key, numbers in traffic.items():
            numbers[place] = (numbers[place] or 0) + getattr(one, key)
    return {"start": first * STEP, "step": STEP, "polls": polls, **values, **traffic}
