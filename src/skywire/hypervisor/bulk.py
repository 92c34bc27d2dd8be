"""One action on many visors. Ours.

    GET  /api/bulk                  the actions

    [{"action": "start-app", "help": "Start an app.", "arguments": {JSON schema}}]

    POST /api/bulk                  {"action": "start-app", "visors": ["02ab…"],
                                     "args": {"app": "skychat"}, "preview": false}

    {"action": "start-app", "preview": false, "done": 1, "failed": 0, "results": [
      {"pk": "02ab…", "ok": true, "status": 200, "error": "", "result": null,
       "duration_ms": 12.5, "command": "skywire cli --via dmsg://02ab… visor app start skychat"}]}

With `"preview": true` nothing is done; `done` counts the visors with which it would be tried:

    {"action": …, "preview": true, "done": 1, "failed": 0, "results": [
      {"pk": "02ab…", "ok": true, "status": 200, "error": "", "now": "stopped", "then": "running",
       "changes": true, "age": 3.2, "command": "skywire cli …"}]}

`now` is from the visor's last summary, `age` seconds old, and null when that does not tell. A
visor that is unknown, offline or without the app has `ok` false and the reason in `error`.

With `Accept: application/x-ndjson` each result is a line of its own as soon as it is there, and the
last line is the object above without `results`. Each visor has a deadline of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Annotated, Any, TypeVar

import msgspec
from aiohttp import web
from msgspec import Meta

from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue, NotFound, SkywireError, Unavailable
from skywire.hypervisor import audit
from skywire.hypervisor.answers import MALFORMED, answer, lasting, read_body
from skywire.hypervisor.bulk_actions import ACTIONS, Action, command
from skywire.hypervisor.call import ask
from skywire.hypervisor.context import CONTEXT
from skywire.hypervisor.forms import form

MAX_VISORS = 1024
AT_ONCE = 64  # visors that are worked on at the same time
LINES = "application/x-ndjson"
WRITE_LIMIT = 10.0  # seconds a reader may take for a line

_Answer = TypeVar("_Answer")
routes = web.RouteTableDef()


class Bulk(msgspec.Struct, forbid_unknown_fields=True):
    action: str
    visors: Annotated[list[str], Meta(max_length=MAX_VISORS)]
    args: dict[str, Any] = {}
    preview: bool = False


@routes.get("/api/bulk")
async def actions(request: web.Request) -> web.StreamResponse:
    """What can be done to many visors, with the arguments it takes."""
    return answer(
        request,
        [
            {
                "action": name,
                "help": action.help,
                "arguments": msgspec.json.schema(action.arguments),
            }
            for name, action in ACTIONS.items()
        ],
    )


@routes.post("/api/bulk")
@lasting
@audit.change("bulk")
@form(body=Bulk)
async def bulk(request: web.Request) -> web.StreamResponse:
    """Do it, or tell what it would do; see above."""
    body = await read_body(request, Bulk)
    action = ACTIONS.get(body.action)
    if action is None:
        raise InvalidValue(f"action '{body.action[:60]}': expected one of {', '.join(ACTIONS)}")
    try:
        arguments = msgspec.convert(body.args, action.arguments)
        action.then(arguments)
    except (msgspec.ValidationError, InvalidValue) as error:
        raise InvalidValue(f"args of '{body.action}': {error}") from error
    keys = list(dict.fromkeys(map(_key, body.visors)))
    request[audit.WRITTEN] = True
    work = _Work(request, body.action, action, arguments, preview=body.preview)
    if LINES in request.headers.get("Accept", ""):
        return await _stream(request, work, keys)
    found: dict[str, dict[str, Any]] = {}

    async def keep(result: dict[str, Any]) -> None:
        found[result["pk"]] = result

    await work.run(keys, keep)
    return answer(request, work.outcome() | {"results": [found[str(pk)] for pk in keys]})


def _key(text: str) -> PubKey:
    try:
        return PubKey.parse(text)
    except InvalidValue as error:
        raise InvalidValue(MALFORMED) from error


async def _stream(request: web.Request, work: "_Work", keys: list[PubKey]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": LINES, "X-Accel-Buffering": "no"})
    await response.prepare(request)

    async def write(line: dict[str, Any]) -> None:
        async with asyncio.timeout(WRITE_LIMIT):
            await response.write(msgspec.json.encode(line) + b"\n")

    await work.run(keys, write)
    await write(work.outcome())
    await response.write_eof()
    return response


class _Work:
    """One request: its results, and how many there are of each kind."""

    def __init__(
        self, request: web.Request, name: str, action: Action, arguments: Any, *, preview: bool
    ) -> None:
        self._request = request
        self._visors = request.app[CONTEXT].visors
        self._name = name
        self._action = action
        self._arguments = arguments
        self._preview = preview
        self._done = self._failed = 0

    def outcome(self) -> dict[str, Any]:
        return {
            "action": self._name,
            "preview": self._preview,
            "done": self._done,
            "failed": self._failed,
        }

    async def run(
        self, keys: list[PubKey], tell: Callable[[dict[str, Any]], Awaitable[None]]
    ) -> None:
        """`tell` each result as it comes; an exception there stops what has not ended.

        Our own visor comes last: its end is the end of this.
        """
        own = self._request.app[CONTEXT].own
        await self._run([pk for pk in keys if pk != own], tell)
        await self._run([pk for pk in keys if pk == own], tell)

    async def _run(
        self, keys: list[PubKey], tell: Callable[[dict[str, Any]], Awaitable[None]]
    ) -> None:
        ready: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        turn = asyncio.Semaphore(AT_ONCE)

        async def one(pk: PubKey) -> None:
            async with turn:
                ready.put_nowait(await (self._foresee(pk) if self._preview else self._act(pk)))

        async with asyncio.TaskGroup() as tasks:
            for pk in keys:
                tasks.create_task(one(pk), name=f"{self._name} {pk}")
            for _ in keys:
                result = await ready.get()
                if result["ok"]:
                    self._done += 1
                else:
                    self._failed += 1
                await tell(result)

    async def _act(self, pk: PubKey) -> dict[str, Any]:
        begin, status, error, value = monotonic(), 200, "", None
        limit = self._action.limit

        async def call(function: Callable[..., Awaitable[_Answer]], *arguments: Any) -> _Answer:
            return await ask(self._visors, pk, function, *arguments, limit=limit)

        try:
            value = await self._action.run(call, self._arguments)
        except SkywireError as failure:
            status, error = failure.http_status, str(failure)
        except TimeoutError as failure:
            status, error = 504, str(failure)
        seconds = monotonic() - begin
        details = msgspec.to_builtins(self._arguments)
        audit.record(self._request, self._name, str(pk), details, status, error, seconds)
        return self._result(pk, status, error) | {
            "result": value,
            "duration_ms": round(seconds * 1000, 1),
        }

    async def _foresee(self, pk: PubKey) -> dict[str, Any]:
        status, error, now, age = 200, "", None, None
        then = self._action.then(self._arguments)
        try:
            async with asyncio.timeout(self._action.limit):
                await self._visors.reach(pk)
            row = self._visors.row(pk) or {}
            age = row.get("summary_age")
            if row and not row["online"]:
                raise Unavailable("the visor does not answer at present")
            now = self._action.now(row, self._arguments) if age is not None else None
            if now is None and age is not None:
                raise NotFound(f"can not find app of name {self._arguments.app} from visor {pk}")
        except SkywireError as failure:
            status, error = failure.http_status, str(failure)
        except TimeoutError:
            status, error = 504, "no answer in time"
        return self._result(pk, status, error) | {
            "now": now,
            "then": then,
            "changes": None if now is None else now != then,
            "age": age,
        }

    def _result(self, pk: PubKey, status: int, error: str) -> dict[str, Any]:
        return {
            "pk": str(pk),
            "ok": not error,
            "status": status,
            "error": error,
            "command": command(self._action, self._arguments, pk),
        }
