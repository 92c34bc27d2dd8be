"""A config as a JSON document: what is written, and how the file around it looks.

A rewrite changes the values that were changed and nothing else: unknown keys, the order of keys,
the indent and the escapes of the file stay.
"""

import json
from typing import Annotated, Any, NamedTuple, Self, get_args, get_origin

import msgspec
from msgspec import Meta, structs

from skywire.config.model import OPTIONAL
from skywire.config.values import Nanoseconds

_HTML = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}  # as Go's encoder escapes them
_NAME = "name"  # what makes two objects of a list the same one


class Layout(NamedTuple):
    """How a file is written."""

    indent: int | str | None = "\t"
    final_newline: bool = False
    html_escapes: bool = False

    @classmethod
    def of(cls, text: str) -> Self:
        """The layout of a file with this text; Go's programs write two of them."""
        first, _, rest = text.lstrip().partition("\n")
        blank = rest[: len(rest) - len(rest.lstrip(" \t"))]
        indent: str | None = blank or "\t"
        if first.strip() != "{":
            indent = None if "\n" not in text.strip() and len(text) > len("{}\n") else "\t"
        return cls(indent, text.endswith("\n"), any(escape in text for escape in _HTML.values()))

    def write(self, document: dict[str, Any]) -> bytes:
        separators = (",", ":") if self.indent is None else None
        text = json.dumps(document, indent=self.indent, ensure_ascii=False, separators=separators)
        if self.html_escapes:  # outside of texts there are no such characters
            for char, escape in _HTML.items():
                text = text.replace(char, escape)
        # half a surrogate pair, which JSON can escape, is escaped again
        return (text + "\n" * self.final_newline).encode(errors="backslashreplace")


def plain(section: msgspec.Struct, *, everything: bool = False) -> dict[str, Any]:
    """The values of a section by their keys; optional ones at their default only on request."""
    return {
        field.encode_name: _plain(value, everything)
        for field in structs.fields(section)
        if (value := getattr(section, field.name)) != default(field)
        or everything
        or not is_optional(field)
    }


def default(field: structs.FieldInfo) -> Any:
    """NODEFAULT for a key that a file must have."""
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def is_optional(field: structs.FieldInfo) -> bool:
    if get_origin(field.type) is not Annotated:
        return False
    extras = (each.extra or {} for each in get_args(field.type) if isinstance(each, Meta))
    return any(OPTIONAL in extra for extra in extras)


def merge(document: Any, old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """`document` with the values of `new` that differ from `old`, without what `new` lacks."""
    merged = dict(document) if isinstance(document, dict) else {}
    for key in old.keys() - new.keys():
        merged.pop(key, None)
    for key, value in new.items():
        before = old.get(key)
        if key in old and value == before:
            continue
        if isinstance(value, dict):
            nested = before if isinstance(before, dict) else {}
            merged[key] = merge(merged.get(key), nested, value)
        elif isinstance(value, list):
            merged[key] = _merge_list(merged.get(key), before, value)
        else:
            merged[key] = value
    return merged


def _merge_list(document: Any, old: Any, new: list[Any]) -> list[Any]:
    """Objects with a name keep what we do not know of them."""
    known, before = _by_name(document), _by_name(old)
    return [
        merge(known.get(name), before.get(name, {}), each)
        if isinstance(each, dict) and (name := each.get(_NAME)) in before
        else each
        for each in new
    ]


def _by_name(values: Any) -> dict[Any, dict[str, Any]]:
    if not isinstance(values, list):
        return {}
    return {
        each[_NAME]: each
        for each in values
        if isinstance(each, dict) and isinstance(each.get(_NAME), str)
    }


def changes(old: Any, new: Any, path: str = "") -> list[str]:
    """The keys whose values differ between two documents."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [] if old == new else [path]
    keys = list(dict.fromkeys([*old, *new]))
    missing = object()
    return [
        change
        for key in keys
        for change in changes(
            old.get(key, missing), new.get(key, missing), f"{path}.{key}" if path else key
        )
    ]


def _plain(value: Any, everything: bool) -> Any:
    if isinstance(value, msgspec.Struct):
        return plain(value, everything=everything)
    if isinstance(value, list | tuple):
        return [_plain(each, everything) for each in value]
    if isinstance(value, dict):
        return {key: _plain(each, everything) for key, each in value.items()}
    if isinstance(value, bytes):
        return value.hex()
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Nanoseconds):
        return round(value * 1e9)
    return str(value)  # a duration, an address
