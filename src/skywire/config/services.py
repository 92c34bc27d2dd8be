"""Services of a deployment, as the Go programs' files tell them. Source: config.md §3, §4, 3088.

Three forms: the answer of a config service (one deployment), `services-config.json` and the
document of 2026 ("prod" and "test"), and `dmsghttp-config.json` (the same, of services on dmsg).
"""

from pathlib import Path
from typing import Any

import msgspec
from msgspec import structs

from skywire.config.deployment import MAX_FILE, SERVICES, Deployment, KnownServer
from skywire.errors import InvalidValue

FILE = "services-config.json"
ON_DMSG = "dmsg_servers"


class _OnDmsg(msgspec.Struct):
    """Of `dmsghttp-config.json`: each value is a dmsg:// address, under the plain name."""

    dmsg_servers: tuple[KnownServer, ...] | None = None
    dmsg_discovery: str = ""
    transport_discovery: str = ""
    address_resolver: str = ""
    route_finder: str = ""
    uptime_tracker: str = ""
    service_discovery: str = ""


def parse_services(text: bytes, source: str, name: str, base: Deployment) -> Deployment:
    """`base` with what the document says of the deployment `name`. Raises InvalidValue.

    A document with a dmsg discovery of its own is another deployment's: then nothing is of `base`,
    whose services would be told of visors that are none of theirs. (In Go they are.)
    """
    values = {key: value for key, value in _part(text, source, name).items() if value is not None}
    try:
        given = msgspec.convert(values, Deployment)
    except msgspec.ValidationError as error:
        raise InvalidValue(f"{source}: {error}") from error
    names = {field.name for field in structs.fields(Deployment)}
    known = values.keys() & names
    if not known:
        raise InvalidValue(
            f'{source}: no service of "{name}"; expected keys such as dmsg_discovery'
        )
    if base.dmsg_discovery and given.dmsg_discovery not in ("", base.dmsg_discovery):
        return given
    return structs.replace(base, **{key: getattr(given, key) for key in known})


def parse_dmsghttp(text: bytes, source: str, name: str, base: Deployment) -> Deployment:
    """`base` with the addresses on dmsg that the document tells. Raises InvalidValue."""
    try:
        given = msgspec.convert(_part(text, source, name), _OnDmsg)
    except msgspec.ValidationError as error:
        raise InvalidValue(f"{source}: {error}") from error
    found: dict[str, Any] = {
        f"{service}_dmsg": value for service in SERVICES if (value := getattr(given, service, ""))
    }
    if given.dmsg_servers:
        found[ON_DMSG] = given.dmsg_servers
    wrong = [key for key, value in found.items() if key != ON_DMSG and "dmsg://" not in value[:7]]
    if wrong or not found:
        raise InvalidValue(
            f'{source}: {wrong[0] if wrong else "nothing"} of "{name}" is on dmsg; expected '
            "addresses such as dmsg://<public key>:80"
        )
    return structs.replace(base, **found)


def read(path: Path) -> bytes:
    """Raises InvalidValue."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE + 1)
    except OSError as error:
        raise InvalidValue(f"{path}: {error.strerror}") from error
    if len(text) > MAX_FILE:
        raise InvalidValue(f"{path}: larger than {MAX_FILE} bytes")
    return text


def _part(text: bytes, source: str, name: str) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(text, type=dict[str, Any])
        found = document.get(name, {} if {"prod", "test"} & document.keys() else document)
        return msgspec.convert(found, dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidValue(f"{source}: no JSON of services: {error}") from error
