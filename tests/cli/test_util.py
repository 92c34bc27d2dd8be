"""`skywire cli util`."""

import json

import pytest
from click.testing import CliRunner, Result

from skywire.cli.main import root
from skywire.crypto.generate import deterministic_key_pair

A, B = (str(deterministic_key_pair(name)[0]) for name in (b"a", b"b"))


def util(*words: str, stdin: str = "") -> Result:
    return CliRunner().invoke(root, ["cli", "util", *words], input=stdin)


def test_jq() -> None:
    assert util("jq", ".a[]", stdin='{"a": ["x", 1]}').stdout == "x\n1\n"
    assert util("jq", ".a", stdin="{").exit_code == 2
    assert util("jq", "nonsense(", stdin="1").exit_code == 2


def test_foreach_puts_the_key_in_its_place() -> None:
    result = util("foreach", "-k", f"{A},{B}", "--", "echo", "<{pk}>")
    assert result.stdout == f"{A}:\n<{A}>\n{B}:\n<{B}>\n"
    assert result.exit_code == 0
    assert util("foreach", "echo", stdin=f"{A}\n{A}\n").stdout == f"{A}:\n{A}\n"


def test_foreach_ends_with_0_only_if_every_run_did() -> None:
    script = f'test "$1" = {A}'
    words = ["foreach", "-n", "2", "-k", f"{A},{B}", "--json", "--", "sh", "-c", script, "sh"]
    result = util(*words)
    assert result.exit_code == 1
    found = json.loads(result.stdout)["output"]
    assert [(run["pk"], run["exit_code"]) for run in found] == [(A, 0), (B, 1)]


def test_foreach_kills_what_takes_too_long() -> None:
    result = util("foreach", "-k", A, "--limit", "0.2", "--", "sh", "-c", "sleep 50")
    assert result.exit_code == 1
    assert "killed after 0.2 s" in result.stderr


@pytest.mark.parametrize("words", [["-k", "nonsense", "--", "echo"], ["-k", A]])
def test_foreach_refuses(words: list[str]) -> None:
    assert util("foreach", *words).exit_code == 2


def test_foreach_of_a_program_that_is_not_there() -> None:
    result = util("foreach", "-k", A, "--", "no-such-program-here")
    assert result.exit_code == 1
    assert "no-such-program-here" in result.stderr
