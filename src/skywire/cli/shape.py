"""The skeleton of a command's JSON, for `--shape`: what a script may count on, without a visor.

A shape is a type (a dataclass, a Struct, `list[str]`, …), a dict or list of shapes, an example of a
value, or the text "module:attribute" of a type that is imported only when somebody asks.
"""

from dataclasses import fields, is_dataclass
from importlib import import_module
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

_WORDS = {str: "string", int: "number", float: "number", bool: "boolean", NoneType: None}


def skeleton(shape: Any) -> Any:
    """Dicts, lists and the words string, number, boolean and any."""
    if isinstance(shape, str) and ":" in shape:
        module, _, attribute = shape.partition(":")
        return skeleton(getattr(import_module(module), attribute))
    if isinstance(shape, str | bool | int | float):
        return _WORDS[type(shape)]
    if isinstance(shape, dict):
        return {key: skeleton(value) for key, value in shape.items()}
    if isinstance(shape, list):
        return [skeleton(value) for value in shape]
    if shape is None or shape in _WORDS:
        return None if shape is None else _WORDS[shape]
    return _of_generic(shape) if get_origin(shape) else _of_class(shape)


def _of_generic(shape: Any) -> Any:
    origin, arguments = get_origin(shape), get_args(shape)
    if origin is Annotated:
        return skeleton(arguments[0])
    if origin in (Union, UnionType):
        return skeleton(next(each for each in arguments if each is not NoneType))
    if origin is dict:
        return {"…": skeleton(arguments[1])}
    return [skeleton(arguments[0])]


def _of_class(shape: Any) -> Any:
    if not isinstance(shape, type):
        return "any"
    if is_dataclass(shape):
        hints = get_type_hints(shape)
        flatten = getattr(shape, "FLATTEN", "")
        hidden: frozenset[str] = getattr(shape, "NOT_JSON", frozenset())
        found: dict[str, Any] = {}
        for one in (one for one in fields(shape) if one.name not in hidden):
            part = skeleton(hints[one.name])
            found |= part if one.name == flatten else {one.name.removesuffix("_"): part}
        return found
    if hasattr(shape, "__struct_fields__"):
        hints = get_type_hints(shape)
        names = zip(shape.__struct_encode_fields__, shape.__struct_fields__, strict=True)  # type: ignore[attr-defined]
        return {key: skeleton(hints[name]) for key, name in names}
    if issubclass(shape, tuple) and hasattr(shape, "_fields"):
        hints = get_type_hints(shape)
        return {name: skeleton(hints[name]) for name in shape._fields}
    return "any" if shape in (object, Any) else "string"  # keys and ids are texts
