"""How a command gets a document of a deployment's service: which ways, which cache. Source: 3087.

    @click.command()
    @fetch_options
    @output.json_option
    def servers(fetcher: Fetcher, as_json: bool) -> None:
        found = fetcher.fetch(f"{fetcher.services.dmsg_discovery}/…", parse)
        show(found, as_json=as_json, text=…)

The ways: the local visor's RPC, a dmsg client of our own, plain HTTP. What is printed always tells
where it comes from and how old it is: on stderr, and as `source` in the JSON.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import click

from skywire import log
from skywire.cli import output
from skywire.cli.node import NodeAddress, node_options
from skywire.cli.progress import progress
from skywire.cli.runtime import run
from skywire.errors import InvalidValue, Unavailable

if TYPE_CHECKING:
    from skywire.config.deployment import Deployment
    from skywire.http.cached import Fetched, Way

DEFAULT_AGE = 5.0  # minutes
STEP_LIMIT = 30.0  # seconds for one way when the user sets no limit for all
HTTP, DMSG, RPC = "http", "dmsg", "rpc"

T = TypeVar("T")
_Function = TypeVar("_Function", bound=Callable[..., Any])


class Wanted(NamedTuple):
    """A document and what understands it; `parse` raises InvalidValue."""

    url: str
    parse: Callable[[bytes], Any]


class Fetcher(NamedTuple):
    """The options of a command that fetches. `folder` None: no cache."""

    node: NodeAddress
    services: "Deployment"
    max_age: float  # minutes; 0 is fresh or an error
    folder: Path | None
    ways: frozenset[str]  # those that may be used

    def fetch(self, url: str, parse: Callable[[bytes], T]) -> "Fetched[T]":
        """Raises Unavailable with the cause of every way, InvalidValue for what is no URL."""
        return run(self.fetched(url, parse))

    def fetch_all(self, *wanted: Wanted) -> "list[Fetched[Any]]":
        """Several documents at the same time. Raises what the first that fails raises."""
        return run(self._all(wanted))

    async def _all(self, wanted: Sequence[Wanted]) -> "list[Fetched[Any]]":
        async with asyncio.TaskGroup() as tasks:
            each = [tasks.create_task(self.fetched(url, parse)) for url, parse in wanted]
        return [task.result() for task in each]

    async def fetched(self, url: str, parse: Callable[[bytes], T]) -> "Fetched[T]":
        """`fetch` inside an event loop."""
        from skywire.http.cached import cache_file, fetch_cached

        check_url(url)
        async with progress(lambda: f"fetching {url} …"):
            return await fetch_cached(
                cache_file(self.folder, url),
                url,
                self._chain(url),
                parse,
                max_age=self.max_age,
            )

    def _chain(self, url: str) -> "list[Way]":
        from skywire.http.cached import Way

        on_dmsg = url if url.startswith("dmsg://") else self.services.twin(url)
        steps: list[tuple[str, str, Callable[[], Awaitable[bytes]]]] = []
        if on_dmsg:
            steps.append((RPC, "RPC DmsgHTTP", lambda: _by_visor(self.node, on_dmsg)))
            steps.append((DMSG, "DMSG direct", lambda: _by_dmsg(self.services, on_dmsg)))
        if url != on_dmsg:
            steps.append((HTTP, "HTTP", lambda: _by_http(url)))
        allowed = [step for step in steps if step[0] in self.ways]
        share = _Share(self.node.timeout, len(allowed))
        return [Way(via, prefix, share.of(get)) for via, prefix, get in allowed]


class _Share:
    """Each way gets an equal part of the time that is left, so that a silent one cannot take it
    all."""

    def __init__(self, limit: float, steps: int) -> None:
        self._limit = limit
        self._left = steps
        self._deadline: float | None = None

    def of(self, get: Callable[[], Awaitable[bytes]]) -> Callable[[], Awaitable[bytes]]:
        async def bounded() -> bytes:
            limit = self._next()
            try:
                async with asyncio.timeout(limit):
                    return await get()
            except TimeoutError as error:
                raise TimeoutError(str(error) or f"no answer within {limit:.0f} s") from None

        return bounded

    def _next(self) -> float:
        """Seconds for the step that begins now."""
        if not self._limit:
            return STEP_LIMIT
        now = asyncio.get_running_loop().time()
        if self._deadline is None:
            self._deadline = now + self._limit
        share = max(0.0, self._deadline - now) / max(1, self._left)
        self._left -= 1
        return share


async def _by_visor(node: NodeAddress, url: str) -> bytes:
    """The running visor asks, over dmsg."""
    from skywire.http.cached import check_status
    from skywire.visor.fetching import MAX_BODY
    from skywire.visor.ops_fetch import DmsgHTTPRequest, dmsg_http

    async with node.connect(max_message=MAX_BODY + 1024) as visor:
        answer = await visor.call(dmsg_http, DmsgHTTPRequest(url))
    check_status(answer.status, answer.body)
    return answer.body


async def _by_dmsg(services: "Deployment", url: str) -> bytes:
    """A client of our own asks, with a new key; the discovery is not needed."""
    from skywire.cli.dmsg_direct import direct_client
    from skywire.http.cached import MAX_BODY, check_status
    from skywire.http.client import get
    from skywire.wire.dmsg_url import parse_url

    where = parse_url(url)
    with _only_errors("skywire.dmsg"):  # what fails on the way is in our own error
        async with direct_client(services, [where.pk]) as client:
            await client.connected()
            status, body = await get(client.dial, where, limit=MAX_BODY)
    check_status(status, body)
    return body


@contextmanager
def _only_errors(name: str) -> Iterator[None]:
    """A logger says less, unless it was asked to say more than usual."""
    logger = logging.getLogger(name)
    before = logger.level
    if logger.getEffectiveLevel() == logging.WARNING:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


async def _by_http(url: str) -> bytes:
    import aiohttp

    from skywire.http.cached import check_size, check_status

    # the caller's deadline is the one that counts
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
        try:
            async with session.get(url) as response:
                body = bytearray()
                async for piece in response.content.iter_any():
                    body += piece
                    check_size(len(body))
        except aiohttp.ClientError as error:
            raise Unavailable(str(error) or type(error).__name__) from error
    check_status(response.status, bytes(body))
    return bytes(body)


def check_url(url: str) -> None:
    """Raises InvalidValue for what cannot be fetched at all."""
    from skywire.wire.dmsg_url import parse_url

    if url.startswith("dmsg://"):
        parse_url(url)
        return
    from yarl import URL

    try:
        parsed = URL(url)
        valid = parsed.scheme in ("http", "https") and bool(parsed.host)
    except ValueError:
        valid = False
    if not valid:
        raise InvalidValue(
            f'"{url[:200]}" is no URL of a service: expected http://, https://, dmsg://'
        )


def show(
    found: "Fetched[Any] | Sequence[Fetched[Any]]",
    result: object,
    *,
    as_json: bool,
    text: "str | output.Table | output.Facts | None" = None,
) -> None:
    """Print `result`, with the source and the age of what it was made from."""
    each = [found] if not isinstance(found, Sequence) else list(found)
    sources = [one.source() for one in each]
    if not as_json:
        for one in each:
            output.say(f"source: {one.describe()}")
    output.emit(
        result, as_json=as_json, text=text, source=sources[0] if len(each) == 1 else sources
    )


def _folder(_: click.Context, __: click.Parameter, text: str | None) -> Path | None:
    from skywire.http.cached import cache_directory

    if text is None:
        return cache_directory()
    return Path(text) if text else None


def service_url(name: str, what: str) -> str:
    """`name`, unless the deployment has no such service."""
    if not name:
        raise InvalidValue(f"the deployment has no {what}; name one with its URL option")
    return name.rstrip("/")


def _set_up_log(_: click.Context, __: click.Parameter, level: str) -> None:
    log.setup(level)


def fetch_options(function: _Function, *log_names: str) -> _Function:
    """Gives a command `fetcher: Fetcher`, from --cache-age, --cache-dir, --no-*, --testenv and
    the options of `node_options`; sets up logging, by the option with `log_names` or --loglvl."""
    options = [
        click.option(
            *(log_names or ("--loglvl",)),
            "loglvl",
            default="warn",
            show_default=True,
            expose_value=False,
            callback=_set_up_log,
            metavar="LEVEL",
            help="How much to log: debug, info, warn or error.",
        ),
        click.option(
            "-m",
            "--cache-age",
            "--cfa",
            "cache_age",
            type=click.FloatRange(min=0),
            default=DEFAULT_AGE,
            show_default=True,
            metavar="MINUTES",
            help="Use what was fetched at most so long ago; 0 is fresh or an error.",
        ),
        click.option(
            "--cache-dir",
            metavar="DIR",
            callback=_folder,
            help="Where fetched documents are kept; an empty text keeps none. Default: a "
            "directory of ours below the one for temporary files.",
        ),
        click.option("--no-cxo", is_flag=True, help="Without effect: this version has no feed."),
        click.option("--no-rpc", is_flag=True, help="Do not ask through the local visor."),
        click.option("--no-dmsg", is_flag=True, help="Do not ask over dmsg with a new key."),
        click.option("--no-http", is_flag=True, help="Do not ask over plain HTTP."),
        click.option(
            "--testenv",
            is_flag=True,
            help="The test deployment; so does SKYWIRETEST=1.",
        ),
    ]

    @wraps(function)
    def command(
        *positional: Any,
        node: NodeAddress,
        cache_age: float,
        cache_dir: Path | None,
        no_cxo: bool,
        no_rpc: bool,
        no_dmsg: bool,
        no_http: bool,
        testenv: bool,
        **named: Any,
    ) -> Any:
        from skywire.config.deployment import TEST, base_deployment, deployment

        refused = {RPC: no_rpc, DMSG: no_dmsg, HTTP: no_http}
        ways = frozenset(name for name, off in refused.items() if not off)
        services = deployment(TEST) if testenv else base_deployment()
        fetcher = Fetcher(node, services, cache_age, cache_dir, ways)
        return function(*positional, fetcher=fetcher, **named)

    decorated: Any = command
    for option in reversed(options):
        decorated = option(decorated)
    return cast(_Function, node_options(decorated))
