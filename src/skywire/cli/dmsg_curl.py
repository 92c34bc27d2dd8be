"""`skywire dmsg curl`: fetch a dmsg URL. Source: cli.md A4, dmsg.md §13."""

import sys
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skywire import __version__
from skywire.cli import output
from skywire.cli.dmsg_options import Identity, dialling, identity_options
from skywire.cli.download import FIRST_ERROR, Meter, ToFile, ToMemory, ToStdout
from skywire.cli.progress import progress
from skywire.cli.runtime import run
from skywire.errors import Refused
from skywire.wire.dmsg_url import DmsgUrl, parse_url

if TYPE_CHECKING:
    from skywire.http.client import Answer


@click.command(epilog="Example: skywire dmsg curl dmsg://PK:80/file.txt")
@click.argument("url", metavar="URL")
@click.option("-d", "--data", metavar="TEXT", help="POST this text.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write to this file, which appears when it is complete.",
)
@click.option("-r", "--replace", is_flag=True, help="Replace FILE if it exists.")
@click.option(
    "-t",
    "--try",
    "tries",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    metavar="N",
    help="How often to try; 0 is without end.",
)
@click.option(
    "-w",
    "--wait",
    type=click.FloatRange(0),
    default=0,
    show_default=True,
    metavar="SECONDS",
    help="Wait between tries.",
)
@click.option(
    "-a",
    "--agent",
    default=f"skywire/{__version__}",
    show_default=True,
    metavar="NAME",
    help="The User-Agent.",
)
@identity_options("fatal")
@output.json_option(
    shape={"status": int, "bytes": int, "body": str, "body_base64": str, "file": str}
)
def curl(
    url: str,
    data: str | None,
    out: Path | None,
    replace: bool,
    tries: int,
    wait: float,
    agent: str,
    identity: Identity,
    as_json: bool,
) -> None:
    """Fetch a file or send data over dmsg.

    URL is dmsg://<public key>[:port]/path. The body goes to standard output, or to FILE. The exit
    code is 1 when the server answers with an error status.
    """
    where = parse_url(url)
    body = data.encode() if data is not None else None
    fetching = _Fetching(where, body, agent, tries, wait, identity)
    if out is not None:
        with ToFile(f"{where}", out, replace=replace) as file:
            answer = run(fetching.into(file))
            _check(answer, bytes(file.refusal))
            file.commit()
        result = {"status": answer.status, "bytes": answer.size, "file": str(out)}
        output.emit(result, as_json=as_json, text="")
    elif as_json:
        memory = ToMemory(f"{where}")
        answer = run(fetching.into(memory))
        _check(answer, bytes(memory.data))
        output.emit(_as_json(answer, bytes(memory.data)), as_json=True)
    else:
        _check(run(fetching.into(ToStdout(f"{where}"))), b"")


class _Fetching:
    """One request and how to make it."""

    def __init__(
        self,
        url: DmsgUrl,
        data: bytes | None,
        agent: str,
        tries: int,
        wait: float,
        identity: Identity,
    ) -> None:
        self._url = url
        self._data = data
        self._agent = agent
        self._tries = tries
        self._wait = wait
        self._identity = identity

    async def into(self, sink: Meter) -> "Answer":
        from skywire.http.client import dmsg_session, fetch

        prints = isinstance(sink, ToStdout) and sys.stdout.isatty()
        async with (
            dialling(self._identity) as client,
            dmsg_session(client.dial, keep_alive=False) as session,
            # a progress line would end up in the middle of what is printed
            progress(sink.describe if not prints else lambda: ""),
        ):
            return await fetch(
                session,
                self._url,
                sink,
                data=self._data,
                agent=self._agent,
                tries=self._tries,
                wait=self._wait,
            )


def _check(answer: "Answer", body: bytes) -> None:
    if answer.status >= FIRST_ERROR:
        text = body.decode(errors="replace").strip()
        raise Refused(
            f"{answer.url}: {answer.status} {answer.reason}" + (f": {text}" if text else ""),
            reason=answer.status,
        )


def _as_json(answer: "Answer", body: bytes) -> dict[str, object]:
    result: dict[str, object] = {"status": answer.status, "bytes": answer.size}
    try:
        result["body"] = body.decode()
    except UnicodeDecodeError:
        result["body_base64"] = b64encode(body).decode()
    return result
