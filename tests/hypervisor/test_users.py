"""Names and passwords: which are accepted, with Go's texts. Source: hypervisor.md §3, §10 no. 6."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.errors import Conflict, Forbidden, InvalidValue
from skywire.hypervisor.users import Users, check_password
from skywire.stores.users import UserStore

GOOD = "Passw0rd!"
CHEAP = "scrypt:16:8:1"


@pytest.fixture
def users(tmp_path: Path) -> Users:
    return Users(UserStore(tmp_path / "users.db"), scheme=CHEAP)


@pytest.mark.parametrize(
    ("password", "text"),
    [
        ("abc", "password length should be between 6 and 64 chars"),
        ("Aa1!" * 17, "password length should be between 6 and 64 chars"),
        ("abcdefgh", "password must have at least one upper, lower, digit and special character"),
        ("Passw0rd", "password must have at least one upper, lower, digit and special character"),
        ("Pässw0rd!", "non-ASCII character found"),
        ("Pass w0rd!", "non-ASCII character found"),
        ("Passw0rd!\x7f", "non-ASCII character found"),
    ],
)
def test_a_bad_password_is_refused_with_its_own_text(password: str, text: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        check_password(password)
    assert str(caught.value) == text


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=2, max_size=60))
def test_a_password_with_all_kinds_of_characters_is_accepted(text: str) -> None:
    check_password("Aa1!" + text)


async def test_the_first_account_can_log_in(users: Users) -> None:
    assert not await users.exist()
    await users.create("admin", GOOD)
    assert await users.exist()
    assert await users.has("admin")
    assert await users.check("admin", GOOD)
    assert not await users.check("admin", GOOD + "x")
    assert not await users.check("nobody", GOOD)
    assert not await users.check("nobody", "")


async def test_a_stored_password_cannot_be_read(users: Users, tmp_path: Path) -> None:
    await users.create("admin", GOOD)
    assert GOOD.encode() not in (tmp_path / "users.db").read_bytes()


@pytest.mark.parametrize("name", ["", "abc", "Admin", "a b c d", "x" * 22, "admin\n", "ädmin"])
async def test_a_bad_name_is_refused(users: Users, name: str) -> None:
    with pytest.raises(InvalidValue, match="format of 'username' is not accepted"):
        await users.create(name, GOOD)


async def test_only_admin_may_be_created_and_only_once(users: Users) -> None:
    with pytest.raises(Forbidden, match=r"^name not allowed$"):
        await users.create("root", GOOD)
    await users.create("admin", GOOD)
    with pytest.raises(Conflict, match=r"^username already exists$"):
        await users.create("admin", "0ther-Pass")
    assert await users.check("admin", GOOD)


async def test_a_new_password_replaces_the_old_one(users: Users) -> None:
    await users.create("admin", GOOD)
    with pytest.raises(InvalidValue):
        await users.set_password("admin", "abc")
    await users.set_password("admin", "N3w-password")
    assert await users.check("admin", "N3w-password")
    assert not await users.check("admin", GOOD)


async def test_an_old_scheme_is_still_checked(users: Users, tmp_path: Path) -> None:
    await users.create("admin", GOOD)
    assert await Users(UserStore(tmp_path / "users.db"), scheme="scrypt:32:8:1").check(
        "admin", GOOD
    )


async def test_the_default_scheme_fits_into_its_memory(tmp_path: Path) -> None:
    users = Users(UserStore(tmp_path / "users.db"))
    await users.create("admin", GOOD)
    assert await users.check("admin", GOOD)
