"""What a rewrite leaves alone: unknown keys, order, indent, escapes."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.config.document import Layout, changes, merge, plain
from skywire.config.model import AppConfig, HypervisorConfig, LauncherConfig, PtyConfig

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=10,
)
objects = st.dictionaries(st.text(max_size=4), json_values, min_size=1, max_size=4)


@pytest.mark.parametrize(
    "text",
    [
        '{\n  "a": 1,\n  "b": {\n    "c": []\n  }\n}',
        '{\n\t"a": 1,\n\t"b": {}\n}\n',
        '{"a":1,"b":[1,2]}',
        '{"a":1}\n',
        '{\n    "a": "x \\u003c y \\u0026 z"\n}',
        '{\n  "a": "Å, 語"\n}',
    ],
)
def test_a_file_is_written_as_it_was(text: str) -> None:
    assert Layout.of(text).write(json.loads(text)) == text.encode()


@pytest.mark.parametrize("text", ["{}", "{}\n", '{ "a": 1 }', "{\n}"])
def test_a_file_of_any_form_is_written_as_json(text: str) -> None:
    document = {"b": {"c": 1}}
    assert json.loads(Layout.of(text).write(document)) == document


@given(objects, st.sampled_from([None, "\t", "  ", "    "]), st.booleans(), st.booleans())
def test_any_layout_is_found_again(
    document: dict[str, Any], indent: str | None, newline: bool, html: bool
) -> None:
    text = Layout(indent, newline, html).write(document)
    assert Layout.of(text.decode()).write(json.loads(text)) == text


def test_only_what_differs_is_merged() -> None:
    document = {"z": 1, "a": {"x": 1, "unknown": 2}, "gone": 3}
    merged = merge(document, {"a": {"x": 1}, "gone": 3}, {"a": {"x": 5}, "new": 6})
    assert merged == {"z": 1, "a": {"x": 5, "unknown": 2}, "new": 6}
    assert list(merged) == ["z", "a", "new"]
    assert document["gone"] == 3


def test_objects_with_a_name_keep_what_we_do_not_know() -> None:
    document = {"apps": [{"name": "a", "mode": "x", "port": 1}, {"name": "b", "port": 2}]}
    old = {"apps": [{"name": "a", "port": 1}, {"name": "b", "port": 2}]}
    new = {"apps": [{"name": "c", "port": 3}, {"name": "a", "port": 9}]}
    assert merge(document, old, new) == {
        "apps": [{"name": "c", "port": 3}, {"name": "a", "mode": "x", "port": 9}]
    }


@pytest.mark.parametrize("there", [7, None, "x", [1], {"apps": 7}, {"apps": [7, {"name": []}]}])
def test_a_document_of_another_shape_gives_way(there: Any) -> None:
    assert merge(there, {"apps": []}, {"apps": [{"name": "a"}]})["apps"] == [{"name": "a"}]


@given(objects, objects)
def test_a_merge_makes_what_was_wanted(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert merge(old, old, new) == new
    assert merge(new, old, old) == new
    assert changes(old, old) == []
    assert bool(changes(old, new)) == (old != new)


def test_changes_are_told_by_the_path_of_the_key() -> None:
    assert changes({"a": {"b": 1, "c": 2}, "d": 1}, {"a": {"b": 1, "c": 3}, "e": 1}) == [
        "a.c",
        "d",
        "e",
    ]


def test_keys_that_not_every_program_knows_are_written_only_when_they_say_something() -> None:
    assert "persistent_sessions" not in plain(PtyConfig())
    assert plain(PtyConfig(persistent_sessions=True))["persistent_sessions"] is True
    assert plain(PtyConfig(), everything=True)["persistent_sessions"] is False
    launcher = LauncherConfig(apps=[AppConfig(name="a")])
    assert plain(launcher)["apps"] == [{"name": "a", "binary": "", "auto_start": False, "port": 0}]


def test_a_duration_that_go_reads_as_a_number_is_one() -> None:
    written = plain(HypervisorConfig())
    assert written["cookies"]["expires_duration"] == 43200000000000
    assert msgspec.json.encode(written)
