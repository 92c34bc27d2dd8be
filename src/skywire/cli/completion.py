"""`skywire completion`: what a shell needs to complete our commands. Source: cli.md §A2."""

import click
from click.shell_completion import get_completion_class

COMPLETE_VARIABLE = "_SKYWIRE_COMPLETE"  # tells the program what a shell wants; click's own name
SHELLS = ("bash", "zsh", "fish")


@click.command(epilog='Example: eval "$(skywire completion bash)"')
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script that lets a shell complete our commands.

    \b
    bash: put   eval "$(skywire completion bash)"   into ~/.bashrc
    zsh:  put   eval "$(skywire completion zsh)"    into ~/.zshrc
    fish: skywire completion fish > ~/.config/fish/completions/skywire.fish
    """
    root = context.find_root()
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - click has these three
    name = root.info_name or "skywire"
    source = kind(root.command, {}, name, COMPLETE_VARIABLE)
    click.echo(source.source_template % source.source_vars())
