"""`GET /api/openapi.json`: every route, what it takes and gives, as OpenAPI 3.1. Ours.

Made of what the program itself uses: the registered routes, the operations with their help and
types, the structs that bodies are read into. So it cannot say anything else than the program does.
"""

import re
from dataclasses import fields, is_dataclass
from inspect import cleandoc
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec
from aiohttp import web

from skywire import __version__
from skywire.crypto.keys import PubKey
from skywire.hypervisor.answers import answer
from skywire.hypervisor.context import CONTEXT
from skywire.hypervisor.csrf import HEADER
from skywire.hypervisor.forms import ANY, JSON, Form, form, form_of
from skywire.hypervisor.guard import READING, WITHOUT_TOKEN, is_public
from skywire.hypervisor.sessions import COOKIE
from skywire.visor.types import LogEntry
from skywire.wire.gob_types import GoTime

Schema = dict[str, Any]
REF = "#/components/schemas/"
KEY_SCHEMA: Schema = {"type": "string", "pattern": "^[0-9a-f]{66}$"}
PARAMETERS = {
    "pk": ("public key of a visor, hexadecimal", KEY_SCHEMA),
    "tid": ("id of a transport", {"type": "string", "format": "uuid"}),
    "rid": ("id of a routing rule", {"type": "integer", "minimum": 0, "maximum": 0xFFFFFFFF}),
    "app": ("name of an app", {"type": "string"}),
}
PLAIN: dict[Any, Schema] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bytes: {"type": "string"},
    Any: {},
    NoneType: {"type": "null"},
    PubKey: KEY_SCHEMA,
    UUID: {"type": "string", "format": "uuid"},
    GoTime: {"type": "string", "format": "date-time"},
    LogEntry: {
        "type": "object",
        "properties": {"recv": {"type": "integer"}, "sent": {"type": "integer"}},
        "required": ["recv", "sent"],
    },
}
routes = web.RouteTableDef()


@routes.get("/api/openapi.json")
@form(answer=dict[str, Any])
async def openapi(request: web.Request) -> web.StreamResponse:
    """This document."""
    context = request.app[CONTEXT]
    return answer(request, document(request.app, auth=context.config.enable_auth))


def document(app: web.Application, *, auth: bool) -> dict[str, Any]:
    """Of the routes of `app`; `auth`: whether it asks for a login."""
    schemas = _Schemas()
    paths: dict[str, dict[str, Any]] = {}
    for route in app.router.routes():
        resource = route.resource
        path = "" if resource is None else resource.canonical
        if path.startswith("/api/") and route.method not in ("HEAD", "OPTIONS", "*"):
            operation = _operation(route, path, schemas, auth=auth)
            paths.setdefault(path, {})[route.method.lower()] = operation
    error = {"type": "object", "properties": {"error": PLAIN[str]}, "required": ["error"]}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Skywire hypervisor",
            "version": __version__,
            "description": "The visors of a hypervisor. An error is an object with its text.",
        },
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(schemas.found.items())) | {"Error": error},
            "securitySchemes": {"session": {"type": "apiKey", "in": "cookie", "name": COOKIE}},
        },
    }


def _operation(
    route: web.AbstractRoute, path: str, schemas: "_Schemas", *, auth: bool
) -> dict[str, Any]:
    found = form_of(route.handler)
    told = cleandoc(found.help or route.handler.__doc__ or "")
    summary, _, more = told.partition("\n\n")
    words = re.findall(r"[A-Za-z0-9]+", path.removeprefix("/api/"))
    result: dict[str, Any] = {
        "operationId": "_".join([route.method.lower(), *words]),
        "summary": " ".join(summary.split()),
        "tags": [_tag(path)],
        "parameters": _parameters(route, path, found),
        "responses": _responses(found, schemas),
    }
    if more:
        result["description"] = more
    if found.body is not None:
        content = {JSON: {"schema": schemas.of_body(found.body)}}
        result["requestBody"] = {"required": True, "content": content}
    if auth and not is_public(route.handler):
        result["security"] = [{"session": []}]
    return result


