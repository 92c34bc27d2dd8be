"""Which config file a command is about, and how one changes it. Source: config.md §3."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import click

from skywire.cli import output
from skywire.config.document import changes
from skywire.config.generate import FILE, Places
from skywire.config.load import ConfigFile, keep_backup, write_private
from skywire.config.model import VisorConfig

_Function = TypeVar("_Function", bound=Callable[..., Any])
CHANGED: dict[str, object] = {"file": "", "backup": "", "changed": [""]}  # what `change` prints


class Target(NamedTuple):
    """`source` is read; `output` is written: the same one, unless -o was given."""

    source: Path
    output: Path

    def load(self) -> ConfigFile:
        """Raises InvalidValue."""
        return ConfigFile.load(self.source)

    def change(self, work: Callable[[VisorConfig], VisorConfig], *, as_json: bool) -> None:
        """Write what `work` makes of the config, keep what was there, and tell what differs.

        Nothing is written when nothing differs. Raises InvalidValue, Unavailable.
        """
        file = self.load()
        text = file.rendered(work(file.config))
        made = ConfigFile(text, f"{self.output} (not written)")
        found = changes(file.document, made.document)
        backup = None
        if found or self.output != self.source:
            backup = keep_backup(self.output)
            write_private(self.output, text)
        result = {"file": self.output, "backup": backup or "", "changed": found}
        shown = f"Updated {self.output}: {', '.join(found)}" if found else "Nothing to change."
        output.emit(result, as_json=as_json, text=shown)
        if backup is not None:
            output.say(f"What was there before is in {backup}.")


def default_file(*, pkg: bool = False, user: bool = False) -> Path:
    if pkg and user:
        raise click.UsageError("-p and -u exclude each other")
    if pkg:
        return Places.of_package("linux").config
    return Places.of_user(Path.home()).config if user else Path(FILE)


def target_options(*, writes: bool) -> Callable[[_Function], _Function]:
    """Gives a command `target: Target`, from -i, -p, -u and, when it writes, -o."""

    def decorate(function: _Function) -> _Function:
        @wraps(function)
        def command(
            *positional: Any,
            source: Path | None,
            pkg: bool,
            user: bool,
            output: Path | None = None,
            **named: Any,
        ) -> Any:
            found = source or default_file(pkg=pkg, user=user)
            return function(*positional, target=Target(found, output or found), **named)

        kind = click.Path(dir_okay=False, path_type=Path)
        options = [
            click.option("-i", "--input", "source", type=kind, metavar="FILE",
                         help=f"Config file. Default: {FILE}."),
            click.option("-p", "--pkg", is_flag=True, help="That of the installed package."),
            click.option("-u", "--user", is_flag=True, help="That in the home directory."),
        ]  # fmt: skip
        if writes:
            options.append(
                click.option("-o", "--output", type=kind, metavar="FILE",
                             help="Write to this file instead of the one that is read.")
            )  # fmt: skip
        decorated: Any = command
        for option in reversed(options):
            decorated = option(decorated)
        return cast(_Function, decorated)

    return decorate
