"""`skywire cli log`: collect what visors serve on dmsg port 80. Source: rewards.md §6, visor.md §5.

Ours differs on purpose: a file appears when it is complete, so that a failure leaves none; and no
more than a batch is fetched at a time.
"""

import asyncio
import datetime as dt
import random
import re
import shutil
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import msgspec

from skywire.cli import documents, output
from skywire.cli.documents import Uptime
from skywire.cli.fetch import Fetcher, fetch_options, service_url, show
from skywire.cli.progress import progress
from skywire.cli.runtime import run
from skywire.cli.ut import uptimes_url
from skywire.errors import InvalidValue, SkywireError, Unavailable

if TYPE_CHECKING:
    from skywire.crypto.keys import SecKey
    from skywire.http.over_stream import Dial

TIME_LIMIT = 10.0  # seconds for one file
MIN_VERSION = "v1.3.19"
OLD_SURVEY = (1, 3, 17)  # visors before it serve it as /node-info.json
MAX_DAYS = 366
ALL_SERVERS = 0  # sessions: one with every dmsg server
_FILE = re.compile(r"[\w.-]{1,100}", re.ASCII)

Get = Callable[[str, str], Awaitable[bytes]]  # public key, path; raises SkywireError, TimeoutError


class Plan(NamedTuple):
    """What is fetched from each visor. `file` "": health, and the others that are set."""

    folder: Path
    survey: bool = True
    logs: bool = True
    days: tuple[str, ...] = ()
    file: str = ""
    clean: bool = False


class Outcome(msgspec.Struct, frozen=True):
    """Of one visor: names of the files that came, and why the first that did not is missing."""

    pk: str
    version: str
    files: list[str]
    error: str


class Choice(NamedTuple):
    """Which visors are asked."""

    min_version: tuple[int, ...]
    accepted: frozenset[str]  # versions that are taken in any case
    every_version: bool
    keys: frozenset[str]

    def of(self, visors: list[Uptime]) -> list[Uptime]:
        """Online ones in any order, so that no visor is always the last."""
        chosen = [one for one in visors if one.on and self._takes(one)]
        random.shuffle(chosen)
        return chosen

    def _takes(self, visor: Uptime) -> bool:
        if self.keys and visor.pk not in self.keys:
            return False
        if self.every_version or visor.version.strip() in self.accepted:
            return True
        version = documents.version_of(visor.version.strip())
        return version is not None and version >= self.min_version


async def collect_from(visor: Uptime, plan: Plan, get: Get) -> Outcome:
    """Never raises for what a visor does or does not do; OSError when the disk fails."""
    folder = plan.folder / visor.pk
    fresh = not folder.exists()
    files: list[str] = []
    errors: list[str] = []

    async def keep(path: str, name: str) -> bool:
        try:
            body = await get(visor.pk, path)
        except (SkywireError, TimeoutError) as error:
            errors.append(f"{path}: {str(error) or 'no answer in time'}")
            return False
        await asyncio.to_thread(write, folder / name, body)
        files.append(name)
        return True

    if plan.file:
        await keep(f"/{plan.file}", plan.file)
    elif await keep("/health", "health.json") or not plan.clean:
        version = documents.version_of(visor.version)
        if plan.survey:
            old = version is not None and version < OLD_SURVEY
            await keep("/node-info.json" if old else "/node-info", "node-info.json")
        for day in plan.days if plan.logs else ():
            await keep(f"/{day}.csv", f"{day}.csv")
    elif fresh:
        with suppress(OSError):
            shutil.rmtree(folder)
    return Outcome(visor.pk, visor.version, files, errors[0] if errors else "")


def write(path: Path, body: bytes) -> None:
    """At once or not at all. Raises Unavailable."""
    from skywire.config.load import write_private

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"cannot make {path.parent}: {error.strerror}") from error
    write_private(path, body)


async def collect_all(visors: list[Uptime], plan: Plan, get: Get, *, batch: int) -> list[Outcome]:
    """`batch` visors at a time. Raises Unavailable when the disk fails: then all end."""
    outcomes: list[Outcome] = []
    waiting = iter(visors)

    async def work() -> None:
        while (visor := next(waiting, None)) is not None:
            outcomes.append(await collect_from(visor, plan, get))

    async with (
        progress(lambda: f"collected from {len(outcomes)} of {len(visors)} visors …"),
        asyncio.TaskGroup() as tasks,
    ):
        for _ in range(min(batch, len(visors))):
            tasks.create_task(work())
    return outcomes


def over_dmsg(dial: "Dial", limit: int) -> Get:
    """GETs of port 80, `limit` bytes each at most."""
    from skywire.http.cached import check_status
    from skywire.http.client import get
    from skywire.wire.dmsg_url import parse_url

    async def ask(pk: str, path: str) -> bytes:
        async with asyncio.timeout(TIME_LIMIT):
            status, body = await get(dial, parse_url(f"dmsg://{pk}:80{path}"), limit=limit)
        check_status(status, body)
        return body

    return ask


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[,;\s]+", text) if word]


