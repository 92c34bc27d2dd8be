"""Command groups that import a command only when it is used, and the root that reports errors.

`skywire --help` has to answer at once and must not import a network library for it: a group knows
the names and one-line helps of its commands, and the place of each, "module:attribute".
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import click

from skywire.cli import output

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_ALL = "skywire.all"
NEAR = 0.6  # likeness of two words, of 1, that makes one a typing error of the other


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


def _all_flag() -> click.Option:
    return click.Option(
        ["--all"], is_flag=True, expose_value=False, help="Show old words in the help, too."
    )


def one_line(entry: Lazy | click.Command) -> str:
    """What a command is for; imports nothing."""
    return entry.help if isinstance(entry, Lazy) else entry.get_short_help_str(limit=200)


class LazyGroup(click.Group):
    """`lazy` maps a command's name to where it is, or to another group.

    `default` names the command that runs when no other one is named: "tp" is "tp ls".
    """

    def __init__(
        self,
        name: str,
        help: str,
        lazy: Mapping[str, Lazy | click.Command],
        *,
        default: str = "",
        **options: Any,
    ) -> None:
        super().__init__(name, help=help, **options)
        self.lazy = dict(lazy)
        self.default = default
        self.params += [*output.json_flags(), _all_flag()]

    def twin(self, name: str) -> "LazyGroup":
        """The same commands under an old name, which no help shows."""
        return LazyGroup(name, self.help or "", self.lazy, default=self.default, hidden=True)

    def with_options(self, options: Callable[[], list[click.Option]]) -> "LazyGroup":
        """Let all groups below take the options, too; the help of this one shows them."""
        for group in dict.fromkeys(groups_below(self)):
            group.params += options()
        return self

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--all" in args:
            ctx.meta[_ALL] = True  # wherever it stands: --help ends everything
        named = {"-h", "--help", *self.lazy}.intersection(args)
        alone = not args or args[0].startswith("-")
        if self.default and alone and not named and not ctx.resilient_parsing:
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = self.lazy.get(cmd_name)
        return found.load() if isinstance(found, Lazy) else found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, one_line(self.lazy[name])) for name in self.shown(ctx)]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)

    def shown(self, ctx: click.Context) -> list[str]:
        """The names of commands that a help shows."""
        every = ctx.meta.get(_ALL, False)
        return [name for name in self.list_commands(ctx) if every or not self.lazy[name].hidden]

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """As click's, without importing every command."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        from click.shell_completion import CompletionItem

        return [
            CompletionItem(name, help=one_line(self.lazy[name]))
            for name in self.shown(ctx)
            if name.startswith(incomplete)
        ]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if not args[0].startswith("-") and args[0] not in self.lazy:
            ctx.fail(f'no command "{args[0]}" in "{ctx.command_path}"; {self._instead(ctx, args)}')
        return super().resolve_command(ctx, args)

    def _instead(self, ctx: click.Context, args: list[str]) -> str:
        """The word that was probably meant: here, or somewhere else in the tree."""
        from difflib import get_close_matches  # only after a mistake

        near = get_close_matches(args[0], self.lazy, n=1, cutoff=NEAR)
        if near:
            return f'did you mean "{ctx.command_path} {near[0]}"?'
        root = ctx.find_root().command
        places = dict(places_of(root, str(root.name))) if isinstance(root, LazyGroup) else {}
        found = [place for place, word in places.items() if word == args[0]]
        if found:
            return f'did you mean "{found[0]}"?'
        return f"expected one of {', '.join(self.shown(ctx))}."


def groups_below(group: LazyGroup) -> Iterator[LazyGroup]:
    for entry in group.lazy.values():
        if isinstance(entry, LazyGroup):
            yield entry
            yield from groups_below(entry)


def places_of(group: LazyGroup, path: str) -> Iterator[tuple[str, str]]:
    """Every command that is not hidden: all its words, and the last of them."""
    for name, entry in group.lazy.items():
        if entry.hidden:
            continue
        yield f"{path} {name}", name
        if isinstance(entry, LazyGroup):
            yield from places_of(entry, f"{path} {name}")


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
