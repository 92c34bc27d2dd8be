"""The flags of an app, from a class: for its process and for the app inside a visor alike.

    class Options(msgspec.Struct):
        addr: Annotated[str, Meta(description="address of the web page")] = ":8001"
        secure: Annotated[bool, Meta(description="keep clients off our own network")] = True

    parse(["--addr", ":9000", "-secure=false"], Options, "example")

All spellings that Go's apps take are taken: `--flag value`, `--flag=value`, with one dash or two.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from skywire.errors import InvalidValue

MAX_SHOWN = 60  # characters of a wrong argument in an error

_Options = TypeVar("_Options", bound=msgspec.Struct)


def parse(arguments: Sequence[str], kind: type[_Options], app: str) -> _Options:
    """Raises InvalidValue naming the flag and what was expected."""
    known = {field.name.replace("_", "-"): field for field in msgspec.structs.fields(kind)}
    given: dict[str, Any] = {}
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        name, equals, value = argument.lstrip("-").partition("=")
        field = known.get(name) if argument.startswith("-") else None
        if field is None:
            flags = ", ".join(f"--{flag}" for flag in known) or "none"
            shown = argument.partition("=")[0][:MAX_SHOWN]
            raise InvalidValue(f'{app}: unknown argument "{shown}"; expected one of {flags}')
        if not equals and _is_switch(field):
            # "--flag true" is how some config helpers write it
            value = rest.pop(0) if rest and rest[0] in ("true", "false") else "true"
        elif not equals:
            if not rest:
                raise InvalidValue(f"{app}: --{name} wants a value")
            value = rest.pop(0)
        given[field.name] = value
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `$.")
        flag = path.rstrip("`").replace("_", "-")
        raise InvalidValue(f"{app}: --{flag}: {what[:1].lower()}{what[1:]}") from None


def usage(kind: type[msgspec.Struct]) -> list[tuple[str, str]]:
    """Each flag with what it is for, and its default."""
    rows = []
    for field in msgspec.structs.fields(kind):
        information = msgspec.inspect.type_info(field.type)
        text = getattr(information, "extra_json_schema", None) or {}
        default = "" if field.default is msgspec.NODEFAULT else field.default
        shown = f" (default: {default})" if default not in ("", False, None) else ""
        rows.append(("--" + field.name.replace("_", "-"), text.get("description", "") + shown))
    return rows


def _is_switch(field: Any) -> bool:
    information = msgspec.inspect.type_info(field.type)
    while isinstance(information, msgspec.inspect.Metadata):
        information = information.type
    return isinstance(information, msgspec.inspect.BoolType)
