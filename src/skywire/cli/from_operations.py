"""Commands made from the declarations of operations: the request's fields become its parameters.

Such a command calls the operation on the visor at `--rpc` and prints the answer: a list as a table,
one thing line by line, nothing as `OK`. A command that has to say more is written by hand.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from types import MappingProxyType
from typing import Annotated, Any, get_args, get_origin, get_type_hints
from uuid import UUID

import click

from skywire.cli import figures, output
from skywire.cli.node import node_of
from skywire.cli.node_options import command_options
from skywire.cli.values import IDENTIFIER, KEY, NANOSECONDS
from skywire.crypto.keys import PubKey
from skywire.errors import LocalProtocolError
from skywire.operations import Argument, Operation, Option, operation_of
from skywire.visor.types import to_json
from skywire.wire.gob_types import DURATION, Basic, Go

Show = Callable[[Any], "str | output.Table | output.Facts"]


_TYPES: dict[Any, click.ParamType[Any]] = {
    bool: click.BOOL,
    int: click.INT,
    float: click.FLOAT,
    str: click.STRING,
    PubKey: KEY,
    UUID: IDENTIFIER,
}


def command_of(function: Callable[..., Any], show: Show | None = None) -> click.Command:
    """The command of an operation. `show` makes the text for people from the answer."""
    known = operation_of(function)
    if known.cli is None:
        raise LocalProtocolError(f"operation {known.name} declares no command: add cli=")
    words = known.cli.words
    example = f"skywire cli {words} {known.cli.example}".rstrip()
    parameters, build = _parameters(known)
    done = known.cli.done

    def call(as_json: bool, rpc: str, via: str, timeout: float, **given: Any) -> None:
        answer = node_of(rpc, via, timeout).ask(known.function, *build(given))
        result = "OK" if answer is None else to_json(answer)
        usual = shown(result, _units(known.answer)) if show is None else ""
        text = done if answer is None else usual if show is None else show(answer)
        output.emit(result, as_json=as_json, text=text)

    shape = str if known.answer is None else known.answer
    return click.Command(
        words.split()[-1],
        params=[*parameters, *output.result_options(shape), *command_options()],
        callback=call,
        help=known.help,
        epilog=f"Example: {example}",
    )


def _units(answer: Any) -> Mapping[str, str]:
    """Of the numbers in an answer, by key, as its class names them in UNITS."""
    kind = _bare(answer)
    if get_origin(kind) is list:
        return _units(get_args(kind)[0])
    found: Mapping[str, str] = getattr(kind, "UNITS", {})
    return found


def shown(
    result: Any, units: Mapping[str, str] | None = None
) -> "str | output.Table | output.Facts":
    """The usual look of a result that is plain JSON."""
    units = units or {}
    if result == []:
        return "none"
    if isinstance(result, list):
        if not all(isinstance(row, dict) for row in result):
            return "\n".join(map(str, result))
        columns = list(dict.fromkeys(key for row in result for key in row))
        rows = [[_short(row.get(key), key, units) for key in columns] for row in result]
        return output.Table([figures.heading(key) for key in columns], rows) if rows else ""
    if isinstance(result, dict):
        facts = [(figures.heading(key), _short(value, key, units)) for key, value in result.items()]
        return output.Facts(facts)
    return _short(result)


def _short(value: Any, key: str = "", units: Mapping[str, str] = MappingProxyType({})) -> str:
    """`key`, whose value it is, tells the unit of a number."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return figures.shown(key, value, units.get(key, ""))
    if isinstance(value, dict):
        return " ".join(f"{name}={_short(part, name)}" for name, part in value.items())
    if isinstance(value, list):
        return " ".join(map(_short, value))
    return "" if value is None else str(value)


def _parameters(
    known: Operation,
) -> tuple[list[click.Parameter], Callable[[dict[str, Any]], Sequence[Any]]]:
    """What the command takes, and how the operation's arguments (none or one) are made of it."""
    if known.request is None:
        return [], lambda given: ()
    kind = _bare(known.request)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind, include_extras=True)
        found = [_parameter(one.name, hints[one.name]) for one in fields(kind)]
        return [one for one in found if one is not None], lambda given: (kind(**_set(given)),)
    names = [name for name in known.function.__annotations__ if name != "return"]
    argument = _extra(known.request, Argument) or Argument()
    parameter = _argument(names[1], known.request, argument)
    return [parameter], lambda given: tuple(_set(given).values())


def _set(given: dict[str, Any]) -> dict[str, Any]:
    """Without the options that were left out; click's tuples as lists."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in given.items()
        if value is not None
    }


def _parameter(name: str, hint: Any) -> click.Parameter | None:
    """None for a field that the command line does not set."""
    argument, option = _extra(hint, Argument), _extra(hint, Option)
    if argument is not None:
        return _argument(name, hint, argument)
    if option is None:
        return None
    kind, many = _kind(hint)
    flags = option.flags or (f"--{name.replace('_', '-')}",)
    return click.Option(
        [*flags, name],
        type=kind,
        is_flag=kind is click.BOOL,
        multiple=many,
        required=option.required,
        help=option.help,
    )


def _argument(name: str, hint: Any, argument: Argument) -> click.Argument:
    kind, many = _kind(hint)
    return click.Argument(
        [name],
        type=kind,
        nargs=-1 if many else 1,
        required=True,
        metavar=argument.metavar or (f"{name.upper()}…" if many else name.upper()),
    )


def _kind(hint: Any) -> tuple[click.ParamType[Any], bool]:
    """The type of a parameter, and whether it is a list of these."""
    kind = _bare(hint)
    if get_origin(kind) is list:
        return _kind(get_args(kind)[0])[0], True
    go = _extra(hint, Go)
    basic = go.type if go is not None else _extra(hint, Basic)
    if basic == DURATION:
        return NANOSECONDS, False
    if kind is int and isinstance(basic, Basic):
        return click.IntRange(basic.low, basic.high), False
    if kind not in _TYPES:
        raise LocalProtocolError(f"no parameter type for {hint!r}")
    return _TYPES[kind], False


def _bare(hint: Any) -> Any:
    return _bare(get_args(hint)[0]) if get_origin(hint) is Annotated else hint


def _extra(hint: Any, kind: type[Any]) -> Any:
    extras = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    return next((extra for extra in extras if isinstance(extra, kind)), None)
