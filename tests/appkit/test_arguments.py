"""Arguments of apps, edited: Go's forms, and nothing else is touched."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.appkit.arguments import (
    get_text,
    kind_of,
    own_arguments,
    set_all,
    set_switch,
    set_text,
)

WORDS = st.lists(st.sampled_from(["app", "x", "--addr", ":1", "-secure=true", "true", "--srv"]))


@pytest.mark.parametrize(
    ("before", "value", "after"),
    [
        ([], "a", ["--srv", "a"]),
        (["--srv", "old", "x"], "a", ["--srv", "a", "x"]),
        (["--srv=old", "x"], "a", ["--srv", "a", "x"]),
        (["x", "--srv"], "a", ["x", "--srv", "a"]),
        (["--srv", "1", "--srv", "2"], "a", ["--srv", "a"]),
        (["--srv", "old", "x"], "", ["x"]),
        (["x"], "", ["x"]),
        (["--srv2", "old"], "a", ["--srv2", "old", "--srv", "a"]),
    ],
)
def test_a_text(before: list[str], value: str, after: list[str]) -> None:
    assert set_text(before, "--srv", value) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], ["-secure=true"]),
        (["-secure=false", "x"], ["-secure=true", "x"]),
        (["--secure=false"], ["-secure=true"]),
        (["--secure", "false", "x"], ["-secure=true", "x"]),
        (["--secure", "x", "false"], ["-secure=true", "x", "false"]),
        (["-secure=true", "--secure"], ["-secure=true"]),
        (["--secure-dns", "x"], ["--secure-dns", "x", "-secure=true"]),
    ],
)
def test_a_switch(before: list[str], after: list[str]) -> None:
    assert set_switch(before, "secure", True) == after
    assert set_switch(after, "secure", False)[-1] != "-secure=true"


@given(WORDS, st.sampled_from(["", "v"]))
def test_what_is_set_is_there_once_and_setting_again_changes_nothing(
    before: list[str], value: str
) -> None:
    after = set_text(before, "--addr", value)
    assert get_text(after, "--addr") == value
    assert set_text(after, "--addr", value) == after
    switched = set_switch(before, "secure", False)
    assert [word for word in switched if word.lstrip("-").startswith("secure")] == ["-secure=false"]


def test_a_map_makes_all_arguments_with_the_app_first() -> None:
    values: list[tuple[str, str | bool]] = [
        ("--srv", "k"),
        ("app", "skysocks-client"),
        ("secure", True),
        ("addr", ":1"),
    ]
    assert set_all("proxy-2", values) == [
        *("app", "skysocks-client", "--srv", "k", "-secure=true", "--addr", ":1")
    ]
    assert set_all("skychat", []) == ["app", "skychat"]


def test_which_app_it_is() -> None:
    assert kind_of("proxy-2", ["app", "skysocks-client", "--x"]) == "skysocks-client"
    assert kind_of("skychat", []) == kind_of("skychat", ["--x"]) == "skychat"
    assert own_arguments(["app", "skychat", "--x"]) == own_arguments(["--x"]) == ["--x"]
    assert get_text(["--x"], "--x") == ""
    assert get_text(["--x=1"], "--x") == "1"