@click.command(epilog="Example: skywire cli log --survey -d log_collecting -s @collector.key")
@click.option("-l", "--log", "logs", is_flag=True, help="Transport logs only.")
@click.option("-v", "--survey", is_flag=True, help="Surveys only.")
@click.option("-f", "--file", default="", metavar="NAME", help="This file only, of all versions.")
@click.option("-k", "--pks", default="", metavar="PK;PK", help="These visors only.")
@click.option(
    "-d",
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("log_collecting"),
    show_default=True,
    help="Where a folder for each visor is.",
)
@click.option("-c", "--clean", is_flag=True, help="Leave out visors whose health is not to be had.")
@click.option(
    "--minv", default=MIN_VERSION, show_default=True, metavar="V", help="The oldest version."
)
@click.option(
    "--include-versions", default="", metavar="V,V", help="Versions that are taken in any case."
)
@click.option(
    "-n",
    "--duration",
    type=click.IntRange(0, MAX_DAYS),
    default=0,
    show_default=True,
    metavar="DAYS",
    help="Transport logs of so many days before today, too.",
)
@click.option("--all", "every", is_flag=True, help="Visors of every version.")
@click.option(
    "--batchSize",
    "batch",
    type=click.IntRange(1, 500),
    default=50,
    show_default=True,
    help="How many visors at a time.",
)
@click.option(
    "--maxfilesize",
    type=click.IntRange(1, 65536),
    default=1024,
    show_default=True,
    metavar="KB",
    help="Larger files are left out.",
)
@click.option("-D", "--dmsg-disc", default="", metavar="URL", help="Another dmsg discovery.")
@click.option("-u", "--ut", default="", metavar="URL", help="Another source of the visors.")
@click.option(
    "-s",
    "--sk",
    "secret",
    metavar="KEY",
    envvar="DMSGCURL_SK",
    help="Our secret key, or @FILE with one: visors show surveys to listed keys only. Others see "
    "arguments: better set DMSGCURL_SK. Default: a new key.",
)
@output.json_option(shape=list[Outcome])
@fetch_options
def collect(
    logs: bool,
    survey: bool,
    file: str,
    pks: str,
    folder: Path,
    clean: bool,
    minv: str,
    include_versions: str,
    duration: int,
    every: bool,
    batch: int,
    maxfilesize: int,
    dmsg_disc: str,
    ut: str,
    secret: str | None,
    as_json: bool,
    fetcher: Fetcher,
) -> None:
    """Fetch health, survey and transport logs of all visors that are online, over dmsg.

    What cannot be had is told and leaves no file. The exit code is 1 when nothing came at all.
    """
    from skywire.cli.dmsg_options import parse_secret

    if logs and survey:
        raise InvalidValue("--log and --survey exclude each other; without either both are fetched")
    if file and not _FILE.fullmatch(file):
        raise InvalidValue(f'--file "{file[:60]}": expected the name of a file')
    own = parse_secret(secret)
    keys = frozenset(documents.wanted_key(word) for word in _words(pks))
    today = dt.datetime.now(dt.UTC).date()
    days = tuple((today - dt.timedelta(days=back)).isoformat() for back in range(duration + 1))
    plan = Plan(folder, not logs, not survey, days, file, clean)
    choice = Choice(
        documents.wanted_version(minv),
        frozenset(_words(include_versions)),
        every or bool(file),
        keys,
    )
    services = fetcher.services
    base = ut or services.uptime_tracker or services.transport_discovery
    url = uptimes_url(service_url(base, "source of uptimes"), "v2", frozenset())
    found = fetcher.fetch(url, documents.uptimes)
    visors = choice.of(found.value)
    outcomes = run(_collect(dmsg_disc, own, visors, plan, batch, maxfilesize * 1024))
    outcomes.sort(key=lambda outcome: outcome.pk)
    rows = [(one.pk, one.version, " ".join(one.files), one.error) for one in outcomes]
    table = output.Table(("pk", "version", "files", "error"), rows)
    show(found, outcomes, as_json=as_json, text=table)
    if visors and not any(one.files for one in outcomes):
        raise Unavailable(f"none of {len(visors)} visors gave a file: {outcomes[0].error}")


async def _collect(
    discovery: str,
    secret: "SecKey",
    visors: list[Uptime],
    plan: Plan,
    batch: int,
    limit: int,
) -> list[Outcome]:
    from skywire.cli.dmsg_options import CONNECT_WAIT, client_of, default_discovery

    if not visors:
        return []
    where = discovery or default_discovery()
    async with client_of(secret, where, ALL_SERVERS) as (client, _):
        try:
            async with progress(lambda: "connecting to the dmsg network …"):
                async with asyncio.timeout(CONNECT_WAIT):
                    await client.connected()
        except TimeoutError as error:
            raise Unavailable(f"no dmsg server answered within {CONNECT_WAIT:.0f} s") from error
        return await collect_all(visors, plan, over_dmsg(client.dial, limit), batch=batch)
