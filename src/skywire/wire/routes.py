"""Paths between visors, and the bodies in which the route finder is asked for them.

An edge is asked for as one text, "<from>:<to>"; the answer has a list of paths for each edge.
Source: routing.md §5.1, services.md §3.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, NamedTuple, TypeAlias

import msgspec

from skywire.crypto.keys import NULL_KEY, PubKey
from skywire.errors import InvalidValue, RemoteProtocolError
from skywire.wire.gob_types import NULL_UUID, PUBKEY, UUID, Go

MAX_HOPS = 50  # of a path that a visor asks for
MAX_PATHS = 5  # of one edge, in an answer
MAX_HOP_COUNT = 0xFFFF  # Go: uint16
MAX_MESSAGE = 200  # characters of an error that we pass on


@dataclass(slots=True, unsafe_hash=True)
class Hop:
    """One transport of a path, in the direction of travel."""

    GO_NAME: ClassVar[str] = "routing.Hop"
    tp_id: Annotated[uuid.UUID, Go("TpID", UUID)] = NULL_UUID
    from_pk: Annotated[PubKey, Go("From", PUBKEY)] = NULL_KEY
    to_pk: Annotated[PubKey, Go("To", PUBKEY)] = NULL_KEY


Path: TypeAlias = list[Hop]
Edge: TypeAlias = tuple[PubKey, PubKey]  # from, to


class Bounds(NamedTuple):
    """How many hops a path may have. With a `high` of 0 there is none."""

    low: int = 0
    high: int = MAX_HOPS


class Request(NamedTuple):
    edges: list[tuple[str, str]]  # hexadecimal, lower case; not checked to be keys
    bounds: Bounds


def encode_request(edges: Iterable[Edge], bounds: Bounds) -> bytes:
    return msgspec.json.encode(
        {
            "Edges": [f"{source}:{target}" for source, target in edges],
            "Opts": {"MinHops": bounds.low, "MaxHops": bounds.high},
        }
    )


def parse_request(body: bytes) -> Request:
    """Names are matched in any case, unknown ones ignored, as Go does. Raises InvalidValue."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidValue(f"invalid request body: {error}") from error
    fields = _folded(value, "request")
    options = fields.get("opts")
    bounds = Bounds(0, 0)
    if options is not None:
        given = _folded(options, "Opts")
        bounds = Bounds(_hops(given, "minhops"), _hops(given, "maxhops"))
    edges = fields.get("edges")
    if edges is None:
        edges = []
    if not isinstance(edges, list):
        raise InvalidValue('invalid request body: expected an array of "<pk>:<pk>" as Edges')
    return Request([_edge(text) for text in edges], bounds)


def _folded(value: Any, what: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidValue(f"invalid request body: expected an object as {what}")
    return {name.lower(): item for name, item in value.items()}


def _hops(options: Mapping[str, Any], name: str) -> int:
    value = options.get(name)
    if value is None:
        return 0
    if type(value) is not int or not 0 <= value <= MAX_HOP_COUNT:
        raise InvalidValue(f"invalid request body: {name} must be 0 to {MAX_HOP_COUNT}")
    return value


def _edge(text: Any) -> tuple[str, str]:
    source, colon, target = text.partition(":") if isinstance(text, str) else ("", "", "")
    if not colon or len(source) != 66 or len(target) != 66:
        raise InvalidValue(f"invalid edge {str(text)[:140]!r}: expected two public keys, pk:pk")
    return source.lower(), target.lower()


def encode_response(paths: Mapping[tuple[str, str], Sequence[Path]]) -> bytes:
    """Edges sorted, as Go writes a map."""
    answer = {
        f"{source}:{target}": [
            [
                {"TpID": str(hop.tp_id), "From": hop.from_pk.hex(), "To": hop.to_pk.hex()}
                for hop in path
            ]
            for path in paths[source, target]
        ]
        for source, target in sorted(paths)
    }
    return msgspec.json.encode(answer)


class _Hop(msgspec.Struct):
    tp_id: uuid.UUID = msgspec.field(name="TpID")
    from_pk: str = msgspec.field(name="From")
    to_pk: str = msgspec.field(name="To")


_RESPONSE = msgspec.json.Decoder(dict[str, list[list[_Hop]] | None])


def parse_response(body: bytes) -> dict[Edge, list[Path]]:
    """Only paths that are connected and lead where they should. Raises RemoteProtocolError."""
    try:
        answer = _RESPONSE.decode(body)
        return {
            edge: [path for path in map(_path, paths or []) if is_path(path, *edge)]
            for edge, paths in ((_keys(text), paths) for text, paths in answer.items())
        }
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidValue) as error:
        raise RemoteProtocolError(f"invalid answer of a route finder: {error}") from error


def _keys(text: str) -> Edge:
    source, _, target = text.partition(":")
    return PubKey.parse(source), PubKey.parse(target)


def _path(hops: list[_Hop]) -> Path:
    return [Hop(hop.tp_id, PubKey.parse(hop.from_pk), PubKey.parse(hop.to_pk)) for hop in hops]


class _Error(msgspec.Struct):
    message: str


class _Refusal(msgspec.Struct):
    error: _Error


_REFUSAL = msgspec.json.Decoder(_Refusal)


def encode_error(code: int, message: str) -> bytes:
    return msgspec.json.encode({"error": {"message": message, "code": code}})


def parse_error(body: bytes) -> str:
    """The message; "" when there is none."""
    try:
        return _REFUSAL.decode(body).error.message[:MAX_MESSAGE]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


def is_path(path: Path, source: PubKey, target: PubKey) -> bool:
    """Whether the hops join and lead from `source` to `target`. An empty path does not."""
    here = source
    for hop in path:
        if hop.from_pk != here:
            return False
        here = hop.to_pk
    return bool(path) and here == target
