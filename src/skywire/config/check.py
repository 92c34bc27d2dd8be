"""What a person should know about a config that can be used as it is. Source: config.md §1, §2.

`load` refuses what is wrong; this finds what is probably not meant: keys that nobody reads, a file
others can read, addresses that everybody can reach.
"""

import stat
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec
from msgspec import structs

from skywire.config.load import ConfigFile
from skywire.config.model import VisorConfig

SECRETS = frozenset({"sk", "hash_key", "block_key", "secret_key"})
_HIDDEN = "(hidden)"
_NEAR = 0.6  # likeness of two words, of 1
_TERMINAL = {"dmsgpty": "pty"}  # the section's older name
_AFTER_SECRET = "--passcode"  # noqa: S105 - an option of apps; its value is the secret


def warnings(file: ConfigFile) -> list[str]:
    """Each begins with the key it is about, or the file."""
    found = [
        f"{path}: no key of this program; it stays in the file and is not used{_meant(path, known)}"
        for path, known in _unknown(file.document, VisorConfig, "")
    ]
    config = file.config
    if file.new_key:
        found.append("sk: none in the file; the visor makes a key at its start and writes it")
    if "pty" in file.document and "dmsgpty" in file.document:
        found.append('dmsgpty: not used, since the section "pty" is there, too')
    if config.cli_addr and not config.cli_addr.is_loopback:
        found.append(
            f"cli_addr: {config.cli_addr} is reached from other machines, and asks for no password"
        )
    names = [app.name for app in config.launcher.apps]
    found += [
        f"launcher.apps: {len(names)} apps, of which {names.count(name)} are named {name}"
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]
    hypervisor = config.hypervisor
    if hypervisor and not hypervisor.enable_auth and not hypervisor.http_addr.is_loopback:
        found.append(
            f"hypervisor.enable_auth: false, and {hypervisor.http_addr} is reached from other "
            "machines"
        )
    if file.path is not None and _is_open(file.path):
        found.append(f"{file.path}: others can read the secret key in it; chmod 600 {file.path}")
    return found


def without_secrets(value: Any) -> Any:
    """A document that may be shown: secret values are replaced, passcodes of apps as well."""
    if isinstance(value, dict):
        return {
            key: _HIDDEN if key in SECRETS and inner else without_secrets(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [
            _HIDDEN if before == _AFTER_SECRET else _argument(without_secrets(each))
            for before, each in zip([None, *value], value, strict=False)
        ]
    return value


def _argument(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(f"{_AFTER_SECRET}="):
        return f"{_AFTER_SECRET}={_HIDDEN}"
    return value


def _is_open(path: Path) -> bool:
    try:
        return bool(stat.S_IMODE(path.stat().st_mode) & (stat.S_IRGRP | stat.S_IROTH))
    except OSError:
        return False


def _unknown(
    values: Any, section: type[msgspec.Struct], path: str
) -> Iterator[tuple[str, list[str]]]:
    """Keys without a field, and the names of those that have one there."""
    if not isinstance(values, dict):
        return
    fields = {field.encode_name: field.type for field in structs.fields(section)}
    for key, value in values.items():
        name = key if path else _TERMINAL.get(key, key)
        kind = fields.get(str(name))
        if kind is None:
            yield f"{path}{key[:100]}", list(fields)
            continue
        inner, listed = _section(kind)
        if inner is None:
            continue
        if listed and isinstance(value, list):
            for index, each in enumerate(value):
                yield from _unknown(each, inner, f"{path}{key}[{index}].")
        elif not listed:
            yield from _unknown(value, inner, f"{path}{key}.")


def _section(kind: Any) -> tuple[type[msgspec.Struct] | None, bool]:
    """The Struct of a field's type, and whether it is a list of them."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind, False
    parts = [_section(part) for part in get_args(kind)]
    found = next((inner for inner, _ in parts if inner is not None), None)
    return found, get_origin(kind) is list or any(listed for _, listed in parts)


def _meant(path: str, known: list[str]) -> str:
    near = get_close_matches(path.rpartition(".")[2], known, n=1, cutoff=_NEAR)
    return f'; did you mean "{near[0]}"?' if near else ""
