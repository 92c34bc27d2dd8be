"""`skywire dmsg http`: a directory's files for the dmsg network. Source: cli.md A4."""

from pathlib import Path

import click

from skywire.cli import output
from skywire.cli.dmsg_options import Identity, identity_options, serving, whitelist_option
from skywire.cli.runtime import serve
from skywire.crypto.keys import PubKey
from skywire.platform import ready
from skywire.ports import DMSG_HTTP

SERVED = {"public_key": str, "port": int, "url": str}


@click.command("http", epilog="Example: skywire dmsg http -d public -w PK")
@click.option(
    "-d",
    "--dir",
    "directory",
    type=click.Path(path_type=Path),
    default=Path(),
    show_default=True,
    help="The directory.",
)
@click.option(
    "-p",
    "--port",
    type=click.IntRange(1, 65535),
    default=DMSG_HTTP,
    show_default=True,
    help="The dmsg port.",
)
@whitelist_option
@identity_options("info")
@output.json_option(shape=SERVED)
def http(
    directory: Path, port: int, whitelist: frozenset[PubKey], identity: Identity, as_json: bool
) -> None:
    """Serve the files of a directory over dmsg.

    Prints the address, then serves until SIGINT or SIGTERM. Nothing outside of the directory is
    shown, symbolic links that lead out included.
    """
    serve(_serve(directory, port, whitelist, identity, as_json))


async def _serve(
    directory: Path, port: int, whitelist: frozenset[PubKey], identity: Identity, as_json: bool
) -> None:
    from skywire.http.files import file_server
    from skywire.http.over_stream import serve_http

    app = file_server(directory, whitelist)
    async with serving(identity) as client:
        listener = client.listen(port)
        announce(identity.public, port, as_json)
        await serve_http(app, listener)


def announce(public: PubKey, port: int, as_json: bool) -> None:
    """Tell people, programs and whoever started us where we answer."""
    result = {"public_key": public, "port": port, "url": f"dmsg://{public}:{port}"}
    output.emit(result, as_json=as_json, text=f"dmsg://{public}:{port}")
    ready.report(public_key=public, port=port)
