"""The skeleton of a result."""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, NamedTuple
from uuid import UUID

import msgspec
import pytest

from skywire.cli.shape import skeleton
from skywire.crypto.keys import PubKey


@dataclass
class Inner:
    name: str = ""


@dataclass
class Outer:
    FLATTEN: ClassVar[str] = "inner"
    NOT_JSON: ClassVar[frozenset[str]] = frozenset({"secret"})

    inner: Inner = field(default_factory=Inner)
    from_: Annotated[int, "a number"] = 0
    more: list[Inner] | None = None
    secret: str = ""


class Struct(msgspec.Struct, rename="camel"):
    one_key: PubKey
    flag: bool = False


class Tuple(NamedTuple):
    id: UUID
    size: float


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        (str, "string"),
        (float, "number"),
        (bool, "boolean"),
        (None, None),
        (object, "any"),
        (Any, "any"),
        (PubKey, "string"),
        (list[int], ["number"]),
        (dict[str, Inner], {"…": {"name": "string"}}),
        (str | None, "string"),
        ({"a": [str]}, {"a": ["string"]}),
        (Outer, {"name": "string", "from": "number", "more": [{"name": "string"}]}),
        (Struct, {"oneKey": "string", "flag": "boolean"}),
        (Tuple, {"id": "string", "size": "number"}),
        ({"a": "", "b": False, "c": 0}, {"a": "string", "b": "boolean", "c": "number"}),
        (f"{__name__}:Inner", {"name": "string"}),
    ],
)
def test_skeleton(shape: Any, found: Any) -> None:
    assert skeleton(shape) == found
