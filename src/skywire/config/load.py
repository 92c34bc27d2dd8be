"""Reads and rewrites the config file. Source: config.md §1.

A rewrite changes the values that were changed and nothing else: unknown keys and their order stay.
"""

import json
import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from skywire.config.deployment import deployment
from skywire.config.model import PRODUCTION_DISCOVERY, VisorConfig
from skywire.crypto import generate
from skywire.crypto.keys import PubKey, SecKey
from skywire.errors import InvalidValue, SkywireError, Unavailable

MAX_SIZE = 4 * 1024 * 1024  # bytes
_PTY_KEYS = ("pty", "dmsgpty")  # 2026, 2024
_NULL_MEANS_OFF = {"pty", "hypervisor", "skywire-tcp"}
_SECRET = re.compile(r"(^|\.)(sk|hash_key|block_key|secret_key|passcode)$")
_AT = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?$", re.DOTALL)


_Struct = TypeVar("_Struct", bound=msgspec.Struct)


class ConfigFile:
    """A visor's configuration and where it came from.

    `path` is None for a text from standard input or an argument: then `update` keeps changes in
    memory only. `new_key` tells that the source had no `sk` and one was generated.
    """

    def __init__(self, text: bytes | str, source: str, path: Path | None = None) -> None:
        """Raises InvalidValue naming `source`, the key, its value and what was expected."""
        self.path = path
        self._document = _parse_json(text, source)
        try:
            self.config, self.new_key = _read(self._document)
        except SkywireError as error:
            raise InvalidValue(f"{source}: {error}") from error

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "ConfigFile":
        """Raises InvalidValue; a file that is not there or not readable is one too."""
        file = Path(path)
        try:
            with file.open("rb") as opened:
                text = opened.read(MAX_SIZE + 1)
        except FileNotFoundError:
            raise InvalidValue(f"config file not found: {file}; name it with -c FILE") from None
        except OSError as error:
            raise InvalidValue(f"config file {file} is not readable: {error.strerror}") from error
        return cls(text, str(file), file)

    def update(self, config: VisorConfig) -> None:
        """Make `config` the current one and write what differs. Raises Unavailable."""
        changed = _merge(self._document, self._written(self.config), self._written(config))
        if self.new_key:
            changed |= {"sk": config.sk.hex(), "pk": config.pk.hex()}
        if self.path is not None:
            text = json.dumps(changed, indent="\t", ensure_ascii=False)
            # half a surrogate pair, which JSON can escape, is escaped again
            write_private(self.path, text.encode(errors="backslashreplace"))
            self.new_key = False
        self._document, self.config = changed, config

    def _written(self, config: VisorConfig) -> dict[str, Any]:
        values: dict[str, Any] = msgspec.to_builtins(config, enc_hook=_to_text)
        values[_pty_key(self._document)] = values.pop("pty")
        return values


def parse_struct(text: bytes | str, source: str, kind: type[_Struct]) -> _Struct:
    """A whole JSON document as `kind`. Raises InvalidValue naming `source`, the key, its value."""
    document = _parse_json(text, source)
    try:
        return msgspec.convert(_without_null(document), kind, dec_hook=_from_text)
    except msgspec.ValidationError as error:
        raise InvalidValue(f"{source}: {_explain(str(error), document, '')}") from error


def write_private(path: Path, data: bytes) -> None:
    """Replace the file at once or not at all; only its owner may read it. Raises Unavailable."""
    target = path.resolve()
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)  # 0600
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    except OSError as error:
        if temporary:
            with suppress(OSError):
                Path(temporary).unlink()
        raise Unavailable(f"cannot write {target}: {error.strerror}; nothing changed") from error


def _parse_json(text: bytes | str, source: str) -> dict[str, Any]:
    if len(text) > MAX_SIZE:
        raise InvalidValue(f"{source}: larger than {MAX_SIZE} bytes; this is no config file")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"{source}: not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidValue(f"{source}: expected a JSON object, found {type(document).__name__}")
    return document


def _pty_key(document: dict[str, Any]) -> str:
    return _PTY_KEYS[0] if _PTY_KEYS[0] in document else _PTY_KEYS[1]


