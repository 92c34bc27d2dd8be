"""What the hypervisor itself keeps about visors, over HTTP: removal, labels, history. Ours.

    DELETE /api/visors/{pk}                  forget a visor that is offline → true
    GET    /api/visors/{pk}/history?hours=   24 hours in steps of 5 minutes:
        {"start": Unix time, "step": 300, "polls": [10, …], "load": [0.5, null, …], "mem": […],
         "disk": […], "received": [bytes, …], "sent": […]}
    GET    /api/history?pk=02…&pk=03…&hours=   the same of several, by key: {"02…": {…}}
    GET    /api/labels                       [{"id", "kind", "label"}], by kind and id
    PUT    /api/labels/{id}                  {"kind", "label"} → the label; "" deletes it
    DELETE /api/labels/{id}                  → true

An `id` is what the label is for: a public key (of kind "visor" or "dmsg_server") or the id of a
transport. `polls` 0 and null: nothing was heard of the visor then.
"""

import re
from collections.abc import Sequence
from time import time
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue
from skywire.hypervisor.answers import answer, read_body
from skywire.hypervisor.audit import change
from skywire.hypervisor.call import visor_key
from skywire.hypervisor.context import CONTEXT
from skywire.hypervisor.forms import form
from skywire.hypervisor.history import columns
from skywire.stores.fleet import STEP, Label

MAX_KEYS = 100  # of one request for histories; more would not fit into its first line
MAX_HOURS = 24

_ID = re.compile(r"[0-9a-f]{66}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
HOURS = {"hours": "of the past, 24 at most and without it"}

routes = web.RouteTableDef()


@routes.delete("/api/visors/{pk}")
@change("remove visor")
async def remove(request: web.Request) -> web.StreamResponse:
    """Forget a visor; 409 while it is connected."""
    await request.app[CONTEXT].visors.remove(visor_key(request))
    return answer(request, True)


@routes.get("/api/visors/{pk}/history")
@form(query=HOURS)
async def history(request: web.Request) -> web.StreamResponse:
    """Load, memory, disk and traffic of a visor over the last hours."""
    visors, pk = request.app[CONTEXT].visors, visor_key(request)
    await visors.check_known(pk)
    return answer(request, (await _histories(request, [pk]))[str(pk)])


@routes.get("/api/history")
@form(query={"pk": "public key; several times for several"} | HOURS)
async def histories(request: web.Request) -> web.StreamResponse:
    """The same of several visors, by key."""
    keys = [PubKey.parse(text) for text in request.query.getall("pk", [])]
    if len(keys) > MAX_KEYS:
        raise InvalidValue(f"{len(keys)} keys, at most {MAX_KEYS} are answered at once")
    return answer(request, await _histories(request, list(dict.fromkeys(keys))))


async def _histories(request: web.Request, keys: Sequence[PubKey]) -> dict[str, Any]:
    last = int(time() // STEP)
    first = last - _hours(request) * 3600 // STEP + 1
    samples = await request.app[CONTEXT].visors.keeper.samples(keys, first)
    return {
        str(key): columns([one for one in samples if one.pk == key], first, last) for key in keys
    }


def _hours(request: web.Request) -> int:
    text = request.query.get("hours", str(MAX_HOURS))
    if not re.fullmatch(r"[0-9]{1,2}", text) or not 1 <= int(text) <= MAX_HOURS:
        raise InvalidValue(f'hours is "{text[:20]}", expected 1 to {MAX_HOURS}')
    return int(text)


class LabelIn(msgspec.Struct, forbid_unknown_fields=True):
    label: Annotated[str, Meta(max_length=64)]
    kind: Literal["visor", "dmsg_server", "transport"] = "visor"


@routes.get("/api/labels")
async def labels(request: web.Request) -> web.StreamResponse:
    """The labels of visors, dmsg servers and transports."""
    found = request.app[CONTEXT].visors.keeper.labels()
    return answer(request, [one._asdict() for one in found])


@routes.put("/api/labels/{id}")
@change("set label")
@form(body=LabelIn)
async def set_label(request: web.Request) -> web.StreamResponse:
    """Name a visor, a dmsg server or a transport; an empty name takes it away."""
    id, body = _label_id(request), await read_body(request, LabelIn)
    label = Label(id, body.kind, " ".join(body.label.split()))
    await request.app[CONTEXT].visors.keeper.set_label(label)
    return answer(request, label._asdict())


@routes.delete("/api/labels/{id}")
@change("delete label")
async def delete_label(request: web.Request) -> web.StreamResponse:
    """Take a label away; true also when there was none."""
    await request.app[CONTEXT].visors.keeper.set_label(Label(_label_id(request), "", ""))
    return answer(request, True)


def _label_id(request: web.Request) -> str:
    id = request.match_info["id"].lower()
    if not _ID.fullmatch(id):
        raise InvalidValue(f'label of "{id[:80]}": expected a public key or the id of a transport')
    return id
