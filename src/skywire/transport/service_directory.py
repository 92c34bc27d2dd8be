"""Client of the service discovery: who offers what, and what we offer. Source: services.md §5."""

from typing import Self
from urllib.parse import urlencode

import msgspec

from skywire.crypto.keys import PubKey
from skywire.errors import (
    Forbidden,
    InvalidValue,
    NotFound,
    RemoteProtocolError,
    SkywireError,
    Unavailable,
)
from skywire.transport.discovery import Requests
from skywire.wire.service import VISOR, Geo, Info, Service, parse_address

MAX_LISTED = 10_000  # services taken from one answer


class ListedService(msgspec.Struct, frozen=True, omit_defaults=True):
    """Lenient where `Service` is strict: others may send keys we do not know."""

    address: str = ""  # "<pk>:<port>"
    type: str = ""
    geo: Geo | None = None
    display_node_ip: bool = False
    version: str = ""
    local_ips: tuple[str, ...] | None = None
    info: Info | None = None

    def dump(self) -> bytes:
        return msgspec.json.encode(self)

    @classmethod
    def load(cls, raw: bytes) -> Self:
        """Raises InvalidValue."""
        try:
            return msgspec.json.decode(raw, type=cls)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidValue(f"no service of a service discovery: {error}") from error


class _Error(msgspec.Struct):
    error: str = ""


class ServiceDirectory:
    """All methods raise Unavailable when the discovery cannot be asked."""

    def __init__(self, session: Requests) -> None:
        self._session = session

    async def listed(
        self, kind: str, *, quantity: int = 0, country: str = "", version: str = ""
    ) -> list[ListedService]:
        """What is known of each; with `quantity` so many of them at random."""
        asked = {"type": kind, "country": country, "version": version}
        if quantity > 1:
            asked["quantity"] = str(quantity)
        query = urlencode({name: value for name, value in asked.items() if value})
        status, answer = await self._session.plain("GET", f"/api/services?{query}")
        if status != 200:
            raise _refused(status, answer, f"list of {kind}")
        try:
            found = msgspec.json.decode(answer, type=list[ListedService] | None) or []
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise RemoteProtocolError(f"service discovery: no list: {error}") from error
        return found[:MAX_LISTED]

    async def find(
        self, kind: str, *, quantity: int = 0, country: str = "", version: str = ""
    ) -> list[tuple[PubKey, int]]:
        """Key and port of each."""
        found = []
        for service in await self.listed(kind, quantity=quantity, country=country, version=version):
            try:
                found.append(parse_address(service.address))
            except InvalidValue:
                continue  # one bad record must not hide the others
        return found

    async def public_visors(self, quantity: int) -> list[PubKey]:
        return [pk for pk, _ in await self.find(VISOR, quantity=quantity)]

    async def register(self, service: Service) -> None:
        """Raises Forbidden (not our key, old version, not reachable), InvalidValue."""
        body = msgspec.json.encode(service) + b"\n"
        status, answer = await self._session.request("POST", "/api/services", body)
        if status != 200:
            raise _refused(status, answer, service.type)

    async def withdraw(self, service: Service) -> None:
        query = urlencode({"type": service.type})
        path = f"/api/services/{service.address}?{query}"
        status, answer = await self._session.request("DELETE", path)
        if status not in (200, 404):
            raise _refused(status, answer, service.type)


def _refused(status: int, answer: bytes, what: str) -> SkywireError:
    try:
        told = msgspec.json.decode(answer, type=_Error).error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        told = ""
    text = f"service discovery, {what}: {told[:300] or 'refused'} (status {status})"
    kinds: dict[int, type[SkywireError]] = {400: InvalidValue, 403: Forbidden, 404: NotFound}
    return kinds.get(status, Unavailable)(text)
