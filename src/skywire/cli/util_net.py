"""`skywire cli util nc|serve`: small network tools. Source: cli.md B6 (names only)."""

import asyncio
from pathlib import Path

import click

from skywire.cli import output
from skywire.cli.runtime import log_option, run, serve
from skywire.cli.values import host_port
from skywire.config.values import HostPort

CONNECT_LIMIT = 10.0  # seconds


@click.command(epilog="Example: skywire cli util nc localhost:3435 < /dev/null")
@click.argument("place", metavar="HOST:PORT", callback=host_port)
@click.option("-l", "--listen", is_flag=True, help="Wait for a connection there instead.")
@log_option("fatal")
def nc(place: HostPort, listen: bool) -> None:
    """Send standard input over a TCP connection, and print what comes."""
    run(_nc(place, listen))


async def _nc(place: HostPort, listen: bool) -> None:
    from skywire.cli.dmsg_cat import pump
    from skywire.streams.tcp import dial_tcp, listen_tcp

    if not listen:
        async with asyncio.timeout(CONNECT_LIMIT):
            stream = await dial_tcp(place.host or "localhost", place.port)
        await pump(stream, wait=True, half_close=True)
        return
    listener = await listen_tcp(place.host, place.port)
    try:
        output.say(f"waiting at {listener.address}")
        stream = await listener.accept()
    finally:
        await listener.close()
    output.say(f"from {stream.remote}")
    await pump(stream, wait=True, half_close=True)


@click.command("serve", epilog="Example: skywire cli util serve -d public --addr localhost:8000")
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
    "-a",
    "--addr",
    "place",
    default="localhost:8000",
    show_default=True,
    callback=host_port,
    metavar="HOST:PORT",
    help="Where to answer; no host is every address, port 0 a free one.",
)
@log_option("info")
@output.json_option(shape={"url": str})
def serve_files(directory: Path, place: HostPort, as_json: bool) -> None:
    """Serve the files of a directory over HTTP, to this machine unless --addr says otherwise.

    Nothing outside of the directory is shown. "skywire dmsg http" does the same over dmsg.
    """
    serve(_serve(directory, place, as_json))


async def _serve(directory: Path, place: HostPort, as_json: bool) -> None:
    from skywire.http.app import listen, running
    from skywire.http.files import file_server
    from skywire.platform import ready

    async with running(file_server(directory)) as runner:
        port = await listen(runner, place.host, place.port, what="files")
        url = f"http://{place.host or 'localhost'}:{port}/"
        output.emit({"url": url}, as_json=as_json, text=url)
        ready.report(url=url, port=port)
        await asyncio.Event().wait()
