"""The visor and its hypervisors: `skywire cli visor hv`. Source: cli.md §A2, hypervisor.md §8."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from skywire.cli import output
from skywire.cli.node import NodeAddress, node_options
from skywire.cli.values import KEY
from skywire.crypto.keys import PubKey
from skywire.errors import NotFound

if TYPE_CHECKING:
    from skywire.visor.types import Overview


def _overview(node: NodeAddress) -> "Overview":
    from skywire.visor import ops_info

    return node.ask(ops_info.overview)


@click.command(epilog="Example: skywire cli visor hv pk")
@node_options
@output.json_option(shape=[str])
def pk(node: NodeAddress, as_json: bool) -> None:
    """List the hypervisors that the visor is connected to."""
    _show_keys(_overview(node).connected_hypervisor, as_json=as_json)


@click.command(epilog="Examples: skywire cli visor hv cpk, skywire cli visor hv cpk -i FILE")
@click.option(
    "-i", "--input", "file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Read this config file, and ask no visor.",
)  # fmt: skip
@click.option("-p", "--pkg", is_flag=True, help="The same with that of the installed package.")
@node_options
@output.json_option(shape=[str])
def cpk(node: NodeAddress, file: Path | None, pkg: bool, as_json: bool) -> None:
    """List the hypervisors in the visor's config."""
    if file is None and not pkg:
        _show_keys(_overview(node).hypervisors, as_json=as_json)
        return
    from skywire.cli.config_file import default_file
    from skywire.config.load import ConfigFile

    found = ConfigFile.load(file or default_file(pkg=pkg)).config.hypervisors
    _show_keys(found, as_json=as_json)


def _show_keys(found: list[PubKey], *, as_json: bool) -> None:
    keys = [str(key) for key in found]
    output.emit(keys, as_json=as_json, text="\n".join(keys) or "none")


@click.command(epilog="Example: skywire cli visor hv status")
@node_options
@output.json_option(
    shape={"is_hypervisor": bool, "url": str, "configured": [str], "connected": [str]}
)
def status(node: NodeAddress, as_json: bool) -> None:
    """Show whether the visor is a hypervisor, and which ones control it."""
    from skywire.visor import ops_info

    summary = node.ask(ops_info.summary)
    overview = _overview(node) if summary.overview is None else summary.overview
    url = _url(node)  # a visor of 2024 does not say elsewhere that it is one
    found = {
        "is_hypervisor": summary.is_hypervisor or bool(url),
        "url": url,
        "configured": [str(key) for key in overview.hypervisors],
        "connected": [str(key) for key in overview.connected_hypervisor],
    }
    text = {
        "Hypervisor here": url or "no",
        "In the config": " ".join(map(str, overview.hypervisors)),
        "Connected to": " ".join(map(str, overview.connected_hypervisor)),
    }
    output.emit(found, as_json=as_json, text=output.Facts(text.items()))


def _url(node: NodeAddress) -> str:
    """Of the visor's web pages; "" when it is no hypervisor."""
    from skywire.visor import ops_info

    found = node.ask(ops_info.ports).get("hypervisor")
    if found is None or not found.port:
        return ""
    host = "127.0.0.1" if node.rpc.host in ("", "localhost") else node.rpc.host
    return f"http://{host}:{found.port}/"


def page_of(node: NodeAddress) -> str:
    """Address of the visor's web pages. Raises NotFound when it is no hypervisor."""
    url = _url(node)
    if not url:
        missing = NotFound("the visor runs no hypervisor")
        missing.add_note('Start it with "skywire visor -i".')
        raise missing
    return url


@click.command(epilog="Example: skywire cli visor hv ui -p")
@click.option("-p", "--print", "print_only", is_flag=True, help="Print the address, open nothing.")
@node_options
@output.json_option(shape=str)
def ui(node: NodeAddress, print_only: bool, as_json: bool) -> None:
    """Open the hypervisor's pages in a browser, and print their address."""
    import webbrowser

    url = page_of(node)
    if not print_only and not as_json:
        webbrowser.open(url)
    output.emit(url, as_json=as_json)


@click.command("url", epilog="Example: skywire cli pty url PK")
@click.argument("key", metavar="[PK]", type=KEY, required=False)
@click.option("-v", "--visor", type=KEY, help="The visor, as an option.")
@node_options
@output.json_option(shape=str)
def terminal_url(
    node: NodeAddress, key: PubKey | None, visor: PubKey | None, as_json: bool
) -> None:
    """Print the address of a terminal on a visor, in the pages of the local hypervisor.

    Without a key, of the local visor.
    """
    output.emit(_terminal_url(node, key or visor), as_json=as_json)


@click.command("ui", epilog="Example: skywire cli pty ui PK")
@click.argument("key", metavar="[PK]", type=KEY, required=False)
@click.option("-v", "--visor", type=KEY, help="The visor, as an option.")
@node_options
@output.json_option(shape=str)
def terminal_ui(node: NodeAddress, key: PubKey | None, visor: PubKey | None, as_json: bool) -> None:
    """Open a terminal on a visor in a browser, in the pages of the local hypervisor."""
    import webbrowser

    url = _terminal_url(node, key or visor)
    if not as_json:
        webbrowser.open(url)
    output.emit(url, as_json=as_json)


def _terminal_url(node: NodeAddress, key: PubKey | None) -> str:
    return f"{page_of(node)}pty/{key or _overview(node).local_pk}"
