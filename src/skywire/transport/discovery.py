"""Client of the transport discovery: who has transports to whom. Source: services.md §2."""

import uuid
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import msgspec

from skywire.crypto.keys import PubKey
from skywire.errors import (
    Conflict,
    InvalidValue,
    NotFound,
    NotSupported,
    RemoteProtocolError,
    SkywireError,
    Unavailable,
)
from skywire.wire import transport
from skywire.wire.transport import Entry, SignedEntry

T = TypeVar("T")


class TransportDiscovery(Protocol):
    """Where transports are listed. All methods raise Unavailable when it cannot be asked."""

    async def register(self, entries: Sequence[SignedEntry]) -> None:
        """Entries both edges have signed. Raises Conflict when one was listed already and is
        renewed, NotSupported when it was and the rest of `entries` is lost (Go)."""
        ...

    async def entry(self, id: uuid.UUID) -> Entry:
        """Raises NotFound."""
        ...

    async def of_edge(self, pk: PubKey) -> list[Entry]:
        """Transports with `pk` at either end; empty when there are none."""
        ...

    async def delete(self, id: uuid.UUID) -> None:
        """Raises NotFound when it is not listed."""
        ...


class Requests(Protocol):
    """`http.auth.SignedSession`."""

    async def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Signed. Status and body of the answer. Raises Unavailable, RemoteProtocolError."""
        ...

    async def plain(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """The same, not signed."""
        ...


class TransportDiscoveryClient:
    """A TransportDiscovery over signed HTTP."""

    def __init__(self, session: Requests) -> None:
        self._session = session

    async def register(self, entries: Sequence[SignedEntry]) -> None:
        body = transport.encode_list(entries) + b"\n"
        status, answer = await self._session.request("POST", "/transports/", body)
        if status not in (200, 201):
            raise _refused(status, answer, "register")

    async def entry(self, id: uuid.UUID) -> Entry:
        status, answer = await self._session.request("GET", f"/transports/id:{id}")
        if status != 200:
            raise _refused(status, answer, str(id))
        return _understood(transport.parse_entry, answer)

    async def of_edge(self, pk: PubKey) -> list[Entry]:
        status, answer = await self._session.request("GET", f"/transports/edge:{pk}")
        if status == 404:
            return []
        if status != 200:
            raise _refused(status, answer, str(pk))
        return _understood(transport.parse_entries, answer)

    async def delete(self, id: uuid.UUID) -> None:
        status, answer = await self._session.request("DELETE", f"/transports/id:{id}")
        if status != 200:
            raise _refused(status, answer, str(id))


def _understood(parse: Callable[[bytes], T], answer: bytes) -> T:
    try:
        return parse(answer)
    except InvalidValue as error:
        raise RemoteProtocolError(f"transport discovery: {error}") from error


class _Error(msgspec.Struct):
    error: str | dict[str, object] = ""


def _refused(status: int, answer: bytes, what: str) -> SkywireError:
    """Go with PostgreSQL answers a duplicate with status 500 and the database's text."""
    try:
        told = msgspec.json.decode(answer, type=_Error).error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        told = ""
    text = f"transport discovery, {what}: {str(told)[:300] or 'refused'} (status {status})"
    if status == 404:
        return NotFound(text)
    if status == 409:
        return Conflict(text)
    if "unique constraint" in text:
        return NotSupported(text)
    if status == 400:
        return InvalidValue(text)
    return Unavailable(text)
