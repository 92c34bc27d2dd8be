"""Writes down what is known of the fleet, so that the next run begins with it; and the labels."""

import asyncio
import logging
from collections.abc import Sequence
from time import time

from skywire.crypto.keys import PubKey
from skywire.errors import Conflict, InvalidValue, Unavailable
from skywire.hypervisor.fleet import Fleet, Known
from skywire.hypervisor.history import History
from skywire.stores.fleet import FleetStore, Label, Sample

log = logging.getLogger(__name__)

SAVE_EVERY = 30.0  # seconds: new visors, those that came or went, finished samples
ROW_AGE = 300.0  # seconds after which a changed row is saved again; a memory card wears out
MAX_LABELS = 4096


class Keeper:
    """Without a `store` nothing outlives the process."""

    def __init__(self, fleet: Fleet, history: History, store: FleetStore | None) -> None:
        self._fleet = fleet
        self._history = history
        self._store = store
        self._labels = fleet.labels
        self._failed = False

    async def restore(self) -> None:
        """Of an earlier run. A file that cannot be read is told, and done without."""
        if self._store is None:
            return
        try:
            self._fleet.restore(await self._store.visors())
            for label in (await self._store.labels())[:MAX_LABELS]:
                self._take(label)
        except Unavailable as error:
            log.warning("fleet not restored error=%s", error)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(SAVE_EVERY)
            await self._save(list(self._fleet.unsaved(ROW_AGE)), self._history.take(time()))

    async def close(self) -> None:
        """Write down everything."""
        await self._save(list(self._fleet.unsaved(0.0)), self._history.take(time(), present=True))

    async def _save(self, visors: Sequence[Known], samples: Sequence[Sample]) -> None:
        if self._store is None or not (visors or samples):
            return
        try:
            await self._store.save([self._fleet.save(known) for known in visors], samples)
        except Unavailable as error:
            self._history.put_back(samples)
            for known in visors:
                known.changed = True
            log.log(
                logging.DEBUG if self._failed else logging.WARNING,
                "fleet not saved error=%s",
                error,
            )
            self._failed = True
        else:
            self._failed = False

    async def forget(self, pk: PubKey) -> None:
        """Raises Unavailable."""
        if self._store is not None:
            await self._store.forget([pk])

    async def samples(self, keys: Sequence[PubKey], since: int) -> list[Sample]:
        """Of these visors, from the interval with this number on. Raises Unavailable."""
        saved = [] if self._store is None else await self._store.samples(keys, since)
        return [*saved, *(one for key in keys for one in self._history.unsaved(key))]

    def labels(self) -> list[Label]:
        """By kind and id."""
        return sorted(self._labels.values(), key=lambda one: (one.kind, one.id))

    async def set_label(self, label: Label) -> None:
        """An empty one is deleted. Raises Conflict (too many), Unavailable."""
        if label.label and label.id not in self._labels and len(self._labels) >= MAX_LABELS:
            raise Conflict(f"there are {MAX_LABELS} labels, the most that are kept; delete some")
        if self._store is not None:
            await self._store.set_label(label)
        self._take(label)

    def _take(self, label: Label) -> None:
        if label.label:
            self._labels[label.id] = label
        else:
            self._labels.pop(label.id, None)
        if (known := self._visor(label.id)) is not None:
            self._fleet.touch(known)

    def _visor(self, id: str) -> Known | None:
        try:
            return self._fleet.get(PubKey.parse(id))
        except InvalidValue:
            return None
