"""`skywire cli visor hv passwd`: the password of the hypervisor's pages, in its file."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from skywire.cli.main import root
from skywire.crypto.generate import deterministic_key_pair
from skywire.hypervisor.users import ADMIN, Users
from skywire.stores.users import UserStore

OLD, NEW = "Passw0rd!", "An0ther1!"
CHEAP = "scrypt:16:8:1"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("skywire.hypervisor.users._SCHEME", CHEAP)
    file = tmp_path / "skywire-config.json"
    section = {"db_path": str(tmp_path / "users.db"), "enable_auth": True, "enable": False}
    secret = deterministic_key_pair(b"passwd")[1].hex()
    file.write_text(json.dumps({"sk": secret, "hypervisor": section}))
    return file


def users_of(config: Path) -> Users:
    return Users(UserStore(config.with_name("users.db")), scheme=CHEAP)


def passwd(config: Path, *words: Any, typed: str = "") -> Result:
    line = ["cli", "visor", "hv", "passwd", "-i", *map(str, (config, *words))]
    return CliRunner().invoke(root, line, input=typed)


def is_password(config: Path, password: str) -> bool:
    return asyncio.run(users_of(config).check(ADMIN, password))


def test_a_password_is_changed(config: Path) -> None:
    asyncio.run(users_of(config).create(ADMIN, OLD))
    result = passwd(config, "--old", OLD, "--new", NEW)
    assert result.exit_code == 0, result.stderr
    assert (
        result.stdout == f'The password of "admin" is changed in {config.with_name("users.db")}.\n'
    )
    assert is_password(config, NEW)
    assert not is_password(config, OLD)


def test_it_asks_for_what_is_not_given_and_shows_none_of_it(config: Path) -> None:
    asyncio.run(users_of(config).create(ADMIN, OLD))
    result = passwd(config, typed=f"{OLD}\n{NEW}\n{NEW}\n")
    assert result.exit_code == 0, result.stderr
    assert OLD not in result.output
    assert NEW not in result.output
    assert is_password(config, NEW)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--old", "Wr0ng!!!", "--new", NEW], "incorrect username or password"),
        (["--old", OLD, "--new", "short"], "password length should be between 6 and 64 chars"),
        (["--force", "--new", "abcdefgh"], "at least one upper, lower, digit and special"),
    ],
)
def test_it_is_refused_and_stays(config: Path, words: list[str], error: str) -> None:
    asyncio.run(users_of(config).create(ADMIN, OLD))
    result = passwd(config, *words)
    assert result.exit_code in (1, 2)
    assert error in result.stderr
    assert is_password(config, OLD)


def test_by_force_a_lost_one_is_replaced_and_a_first_one_made(config: Path) -> None:
    result = passwd(config, "--old", OLD, "--new", NEW)
    assert result.exit_code == 1
    assert "no account yet" in result.stderr
    for password in (OLD, NEW):
        result = passwd(config, "--force", "--new", password, "--json")
        assert json.loads(result.stdout)["output"]["created"] is (password == OLD)
        assert is_password(config, password)
    assert config.with_name("users.db").stat().st_mode & 0o777 == 0o600


def test_the_file_can_be_named(config: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    assert passwd(config, "--db", other, "--force", "--new", NEW).exit_code == 0
    assert asyncio.run(Users(UserStore(other), scheme=CHEAP).check(ADMIN, NEW))
    config.write_text("{}")
    result = passwd(config, "--force", "--new", NEW)
    assert result.exit_code == 1
    assert "no hypervisor section" in result.stderr
