"""Who changed what, when, from where, and how it ended, over HTTP. Ours.

    GET /api/audit?since=&before=&visor=&user=&action=&failed=&limit=     the newest first

    [{"id": 17, "time": "2026-11-24T17:50:00.25Z", "user": "admin", "from": "127.0.0.1",
      "action": "set min hops", "visor": "02ab…" or null, "details": {"min_hops": 3},
      "status": 200, "ok": true, "error": "", "duration_ms": 12.5}]

`user` is "" for somebody who was not logged in. `since` is RFC 3339; `before` is an id: for the
next page, the last one of this page. `limit` is 100 unless said otherwise, 1000 at most.

    GET /api/audit/export?format=csv|json&…       the same entries, all that match, as a file

A handler that changes something has an action, `@change("log in")`. Secrets are not written down.
"""

import asyncio
import csv
import io
from collections.abc import Callable, Sequence
from time import monotonic, time
from typing import Any

import msgspec
from aiohttp import web

from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue, SkywireError
from skywire.http.app import Handler
from skywire.hypervisor.answers import BODY, answer, flag, lasting
from skywire.hypervisor.audit_log import MAX_TEXT, details_text, to_json
from skywire.hypervisor.context import CONTEXT
from skywire.hypervisor.forms import form
from skywire.hypervisor.guard import READING, SESSION
from skywire.stores.audit import MAX_FOUND, Entry, Wanted
from skywire.visor.times import go_time

FIRST_PAGE = 100
WRITE_LIMIT = 10.0  # seconds a reader may take for a page of an export
MAX_ID = 2**63 - 1
TOO_MANY = 429
GONE = 499  # the client did not wait for the answer
COLUMNS = (
    *("id", "time", "user", "from", "action", "visor", "details"),
    *("status", "ok", "error", "duration_ms"),
)
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would calculate such a cell

ACTOR = web.RequestKey("ACTOR", str)  # who proved to be that by this very request
WRITTEN = web.RequestKey("WRITTEN", bool)  # the handler writes entries itself

FILTERS = {
    "since": "RFC 3339; entries since then",
    "before": "id; entries with lower ones: the next page",
    "visor": "public key",
    "user": "name of an account",
    "action": "as in the entries",
    "failed": "true: only what failed; false: only what did not",
}

routes = web.RouteTableDef()
_actions: dict[Handler, str] = {}  # filled while the route modules are imported


def change(action: str) -> Callable[[Handler], Handler]:
    """Decorator: this handler changes something, which the log calls `action`."""

    def name(handler: Handler) -> Handler:
        _actions[handler] = action
        return handler

    return name


def action_of(handler: Handler) -> str:
    """ "" for one that only reads."""
    return _actions.get(handler, "")


@web.middleware
async def write_down(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Inside the guards: what they refuse has changed nothing."""
    match = request.match_info
    action = "" if request.method in READING else action_of(match.handler)
    if not action:
        return await handler(request)
    begin, status, error = monotonic(), GONE, ""
    try:
        response = await handler(request)
        status = response.status
    except SkywireError as failure:
        status, error = failure.http_status, str(failure)
        raise
    except TimeoutError as failure:
        status, error = 504, str(failure)
        raise
    except web.HTTPException as failure:
        status, error = failure.status, failure.reason
        raise
    except Exception:
        status, error = 500, "internal error"
        raise
    finally:
        if status != TOO_MANY and WRITTEN not in request:  # who tries often shall not fill the log
            path = {key: value for key, value in match.items() if key != "pk"}
            body = request.get(BODY)
            details = path | (body if isinstance(body, dict) else {"list": body} if body else {})
            visor = match.get("pk", "")
            record(request, action, visor, details, status, error, monotonic() - begin)
    return response


def record(
    request: web.Request,
    action: str,
    visor: str = "",
    details: dict[str, Any] | None = None,
    status: int = 200,
    error: str = "",
    seconds: float = 0.0,
) -> None:
    """One entry, of whoever sent `request`."""
    context, session = request.app[CONTEXT], request.get(SESSION)
    user = request.get(ACTOR, "") if session is None else session.user
    context.audit.record(
        Entry(
            id=0,
            time=time(),
            user=user,
            origin=request.remote or "",
            action=action,
            visor=visor[:66],
            details=details_text(details or {}),
            status=status,
            error=error[:MAX_TEXT],
            seconds=seconds,
            inside=bool(user) or not context.config.enable_auth,
        )
    )


@routes.get("/api/audit")
@form(query=FILTERS | {"limit": "at most so many, 100 without it"})
async def audit(request: web.Request) -> web.StreamResponse:
    """The newest entries that match; see above."""
    found = await request.app[CONTEXT].audit.find(_wanted(request))
    return answer(request, [to_json(entry) for entry in found])


@routes.get("/api/audit/export")
@lasting
@form(query=FILTERS | {"format": "csv or json"}, media="text/csv")
async def export(request: web.Request) -> web.StreamResponse:
    """All that match, as a file: lines of CSV, or a JSON list."""
    kind = request.query.get("format", "csv")
    if kind not in ("csv", "json"):
        raise InvalidValue(f"format '{kind[:20]}': expected csv or json")
    wants_csv = kind == "csv"
    wanted = _wanted(request)._replace(limit=MAX_FOUND)
    page = await request.app[CONTEXT].audit.find(wanted)  # fails before the answer has begun
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/csv; charset=utf-8" if wants_csv else "application/json",
            "Content-Disposition": f'attachment; filename="skywire-audit.{kind}"',
        }
    )
    await response.prepare(request)
    await response.write(_csv([COLUMNS]) if wants_csv else b"[")
    before = b""
    while page:
        rows = [to_json(entry) for entry in page]
        if wants_csv:
            data = before + _csv([_cells(row) for row in rows])
        else:
            data = before + b",\n".join(map(msgspec.json.encode, rows))
        async with asyncio.timeout(WRITE_LIMIT):
            await response.write(data)
        before = b"" if wants_csv else b",\n"
        page = await request.app[CONTEXT].audit.find(wanted._replace(before=page[-1].id))
    if not wants_csv:
        await response.write(b"]\n")
    await response.write_eof()
    return response


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _cells(row: dict[str, Any]) -> list[str]:
    cells = []
    for column in COLUMNS:
        value = row[column]
        cell = bytes(value).decode() if isinstance(value, msgspec.Raw) else str(value or "")
        if isinstance(value, bool | int | float):
            cell = str(value).lower()
        cells.append(f"'{cell}" if cell.startswith(FORMULA) else cell)
    return cells


def _wanted(request: web.Request) -> Wanted:
    """Raises InvalidValue."""
    query = request.query
    since = None
    if query.get("since"):  # a bare + arrives as a space
        moment = go_time(query["since"].replace(" ", "+"))
        since = moment.seconds + moment.nanoseconds / 1e9
    return Wanted(
        since=since,
        before=_number(request, "before", None, MAX_ID),
        visor=str(PubKey.parse(query["visor"])) if query.get("visor") else "",
        user=query.get("user", ""),
        action=query.get("action", ""),
        failed=flag(request, "failed") if query.get("failed") else None,
        limit=_number(request, "limit", FIRST_PAGE, MAX_FOUND) or FIRST_PAGE,
    )


def _number(request: web.Request, key: str, default: int | None, most: int) -> int | None:
    text = request.query.get(key, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and 1 <= int(text) <= most):
        raise InvalidValue(f"invalid '{key}' query value of '{text[:80]}': expected 1 to {most}")
    return int(text)
