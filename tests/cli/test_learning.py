"""What teaches: completion, manual pages, the tree of commands."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from skywire.cli.main import root

SHELLS = ["bash", "zsh", "fish"]


def complete(shell: str, words: str, current: str) -> str:
    """What a shell gets for a line and the word that is being typed."""
    number = len(words.split())
    done = subprocess.run(
        [sys.executable, "-c", "from skywire.cli.main import root; root.main([], 'skywire')"],
        env={
            **os.environ,
            "_SKYWIRE_COMPLETE": f"{shell}_complete",
            "COMP_WORDS": f"{words} {current}",
            "COMP_CWORD": current if shell == "fish" else str(number),
        },
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_one_that_the_shell_takes(shell: str) -> None:
    script = CliRunner().invoke(root, ["completion", shell]).stdout
    assert "_SKYWIRE_COMPLETE" in script
    assert "%" not in re.sub(r"%\w*[,'\]*]|%%|\$\{[^}]*\}", "", script)
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


@pytest.mark.parametrize("shell", SHELLS)
def test_words_are_completed(shell: str) -> None:
    assert "minhops" in complete(shell, "skywire cli route", "min")
    assert "minhops" not in complete(shell, "skywire cli route", "rm")
    assert "stop" not in complete(shell, "skywire cli dmsgpty", "st")
    assert "off" in complete(shell, "skywire cli tp auto", "o")


def test_old_words_are_not_offered() -> None:
    assert "dmsgpty" not in complete("bash", "skywire cli", "dm")


def test_a_page_for_every_command(tmp_path: Path) -> None:
    result = CliRunner().invoke(root, ["doc", "man", str(tmp_path / "man1")])
    assert result.exit_code == 0
    pages = {path.name: path.read_text() for path in (tmp_path / "man1").iterdir()}
    assert {"skywire.1", "skywire-cli.1", "skywire-cli-tp-add.1"} <= pages.keys()
    assert not any("dmsgpty" in name for name in pages)
    add = pages["skywire-cli-tp-add.1"]
    for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES", "EXIT STATUS"):
        assert f".SH {section}\n" in add
    assert "\\fBskywire cli tp add PK \\-t stcpr\\fR" in add
    assert "skywire\\-cli\\-tp\\fR(1)" in add
    if shutil.which("groff"):
        done = subprocess.run(
            ["groff", "-k", "-man", "-Tutf8", "-ww", "-z"],
            input="".join(pages.values()),
            text=True,
            capture_output=True,
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_the_tree_of_commands() -> None:
    text = CliRunner().invoke(root, ["tree", "cli", "route"]).stdout
    assert text.startswith("skywire cli route\n  add ")
    assert "    a " in text
    rows = json.loads(CliRunner().invoke(root, ["tree", "--json"]).stdout)["output"]
    assert {"command": "skywire keys", "help": "Make and check keys."} in rows
    assert not any("dmsgpty" in row["command"] for row in rows)
    every = CliRunner().invoke(root, ["tree", "cli", "--all"]).stdout
    assert "dmsgpty" in every
    assert CliRunner().invoke(root, ["tree", "cli", "nothing"]).exit_code == 2


@pytest.mark.parametrize("words", [["--all", "--help"], ["--help", "--all"]])
def test_all_shows_old_words_in_help(words: list[str]) -> None:
    assert "dmsgpty" in CliRunner().invoke(root, ["cli", *words]).stdout
