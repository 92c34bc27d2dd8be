"""`skywire cli visor hv tui`: the visors of a hypervisor live, in a terminal."""

import sys

import click

from skywire.cli.node import NodeAddress, node_options
from skywire.errors import NotSupported

INTERVAL, LEAST, MOST = 2.0, 0.2, 3600.0  # seconds between two lists


@click.command(epilog="Example: skywire cli visor hv tui")
@click.option(
    "-d", "--interval", type=click.FloatRange(LEAST, MOST), default=INTERVAL, show_default=True,
    metavar="SECONDS", help="Time between two lists.",
)  # fmt: skip
@node_options
def tui(node: NodeAddress, interval: float) -> None:
    """Watch the visors of the hypervisor and of those below it; look into one, open a shell on it.

    \b
      Enter   what the hypervisor knows of the visor, or back
      t       a terminal on the visor
      /       only visors with a text in their key, name, version, state …
      s, r    sort by the next column; the other way round
      p       pause, go on
      q       end

    The list of "hv ls --load" in place of this is for scripts, and for no terminal.
    """
    if not sys.stdout.isatty():
        raise click.UsageError('this is no terminal: use "skywire cli visor hv ls"')
    try:
        from skywire.cli.hv_tui_app import HypervisorApp
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("textual"):
            raise
        missing = NotSupported("skywire cli visor hv tui needs the Python package textual")
        missing.add_note(
            'Install it with: pip install "pyskywire[top]"; "hv ls --watch" works without it.'
        )
        raise missing from error
    HypervisorApp(node, interval).run()
