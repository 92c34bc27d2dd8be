"""The account file: made private, refused clearly when it cannot be used."""

import stat
from pathlib import Path

import pytest

from skywire.errors import Conflict, Unavailable
from skywire.stores.users import StoredUser, UserStore

ADMIN = StoredUser("admin", b"s" * 16, b"h" * 32, "scrypt:16:8:1")


async def test_an_account_is_kept_over_a_restart(tmp_path: Path) -> None:
    store = UserStore(tmp_path / "users.db")
    assert await store.is_empty()
    assert await store.get("admin") is None
    await store.add(ADMIN)
    again = UserStore(tmp_path / "users.db")
    assert await again.get("admin") == ADMIN
    assert not await again.is_empty()
    assert await again.get("other") is None


async def test_a_name_is_given_once(tmp_path: Path) -> None:
    store = UserStore(tmp_path / "users.db")
    await store.add(ADMIN)
    with pytest.raises(Conflict, match="username already exists"):
        await store.add(ADMIN._replace(hash=b"x" * 32))
    assert await store.get("admin") == ADMIN


async def test_an_account_can_be_replaced(tmp_path: Path) -> None:
    store = UserStore(tmp_path / "users.db")
    await store.add(ADMIN)
    changed = ADMIN._replace(hash=b"x" * 32)
    await store.replace(changed)
    assert await store.get("admin") == changed


async def test_reading_makes_no_file_and_the_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "users.db"
    store = UserStore(path)
    await store.get("admin")
    assert not path.exists()
    await store.add(ADMIN)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "users.db"
    path.write_bytes(b"bbolt" * 1000)
    with pytest.raises(Unavailable, match=r"users\.db: file is not a database"):
        await UserStore(path).get("admin")


async def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"no such directory; correct hypervisor\.db_path"):
        await UserStore(tmp_path / "none" / "users.db").add(ADMIN)
