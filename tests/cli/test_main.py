"""The command tree: quick, complete, and clear about every failure."""

import json
import os
import re
import resource
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import cast
from uuid import UUID

import click
import pytest
from click.testing import CliRunner

from skywire import __version__
from skywire.cli.docs import walk
from skywire.cli.lazy import Lazy, LazyGroup
from skywire.cli.main import root
from skywire.crypto.generate import deterministic_key_pair

HELP_LIMIT = 0.150  # seconds of processor time for `skywire --help`
PROMPT = "Secret key: "
SKYWIRE = [sys.executable, "-m", "skywire"]


def groups(group: LazyGroup) -> Iterator[LazyGroup]:
    yield group
    for entry in group.lazy.values():
        if isinstance(entry, LazyGroup):
            yield from groups(entry)


LAZY = [
    pytest.param(name, entry, id=f"{group.name} {name}")
    for group in groups(root)
    for name, entry in group.lazy.items()
    if isinstance(entry, Lazy)
]


@pytest.mark.parametrize(("name", "entry"), LAZY)
def test_the_table_says_what_the_command_says(name: str, entry: Lazy) -> None:
    command = entry.load()
    assert isinstance(command, click.Command)
    assert command.get_short_help_str(limit=200) == entry.help
    assert entry.hidden or not command.hidden


def test_every_command_and_option_is_explained() -> None:
    for context in walk(click.Context(root, info_name="skywire")):
        command = context.command
        assert command.help, context.command_path
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                assert parameter.help, f"{context.command_path} {parameter.opts}"


