"""`skywire svc tps`: the transport setup service, and its client. Source: services.md §9."""

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

import click

from skywire import log
from skywire.cli import output
from skywire.cli.runtime import run, serve
from skywire.cli.values import http_url
from skywire.config import setup as config_file
from skywire.config.setup import TransportSetupConfig
from skywire.crypto.keys import PubKey
from skywire.errors import Refused, RemoteProtocolError, Unavailable
from skywire.platform import ready

DEFAULT_SERVICE = "http://127.0.0.1:8080"
ANSWER_TIME = 90.0  # seconds; the service gives a visor 85 s
MAX_ANSWER = 4 * 1024 * 1024  # bytes

_Function = TypeVar("_Function", bound=Callable[..., Any])


@click.group(invoke_without_command=True)
@click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(path_type=Path),
    default=Path("transport-setup.json"),
    show_default=True,
    help='The config file, "-" for standard input.',
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help='Where to answer; "" is every address. Anybody who reaches it may use it.',
)
@click.option("-l", "--loglvl", metavar="LEVEL", help="Overrides log_level of the file.")
@click.pass_context
def tps(context: click.Context, path: Path, host: str, loglvl: str | None) -> None:
    """Run the transport setup service, or ask it.

    The file has public_key, secret_key, port and a dmsg section. Visors obey when the key is in
    their transport_setup list.
    """
    if context.invoked_subcommand is not None:
        return
    config = config_file.read(path, TransportSetupConfig)
    log.setup(loglvl or config.log_level or "info")
    serve(_serve(config, host))


async def _serve(config: TransportSetupConfig, host: str) -> None:
    # Imported here: `--help` of this command must not load aiohttp.
    from skywire.http.app import listen, running
    from skywire.services.transport_setup import TransportSetup
    from skywire.visor.directory import open_client

    async with AsyncExitStack() as stack:
        opening = open_client(config.dmsg, config.secret_key)
        client, _ = await stack.enter_async_context(opening)
        runner = await stack.enter_async_context(running(TransportSetup(client.dial).app()))
        port = await listen(runner, host, config.port, what="transport setup")
        await client.ready()
        ready.report(public_key=client.public, address=f"{host or 'localhost'}:{port}", port=port)
        await asyncio.Event().wait()


def _asks(function: _Function) -> _Function:
    """The options of a command that asks a running service."""
    options = [
        click.option(
            "-z",
            "--addr",
            "service",
            default=DEFAULT_SERVICE,
            show_default=True,
            callback=http_url,
            metavar="URL",
            help="The transport setup service.",
        ),
        click.option("-p", "--pretty", is_flag=True, help="Indent the answer."),
        output.json_option(shape=object),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def _key(_: click.Context, __: click.Parameter, text: str) -> PubKey:
    return PubKey.parse(text)


def _visor_option(short: str, long: str, name: str, help: str) -> Callable[[_Function], _Function]:
    return click.option(short, long, name, required=True, callback=_key, metavar="PK", help=help)


@tps.command(epilog="Example: skywire svc tps add -1 PK -2 PK -t stcpr")
@_visor_option("-1", "--from", "source", "The visor that dials.")
@_visor_option("-2", "--to", "target", "The visor that is dialled.")
@click.option("-t", "--type", "kind", required=True, help="stcpr, sudph or dmsg.")
@_asks
def add(
    source: PubKey, target: PubKey, kind: str, service: str, pretty: bool, as_json: bool
) -> None:
    """Have a visor open a transport."""
    asked = {"from": str(source), "to": str(target), "type": kind}
    _show(run(_ask(service, "POST", "/add", asked)), pretty, as_json)


@tps.command(epilog="Example: skywire svc tps rm -1 PK -i ID")
@_visor_option("-1", "--from", "source", "The visor that has the transport.")
@click.option("-i", "--id", "id", required=True, metavar="UUID", help="Its id.")
@_asks
def rm(source: PubKey, id: str, service: str, pretty: bool, as_json: bool) -> None:
    """Have a visor close a transport that was opened this way."""
    asked = {"from": str(source), "id": id}
    _show(run(_ask(service, "POST", "/remove", asked)), pretty, as_json)


@tps.command("list", epilog="Example: skywire svc tps list -1 PK")
@_visor_option("-1", "--from", "source", "The visor.")
@_asks
def list_transports(source: PubKey, service: str, pretty: bool, as_json: bool) -> None:
    """Show the transports of a visor that were opened this way."""
    _show(run(_ask(service, "GET", f"/{source}/transports", None)), pretty, as_json)


def _show(answer: Any, pretty: bool, as_json: bool) -> None:
    output.emit(answer, as_json=as_json, text=json.dumps(answer, indent=2 if pretty else None))


async def _ask(service: str, method: str, path: str, body: Any) -> Any:
    """Raises Unavailable, Refused with the service's text, RemoteProtocolError."""
    import aiohttp

    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_TIME)) as session,
            session.request(
                method,
                service.rstrip("/") + path,
                data=None if body is None else json.dumps(body),
                allow_redirects=False,
            ) as response,
        ):
            answer = await response.content.read(MAX_ANSWER)
            status = response.status
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        why = str(error) or f"no answer within {ANSWER_TIME:.0f} s"
        raise Unavailable(f"transport setup service {service}: {why}") from error
    try:
        told = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise RemoteProtocolError(f"{service} answered {status} without JSON") from error
    if status != 200:
        reason = str(told.get("error", status) if isinstance(told, dict) else status)
        raise Refused(reason, reason=reason)
    return told
