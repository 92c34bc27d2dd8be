"""`skywire demo`: a private network on this machine; `break` disturbs it, `ping` measures it."""

from pathlib import Path

import click
import msgspec

from skywire.cli import output, runtime
from skywire.demo import breaking, network, plan
from skywire.demo.state import DemoInfo, find_running

_PORT = click.IntRange(0, 65535)
_STATE_DIR = click.Path(file_okay=False, path_type=Path)


@click.group(invoke_without_command=True)
@click.option(
    "--state-dir",
    type=_STATE_DIR,
    help="Keep keys, accounts and logs here. Without: a temporary directory, gone at the end.",
)
@click.option("--hypervisor-port", type=_PORT, default=0, help="Port of the web page; 0: any.")
@click.option("--discovery-port", type=_PORT, default=0, help="Port of the discovery; 0: any.")
@click.option(
    "--server-port",
    "server_ports",
    type=(_PORT, _PORT),
    default=(0, 0),
    help="Ports of the two dmsg servers; 0: any.",
)
@click.option(
    "--first-run",
    is_flag=True,
    help="Make no account: let the web page ask for the password, as a new hypervisor does.",
)
@output.json_option
@click.pass_context
def demo(
    context: click.Context,
    state_dir: Path | None,
    hypervisor_port: int,
    discovery_port: int,
    server_ports: tuple[int, int],
    first_run: bool,
    as_json: bool,
) -> None:
    """Run a private network on this machine: its services, three nodes, a web page.

    Prints what runs and the URL of the page, with a terminal on each node. Node A and C each have
    a transport to B, none to each other: "skywire demo ping A C". Ctrl-C ends all of it.
    With --json: one line of JSON when all is up.
    """
    if context.invoked_subcommand is not None:
        return
    ports = plan.Ports(hypervisor=hypervisor_port, discovery=discovery_port, servers=server_ports)
    show = _print_json if as_json else _print_table
    runtime.run(network.run(state_dir, ports, first_run=first_run, on_up=show))


@demo.command("break", epilog="Example: skywire demo break --what stream")
@click.option(
    "--what",
    type=click.Choice([what.value for what in breaking.What]),
    required=True,
    help="The node's transports, the dmsg server that leads to it, its dmsg sessions, or itself.",
)
@click.option(
    "--node",
    type=click.Choice(plan.NODES),
    default=plan.NODES[1],
    show_default=True,
    help="The node whose terminal to disturb.",
)
@click.option("--state-dir", type=_STATE_DIR, help="Which demo, when several run.")
@output.json_option(shape={"part": str, "pid": int, "happened": str})
@click.pass_context
def break_(
    context: click.Context, what: str, node: str, state_dir: Path | None, as_json: bool
) -> None:
    """Cut what a terminal hangs on, to see it come back.

    Open a terminal in the page of a running demo, run "top", then break something.
    """
    outer = context.parent.params if context.parent is not None else {}
    running = find_running(state_dir or outer.get("state_dir"))
    part, happened = runtime.run(breaking.cut(running, breaking.What(what), node))
    output.emit(
        {"part": part.name, "pid": part.pid, "happened": happened},
        as_json=as_json,
        text=f"{part.name} (pid {part.pid}): {happened}",
    )


@demo.command("ping", epilog="Example: skywire demo ping A C")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--state-dir", type=_STATE_DIR, help="Which demo, when several run.")
@output.json_option(shape=object)
@click.pass_context
def ping(
    context: click.Context, source: str, target: str, state_dir: Path | None, as_json: bool
) -> None:
    """Send messages over a route between two nodes, e.g. A and C.

    A demo must be running. Shows how long they take there and back, and the latency of each
    hop's transport.
    """
    from skywire.cli.ping import ping_text
    from skywire.demo import routes

    outer = context.parent.params if context.parent is not None else {}
    running = find_running(state_dir or outer.get("state_dir"))
    pair = routes.node(running, source), routes.node(running, target)
    found = runtime.run(routes.ping(running, *pair))
    output.emit(msgspec.to_builtins(found), as_json=as_json, text=ping_text(found))


def _print_json(info: DemoInfo) -> None:
    click.echo(output.to_json({"output": info}, indent=-1))


def _print_table(info: DemoInfo) -> None:
    rows = [(part.name, part.what, part.pid, part.address, part.public_key) for part in info.parts]
    click.echo(output.render(output.Table(("NAME", "WHAT", "PID", "ADDRESS", "PUBLIC KEY"), rows)))
    click.echo()
    click.echo(f"State directory: {info.state_dir}")
    if info.password:
        click.echo(f"Password of the web page: {info.password}")
    else:
        click.echo("Password of the web page: yours; the page asks for it.")
    click.echo("Ctrl-C ends all of it. The web page:")
    click.echo(info.url)
