"""Builds Go types and values from the `schema` and `value` of the gob vectors."""

import json
from dataclasses import dataclass, field, make_dataclass
from functools import cache
from typing import Annotated, Any, ClassVar

from skywire.wire.gob_types import (
    BOOL,
    BYTES,
    FLOAT,
    INT,
    INT_ID,
    INTERFACE,
    STRING,
    UINT8,
    UINT_ID,
    Array,
    Basic,
    Concrete,
    Go,
    GoType,
    Map,
    Marshaller,
    Pointer,
    Slice,
)

_PLAIN = {"bool": BOOL, "float": FLOAT, "string": STRING, "bytes": BYTES, "interface": INTERFACE}
_SIZES = {"PubKey": 33, "SecKey": 32, "UUID": 16}
ZERO_TIME = bytes.fromhex("01000000000000000000000000ffff")


@dataclass
class Tree:
    GO_NAME: ClassVar[str] = "main.Tree"
    v: Annotated[int, Go("V", INT)] = 0
    kids: "Annotated[list[Tree], Go('Kids', Slice(Tree))]" = field(default_factory=list)


def go_type(schema: dict[str, Any]) -> GoType:
    return _go_type(json.dumps(schema, sort_keys=True))


@cache
def _go_type(text: str) -> GoType:
    schema = json.loads(text)
    kind, name = schema["kind"], schema.get("name", "")
    if kind in _PLAIN:
        return _PLAIN[kind]
    match kind:
        case "int":
            return Basic(schema["go"], INT_ID, 0, -(1 << 63), (1 << 63) - 1)
        case "uint" if schema["go"] == "uint8":
            return UINT8
        case "uint":
            return Basic(schema["go"], UINT_ID, 0, 0, (1 << 64) - 1)
        case "binarymarshaler":
            package = "uuid" if name == "UUID" else "cipher"
            return Marshaller(f"{package}.{name}", bytes, bytes, bytes(_SIZES[name]))
        case "gobencoder":
            return Marshaller("time.Time", bytes, bytes, ZERO_TIME, gob_encoder=True)
        case "array":
            return Array(go_type(schema["elem"]), schema["len"], schema["go"] if name else "")
        case "slice":
            elem = go_type(schema["elem"])
            return Slice(Pointer(elem) if schema["go"].startswith("[]*") else elem)
        case "map":
            return Map(go_type(schema["key"]), go_type(schema["elem"]))
        case "struct":
            return _struct(schema)
    raise AssertionError(kind)


def _struct(schema: dict[str, Any]) -> type:
    if schema["name"] == "Tree":
        return Tree
    return make_dataclass(
        schema["name"] or "Unnamed",
        [
            (part["name"], Annotated[Any, Go(part["name"], _part(part))])
            for part in schema["fields"]
        ],
        namespace={"GO_NAME": "main." + schema["name"] if schema["name"] else ""},
    )


def _part(part: dict[str, Any]) -> GoType:
    """The reference's vectors do not tell a struct from a pointer to one, except by name."""
    t = go_type(part["type"])
    return Pointer(t) if part["name"] in ("PIn", "Ptr") else t


def value(schema: dict[str, Any], shown: Any) -> Any:
    """The Python value for `shown`, a value in the vectors' JSON."""
    kind = schema["kind"]
    if shown is None:
        return {"bytes": b"", "slice": [], "map": None}.get(kind)
    match kind:
        case "bytes" | "binarymarshaler" | "gobencoder":
            return bytes.fromhex(shown)
        case "float":
            return float(shown)
        case "array" if schema["elem"].get("go") == "uint8":
            return bytes(shown)
        case "array" | "slice":
            return [value(schema["elem"], item) for item in shown]
        case "map":
            return {value(schema["key"], k): value(schema["elem"], v) for k, v in shown}
        case "struct" if schema["name"] == "Tree":
            return _tree(shown)
        case "struct":
            parts = {p["name"]: value(p["type"], shown[p["name"]]) for p in schema["fields"]}
            cls = go_type(schema)
            assert isinstance(cls, type)
            return cls(**parts)
        case "interface":
            inner = value(shown["schema"], shown["value"])
            if shown["schema"]["kind"] != "struct":
                return inner
            return Concrete("main." + shown["schema"]["name"], inner, go_type(shown["schema"]))
    return shown


def _tree(shown: dict[str, Any]) -> Tree:
    return Tree(shown["V"], [_tree(kid) for kid in shown["Kids"] or ()])


def plain(item: Any) -> Any:
    """`item` as after decoding: interface contents without their Go types and zero fields."""
    match item:
        case Concrete(name=name, value=dict()):
            return Concrete(name, item.value)
        case Concrete(name=name):
            return Concrete(name, {k: v for k, v in vars(item.value).items() if v})
        case list():
            return [plain(one) for one in item]
    if hasattr(item, "__dataclass_fields__"):
        return {name: plain(getattr(item, name)) for name in item.__dataclass_fields__}
    return item
