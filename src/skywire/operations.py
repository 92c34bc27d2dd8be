"""Declare once what a visor can do; RPC, HTTP and the command line loop over the declarations.

    @operation(rpc="Uptime", http="GET /visors/{pk}/uptime", cli="visor uptime")
    async def uptime(visor: "Visor") -> float:
        "Seconds since the visor started."

`cli` makes the command `skywire cli visor uptime`; its line in the command tree is
`operation("skywire.visor.ops_info:uptime", …)` in `cli/tree_*.py`. A request that is no struct
becomes an argument, fields of a struct that are annotated with `Argument` or `Option` become those.

The first parameter is the visor that acts; a second one, if there is one, is the request. Only the
hints of the request and the answer are evaluated, so that the module may import the visor for type
checking alone. Source: hypervisor.md §6; architecture §9.
"""

from collections.abc import Awaitable, Callable
from inspect import cleandoc
from types import SimpleNamespace
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar, get_type_hints

from skywire.errors import LocalProtocolError

_Visor = TypeVar("_Visor")
_Request = ParamSpec("_Request")
_Answer = TypeVar("_Answer")


class Http(NamedTuple):
    method: str
    path: str  # below /api


class Argument(NamedTuple):
    """Annotates a request or a field of one that a command takes by its place."""

    metavar: str = ""  # default: the name in capitals


class Option(NamedTuple):
    """Annotates a field of a request that a command takes as an option."""

    help: str
    flags: tuple[str, ...] = ()  # default: "--" and the name
    required: bool = False


class Cli(NamedTuple):
    """The command of an operation."""

    words: str  # below `skywire cli`
    example: str = ""  # arguments of an example call
    done: str = "OK"  # printed for people when there is no answer


class Operation(NamedTuple):
    """`request` and `answer` are type hints with their annotations; None is no value."""

    name: str
    rpc: str  # method of the net/rpc service `app-visor`
    http: Http | None
    cli: Cli | None
    request: Any
    answer: Any
    function: Callable[..., Awaitable[Any]]  # (visor) or (visor, request)
    help: str


_registry: dict[str, Operation] = {}  # filled while the `ops_*` modules are imported


def operation(
    *, rpc: str, http: str = "", cli: str | Cli = ""
) -> Callable[
    [Callable[Concatenate[_Visor, _Request], Awaitable[_Answer]]],
    Callable[Concatenate[_Visor, _Request], Awaitable[_Answer]],
]:
    """Register the function; it stays callable as it is.

    `http` is "METHOD /path" below /api, `cli` the words of a command below `skywire cli`.
    """

    def register(
        function: Callable[Concatenate[_Visor, _Request], Awaitable[_Answer]],
    ) -> Callable[Concatenate[_Visor, _Request], Awaitable[_Answer]]:
        name: str = getattr(function, "__name__", rpc)
        if any(known.rpc == rpc for known in _registry.values()):
            raise LocalProtocolError(f"operation {name}: another one has the RPC name {rpc}")
        hints = dict(function.__annotations__)
        parameters = [key for key in hints if key != "return"]
        del hints[parameters[0]]  # the visor
        carrier = SimpleNamespace(__annotations__=hints)
        namespace = getattr(function, "__globals__", {})
        found = get_type_hints(carrier, globalns=namespace, include_extras=True)
        method, _, path = http.partition(" ")
        _registry[name] = Operation(
            name=name,
            rpc=rpc,
            http=Http(method, path) if http else None,
            cli=cli if isinstance(cli, Cli) else Cli(cli) if cli else None,
            request=found[parameters[1]] if len(parameters) > 1 else None,
            answer=None if found["return"] is type(None) else found["return"],
            function=function,
            help=cleandoc(function.__doc__ or ""),
        )
        return function

    return register


def operations() -> tuple[Operation, ...]:
    """All declared so far, in the order of declaration."""
    return tuple(_registry.values())


def operation_of(function: Callable[..., Awaitable[Any]]) -> Operation:
    """The declaration of a decorated function. Raises LocalProtocolError for another one."""
    for known in _registry.values():
        if known.function is function:
            return known
    raise LocalProtocolError(f"{function!r} is no operation: decorate it with @operation")
