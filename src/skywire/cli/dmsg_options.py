"""What all dmsg tools share: who we are, which discovery, and the client made of it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import click

from skywire import log
from skywire.cli.progress import progress
from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey, SecKey
from skywire.errors import InvalidValue, Unavailable

if TYPE_CHECKING:
    from skywire.dmsg.client import DmsgClient
    from skywire.dmsg.discovery import Directory

KEY_VARIABLES = ["DMSG_SK", "DMSGCURL_SK"]
CONNECT_WAIT = 20.0  # seconds a command with an end waits for its first dmsg server
MAX_KEY_FILE = 4096  # bytes

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Identity(NamedTuple):
    """The options of a dmsg tool."""

    public: PubKey
    secret: SecKey
    discovery: str  # URL
    sessions: int  # dmsg servers to connect to; 0 is all of them


def _secret(_: click.Context, __: click.Parameter, text: str | None) -> SecKey:
    return parse_secret(text)


def default_discovery() -> str:
    """Of the deployment: by HTTP, or on dmsg when it is there only."""
    from skywire.config.deployment import base_deployment

    known = base_deployment()
    return known.dmsg_discovery or known.dmsg_discovery_dmsg


def parse_secret(text: str | None) -> SecKey:
    """64 hexadecimal characters, `@FILE` of `skywire keys gen -o FILE`, or a new key.

    Raises InvalidValue, OSError.
    """
    if not text:
        return key_pair()[1]
    if not text.startswith("@"):
        return SecKey.parse(text)
    with Path(text[1:]).open("rb") as file:
        words = file.read(MAX_KEY_FILE).decode("ascii", "replace").split()
    keys = [word for word in words if len(word) == 64]
    if len(keys) != 1:
        raise InvalidValue(f"{text[1:]} has {len(keys)} secret keys, expected one")
    return SecKey.parse(keys[0])


def _set_up_log(_: click.Context, __: click.Parameter, level: str) -> None:
    log.setup(level)


def identity_options(loglvl: str, *, short: bool = True) -> Callable[[_Function], _Function]:
    """Gives a command `identity: Identity`, from -s, -e, --dmsg-disc, and sets up logging (-l).

    `short=False` leaves -l to the command.
    """
    options = [
        click.option(
            "-s",
            "--sk",
            callback=_secret,
            envvar=KEY_VARIABLES,
            metavar="KEY",
            help="Our secret key, or @FILE with one. Others see arguments: better set DMSG_SK. "
            "Default: a new key.",
        ),
        click.option(
            "--dmsg-disc",
            default=default_discovery,
            show_default="the deployment's",
            metavar="URL",
            help="The dmsg discovery: http://, https://, or dmsg://<public key>[:port].",
        ),
        click.option(
            "-e",
            "--sess",
            type=click.IntRange(0),
            default=1,
            show_default=True,
            metavar="N",
            help="How many dmsg servers to connect to; 0 is all.",
        ),
        click.option(
            *(("-l", "--loglvl") if short else ("--loglvl",)),
            default=loglvl,
            show_default=True,
            expose_value=False,
            callback=_set_up_log,
            metavar="LEVEL",
            help="How much to log: debug, info, warn, error or fatal.",
        ),
    ]

    def decorate(function: _Function) -> _Function:
        @wraps(function)
        def command(sk: SecKey, dmsg_disc: str, sess: int, **arguments: Any) -> Any:
            identity = Identity(sk.public(), sk, dmsg_disc, sess)
            return function(identity=identity, **arguments)

        decorated = cast(_Function, command)
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate


def parse_keys(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> frozenset[PubKey]:
    """The value of a `-w` option: keys, separated by commas or in several options."""
    words = [word.strip() for text in texts for word in text.split(",")]
    return frozenset(PubKey.parse(word) for word in words if word)


def whitelist_option(function: _Function) -> _Function:
    """Gives a command `whitelist: frozenset[PubKey]`; empty allows all."""
    return click.option(
        "-w",
        "--wl",
        "whitelist",
        multiple=True,
        callback=parse_keys,
        metavar="PK,…",
        help="Public keys that may connect. Default: everybody.",
    )(function)


@asynccontextmanager
async def client_of(
    secret: SecKey, discovery: str, sessions: int
) -> "AsyncIterator[tuple[DmsgClient, Directory]]":
    """A client that begins to connect, and the directory it asks.

    A discovery on dmsg is reached through the servers of the deployment. Raises InvalidValue.
    """
    from skywire.config.deployment import base_deployment
    from skywire.config.model import DmsgConfig
    from skywire.visor.directory import open_client
    from skywire.visor.seeding import known_to_helper

    config = DmsgConfig(discovery=discovery, sessions_count=sessions)
    known = known_to_helper(config)
    if discovery.startswith("dmsg://") and not known.servers:
        known = known._replace(servers=base_deployment().server_entries())
        if not known.servers:
            raise InvalidValue(
                f"{discovery}: nobody knows a dmsg server to reach it by; name a deployment with "
                "dmsg_servers in SKYDEPLOY"
            )
    async with open_client(config, secret, known) as opened:
        yield opened


@asynccontextmanager
async def dialling(identity: Identity) -> "AsyncIterator[DmsgClient]":
    """A client that can dial, for a command with an end. Raises Unavailable, and says why."""
    async with AsyncExitStack() as stack:
        async with progress(lambda: "connecting to the dmsg network …"):
            connecting = client_of(identity.secret, identity.discovery, identity.sessions)
            client, directory = await stack.enter_async_context(connecting)
            servers = await directory.available_servers()
            if not servers:
                raise Unavailable(f"discovery {identity.discovery} lists no dmsg server")
            try:
                async with asyncio.timeout(CONNECT_WAIT):
                    await client.connected()
            except TimeoutError as error:
                raise Unavailable(
                    f"none of {len(servers)} dmsg servers answered within {CONNECT_WAIT:.0f} s; "
                    'more is told with "-l debug"'
                ) from error
        yield client


@asynccontextmanager
async def serving(identity: Identity) -> "AsyncIterator[DmsgClient]":
    """A client that others can dial, once it is entered: waits for a server as long as it takes."""
    async with client_of(identity.secret, identity.discovery, identity.sessions) as (client, _):
        async with progress(lambda: "waiting for a dmsg server …"):
            await client.ready()
        yield client
