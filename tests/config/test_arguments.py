"""Options of apps in the config."""

import pytest

from skywire.config.arguments import value_of, with_switch, with_text

APP = ["app", "vpn-client"]


@pytest.mark.parametrize(
    ("before", "value", "after"),
    [
        ([], "x", ["--srv", "x"]),
        (["--srv", "old", "--dns", "1"], "x", ["--srv", "x", "--dns", "1"]),
        (["--srv=old"], "x", ["--srv", "x"]),
        (["--srv", "a", "--srv", "b"], "x", ["--srv", "x"]),
        (["--srv"], "x", ["--srv", "x"]),
        (["--srv", "old", "y"], "", ["y"]),
        (["--srv"], "", []),
        (["--srvs", "old"], "", ["--srvs", "old"]),
    ],
)
def test_a_text_is_replaced_in_its_place(before: list[str], value: str, after: list[str]) -> None:
    assert with_text([*APP, *before], "--srv", value) == [*APP, *after]


@pytest.mark.parametrize(
    ("before", "value", "after"),
    [
        ([], True, ["--secure=true"]),
        (["--secure", "true", "x"], False, ["--secure=false", "x"]),
        (["-secure=true"], False, ["--secure=false"]),
        (["-secure=true", "false"], False, ["--secure=false", "false"]),
        (["--secure", "--secure=false"], True, ["--secure=true"]),
        (["--secure", "true", "true"], None, ["true"]),
        (["secure", "--secured"], None, ["secure", "--secured"]),
        (["--secure", "x"], None, ["x"]),
    ],
)
def test_a_switch_of_any_form_is_replaced(
    before: list[str], value: bool | None, after: list[str]
) -> None:
    assert with_switch([*APP, *before], "--secure", value) == [*APP, *after]


@pytest.mark.parametrize(
    ("arguments", "value"),
    [(["--srv", "x"], "x"), (["--srv=x"], "x"), (["--srv"], ""), (["x"], ""), ([], "")],
)
def test_a_value_is_found(arguments: list[str], value: str) -> None:
    assert value_of(arguments, "--srv") == value
