"""The options that say which visor a command asks. Apart from `node.py`: `--help` needs no more."""

from typing import Any

import click
from click.core import ParameterSource

from skywire.ports import VISOR_RPC

RPC_VARIABLE = "SKYWIRE_RPC"
DEFAULT_TIMEOUT = 30.0  # seconds


def _options(*, inherited: bool) -> list[click.Option]:
    """For a group, or for a command that has what was said to the groups above it."""

    def keep(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
        name = f"skywire.node.{parameter.name}"
        source = context.get_parameter_source(str(parameter.name))
        if source is ParameterSource.COMMANDLINE:
            context.meta[name] = value
        return context.meta.get(name, value)

    return [
        click.Option(
            ["--rpc"],
            default="",
            envvar=RPC_VARIABLE,
            metavar="HOST:PORT",
            help=f"RPC address of the visor (env {RPC_VARIABLE}). Default: {VISOR_RPC}.",
            callback=keep,
            expose_value=inherited,
        ),
        click.Option(
            ["--via"],
            default="",
            metavar="dmsg://PK",
            help="Ask the visor PK instead, through the one at --rpc; it has to allow our key.",
            callback=keep,
            expose_value=inherited,
        ),
        click.Option(
            ["--timeout"],
            type=float,
            default=DEFAULT_TIMEOUT,
            show_default=True,
            metavar="SECONDS",
            help="How long to wait; 0 is for ever.",
            callback=keep,
            expose_value=inherited,
        ),
    ]


def group_options(*, hidden: bool = False) -> list[click.Option]:
    """The options of a group: kept for the commands below it."""
    options = _options(inherited=False)
    for option in options:
        option.hidden = hidden
    return options


def command_options() -> list[click.Option]:
    """The options of a command; their values `rpc`, `via` and `timeout` are for `node_of`."""
    return _options(inherited=True)
