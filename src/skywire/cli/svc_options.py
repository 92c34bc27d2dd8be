"""What the commands of `skywire svc` share. Source: cli.md A3."""

import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from skywire.cli.dmsg_options import parse_keys
from skywire.cli.runtime import log_option
from skywire.cli.values import host_port
from skywire.config.model import PRODUCTION_DISCOVERY
from skywire.config.values import Duration, HostPort
from skywire.crypto.keys import PubKey, SecKey
from skywire.errors import InvalidValue

if TYPE_CHECKING:
    from skywire.services.base import Common
    from skywire.stores.contracts import NonceStore
    from skywire.stores.open import Stores

REDIS_PASSWORD = "REDIS_PASSWORD"  # noqa: S105 - names, as the reference has them
PG_USER = "PG_USER"
PG_PASSWORD = "PG_PASSWORD"  # noqa: S105
PG_DATABASE = "PG_DATABASE"

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of a service."""

    place: HostPort
    secret: SecKey | None  # of its address on dmsg
    discovery: str  # URL of the dmsg discovery
    store: str = ""  # URL
    redis: str = ""  # URL, for the nonces
    connections: int = 10  # to PostgreSQL
    lease: float | None = None  # seconds
    monitors: frozenset[PubKey] = frozenset()
    allow_loopback: bool = False
    trust_proxy: bool = False

    def common(self) -> "Common":
        from skywire.services.base import Common

        return Common(
            lease=self.lease,
            monitors=self.monitors,
            allow_loopback=self.allow_loopback,
            trust_proxy=self.trust_proxy,
        )

    async def open(self, stack: AsyncExitStack, prefix: str) -> "tuple[Stores, NonceStore]":
        """The stores, until the end of `stack`, and where the nonces of service `prefix` are."""
        stores = await open_url(stack, self.store, self.connections)
        nonces = await open_url(stack, self.redis) if self.redis else stores
        return stores, nonces.nonces(prefix)


async def open_url(stack: AsyncExitStack, url: str, connections: int = 10) -> "Stores":
    """The stores at `url`, until the end of `stack`; what it lacks comes from the environment."""
    from skywire.stores.open import open_stores

    given = {"user": PG_USER, "password": PG_PASSWORD, "dbname": PG_DATABASE}
    postgres = {name: os.environ.get(variable, "") for name, variable in given.items()}
    stores = await open_stores(
        url, os.environ.get(REDIS_PASSWORD, ""), postgres=postgres, connections=connections
    )
    stack.push_async_callback(stores.close)
    return stores


def parse_lease(_: click.Context, __: click.Parameter, text: str) -> float | None:
    """Seconds; None for 0."""
    try:
        seconds = float(Duration.parse(text))
    except InvalidValue as error:
        raise click.BadParameter(f'"{text}": {error}') from error
    if seconds < 0:
        raise click.BadParameter(f'"{text}": expected a duration, or 0 for ever')
    return seconds or None


def parse_secret(_: click.Context, __: click.Parameter, text: str | None) -> SecKey | None:
    return SecKey.parse(text) if text else None


def identity_options(port: int, variable: str) -> list[Callable[[Any], Any]]:
    """-a, --sk, --dmsg-disc."""
    return [
        click.option(
            "-a",
            "--addr",
            "place",
            default=f":{port}",
            show_default=True,
            callback=host_port,
            metavar="HOST:PORT",
            help="Where to answer; no host is every address, port 0 a free one.",
        ),
        click.option(
            "--sk",
            "secret",
            metavar="SK",
            envvar=variable,
            show_envvar=True,
            callback=parse_secret,
            help="Serve on dmsg, too, with this secret key. Others on this machine see arguments: "
            "prefer the variable.",
        ),
        click.option(
            "--dmsg-disc",
            "discovery",
            default=PRODUCTION_DISCOVERY,
            show_default=True,
            metavar="URL",
            help="The dmsg discovery, for --sk.",
        ),
    ]


def register_options(*, loopback: bool = False, proxy: bool = False) -> list[Callable[[Any], Any]]:
    """What services at which visors register have in common."""
    options = [
        click.option(
            "--lease",
            default="6m",
            show_default=True,
            callback=parse_lease,
            metavar="DURATION",
            help="How long what is registered is listed unless it is renewed; 0 is for ever, for "
            "visors of 2024, which never renew.",
        ),
        click.option(
            "--whitelist-keys",
            "monitors",
            multiple=True,
            callback=parse_keys,
            metavar="PK,…",
            help="Keys that may deregister others.",
        ),
    ]
    if loopback:
        options.append(
            click.option(
                "--allow-loopback",
                is_flag=True,
                help="For tests: visors on this machine count as public.",
            )
        )
    if proxy:
        options.append(
            click.option(
                "--trust-proxy",
                is_flag=True,
                help="Behind a reverse proxy: believe the client's address that it tells.",
            )
        )
    return options


def store_options(default: str, kinds: str) -> list[Callable[[Any], Any]]:
    return [
        click.option(
            "--store",
            default=f"sqlite:///{default}",
            show_default=True,
            metavar="URL",
            help="Where what is registered is kept: sqlite:///FILE (a fourth slash begins an "
            f"absolute path), sqlite::memory:{kinds}.",
        ),
        click.option(
            "--redis",
            metavar="URL",
            default="",
            help="Keep the nonces in Redis; a password may come from $REDIS_PASSWORD.",
        ),
        click.option(
            "--pg-max-open-conn",
            "connections",
            type=click.IntRange(1),
            default=10,
            show_default=True,
            metavar="N",
            help="Connections to PostgreSQL. User, password and database may come from $PG_USER, "
            "$PG_PASSWORD and $PG_DATABASE.",
        ),
    ]


def service_options(*groups: list[Callable[[Any], Any]]) -> Callable[[_Function], _Function]:
    """Gives a command `options: Options` from the options of `groups`, and sets up logging."""

    def decorate(function: _Function) -> _Function:
        @wraps(function)
        def command(**arguments: Any) -> Any:
            names = Options.__dataclass_fields__.keys() & arguments.keys()
            options = Options(**{name: arguments.pop(name) for name in names})
            return function(options=options, **arguments)

        decorated = cast(_Function, command)
        for option in reversed([option for group in groups for option in group]):
            decorated = option(decorated)
        return log_option()(decorated)

    return decorate


async def run_service(
    make: Callable[[AsyncExitStack, Options], Any], options: Options, name: str
) -> None:
    """`make` returns the service; runs it until cancelled."""
    import asyncio

    from skywire.platform import ready
    from skywire.services.host import Host

    async with AsyncExitStack() as stack:
        service = await make(stack, options)
        host = await stack.enter_async_context(Host(options.discovery))
        serve_udp = getattr(service, "serve_udp", None)
        running = await host.add(name, service, options.place, options.secret, udp=serve_udp)
        ready.report(
            address=f"{options.place.host or 'localhost'}:{running.port}",
            port=running.port,
            public_key=running.public_key or "",
        )
        await asyncio.Event().wait()
