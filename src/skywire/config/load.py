"""Reads and rewrites the config file. Source: config.md §1.

A rewrite changes the values that were changed and nothing else (`document`).
"""

import json
import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from skywire.config.deployment import Deployment, base_deployment, of_discovery
from skywire.config.document import Layout, merge, plain
from skywire.config.model import HypervisorConfig, VisorConfig
from skywire.crypto import generate
from skywire.crypto.keys import PubKey, SecKey
from skywire.errors import InvalidValue, SkywireError, Unavailable

MAX_SIZE = 4 * 1024 * 1024  # bytes
_PTY_KEYS = ("pty", "dmsgpty")  # 2026, 2024
BACKUP = ".bak"  # after the name of the file
MAX_DEPTH = 64  # objects and lists in each other
_NULL_MEANS_OFF = {"pty", "hypervisor", "skywire-tcp", "uptime_tracker"}
_SECRET = re.compile(r"(^|\.)(sk|hash_key|block_key|secret_key|passcode|args(\[.*\])?)$")
_MAJOR = re.compile(r"v?([0-9]+)(?![0-9])")
_SAYS_NOTHING = {"version", "log_level"}  # files of other programs have these keys, too
KEYS = {field.encode_name for field in msgspec.structs.fields(VisorConfig)} | {"dmsgpty"}
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
        self._layout = Layout.of(text if isinstance(text, str) else text.decode(errors="replace"))
        try:
            _check_whose(self._document)
            self.config, self.new_key = _read(self._document)
        except SkywireError as error:
            raise InvalidValue(f"{source}: {error}") from error

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "ConfigFile":
        """Raises InvalidValue; a file that is not there or not readable is one too."""
        file = Path(path)
        try:
            text = _read_file(file)
        except FileNotFoundError:
            raise InvalidValue(f"config file not found: {file}; name it with -c FILE") from None
        except OSError as error:
            raise InvalidValue(f"config file {file} is not readable: {error.strerror}") from error
        try:
            return cls(text, str(file), file)
        except InvalidValue as error:
            kept = file.with_name(file.name + BACKUP)
            hint = f"; what was there before is in {kept}" if kept.exists() else ""
            raise InvalidValue(f"{error}{hint}") from error

    @property
    def document(self) -> dict[str, Any]:
        """The file as it was read or written last, unknown keys included."""
        return self._document

    def update(self, config: VisorConfig) -> None:
        """Make `config` the current one and write what differs; nothing, when nothing does.

        What a person changed in the file meanwhile stays. Raises Unavailable.
        """
        document = self._on_disk()
        changed = self._changed(document, config)
        if self.path is not None and changed != document:
            write_private(self.path, self._layout.write(changed))
            self.new_key = False
        self._document, self.config = changed, config

    def set_hypervisor(self, wanted: bool, new: HypervisorConfig) -> None:
        """As `update`, for the switch of that section; it is `new` if there is none yet."""
        document = self._on_disk()
        section = document.get("hypervisor")
        if isinstance(section, dict):
            section = {key: value for key, value in section.items() if key != "enable"}
            section |= {} if wanted else {"enable": False}
        elif wanted:
            section = plain(new)
        changed = document | ({} if section is None else {"hypervisor": section})
        read, _ = _read(changed)
        if self.path is not None and changed != document:
            write_private(self.path, self._layout.write(changed))
        self._document = changed
        self.config = msgspec.structs.replace(self.config, hypervisor=read.hypervisor)

    def rendered(self, config: VisorConfig) -> bytes:
        """The text of the file, were `config` written."""
        return self._layout.write(self._changed(self._document, config))

    def _changed(self, document: dict[str, Any], config: VisorConfig) -> dict[str, Any]:
        changed = merge(document, _written(document, self.config), _written(document, config))
        if self.new_key:
            changed |= {"sk": config.sk.hex(), "pk": config.pk.hex()}
        return changed

    def _on_disk(self) -> dict[str, Any]:
        """What the file says now; what it said, when it is gone or makes no sense now."""
        if self.path is None:
            return self._document
        try:
            now = _parse_json(_read_file(self.path), str(self.path))
            _check_whose(now)
        except (OSError, SkywireError):
            return self._document
        return now


def _written(document: dict[str, Any], config: VisorConfig) -> dict[str, Any]:
    """What `config` is in a file whose terminal section has the name it has in `document`."""
    pty_key = _pty_key(document)
    values = {pty_key if key == "pty" else key: value for key, value in plain(config).items()}
    section = document.get("hypervisor")
    if values["hypervisor"] is not None and isinstance(section, dict) and "enable" in section:
        values["hypervisor"].setdefault("enable", True)
    return values


def parse_struct(text: bytes | str, source: str, kind: type[_Struct]) -> _Struct:
    """A whole JSON document as `kind`. Raises InvalidValue naming `source`, the key, its value."""
    document = _parse_json(text, source)
    try:
        return msgspec.convert(_without_null(document), kind, dec_hook=_from_text)
    except msgspec.ValidationError as error:
        raise InvalidValue(f"{source}: {_explain(str(error), document, '')}") from error


