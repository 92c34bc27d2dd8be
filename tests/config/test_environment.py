"""The SKYENV file: read, never run."""

import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.config.environment import VARIABLES, parse, read, template
from skywire.errors import InvalidValue


def test_values_of_every_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", "here")
    text = """\
# a comment
A=plain#text   # a comment
export B='single $PLACE'
C="double $PLACE \\"quoted\\" ${PLACE}"
D=(
  'one'  # the first
  two "three"
)
E=()
F=a\\ b; G=''
"""
    assert parse(text.replace("; G", "\nG"), "f") == {
        "A": "plain#text",
        "B": "single $PLACE",
        "C": 'double here "quoted" here',
        "D": ["one", "two", "three"],
        "E": [],
        "F": "a b",
        "G": "",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\nif true; then", "line 2: expected NAME=value"),
        ("A=(x", "line 1: expected a value or"),
        ("A='x", "line 1: expected the end of the line"),
        ("A=x y", "line 1: expected the end of the line"),
        ("A=1\nB=$(id)", "line 2: expected the end of the line"),
        ('A="$(id)"', "a command in it"),
        ('A="`id`"', "a command in it"),
        ("A=`id`", "expected the end of the line"),
        ("1A=x", "expected NAME=value"),
    ],
)
def test_what_would_be_run_is_refused(text: str, expected: str) -> None:
    with pytest.raises(InvalidValue, match=re.escape(expected)):
        parse(text, "f")


def test_an_error_shows_no_value() -> None:
    with pytest.raises(InvalidValue) as caught:
        parse("SK='TOPSECRET' x", "f")
    assert "TOPSECRET" not in str(caught.value)


@given(st.text(max_size=200) | st.from_regex(r"[A-Z]=[('\"a$ \n#)\\]{0,20}"))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(InvalidValue):
        parse(text, "f")


@given(st.text("'\"(", max_size=2000).map(lambda text: f"A={text}"))
def test_quotes_without_end_take_no_time(text: str) -> None:
    with suppress(InvalidValue):
        parse(text, "f")


def test_the_template_is_a_file_that_says_nothing() -> None:
    assert parse(template(), "template") == {}
    used = re.sub(r"^#(?=[A-Z]+=)", "", template(), flags=re.MULTILINE)
    assert list(parse(used, "template")) == [each.name for each in VARIABLES]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match=r"SKYENV=.*none: No such file"):
        read(tmp_path / "none")
    path = tmp_path / "f"
    path.write_bytes(b"A=\xff")
    with pytest.raises(InvalidValue, match="not UTF-8"):
        read(path)
    path.write_bytes(b"#" * (1024 * 1024 + 1))
    with pytest.raises(InvalidValue, match="larger than"):
        read(path)
    path.write_bytes(b"A=1")
    assert read(path) == {"A": "1"}
