"""Flags of apps: all spellings of Go's, errors that name the flag."""

from typing import Annotated

import msgspec
import pytest
from msgspec import Meta

from skywire.appkit.options import parse, usage
from skywire.errors import InvalidValue


class Options(msgspec.Struct):
    addr: Annotated[str, Meta(description="address of the page")] = ":8001"
    secure: Annotated[bool, Meta(description="keep clients out")] = True
    hops: Annotated[int, Meta(description="at least so many", ge=0)] = 0
    dns_server: str = ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--addr", ":1", "--secure=false"],
        ["-addr=:1", "-secure=false"],
        ["--addr=:1", "--secure", "false"],
    ],
)
def test_all_spellings(arguments: list[str]) -> None:
    assert parse(arguments, Options, "x") == Options(":1", False)


def test_a_bare_switch_is_on_and_nothing_is_the_default() -> None:
    assert parse(["--secure", "--hops", "2"], Options, "x") == Options(secure=True, hops=2)
    assert parse([], Options, "x") == Options()
    assert parse(["--dns-server", "1.1.1.1"], Options, "x").dns_server == "1.1.1.1"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--nothing"], 'x: unknown argument "--nothing"; expected one of --addr, --secure'),
        (["word"], 'unknown argument "word"'),
        (["--addr"], "x: --addr wants a value"),
        (["--hops", "many"], "x: --hops: expected"),
        (["--hops", "-1"], "x: --hops: expected"),
        (["--secure=maybe"], "x: --secure: expected"),
    ],
)
def test_others_are_refused(arguments: list[str], told: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        parse(arguments, Options, "x")
    assert told in str(caught.value)


def test_a_secret_behind_a_wrong_flag_is_not_told() -> None:
    with pytest.raises(InvalidValue) as caught:
        parse(["--pass=hush"], Options, "x")
    assert "hush" not in str(caught.value)


def test_usage_has_each_flag_with_its_default() -> None:
    assert usage(Options) == [
        ("--addr", "address of the page (default: :8001)"),
        ("--secure", "keep clients out (default: True)"),
        ("--hops", "at least so many"),
        ("--dns-server", ""),
    ]