COMMANDS = [
    pytest.param(context.command, id=context.command_path)
    for context in walk(click.Context(root, info_name="skywire"))
    if not isinstance(context.command, click.Group)
]
STANDS_FOR = {
    "PK": str(deterministic_key_pair(b"example")[0]),
    "ID": str(UUID(int=7)),
    "ADDRESS": "2jBbGxZRGoQG1mqhPBnXnLTxK6oxsTf8os6",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_teaches_by_an_example_that_is_right(command: click.Command) -> None:
    text = command.epilog or ""
    assert re.match(r"Examples?: ", text)
    for example in text.partition(": ")[2].split(", skywire "):
        for name, value in STANDS_FOR.items():
            example = re.sub(rf"\b{name}\d?\b", value, example)
        calls = [part.strip() for part in re.split(r" [|<>]+ | && ", example)]
        found = [parsed(shlex.split(call.removeprefix("skywire "))) for call in calls]
        # a command made from a declaration is made anew whenever it is looked up
        assert any(each is None or each.epilog == text for each in found)


def parsed(words: list[str]) -> click.Command | None:
    """The command that these words call, with nothing run; None when they are a shell's."""
    if root.get_command(click.Context(root), words[0]) is None:
        return None
    command, context = cast(click.Command, root), None
    while True:
        context = command.make_context(command.name, words, parent=context)
        if not isinstance(command, click.Group) or not context._protected_args:
            return command
        words = [*context._protected_args, *context.args]
        _, found, words = command.resolve_command(context, words)
        assert found is not None
        command = found


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_with_json_tells_its_shape(command: click.Command) -> None:
    """What a script may count on is known without asking anybody."""
    flags = [flag for parameter in command.params for flag in parameter.opts]
    if "--json" not in flags:
        return
    shown = CliRunner().invoke(command, ["--shape"], standalone_mode=False)
    assert "output" in json.loads(shown.stdout)


@pytest.mark.parametrize("command", COMMANDS)
def test_what_asks_a_visor_can_be_told_how_long_to_wait(command: click.Command) -> None:
    flags = [flag for parameter in command.params for flag in parameter.opts]
    assert "--rpc" not in flags or "--timeout" in flags


WITHOUT_JSON = {  # services and terminals, which have no result, and Markdown
    "skywire app run",
    "skywire cli pty shell",
    "skywire cli pty start",
    "skywire cli hv tui",
    "skywire cli util jq",
    "skywire cli util nc",
    "skywire cli visor hv tui",
    "skywire cli visor start",
    "skywire dmsg cat",
    "skywire dmsg disc",
    "skywire dmsg pty cli start",
    "skywire dmsg server start",
    "skywire completion",
    *(f"skywire doc {name}" for name in ["commands", "config", "library", "man"]),
    *(f"skywire svc {name}" for name in ["all", "ar", "conf", "nv", "rf", "sd", "sn", "tpd", "ut"]),
    "skywire visor",
}


def test_every_command_with_a_result_takes_json() -> None:
    without = {
        context.command_path
        for context in walk(click.Context(root, info_name="skywire"))
        if not isinstance(context.command, click.Group)
        and not any("--json" in parameter.opts for parameter in context.command.params)
    }
    assert without == WITHOUT_JSON


def test_help_is_quick_and_imports_no_network_library() -> None:
    program = (
        "import sys\n"
        "from skywire.cli.main import root\n"
        "try: root.main(['--help'])\n"
        "except SystemExit: pass\n"
        "bad = {'aiohttp', 'asyncio', 'cryptography', 'rich', 'msgspec'} & set(sys.modules)\n"
        "sys.exit(str(bad) if bad else 0)\n"
    )
    best = float("inf")
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0, done.stderr
        assert "keys" in done.stdout
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        best = min(best, used)
    assert best < HELP_LIMIT


@pytest.mark.parametrize("option", ["-v", "--version"])
def test_version(option: str) -> None:
    result = CliRunner().invoke(root, [option])
    assert (result.exit_code, result.stdout) == (0, f"skywire version v{__version__}\n")


def test_a_bare_group_shows_its_help() -> None:
    result = CliRunner().invoke(root, ["keys"])
    assert result.exit_code == 0
    assert "Make new key pairs." in result.stdout


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("keys make", 'no command "make" in "skywire keys"; expected one of check, gen, pk.'),
        ("keys chekc", 'did you mean "skywire keys check"?'),  # near
        ("uptime", 'did you mean "skywire cli visor uptime"?'),  # elsewhere
        ("cli dmsgpty lst", 'did you mean "skywire cli dmsgpty list"?'),  # in an old word
    ],
)
def test_an_unknown_command_gets_an_answer_that_helps(words: str, answer: str) -> None:
    result = CliRunner().invoke(root, words.split())
    assert result.exit_code == 2
    assert result.stdout == ""
    assert answer in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_an_old_word_works_and_no_help_shows_it() -> None:
    assert "dmsgpty" not in CliRunner().invoke(root, ["cli", "--help"]).stdout
    assert "whitelist-add" in CliRunner().invoke(root, ["cli", "dmsgpty", "--help"]).stdout


def test_python_m_runs_the_same_program() -> None:
    done = subprocess.run([*SKYWIRE, "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"skywire version v{__version__}\n")


def test_ctrl_c_is_silent_and_has_its_exit_code() -> None:
    master, terminal = os.openpty()
    with subprocess.Popen(
        [*SKYWIRE, "keys", "pk"],
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # no terminal but this one
    ) as process:
        assert process.stderr is not None
        assert process.stderr.read(len(PROMPT)) == PROMPT
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    os.close(master)
    os.close(terminal)
    assert process.returncode == 130
    assert out == ""
    assert err.strip() == ""


def test_a_reader_who_leaves_early_is_no_error() -> None:
    with subprocess.Popen(
        [*SKYWIRE, "keys", "gen", "-n", "3000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_a_failure_in_json_is_json_on_stderr() -> None:
    result = CliRunner().invoke(root, ["keys", "check", "xyz", "--json"])
    assert result.exit_code == 2
    assert result.stdout == ""
    error = json.loads(result.stderr)
    assert error["code"] == "invalid_value"
    assert '"xyz"' in error["error"]
