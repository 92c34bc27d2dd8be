"""The net/rpc service of a visor by name, and how its values are written. Source: hypervisor.md §1.

Apart from `visor/rpc.py`, which serves, so that a command line that only calls imports little.
"""

from dataclasses import is_dataclass
from types import UnionType
from typing import Annotated, Any, Protocol, Union, get_args, get_origin, runtime_checkable

from skywire.errors import LocalProtocolError
from skywire.wire.gob_types import (
    BOOL,
    BYTES,
    EMPTY,
    FLOAT,
    INT,
    PUBKEY,
    STRING,
    UUID,
    Array,
    Basic,
    GoType,
    GoTypes,
    Map,
    Marshaller,
    Pointer,
    Slice,
)

SERVICE = "app-visor"
_PLAIN = {None: EMPTY, bool: BOOL, int: INT, float: FLOAT, str: STRING, bytes: BYTES}
OTHER_FORM = "gob:"  # begins the error text of a peer that expects a value of another form
_DESCRIPTORS = (Array, Basic, Map, Marshaller, Pointer, Slice)


def go_type(hint: Any) -> GoType:
    """How gob writes a value with this hint; `Annotated[…, descriptor]` says it outright."""
    if get_origin(hint) is Annotated:
        for extra in get_args(hint)[1:]:
            if isinstance(extra, _DESCRIPTORS):
                return extra
        return go_type(get_args(hint)[0])
    if get_origin(hint) is list:
        return Slice(go_type(get_args(hint)[0]))
    if get_origin(hint) is dict:
        key, value = map(go_type, get_args(hint))
        return Map(key, value)
    if hint in _PLAIN:
        return _PLAIN[hint]
    if isinstance(hint, type) and is_dataclass(hint):
        return hint
    known = {PUBKEY.zero.__class__: PUBKEY, UUID.zero.__class__: UUID}
    if hint in known:
        return known[hint]
    raise LocalProtocolError(f"no Go type for {hint!r}: annotate it with a gob descriptor")


def go_types(hint: Any) -> GoTypes:
    """The same for what is received: of a union, whichever of its types the sender described.

    So a method takes what older nodes send: `request: StartApp | str` (hypervisor.md §6.3).
    """
    if get_origin(hint) in (Union, UnionType):
        return tuple(go_type(part) for part in get_args(hint))
    return go_type(hint)


def go_type_of(hint: Any, value: Any) -> GoType:
    """How `value` is written for a receiver of `hint`: of a union, the type that `value` has."""
    if get_origin(hint) in (Union, UnionType):
        return go_type(value.__class__)
    return go_type(hint)


@runtime_checkable
class HasOlderForm(Protocol):
    """A request of 2026 that nodes of 2024 know in another form, which the hint names, too."""

    def older_form(self) -> Any: ...
