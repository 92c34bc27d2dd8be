"""Client of the address resolver: where a key can be reached. Source: services.md §4."""

from collections.abc import Sequence

import msgspec

from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue, NotFound, RemoteProtocolError, SkywireError, Unavailable
from skywire.transport.discovery import Requests
from skywire.transport.stcp import host_and_port
from skywire.wire import gojson
from skywire.wire.resolver import Binding, LocalAddresses, parse_binding
from skywire.wire.transport import SUDPH

MAX_CANDIDATES = 8  # addresses tried for one visor

Endpoint = tuple[str, int]


class _Error(msgspec.Struct):
    error: str = ""


class AddressResolverClient:
    """Over signed HTTP. All methods raise Unavailable when the resolver cannot be asked."""

    def __init__(self, session: Requests) -> None:
        self._session = session

    async def bind_stcpr(self, port: int, addresses: Sequence[str]) -> None:
        """Raises InvalidValue when the resolver does not want ours, e.g. a private address."""
        body = gojson.encode(LocalAddresses(str(port), tuple(addresses))) + b"\n"
        status, answer = await self._session.request("POST", "/bind/stcpr", body)
        if status != 200:
            raise _refused(status, answer, "bind")

    async def unbind_stcpr(self) -> None:
        status, answer = await self._session.request("DELETE", "/bind/stcpr", b"{}\n")
        if status != 200:
            raise _refused(status, answer, "unbind")

    async def resolve(self, kind: str, remote: PubKey) -> Binding:
        """For sudph the resolver also tells `remote` that we come. Raises NotFound."""
        status, answer = await self._session.request("GET", f"/resolve/{kind}/{remote}")
        if status == 404:
            raise NotFound(f"address resolver: {remote} is not bound for {kind}")
        if status != 200:
            raise _refused(status, answer, f"{kind} of {remote}")
        try:
            return parse_binding(answer)
        except InvalidValue as error:
            raise RemoteProtocolError(f"address resolver: {error}") from error

    async def bound(self) -> dict[str, frozenset[PubKey]]:
        """Who is bound, by transport type."""
        status, answer = await self._session.plain("GET", "/transports")
        if status != 200:
            raise _refused(status, answer, "list")
        try:
            listed = msgspec.json.decode(answer, type=dict[str, list[str] | None])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise RemoteProtocolError(f"address resolver: no list of keys: {error}") from error
        return {kind: frozenset(_keys(texts or ())) for kind, texts in listed.items()}


def _keys(texts: Sequence[str]) -> list[PubKey]:
    """Those that are keys: one that is not must not hide the others."""
    keys = []
    for text in texts:
        try:
            keys.append(PubKey.parse(text))
        except InvalidValue:
            continue
    return keys


def candidates(binding: Binding, kind: str) -> list[Endpoint]:
    """Where to try, in order: local addresses when caller and target share their public one.

    Raises InvalidValue when there is no usable address.
    """
    texts = [binding.remote_addr] if binding.remote_addr else []
    if binding.is_local:
        texts = [*(_joined(ip, binding.port) for ip in binding.addresses), *texts]
    default = int(binding.port) if binding.port.isascii() and binding.port.isdigit() else None
    found: list[Endpoint] = []
    for text in texts:
        try:
            endpoint = host_and_port(text, None if kind == SUDPH else default)
        except InvalidValue:
            continue
        if endpoint not in found and endpoint[1]:
            found.append(endpoint)
    if not found:
        raise InvalidValue(f"address resolver: no usable address in {binding}")
    return found[:MAX_CANDIDATES]


def _joined(ip: str, port: str) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def _refused(status: int, answer: bytes, what: str) -> SkywireError:
    try:
        told = msgspec.json.decode(answer, type=_Error).error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        told = ""
    text = f"address resolver, {what}: {told[:300] or 'refused'} (status {status})"
    return InvalidValue(text) if status == 400 else Unavailable(text)
