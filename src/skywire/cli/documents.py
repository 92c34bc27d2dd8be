"""What the services of a deployment list, from their answers. Source: services.md §2, §5, §6.

Each parser takes a whole document and raises InvalidValue for another one. A record that makes no
sense is left out: one bad record must not hide the others. Texts of others can be shown as they
are: what is kept of them has a plain form.
"""

import re
from typing import TypeVar

import msgspec

from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue
from skywire.wire.service import parse_address

MAX_RECORDS = 1_000_000  # of one document
_KEY = re.compile(r"[0-9a-f]{66}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_WORD = re.compile(r"[\w.+ -]{0,60}", re.ASCII)
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

T = TypeVar("T")


class Uptime(msgspec.Struct, frozen=True):
    """`daily` is in percent of a whole day, by day (UTC). In this form it is the JSON, too."""

    pk: str
    on: bool
    version: str
    daily: dict[str, str]

    def percent(self, day: str) -> float:
        return float(self.daily[day])


class Offer(msgspec.Struct, frozen=True):
    """Something a visor offers, as the service discovery lists it."""

    pk: str
    port: int
    version: str
    country: str
    region: str


class Transport(msgspec.Struct, frozen=True):
    id: str
    type: str
    edges: tuple[str, str]

    def other(self, pk: str) -> str:
        return self.edges[1] if self.edges[0] == pk else self.edges[0]


class _Uptime(msgspec.Struct):
    """v1 has `key` and `online`, v2 the others."""

    pk: str = ""
    key: str = ""
    on: bool = False
    online: bool = False
    version: str = ""
    daily: dict[str, str | float] | None = None


class _Geo(msgspec.Struct):
    country: str = ""
    region: str = ""


class _Offer(msgspec.Struct):
    address: str = ""
    version: str = ""
    geo: _Geo | None = None


class _Transport(msgspec.Struct):
    t_id: str = ""
    id: str = ""
    type: str = ""
    edges: tuple[str, str] = ("", "")


def records(document: bytes, kind: type[T], what: str) -> list[T]:
    """Those that are a `kind`, from a JSON array; null is an empty one. Raises InvalidValue."""
    try:
        found = msgspec.json.decode(document, type=list[msgspec.Raw] | None) or []
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidValue(f"no list of {what}: {error}") from error
    decoder = msgspec.json.Decoder(kind)
    records = []
    for raw in found[:MAX_RECORDS]:
        try:
            records.append(decoder.decode(raw))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
    if found and not records:
        raise InvalidValue(f"no list of {what}: none of its {len(found)} records is one")
    return records


def is_key(text: str) -> bool:
    """It looks like a public key: enough to show it."""
    return _KEY.fullmatch(text) is not None


def plain(text: str) -> str:
    """`text`, or nothing when it is more than a few plain words."""
    return text if _WORD.fullmatch(text) else ""


def uptimes(document: bytes) -> list[Uptime]:
    found = []
    for each in records(document, _Uptime, "uptimes"):
        pk = (each.pk or each.key).lower()
        if is_key(pk):
            daily = {
                day: text
                for day, value in (each.daily or {}).items()
                if _DAY.fullmatch(day) and (text := _percent(value))
            }
            found.append(Uptime(pk, each.on or each.online, plain(each.version), daily))
    return found


def _percent(value: str | float) -> str:
    """As text; "" for what is no percentage."""
    try:
        number = float(value)
    except ValueError:
        return ""
    return str(value) if 0 <= number <= 100 else ""


def offers(document: bytes) -> list[Offer]:
    found = []
    for each in records(document, _Offer, "services"):
        try:
            pk, port = parse_address(each.address)
        except InvalidValue:
            continue
        geo = each.geo or _Geo()
        found.append(
            Offer(str(pk), port, plain(each.version), plain(geo.country), plain(geo.region))
        )
    return found


def transports(document: bytes) -> list[Transport]:
    found = []
    for each in records(document, _Transport, "transports"):
        id, (first, second) = (each.t_id or each.id).lower(), each.edges
        if _ID.fullmatch(id) and is_key(first) and is_key(second):
            found.append(Transport(id, plain(each.type), (first, second)))
    return found


def shown(text: str) -> str:
    """A longer text of others, for a terminal."""
    return "".join(char if char.isprintable() else "�" for char in text[:200])


def keys(document: bytes) -> list[str]:
    """A list of public keys."""
    return [text for text in records(document, str, "keys") if is_key(text)]


def version_of(text: str) -> tuple[int, ...] | None:
    """Of "v1.3.29" or "1.3.29-rc1"; None for what is no version."""
    match = re.match(r"v?(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?", text, re.ASCII)
    return tuple(int(part or 0) for part in match.groups()) if match else None


def wanted_version(text: str) -> tuple[int, ...]:
    """Raises InvalidValue."""
    found = version_of(text)
    if found is None:
        raise InvalidValue(f'"{text[:60]}" is no version: expected for example v1.3.29')
    return found


def wanted_key(text: str) -> str:
    """The key in lower case. Raises InvalidValue."""
    return str(PubKey.parse(text.strip()))
