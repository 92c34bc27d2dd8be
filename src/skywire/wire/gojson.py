"""JSON exactly as Go writes it, because signatures cover the bytes. Source: dmsg.md §8.

A `msgspec.Struct` stands for a Go struct: fields in declaration order under their encoded names; a
field with a default is `omitempty` when it equals that default, one without is always written. A
dict stands for a Go map, so its keys come out sorted. Text is written compactly as UTF-8.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

import msgspec

from skywire.crypto.keys import PubKey, Signature

_ESCAPED = re.compile('["\\\\\x00-\x1f\ud800-\udfff]')
_ESCAPED_HTML = re.compile('["\\\\\x00-\x1f\ud800-\udfff<>&\u2028\u2029]')
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _escape(match: re.Match[str]) -> str:
    char = match.group()
    if "\ud800" <= char <= "\udfff":
        return "\ufffd"  # Go strings are UTF-8: half a surrogate pair cannot be said in it
    return _SHORT.get(char) or f"\\u{ord(char):04x}"


def quote(text: str, *, html: bool = False) -> str:
    """`text` as a JSON string; `html` also escapes <, >, &, U+2028 and U+2029: Go's default."""
    return f'"{(_ESCAPED_HTML if html else _ESCAPED).sub(_escape, text)}"'


def _number(value: float) -> str:
    """The shortest text that reads back the same; an exponent below 1e-6 and from 1e21."""
    if not math.isfinite(value):
        raise ValueError(f"{value} has no JSON form")
    if value == 0 or 1e-6 <= abs(value) < 1e21:
        return format(Decimal(repr(value)), "f").removesuffix(".0")
    return repr(value).replace("e-0", "e-")


@lru_cache(maxsize=256)
def _fields(struct: type[msgspec.Struct]) -> tuple[tuple[str, str, Any], ...]:
    """(attribute, quoted key with colon, value that means "leave out") of each field, in order."""
    return tuple(
        (field.name, quote(field.encode_name) + ":", field.default)
        for field in msgspec.structs.fields(struct)
    )


def _parts(value: object, html: bool) -> Iterator[str]:
    match value:
        case None:
            yield "null"
        case bool():
            yield "true" if value else "false"
        case int():
            yield str(value)
        case float():
            yield _number(value)
        case str():
            yield quote(value, html=html)
        case PubKey() | Signature():
            yield f'"{value.hex()}"'
        case msgspec.Struct():
            yield from _members(
                (
                    (key, member)
                    for name, key, empty in _fields(type(value))
                    if (member := getattr(value, name)) != empty
                ),
                html,
            )
        case Mapping():
            yield from _members(
                ((quote(str(key), html=html) + ":", value[key]) for key in sorted(value)), html
            )
        case Sequence() if not isinstance(value, bytes):
            separator = "["
            for item in value:
                yield separator
                yield from _parts(item, html)
                separator = ","
            yield "[]" if separator == "[" else "]"
        case _:
            raise TypeError(f"{type(value).__name__} has no JSON form here")


def _members(members: Iterator[tuple[str, object]], html: bool) -> Iterator[str]:
    separator = "{"
    for key, member in members:
        yield separator + key
        yield from _parts(member, html)
        separator = ","
    yield "{}" if separator == "{" else "}"


def encode(value: object, *, html: bool = False) -> bytes:
    """The compact JSON of `value`. `html` as in `quote`: off for what dmsg signs.

    Raises TypeError or ValueError for values that have no JSON form (bytes, NaN): our own bug.
    """
    return "".join(_parts(value, html)).encode()
