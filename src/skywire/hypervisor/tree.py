"""The visors of a hypervisor and of those below it, by hypervisor. hypervisor.md §4.2, §7.

    GET /api/visors-tree-summary

    {"sections": [
      {"hypervisor_pk": "02aa…", "visors": [rows as in /api/visors-summary]},
      {"hypervisor_pk": "02bb…", "via_chain": ["02aa…"], "visors": […], "sub_error": "…"}]}

The rows of the first section are those without a section of their own. The rows of the others are
what their hypervisor told, `summary_age` seconds ago, and their summaries as soon as these are
there; `proxied_via` is that hypervisor. Of one that is not connected, or tells nothing, `sub_error`
says why and its rows are those it told last, offline and stale. Nobody waits for a slow one: its
part is as old as it is.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from skywire.crypto.keys import PubKey
from skywire.errors import SkywireError
from skywire.hypervisor.proxied import ProxiedVisor
from skywire.hypervisor.visors import Visors
from skywire.streams.supervise import Tasks
from skywire.visor import ops_info
from skywire.visor.types import BuildInfo, HealthInfo, Overview, Summary, to_json
from skywire.visor.types_managed import HVSection, HVVisorEntry

SUMMARY_LIMIT = 5.0  # seconds for one summary
SUMMARY_AGE = 15.0  # seconds; one so young is not asked for again
AT_ONCE = 4  # summaries asked of one hypervisor at the same time
MAX_ROW = 256 * 1024  # bytes of JSON kept of one visor
MAX_ROWS = 32 * 1024 * 1024  # bytes of JSON kept of all
STALE_AFTER = 90.0  # seconds
PAGE_WAIT = 0.5  # seconds the page waits for summaries that it never had
NESTED = "nested"  # where a row is from


class _Row(NamedTuple):
    json: bytes
    time: float  # of the event loop's clock


class Tree:
    """Keeps summaries of visors behind other hypervisors while somebody looks at them."""

    def __init__(self, visors: Visors, own: PubKey) -> None:
        self._visors = visors
        self._own = own
        self._clock = asyncio.get_running_loop().time
        self._tasks = Tasks("tree")
        self._rows: dict[PubKey, _Row] = {}
        self._size = 0
        self._asking: dict[PubKey, asyncio.Task[None]] = {}  # by the hypervisor that is asked

    async def close(self) -> None:
        await self._tasks.close()

    async def page(self) -> dict[str, Any]:
        """Sections of summaries, ours first."""
        sections = await self._visors.below()
        missing = self._ask(sections)
        if missing:
            await asyncio.wait(missing, timeout=PAGE_WAIT)
        gone = self._gone()
        apart = {section.hypervisor_pk for section in [*sections, *gone]}
        ours: dict[str, Any] = {
            "hypervisor_pk": str(self._own),
            "visors": self._visors.rows_without(apart),
        }
        return {"sections": [ours, *map(self._shown, sections), *map(self._shown, gone)]}

    def _gone(self) -> list[HVSection]:
        """What those told last that are not connected now; deeper ones that others told are not
        among them."""
        return [
            HVSection(sub.pk, [self._own], sub.sections[0].visors, "it is not connected")
            for sub in self._visors.nested.gone()
            if sub.sections
        ]

    def _shown(self, section: HVSection) -> dict[str, Any]:
        key = section.hypervisor_pk
        first = section.via_chain[1] if len(section.via_chain) > 1 else key
        age = self._visors.nested.age(first)
        live = not section.sub_error
        shown: dict[str, Any] = {
            "hypervisor_pk": str(key),
            "via_chain": [str(one) for one in section.via_chain],
            "visors": [self._row(entry, key, age, live) for entry in section.visors],
        }
        return shown if live else shown | {"sub_error": section.sub_error}

    def _row(self, entry: HVVisorEntry, key: PubKey, age: float | None, live: bool) -> msgspec.Raw:
        if self._visors.is_connected(entry.pk) or not live:
            known = self._visors.row_json(entry.pk)
            if known is not None:
                return known
        kept = self._rows.get(entry.pk)
        online = live and entry.online and age is not None
        if kept is not None:
            age = self._clock() - kept.time
        ours: dict[str, Any] = {
            "online": online,
            "summary_age": None if age is None else max(0.0, round(age, 3)),
            "stale": not online or age is None or age > STALE_AFTER,
            "source": NESTED,
            "proxied_via": str(key),
        }
        if entry.error:
            ours["error"] = entry.error
        row = kept.json if kept is not None else _of_entry(entry)
        return msgspec.Raw(row[:-1] + b"," + msgspec.json.encode(ours)[1:])

    # Summaries.

    def _ask(self, sections: Sequence[HVSection]) -> "list[asyncio.Task[None]]":
        """For summaries that are missing or old; the tasks that bring missing ones."""
        wanted: dict[PubKey, list[PubKey]] = {}
        listed, missing = set(), set()
        for section in sections:
            via = section.via_chain
            first = via[1] if len(via) > 1 else section.hypervisor_pk
            for entry in section.visors:
                listed.add(entry.pk)
                if not entry.online or entry.pk == first or self._visors.is_connected(entry.pk):
                    continue
                kept = self._rows.get(entry.pk)
                if kept is None:
                    missing.add(first)
                if kept is None or self._clock() - kept.time > SUMMARY_AGE:
                    wanted.setdefault(first, []).append(entry.pk)
        for pk in self._rows.keys() - listed:
            self._size -= len(self._rows.pop(pk).json)
        for first, keys in wanted.items():
            if first not in self._asking or self._asking[first].done():
                self._asking[first] = self._tasks.spawn(self._ask_all(first, keys), str(first))
            else:
                missing.discard(first)  # it is slow
        for first in [key for key, task in self._asking.items() if task.done()]:
            del self._asking[first]
        return [task for first, task in self._asking.items() if first in missing]

    async def _ask_all(self, first: PubKey, keys: list[PubKey]) -> None:
        """Those that are missing come first."""
        keys.sort(key=lambda pk: pk in self._rows)
        queue = iter(keys)

        async def work() -> None:
            for pk in queue:
                await self._ask_one(first, pk)

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(work())

    async def _ask_one(self, first: PubKey, pk: PubKey) -> None:
        try:
            async with asyncio.timeout(SUMMARY_LIMIT):
                through = self._visors.connected(first)
                summary = await ProxiedVisor(through, pk).call(ops_info.summary)
        except (SkywireError, TimeoutError):
            return  # what its hypervisor told is shown
        summary.overview = summary.overview or Overview()
        summary.overview.local_pk = pk
        row = to_json(summary)
        row.pop("online", None)
        self._keep(pk, msgspec.json.encode(row))

    def _keep(self, pk: PubKey, row: bytes) -> None:
        before = self._rows.get(pk)
        size = self._size + len(row) - (0 if before is None else len(before.json))
        if len(row) <= MAX_ROW and size <= MAX_ROWS:
            self._size = size
            self._rows[pk] = _Row(row, self._clock())


def _of_entry(entry: HVVisorEntry) -> bytes:
    """A summary of what a list tells; what it does not tell is null."""
    overview = Overview(
        local_pk=entry.pk,
        build_info=BuildInfo(entry.version) if entry.version else None,
        transports=entry.transport_summaries,
        local_ip=entry.local_ip,
        public_ip=entry.public_ip,
        is_symmetic_nat=entry.symmetric_nat,
        country_code=entry.country_code,
        hostname=entry.hostname,
    )
    summary = Summary(
        overview=overview,
        health=HealthInfo(entry.services_health) if entry.services_health else None,
        uptime=entry.uptime_seconds,
        reward_address=entry.reward_address,
        build_tag=entry.build_tag,
        config_version=entry.config_version,
        load=entry.load,
    )
    row: dict[str, Any] = to_json(summary)
    row.pop("online", None)
    row["overview"]["apps"] = row["overview"]["routes_count"] = row["min_hops"] = None
    if not entry.uptime_seconds:
        row["uptime"] = None
    return msgspec.json.encode(row)
