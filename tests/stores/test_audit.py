"""The audit log's file: what is found, and what goes when it is full."""

import stat
from pathlib import Path

import pytest

from skywire.errors import Unavailable
from skywire.stores.audit import AuditStore, Entry, Wanted

ENTRY = Entry(0, 1_000.0, "admin", "127.0.0.1", "reload", "02ab", "{}", 200, "", 0.5, True)


async def test_the_newest_come_first_and_filters_choose(tmp_path: Path) -> None:
    store = AuditStore(tmp_path / "audit.db")
    assert await store.find(Wanted()) == []
    assert not (tmp_path / "audit.db").exists()
    bad = ENTRY._replace(time=2_000.0, action="log in", visor="", user="", status=401, inside=False)
    await store.add([ENTRY, bad])
    await store.add([ENTRY._replace(time=3_000.0)])
    assert stat.S_IMODE((tmp_path / "audit.db").stat().st_mode) == 0o600
    found = await AuditStore(tmp_path / "audit.db").find(Wanted())
    assert [entry.id for entry in found] == [3, 2, 1]
    assert found[1] == bad._replace(id=2)

    async def ids(wanted: Wanted) -> list[int]:
        return [entry.id for entry in await store.find(wanted)]

    assert await ids(Wanted(since=2_000.0)) == [3, 2]
    assert await ids(Wanted(before=3)) == [2, 1]
    assert await ids(Wanted(visor="02ab", limit=1)) == [3]
    assert await ids(Wanted(user="admin", action="reload")) == [3, 1]
    assert await ids(Wanted(failed=True)) == [2]
    assert await ids(Wanted(failed=False)) == [3, 1]
    assert await ids(Wanted(user="' OR 1 --")) == []
    assert await ids(Wanted(limit=-1)) == []


async def test_the_oldest_go_and_nobody_outside_pushes_out_the_others(tmp_path: Path) -> None:
    store = AuditStore(tmp_path / "audit.db", max_entries=3, max_outside=2)
    await store.add([ENTRY] * 4)
    await store.add([ENTRY._replace(inside=False)] * 5)
    found = await store.find(Wanted())
    assert [(entry.id, entry.inside) for entry in found] == [
        *((9, False), (8, False)),
        *((4, True), (3, True), (2, True)),
    ]


async def test_what_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "audit.db").write_bytes(b"garbage" * 1000)
    with pytest.raises(Unavailable, match=r"audit log .*audit\.db: file is not a database"):
        await AuditStore(tmp_path / "audit.db").find(Wanted())