def _read(document: dict[str, Any]) -> tuple[VisorConfig, bool]:
    """The configuration, and whether its key is a new one."""
    pty_key = _pty_key(document)
    values = {key: value for key, value in document.items() if key not in _PTY_KEYS}
    if pty_key in document:
        values["pty"] = document[pty_key]
    values = {
        key: _without_null(value)
        for key, value in values.items()
        if value is not None or key in _NULL_MEANS_OFF
    }
    new_key = not values.get("sk")
    secret = generate.key_pair()[1] if new_key else _secret_key(values["sk"])
    values["sk"] = secret.hex()
    if new_key or not values.get("pk"):
        values["pk"] = secret.public().hex()
    _add_deployment(values)
    try:
        config = msgspec.convert(values, VisorConfig, dec_hook=_from_text)
    except msgspec.ValidationError as error:
        raise InvalidValue(_explain(str(error), values, pty_key)) from error
    if config.pk != secret.public():
        raise InvalidValue(
            f'pk: "{config.pk}" does not belong to sk, whose key is "{secret.public()}"; '
            "correct or remove pk"
        )
    for key in config.skywire_tcp.pk_table if config.skywire_tcp else ():
        try:
            PubKey.parse(key)
        except InvalidValue as error:
            raise InvalidValue(f'skywire-tcp.pk_table: "{key[:100]}": {error}') from error
    if config.hypervisor is not None and not config.hypervisor.enable:
        config = msgspec.structs.replace(config, hypervisor=None)
    return config, new_key


def _add_deployment(values: dict[str, Any]) -> None:
    """What the file leaves out of a visor of the public deployment: that deployment's services.

    Ours differs on purpose: Go adds them to every file, so a visor of a private deployment whose
    file misses one would tell it to the public ones.
    """
    dmsg = values.get("dmsg", {})
    named = dmsg.get("discovery", PRODUCTION_DISCOVERY) if isinstance(dmsg, dict) else ""
    if named != PRODUCTION_DISCOVERY:
        return
    known = deployment()
    sections: dict[str, dict[str, Any]] = {
        "transport": {
            "discovery": known.transport_discovery,
            "address_resolver": known.address_resolver,
        },
        "routing": {
            "route_setup_nodes": list(known.route_setup_nodes),
            "route_finder": known.route_finder,
        },
        "launcher": {"service_discovery": known.service_discovery},
    }
    for section, defaults in sections.items():
        given = values.get(section, {})
        if isinstance(given, dict):  # else it is refused soon
            values[section] = {**defaults, **given}
    values.setdefault("stun_servers", list(known.stun_servers))


def _secret_key(value: object) -> SecKey:
    if not isinstance(value, str):
        raise InvalidValue("config has invalid secret key: sk: expected a text")
    try:
        return SecKey.parse(value)
    except InvalidValue as error:
        raise InvalidValue(f"config has invalid secret key: sk: {error}") from error


def _without_null(value: Any) -> Any:
    """In Go a JSON null leaves a field at its default."""
    if isinstance(value, dict):
        return {key: _without_null(part) for key, part in value.items() if part is not None}
    return value


class _FromText(Protocol):
    @classmethod
    def parse(cls, value: Any) -> Any: ...


def _from_text(kind: type[_FromText], value: Any) -> Any:
    try:
        return kind.parse(value)
    except InvalidValue as error:
        raise ValueError(str(error)) from error
    except (TypeError, AttributeError):
        raise ValueError("expected a text") from None


def _to_text(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _explain(error: str, values: dict[str, Any], pty_key: str) -> str:
    """msgspec's text as `path: value is not accepted: expectation`; secrets are not shown."""
    match = _AT.match(error)
    path = (match["path"] if match else "") or ""
    what = match["what"] if match else error
    value: Any = values
    for step in re.findall(r"[^.\[\]]+", path):
        try:
            value = value[int(step)] if isinstance(value, list) else value[step]
        except (LookupError, ValueError, TypeError):
            break
    shown = "(hidden)" if _SECRET.search(path) else json.dumps(value, default=str)[:100]
    name = re.sub(r"^pty\b", pty_key, path)
    expectation = what.replace("`", "")
    return f"{name}: {shown} is not accepted: {expectation[:1].lower()}{expectation[1:]}"


def _merge(document: Any, old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """`document` with the values of `new` that differ from `old`."""
    merged = dict(document) if isinstance(document, dict) else {}
    for key, value in new.items():
        before = old.get(key)
        if value == before:
            continue
        if isinstance(value, dict):
            nested = before if isinstance(before, dict) else {}
            merged[key] = _merge(merged.get(key), nested, value)
        else:
            merged[key] = value
    return merged