def _tag(path: str) -> str:
    """visors/{pk}/transports/{tid} → transports"""
    words = [word for word in path.removeprefix("/api/").split("/") if word and "{" not in word]
    return words[1] if words[0] == "visors" and len(words) > 1 else words[0]


def _parameters(route: web.AbstractRoute, path: str, found: Form) -> list[dict[str, Any]]:
    parameters = []
    for name in re.findall(r"{(\w+)}", path):
        help, schema = PARAMETERS.get(name, (name, PLAIN[str]))
        parameters.append(
            {"name": name, "in": "path", "required": True, "description": help, "schema": schema}
        )
    for name, help in found.query.items():
        parameters.append({"name": name, "in": "query", "description": help, "schema": PLAIN[str]})
    if route.method not in READING and path not in WITHOUT_TOKEN:
        parameters.append(
            {
                "name": HEADER,
                "in": "header",
                "description": "token of /api/csrf, good for 30 s; unless they are switched off",
                "schema": PLAIN[str],
            }
        )
    return parameters


def _responses(found: Form, schemas: "_Schemas") -> dict[str, Any]:
    schema: Schema = {} if found.answer is ANY else schemas.of(found.answer)
    if found.answer is None:
        schema = {"type": "object", "maxProperties": 0}
    error = {"description": "Why not.", "content": {JSON: {"schema": {"$ref": f"{REF}Error"}}}}
    return {
        "200": {"description": "Done.", "content": {found.media: {"schema": schema}}},
        "default": error,
    }


class _Schemas:
    """Makes JSON schemas of type hints; those of classes once, by name."""

    def __init__(self) -> None:
        self.found: dict[str, Schema] = {}

    def of_body(self, kind: Any) -> Schema:
        (schema,), components = msgspec.json.schema_components([kind], ref_template=REF + "{name}")
        self.found |= components
        return schema

    def of(self, hint: Any) -> Schema:
        """As `visor.types.to_json` writes a value with this hint."""
        origin, arguments = get_origin(hint), get_args(hint)
        if origin is Annotated:
            return self.of(arguments[0])
        if hint in PLAIN:
            return PLAIN[hint]
        if origin in (Union, UnionType):
            return {"anyOf": [self.of(part) for part in arguments]}
        if origin is Literal:
            return {"enum": list(arguments)}
        if origin in (list, tuple):
            return {"type": "array", "items": self.of(arguments[0])}
        if origin is dict:
            return {"type": "object", "additionalProperties": self.of(arguments[1])}
        if is_dataclass(hint) and isinstance(hint, type):
            return self._of_class(hint)
        return self.of_body(hint)

    def _of_class(self, cls: type) -> Schema:
        name = cls.__name__
        if name not in self.found:
            self.found[name] = {}  # ends the recursion of a class that holds itself
            self.found[name] = self._object(cls)
        return {"$ref": f"{REF}{name}"}

    def _object(self, cls: type) -> Schema:
        omitted: frozenset[str] = getattr(cls, "OMIT_EMPTY", frozenset())
        hidden: frozenset[str] = getattr(cls, "NOT_JSON", frozenset())
        flatten: str = getattr(cls, "FLATTEN", "")
        hints = get_type_hints(cls, include_extras=True)
        properties: dict[str, Schema] = {}
        required: list[str] = []
        for one in fields(cls):
            if one.name == flatten:
                inner = self._object(get_args(hints[one.name])[0])
                properties |= inner["properties"]
                required += inner.get("required", [])
            elif one.name not in hidden:
                name = one.name.removesuffix("_")
                properties[name] = self.of(hints[one.name])
                if one.name not in omitted:
                    required.append(name)
        schema: Schema = {"type": "object", "properties": properties, "required": required}
        if cls.__doc__ and not cls.__doc__.startswith(f"{cls.__name__}("):
            schema["description"] = cleandoc(cls.__doc__)
        return schema
