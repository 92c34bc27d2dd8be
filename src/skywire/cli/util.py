"""Small helpers for scripts: `skywire cli util`. Source: cli.md §B6."""

import asyncio
import sys
from collections.abc import Sequence
from typing import IO, NamedTuple

import click

from skywire.cli import output
from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue

PLACEHOLDER = "{pk}"
MAX_INPUT = 64 * 1024 * 1024  # bytes of JSON or keys on standard input
MAX_AT_ONCE = 64


@click.command("jq", epilog="Example: skywire cli tp --json | skywire cli util jq '.output[].id'")
@click.argument("filter_", metavar="FILTER")
@click.argument("file", type=click.File("rb"), default="-")
def jq(filter_: str, file: IO[bytes]) -> None:
    """Print what a jq filter makes of JSON from a file or standard input."""
    from skywire.cli.jq import filtered

    for line in filtered(filter_, _read(file).decode("utf-8", "replace")):
        click.echo(line)


def _read(file: IO[bytes]) -> bytes:
    data = file.read(MAX_INPUT + 1)
    if len(data) > MAX_INPUT:
        raise InvalidValue(f"the input is longer than {MAX_INPUT} bytes")
    return data


class Ended(NamedTuple):
    pk: str
    exit_code: int
    stdout: str
    stderr: str


class _Rest(click.Command):
    """Without `--`, all that follows the first word belongs to the command that is run."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.allow_interspersed_args = "--" in args
        return super().parse_args(ctx, args)


@click.command(
    cls=_Rest, epilog='Example: skywire cli util foreach -k "PK,PK" -- skywire ping {pk}'
)
@click.option("-k", "--keys", default="", help="The keys. Default: those on standard input.")
@click.option(
    "-n",
    "--parallel",
    type=click.IntRange(1, MAX_AT_ONCE),
    default=1,
    show_default=True,
    help="How many commands run at the same time.",
)
@click.option("--limit", type=float, default=0.0, help="Seconds for one command; 0 is no limit.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@output.json_option(shape=[Ended])
def foreach(keys: str, parallel: int, limit: float, command: tuple[str, ...], as_json: bool) -> int:
    """Run a command for each public key; {pk} stands for the key, else it comes last.

    Ends with 0 only if every run did.
    """
    text = keys or sys.stdin.read(MAX_INPUT)
    found = [PubKey.parse(word) for word in text.replace(",", " ").split()]
    ended = asyncio.run(_run_all(list(dict.fromkeys(found)), command, parallel, limit, as_json))
    if as_json:
        output.emit([one._asdict() for one in ended], as_json=True)
    return 0 if all(one.exit_code == 0 for one in ended) else output.EXIT_FAILURE


async def _run_all(
    keys: Sequence[PubKey], command: Sequence[str], parallel: int, limit: float, quiet: bool
) -> list[Ended]:
    turn = asyncio.Semaphore(parallel)

    async def one(key: PubKey) -> Ended:
        async with turn:
            ended = await _run_one(str(key), command, limit)
        if not quiet:
            _tell(ended)
        return ended

    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(one(key)) for key in keys]
    return [task.result() for task in running]


async def _run_one(key: str, command: Sequence[str], limit: float) -> Ended:
    words = [word.replace(PLACEHOLDER, key) for word in command]
    if not any(PLACEHOLDER in word for word in command):
        words.append(key)
    process = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(limit or None):
            out, err = await process.communicate()
    except TimeoutError:
        out, err = b"", f"killed after {limit:g} s\n".encode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    code = process.returncode if process.returncode is not None else output.EXIT_FAILURE
    return Ended(key, code, out.decode(errors="replace"), err.decode(errors="replace"))


def _tell(ended: Ended) -> None:
    """What the command printed, under the key; on the streams that it printed to."""
    click.echo(f"{ended.pk}:")
    click.echo(ended.stdout, nl=False)
    click.echo(ended.stderr, nl=False, err=True)
    if ended.exit_code:
        output.say(f"{ended.pk}: ended with {ended.exit_code}")
