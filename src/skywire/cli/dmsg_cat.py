"""`skywire dmsg cat`: standard input and output on a dmsg stream. Source: cli.md §B6."""

import asyncio
from typing import TYPE_CHECKING

import click

from skywire.cli import output
from skywire.cli.dmsg_options import (
    Identity,
    dialling,
    identity_options,
    serving,
    whitelist_option,
)
from skywire.cli.runtime import run
from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue, StreamError

if TYPE_CHECKING:
    from skywire.platform.console import Console
    from skywire.streams.stream import Stream

DIAL_WAIT = 20.0  # seconds
MAX_PORT = 0xFFFF
MAX_DIGITS = 5


@click.command(epilog="Examples: skywire dmsg cat -l 7000 > file, skywire dmsg cat PK 7000 < file")
@click.argument("where", metavar="[PK] PORT", nargs=-1, required=True)
@click.option("-l", "--listen", is_flag=True, help="Wait for one stream on our port instead.")
@click.option(
    "--wait",
    is_flag=True,
    help="At the end of the input wait for the other end to close, for an answer.",
)
@whitelist_option
@identity_options("fatal", short=False)
def cat(
    where: tuple[str, ...],
    listen: bool,
    wait: bool,
    whitelist: frozenset[PubKey],
    identity: Identity,
) -> None:
    """Send standard input over a dmsg stream, and print what comes.

    The end of the input closes the stream, which has no half-close. With -l, our key is told on
    standard error; set it with --sk.
    """
    if len(where) != (1 if listen else 2):
        raise InvalidValue("expected PK and PORT, or -l and PORT")
    text = where[-1]
    port = int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS else 0
    if not 1 <= port <= MAX_PORT:
        raise InvalidValue(f'port "{text[:20]}": expected 1 to {MAX_PORT}')
    if listen:
        run(_listen(port, whitelist, identity, wait=wait))
    else:
        run(_dial(PubKey.parse(where[0]), port, identity, wait=wait))


async def _dial(remote: PubKey, port: int, identity: Identity, *, wait: bool) -> None:
    async with dialling(identity) as client:
        try:
            async with asyncio.timeout(DIAL_WAIT):
                stream = await client.dial(remote, port)
        except TimeoutError:
            raise TimeoutError(f"{remote}:{port}: no answer within {DIAL_WAIT:g} s") from None
        await pump(stream, wait=wait)


async def _listen(
    port: int, whitelist: frozenset[PubKey], identity: Identity, *, wait: bool
) -> None:
    async with serving(identity) as client:
        listener = client.listen(port)
        output.say(f"waiting for a stream to dmsg://{identity.public}:{port}")
        while True:
            stream = await listener.accept()
            if not whitelist or stream.remote.pk in whitelist:
                break
            stream.abort()
        await listener.close()
        output.say(f"from {stream.remote}")
        await pump(stream, wait=wait)


async def pump(stream: "Stream", *, wait: bool, half_close: bool = False) -> None:
    """Until the other end closes or, unless we `wait`, the input ends.

    `half_close`: tell the other end of the input's end; a dmsg stream cannot.
    """
    from skywire.platform.console import Console

    console = Console()  # not entered: the keyboard stays as it is
    try:
        async with asyncio.TaskGroup() as tasks:
            receiving = tasks.create_task(_receive(stream, console))
            sending = tasks.create_task(_send(stream, console, half_close=half_close))
            receiving.add_done_callback(lambda _: sending.cancel())
            if not wait:
                sending.add_done_callback(lambda _: receiving.cancel())
    finally:
        await stream.close()


async def _receive(stream: "Stream", console: "Console") -> None:
    while data := await stream.read():
        await console.write(data)


async def _send(stream: "Stream", console: "Console", *, half_close: bool) -> None:
    try:
        while data := await console.read():
            await stream.write(data)
        if half_close:
            await stream.write_eof()
    except StreamError:
        return  # the other end has gone, which `_receive` sees, too
