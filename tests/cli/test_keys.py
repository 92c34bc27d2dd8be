"""`skywire keys`."""

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from skywire.cli.main import root
from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey, SecKey


def run(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
    result = CliRunner().invoke(root, ["keys", *arguments], input=stdin)
    return result.exit_code, result.stdout, result.stderr


def test_gen_prints_pairs_that_belong_together() -> None:
    code, out, _ = run("gen", "-n", "3")
    lines = out.splitlines()
    assert code == 0
    assert len(lines) == 6
    for public, secret in zip(lines[::2], lines[1::2], strict=True):
        assert SecKey.parse(secret).public() == PubKey.parse(public)
    assert len(set(lines)) == 6


def test_gen_in_json() -> None:
    (pair,) = json.loads(run("gen", "--json")[1])["output"]
    assert str(SecKey.parse(pair["secret_key"]).public()) == pair["public_key"]


def test_a_key_file_is_private_and_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "key"
    code, out, _ = run("gen", "-o", str(file))
    assert code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    public, secret = file.read_text().splitlines()
    assert out.splitlines() == [public]
    assert str(SecKey.parse(secret).public()) == public
    code, _, err = run("gen", "-o", str(file))
    assert code == 1
    assert "exists" in err
    assert file.read_text().splitlines() == [public, secret]


@pytest.mark.parametrize("count", ["0", "-1", "100001", "x"])
def test_a_bad_count_is_refused(count: str) -> None:
    assert run("gen", "-n", count)[0] == 2


def test_pk_reads_the_secret_key_from_stdin() -> None:
    public, secret = key_pair()
    assert run("pk", stdin=f"{secret.hex()}\n") == (0, f"{public}\n", "")
    assert json.loads(run("pk", "--json", stdin=secret.hex())[1]) == {
        "output": {"public_key": str(public)}
    }


@pytest.mark.parametrize("text", ["", "00" * 32, "ff" * 32, "12", "x" * 10_000])
def test_pk_refuses_what_is_no_secret_key_without_showing_it(text: str) -> None:
    code, out, err = run("pk", stdin=text + "\n")
    assert (code, out) == (2, "")
    assert "invalid secret key" in err
    assert not text or text not in err


def test_check() -> None:
    public, _ = key_pair()
    assert run("check", str(public)) == (0, f"Valid public key: {public}\n", "")
    assert run("check", str(public).upper())[0] == 0


@pytest.mark.parametrize("text", ["", "02", "05" + "11" * 32, "00" * 33, "zz" * 33])
def test_check_refuses(text: str) -> None:
    code, out, err = run("check", text)
    assert (code, out) == (2, "")
    assert "invalid public key" in err
