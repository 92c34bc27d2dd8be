"""What a hypervisor remembers of its visors, in its file."""

import stat
from pathlib import Path

import pytest

from skywire.crypto.generate import deterministic_key_pair
from skywire.errors import Unavailable
from skywire.stores.fleet import SLOTS, FleetStore, Label, Sample, SavedVisor

A = deterministic_key_pair(b"a")[0]
B = deterministic_key_pair(b"b")[0]


async def test_rows_are_kept_and_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "fleet.db"
    store = FleetStore(path)
    assert await store.visors() == []
    assert not path.exists()
    rows = [SavedVisor(A, b'{"a":1}', 1.5, 2.5, None), SavedVisor(B, b"", None, None, 3.0)]
    await store.save(rows, [])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert await FleetStore(path).visors() == sorted(rows)
    await store.save([rows[0]._replace(offline_since=9.0)], [Sample(B, 1, 1, 1, 1, 1, 1, 1)])
    await store.forget([B])
    assert await store.visors() == [rows[0]._replace(offline_since=9.0)]
    assert await store.samples([B], 0) == []


async def test_samples_of_one_interval_are_put_together(tmp_path: Path) -> None:
    store = FleetStore(tmp_path / "fleet.db")
    await store.save([], [Sample(A, 10, 1, 1.0, None, 50.0, 7, 8)])
    await store.save([], [Sample(A, 10, 3, 2.0, 20.0, None, 1, 2)])
    assert await store.samples([A], 0) == [Sample(A, 10, 4, 1.75, 20.0, 50.0, 8, 10)]


async def test_samples_are_a_ring(tmp_path: Path) -> None:
    store = FleetStore(tmp_path / "fleet.db")
    every = [Sample(A, number, 1, number, 2.0, 3.0, 4, 5) for number in range(SLOTS + 3)]
    await store.save([], every)
    assert await store.samples([A], 0) == every[3:]
    assert await store.samples([B, A], SLOTS) == every[SLOTS:]
    await store.save([], [Sample(A, SLOTS + 3, 1, 0.5, 2.0, 3.0, 4, 5)])
    assert (await store.samples([A], 0))[-1].load == 0.5


async def test_labels(tmp_path: Path) -> None:
    store = FleetStore(tmp_path / "fleet.db")
    assert await store.labels() == []
    await store.set_label(Label("x", "visor", "home"))
    await store.set_label(Label("x", "visor", "attic"))
    await store.set_label(Label("y", "transport", "fast"))
    assert await store.labels() == [("x", "visor", "attic"), ("y", "transport", "fast")]
    await store.set_label(Label("x", "visor", ""))
    await store.set_label(Label("z", "visor", ""))
    assert await store.labels() == [("y", "transport", "fast")]


async def test_a_broken_file_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "fleet.db"
    path.write_bytes(b"no database" * 100)
    store = FleetStore(path)
    assert await store.visors() == []
    assert (tmp_path / "fleet.db.broken").read_bytes().startswith(b"no database")
    await store.save([SavedVisor(A, b"", None, None, None)], [])
    assert len(await store.visors()) == 1


async def test_a_strange_key_harms_no_other(tmp_path: Path) -> None:
    path = tmp_path / "fleet.db"
    store = FleetStore(path)
    good = SavedVisor(A, b"{}", 1.0, 1.0, None)
    bad = SavedVisor(b"\x05" * 33, b"", None, None, None)  # type: ignore[arg-type]
    short = SavedVisor(b"x", b"", None, None, None)  # type: ignore[arg-type]
    await store.save([good, bad, short], [])
    assert await store.visors() == [good]


async def test_a_file_that_cannot_be_had_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"no such directory; correct hypervisor\.db_path"):
        await FleetStore(tmp_path / "nowhere" / "fleet.db").save([], [])
    (tmp_path / "folder").mkdir()
    with pytest.raises(Unavailable, match="fleet database"):
        await FleetStore(tmp_path / "folder").visors()
