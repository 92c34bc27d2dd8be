"""How results and failures are printed."""

import io
import json
import sys
from pathlib import Path

import click
import msgspec
import pytest
from click.testing import CliRunner

from skywire.cli import output
from skywire.cli.lazy import RootGroup
from skywire.cli.output import Failure, Table, describe
from skywire.crypto.keys import NULL_KEY, PubKey
from skywire.errors import Forbidden, InvalidValue, SkywireError


class Row(msgspec.Struct):
    key: PubKey
    place: Path


def command_raising(error: BaseException) -> RootGroup:
    @click.command()
    @output.json_option
    def go(as_json: bool) -> None:
        """Go."""
        raise error

    return RootGroup("skywire", "Test.", {"go": go})


@pytest.mark.parametrize(
    ("error", "line", "exit_code"),
    [
        (Forbidden("you may not"), "Error: you may not\n", 1),
        (InvalidValue("bad"), "Error: bad\n", 2),
        (SkywireError(""), "Error: error\n", 1),
        (TimeoutError(), "Error: timed out\n", 1),
        (
            PermissionError(13, "Permission denied", "a.json"),
            "Error: a.json: Permission denied\n",
            1,
        ),
        (ExceptionGroup("", [ExceptionGroup("", [Forbidden("in")])]), "Error: in\n", 1),
        (click.UsageError("what?"), 'Error: what? See "skywire go --help".\n', 2),
        (click.ClickException("oh"), "Error: oh\n", 1),
        (KeyboardInterrupt(), "\n", 130),
        (EOFError(), "\n", 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_a_failure_is_one_line_and_an_exit_code(
    error: BaseException, line: str, exit_code: int
) -> None:
    result = CliRunner().invoke(command_raising(error), ["go"])
    assert (result.stdout, result.stderr, result.exit_code) == ("", line, exit_code)


@pytest.mark.parametrize("arguments", [["go", "--json"], ["--json", "go"]])
def test_a_failure_in_json(arguments: list[str]) -> None:
    result = CliRunner().invoke(command_raising(Forbidden('no "x"')), arguments)
    assert result.stdout == ""
    assert json.loads(result.stderr) == {"error": 'no "x"', "code": "forbidden"}


def test_a_way_out_is_told_with_the_error() -> None:
    error = Forbidden("you may not")
    error.add_note("Ask her.")
    assert CliRunner().invoke(command_raising(error), ["go"]).stderr == (
        "Error: you may not. Ask her.\n"
    )
    result = CliRunner().invoke(command_raising(error), ["go", "--json"])
    assert json.loads(result.stderr)["hint"] == "Ask her."


def test_bad_usage_in_json() -> None:
    result = CliRunner().invoke(command_raising(Forbidden("")), ["go", "--json", "--nope"])
    assert json.loads(result.stderr)["code"] == "usage"
    assert result.exit_code == 2


def test_json_after_two_dashes_is_somebody_elses() -> None:
    assert output.json_wanted(["pty", "exec", "--json", "PK"])
    assert not output.json_wanted(["pty", "exec", "PK", "--", "ls", "--json"])


def test_a_bug_is_not_dressed_up() -> None:
    assert describe(ZeroDivisionError()) is None
    result = CliRunner().invoke(command_raising(ZeroDivisionError()), ["go"])
    assert isinstance(result.exception, ZeroDivisionError)


def test_a_command_may_return_its_exit_code() -> None:
    @click.command()
    def go() -> int:
        """Go."""
        return 124

    assert CliRunner().invoke(RootGroup("skywire", "Test.", {"go": go}), ["go"]).exit_code == 124


def test_json_has_the_envelope_and_texts_for_keys(capsys: pytest.CaptureFixture[str]) -> None:
    output.emit([Row(NULL_KEY, Path("a/b"))], as_json=True, text="never shown")
    assert capsys.readouterr().out == (
        '{\n  "output": [\n    {\n      "key": "' + "00" * 33 + '",\n      "place": "a/b"\n'
        "    }\n  ]\n}\n"
    )


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    output.emit({"a": 1}, as_json=False, text="one")
    output.emit(5, as_json=False)
    output.emit(None, as_json=False, text="")
    assert capsys.readouterr().out == "one\n5\n"


def test_a_table_in_a_pipe_is_never_cut(capsys: pytest.CaptureFixture[str]) -> None:
    key = "02" * 33
    table = Table(("KEY", "NAME", "N"), [(key, "x" * 200, 1), (None, "[red]", "")])
    output.emit([], as_json=False, text=table)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == [key, "x" * 200, "1"]
    assert lines[2].split() == ["-", "[red]", "-"]
    assert not any(line.endswith(" ") for line in lines)


def test_facts_stand_in_two_columns(capsys: pytest.CaptureFixture[str]) -> None:
    output.emit({}, as_json=False, text=output.Facts([("Key", "02ab"), ("Name", None)]))
    assert capsys.readouterr().out == "Key   02ab\nName  -\n"
    assert output.render(Table(("A", "B"), [("名", 1)])) == "A   B\n名  1"


def test_a_peers_words_in_a_table_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in output.render(Table(("NAME",), [("\x1b[2J",)]))


def test_a_table_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    text = output.render(Table(("KEY", "NAME"), [("02" * 33, "node")]))
    plain = click.unstyle(text)
    assert max(map(len, plain.splitlines())) <= 60
    assert "".join(line.split()[0] for line in plain.splitlines()[1:]) == "02" * 33


def test_an_interrupted_command_reports_nothing_in_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output.report(Failure("", "interrupted", 130), as_json=False)
    assert capsys.readouterr().err == ""
    output.report(Failure("", "interrupted", 130), as_json=True)
    assert json.loads(capsys.readouterr().err) == {"error": "interrupted", "code": "interrupted"}


def test_a_peers_words_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    output.report(Failure("it said \x1b[2J\x9b\u202e\r", "error", 1), as_json=False)
    assert capsys.readouterr().err == "Error: it said �[2J���\n"
