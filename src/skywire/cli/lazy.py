"""Command groups that import a command only when it is used, and the root that reports errors.

`skywire --help` has to answer at once and must not import a network library for it: a group knows
the names and one-line helps of its commands, and the place of each, "module:attribute".
"""

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple, NoReturn

import click

from skywire.cli import output


class Lazy(NamedTuple):
    """A command not imported yet; `help` repeats its one-line help (a test compares the two).

    The target may be a declared operation, whose command is made from the declaration.
    """

    target: str  # "module:attribute"
    help: str
    hidden: bool = False

    def load(self) -> click.Command:
        module, _, attribute = self.target.partition(":")
        found: Any = getattr(import_module(module), attribute)
        if isinstance(found, click.Command):
            return found
        from skywire.cli.from_operations import command_of

        return command_of(found)


class LazyGroup(click.Group):
    """`lazy` maps a command's name to where it is, or to another group."""

    def __init__(
        self, name: str, help: str, lazy: Mapping[str, Lazy | click.Command], **options: Any
    ) -> None:
        super().__init__(name, help=help, **options)
        self.lazy = dict(lazy)
        self.params += output.json_flags()

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = self.lazy.get(cmd_name)
        return found.load() if isinstance(found, Lazy) else found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = []
        for name in self._shown(ctx):
            entry = self.lazy[name]
            text = entry.help if isinstance(entry, Lazy) else entry.get_short_help_str(limit=200)
            rows.append((name, text))
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)

    def _shown(self, ctx: click.Context) -> list[str]:
        return [name for name in self.list_commands(ctx) if not self.lazy[name].hidden]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if not args[0].startswith("-") and args[0] not in self.lazy:
            known = ", ".join(self._shown(ctx))
            ctx.fail(f'no command "{args[0]}" in "{ctx.command_path}"; expected one of {known}.')
        return super().resolve_command(ctx, args)


class RootGroup(LazyGroup):
    """The top of the tree: every way a command ends becomes an exit code and at most one line.

    A command may return a number: its exit code.
    """

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        arguments = list(sys.argv[1:] if args is None else args)
        extra["standalone_mode"] = False
        try:
            code = super().main(arguments, prog_name or "skywire", **extra)
            sys.stdout.flush()
        except click.exceptions.NoArgsIsHelpError as error:  # a group without a command
            click.echo(error.format_message())
            code = 0
        except BrokenPipeError:  # the reader has seen enough: `skywire … | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = output.EXIT_FAILURE
        except Exception as error:
            failure = output.describe(error)
            if failure is None:
                raise  # a bug: the traceback is what helps
            output.report(failure, as_json=output.json_wanted(arguments))
            code = failure.exit_code
        sys.exit(code if isinstance(code, int) else 0)
