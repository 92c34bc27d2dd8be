"""`skywire cli got`: HTTP requests, over the internet or over dmsg. Source: cli.md B6 (names only).

URLs are http://, https:// or dmsg://<public key>[:port]/path.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import click

from skywire import __version__
from skywire.cli import output
from skywire.cli.dmsg_options import Identity, dialling, identity_options
from skywire.cli.download import FIRST_ERROR, Meter, ToFile, ToMemory, ToStdout
from skywire.cli.progress import progress
from skywire.cli.runtime import run
from skywire.errors import InvalidValue, Refused, Unavailable

if TYPE_CHECKING:
    import aiohttp

SILENCE = 30.0  # seconds for a connection, and between two pieces of an answer
SCHEMES = ("http", "https", "dmsg")
HEAD = {"status": int, "headers": {str: str}}


def _url(_: click.Context, __: click.Parameter, text: str) -> str:
    try:
        parts = urlsplit(text)
        known = parts.scheme in SCHEMES and parts.hostname
    except ValueError:
        known = None
    if not known:
        raise click.BadParameter(f'"{text[:200]}": expected http://, https:// or dmsg://PK')
    if parts.scheme == "dmsg":
        from skywire.wire.dmsg_url import parse_url

        return str(parse_url(text))
    return text


def _header(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in texts:
        name, colon, value = text.partition(":")
        if not (colon and name.strip()) or "\n" in text or "\r" in text:
            raise click.BadParameter(f'"{text[:80]}": expected "Name: value"')
        found[name.strip()] = value.strip()
    return found


@asynccontextmanager
async def _session(url: str, identity: Identity) -> "AsyncIterator[aiohttp.ClientSession]":
    if url.startswith("dmsg:"):
        from skywire.http.client import dmsg_session

        async with (
            dialling(identity) as client,
            dmsg_session(client.dial, keep_alive=False) as session,
        ):
            yield session
        return
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=None, sock_connect=SILENCE, sock_read=SILENCE)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        yield session


async def _ask(
    method: str,
    url: str,
    identity: Identity,
    sink: Meter,
    data: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Status, reason and headers; the body goes to `sink`. Raises Unavailable."""
    import aiohttp

    sent = {"User-Agent": f"skywire/{__version__}", **(headers or {})}
    try:
        async with (
            _session(url, identity) as session,
            progress(sink.describe),
            session.request(method, url, data=data, headers=sent) as response,
        ):
            sink.begin(response.status, response.content_length)
            async for piece in response.content.iter_any():
                sink.feed(piece)
            return {
                "status": response.status,
                "reason": response.reason or "",
                "headers": dict(response.headers),
            }
    except TimeoutError as error:
        raise Unavailable(f"{url}: no answer within {SILENCE:g} s") from error
    except (aiohttp.ClientError, OSError) as error:
        raise Unavailable(f"{url}: {error or 'no answer'}") from error


def _check(url: str, answer: dict[str, Any], body: bytes) -> None:
    """Raises Refused for an error status."""
    if answer["status"] >= FIRST_ERROR:
        text = body.decode(errors="replace").strip()[:200]
        told = f": {text}" if text else ""
        raise Refused(
            f"{url}: {answer['status']} {answer['reason']}{told}", reason=answer["status"]
        )


@click.command(epilog="Example: skywire cli got dl http://example.org/file.tar.gz -o file.tar.gz")
@click.argument("url", callback=_url)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write to this file. Default: the last word of the URL, here.",
)
@click.option("-r", "--replace", is_flag=True, help="Replace FILE if it exists.")
@identity_options("fatal")
@output.json_option(shape={"status": int, "bytes": int, "file": str})
def dl(url: str, out: Path | None, replace: bool, identity: Identity, as_json: bool) -> None:
    """Download a file; it appears when it is complete."""
    name = Path(unquote(urlsplit(url).path)).name
    if out is None and (not name or name in (".", "..")):
        raise InvalidValue(f"{url}: ends with no file's name; give one with -o")
    with ToFile(url, out or Path(name), replace=replace) as file:
        answer = run(_ask("GET", url, identity, file))
        _check(url, answer, bytes(file.refusal))
        file.commit()
    result = {"status": answer["status"], "bytes": file.size, "file": str(file.path)}
    output.emit(result, as_json=as_json, text=f"{file.path}: {file.size} bytes")


@click.command(epilog="Example: skywire cli got head http://example.org/")
@click.argument("url", callback=_url)
@identity_options("fatal")
@output.json_option(shape=HEAD)
def head(url: str, identity: Identity, as_json: bool) -> None:
    """Show the status and the headers of an answer; ends with 1 for an error status."""
    answer = run(_ask("HEAD", url, identity, ToMemory(url)))
    lines = [f"{answer['status']} {answer['reason']}"]
    lines += [f"{name}: {value}" for name, value in answer["headers"].items()]
    result = {"status": answer["status"], "headers": answer["headers"]}
    output.emit(result, as_json=as_json, text="\n".join(lines))
    _check(url, answer, b"")


@click.command(epilog="Example: skywire cli got req http://example.org/api -d '{}'")
@click.argument("url", callback=_url)
@click.option(
    "-X",
    "--method",
    type=click.Choice(["GET", "POST", "PUT", "PATCH", "DELETE"], case_sensitive=False),
    help="The method. Default: GET, or POST with -d.",
)
@click.option("-d", "--data", metavar="TEXT", help="Send this text.")
@click.option(
    "-H", "--header", "headers", multiple=True, callback=_header, metavar="NAME: VALUE",
    help="Send this header; repeatable.",
)  # fmt: skip
@identity_options("fatal")
@output.json_option(shape={"status": int, "headers": {str: str}, "body": str})
def req(
    url: str,
    method: str | None,
    data: str | None,
    headers: dict[str, str],
    identity: Identity,
    as_json: bool,
) -> None:
    """Send a request and print the answer's body; ends with 1 for an error status."""
    chosen = method or ("GET" if data is None else "POST")
    body = None if data is None else data.encode()
    sink: ToMemory | ToStdout = ToMemory(url) if as_json else ToStdout(url)
    answer = run(_ask(chosen, url, identity, sink, body, headers))
    if isinstance(sink, ToMemory):
        result = {
            "status": answer["status"],
            "headers": answer["headers"],
            "body": sink.data.decode(errors="replace"),
        }
        output.emit(result, as_json=True)
    _check(url, answer, b"")