def write_private(path: Path, data: bytes) -> None:
    """Replace the file at once or not at all; only its owner may read it. Raises Unavailable.

    Who owns the file goes on owning it, as far as we may give files away.
    """
    target = path.resolve()
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)  # 0600
        with os.fdopen(handle, "wb") as file:
            _keep_owner(handle, target)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    except OSError as error:
        if temporary:
            with suppress(OSError):
                Path(temporary).unlink()
        raise Unavailable(f"cannot write {target}: {error.strerror}; nothing changed") from error


def keep_backup(path: Path) -> Path | None:
    """Copy the file to the same name with BACKUP, mode 0600. None when there is no file.

    Raises Unavailable: then the file should not be changed.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unavailable(f"cannot read {path}: {error.strerror}; nothing changed") from error
    kept = path.with_name(path.name + BACKUP)
    write_private(kept, data)
    return kept


def _keep_owner(handle: int, target: Path) -> None:
    with suppress(OSError):
        owner = target.stat()
        if owner.st_uid != os.geteuid():
            os.fchown(handle, owner.st_uid, owner.st_gid)


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_SIZE + 1)


def _parse_json(text: bytes | str, source: str) -> dict[str, Any]:
    if len(text) > MAX_SIZE:
        raise InvalidValue(f"{source}: larger than {MAX_SIZE} bytes; this is no config file")
    if not text.strip():
        raise InvalidValue(f"{source}: empty; expected a JSON object, {{}} at least")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"{source}: not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidValue(f"{source}: expected a JSON object, found {type(document).__name__}")
    if _too_deep(document):
        raise InvalidValue(f"{source}: more than {MAX_DEPTH} objects and lists in each other")
    return document


def _too_deep(document: dict[str, Any]) -> bool:
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for value in level
            for inner in (value.values() if isinstance(value, dict) else value)
            if isinstance(inner, dict | list)
        ]
    return bool(level)


def _check_whose(document: dict[str, Any]) -> None:
    """Raises InvalidValue for a file of another program, so that it never gets our key."""
    known = document.keys() & KEYS
    if "secret_key" in document and "sk" not in document:
        raise InvalidValue(
            'no config of a visor: it has "secret_key", as those of dmsg servers and setup nodes'
        )
    if document.keys() - KEYS and not known - _SAYS_NOTHING:
        some = ", ".join(f'"{key[:40]}"' for key in list(document)[:5])
        raise InvalidValue(
            f'no config of a visor: expected keys such as "sk" or "dmsg", found {some}'
        )


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
    _check_version(config.version)
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


def _check_version(version: str) -> None:
    major = _MAJOR.match(version)
    if major and int(major[1]) > 1:
        raise InvalidValue(
            f'version: "{version[:40]}" is not accepted: config version is incompatible, '
            'expected v1 or "unknown"'
        )


def _add_deployment(values: dict[str, Any]) -> None:
    """What the file leaves out of a visor of a public deployment: that deployment's services.

    Ours differs on purpose: Go adds them to every file, so a visor of a private deployment whose
    file misses one would tell it to the public ones.
    """
    dmsg = values.setdefault("dmsg", {})
    if not isinstance(dmsg, dict):  # it is refused soon
        return
    known = base_deployment()
    named = dmsg.setdefault("discovery", known.dmsg_discovery)
    if named != known.dmsg_discovery:
        found = of_discovery(named)
        if found is None:
            return
        known = found
    for section, defaults in _defaults(known, on_dmsg=named.startswith("dmsg://")).items():
        given = values.get(section, {})
        if isinstance(given, dict):
            values[section] = {**defaults, **given}
    values.setdefault("stun_servers", list(known.stun_servers))


def _defaults(known: Deployment, *, on_dmsg: bool) -> dict[str, dict[str, Any]]:
    end = "_dmsg" if on_dmsg else ""
    return {
        "transport": {
            "discovery": getattr(known, f"transport_discovery{end}"),
            "address_resolver": getattr(known, f"address_resolver{end}"),
        },
        "routing": {
            "route_setup_nodes": list(known.route_setup_nodes),
            "route_finder": getattr(known, f"route_finder{end}"),
        },
        "uptime_tracker": {"addr": getattr(known, f"uptime_tracker{end}")},
        "launcher": {"service_discovery": getattr(known, f"service_discovery{end}")},
    }


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
    shown = "(hidden)" if _SECRET.search(path) else _shown(value)
    name = re.sub(r"^pty\b", pty_key, path)
    expectation = what.replace("`", "")
    return f"{name}: {shown} is not accepted: {expectation[:1].lower()}{expectation[1:]}"


def _shown(value: Any) -> str:
    """Never what is inside of a value: it may be a secret in a wrong place."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return json.dumps(value, default=str)[:100]
