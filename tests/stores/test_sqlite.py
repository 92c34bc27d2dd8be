"""What is particular to SQLite: the file, its versions, its failures."""

import asyncio
import sqlite3
import threading
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any

import pytest

from skywire.errors import Unavailable
from skywire.stores.open import open_discovery
from skywire.stores.sql import SqlDiscoveryStore
from skywire.stores.sqlite import Database
from tests.stores.test_discovery_store import client, key, server


async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "store.db"
    with pytest.raises(Unavailable, match=f"{path}.*cannot be opened.*check that .*nowhere exists"):
        await open_discovery(f"sqlite:///{path}")


async def test_a_folder_that_cannot_be_written_is_named() -> None:
    with pytest.raises(Unavailable, match=r"/proc/store\.db cannot be opened for writing"):
        await open_discovery("sqlite:////proc/store.db")


async def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_text("my diary " * 100)
    with pytest.raises(Unavailable, match="not a database"):
        await open_discovery(f"sqlite:///{path}")
    assert path.read_text() == "my diary " * 100


async def test_a_full_disk_refuses_writes_and_goes_on_reading(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "store.db"))
    store = SqlDiscoveryStore(database)
    await store.put(client(0), None)
    (pages,) = database._writer.execute("PRAGMA page_count").fetchone()
    database._writer.execute(f"PRAGMA max_page_count = {pages}")
    fill = (store.put(client(number), None) for number in range(1, 100))
    with pytest.raises(Unavailable, match="database or disk is full"):
        await _in_turn(fill)
    assert await store.document(key(0)) is not None
    database._writer.execute("PRAGMA max_page_count = 1000000")
    assert await store.put(client(500), None)
    await store.close()


async def _in_turn(work: Iterable[Coroutine[Any, Any, object]]) -> None:
    for step in work:
        await step


async def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "store.db"))

    def half(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM dmsg_entries")
        raise RuntimeError("half way")

    store = SqlDiscoveryStore(database)
    await store.put(client(1), None)
    with pytest.raises(RuntimeError, match="half way"):
        await database.write(half)
    assert await store.count() == (0, 1)
    await store.close()


async def test_a_slow_write_does_not_delay_reads(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "store.db"))
    store = SqlDiscoveryStore(database)
    await store.put(client(1), None)
    started, release = threading.Event(), threading.Event()

    def slow(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM dmsg_entries")
        started.set()
        assert release.wait(10)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(database.write(slow))
        assert await asyncio.to_thread(started.wait, 10)
        assert await store.document(key(1)) is not None  # as before the transaction
        release.set()
    assert await store.document(key(1)) is None
    await store.close()


async def test_a_cancelled_write_still_happens_whole(tmp_path: Path) -> None:
    store = SqlDiscoveryStore(Database(str(tmp_path / "store.db")))
    writing = asyncio.ensure_future(store.put(client(1), None))
    await asyncio.sleep(0)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await store.put(client(2), None)  # the writer takes one after the other
    assert await store.count() == (0, 2)
    await store.close()


async def test_opening_again_changes_no_tables(tmp_path: Path) -> None:
    path = str(tmp_path / "store.db")
    for _ in range(2):
        database = Database(path)
        assert database.read("PRAGMA user_version") == [(3,)]
        await database.close()


async def test_a_file_of_a_later_release_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(Unavailable, match="has version 99, this release knows 3: use a later"):
        await open_discovery(f"sqlite:///{path}")


async def test_tables_that_are_not_ours_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE dmsg_entries (mine)")
    connection.close()
    with pytest.raises(Unavailable, match="table dmsg_entries already exists"):
        await open_discovery(f"sqlite:///{path}")


async def test_an_entry_expires_by_the_given_clock() -> None:
    now = 1000.0
    store = SqlDiscoveryStore(Database(":memory:"), clock=lambda: now)
    await store.put(server(1), 120)
    now += 119.9
    assert len(await store.all_servers()) == 1
    assert await store.sweep() == 0
    now += 0.2
    assert await store.all_servers() == []
    assert await store.delete(key(1)) is False
    assert await store.sweep() == 1
    await store.close()


async def test_a_database_closes_with_its_context(tmp_path: Path) -> None:
    async with Database(str(tmp_path / "store.db")) as database:
        assert database.read("SELECT 1") == [(1,)]
    with pytest.raises(Unavailable, match="closed database"):
        database.read("SELECT 1")
