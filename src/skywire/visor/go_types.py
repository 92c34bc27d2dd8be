"""The net/rpc service of a visor by name, and how its values are written. Source: hypervisor.md §1.

Apart from `visor/rpc.py`, which serves, so that a command line that only calls imports little.
"""

from dataclasses import is_dataclass
from typing import Annotated, Any, get_args, get_origin

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
    Map,
    Marshaller,
    Pointer,
    Slice,
)

SERVICE = "app-visor"
_PLAIN = {None: EMPTY, bool: BOOL, int: INT, float: FLOAT, str: STRING, bytes: BYTES}
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
    if hint in _PLAIN:
        return _PLAIN[hint]
    if isinstance(hint, type) and is_dataclass(hint):
        return hint
    known = {PUBKEY.zero.__class__: PUBKEY, UUID.zero.__class__: UUID}
    if hint in known:
        return known[hint]
    raise LocalProtocolError(f"no Go type for {hint!r}: annotate it with a gob descriptor")
