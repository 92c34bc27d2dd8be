"""Config files of the two setup nodes, with the reference's keys. Source: services.md §9, §10."""

import sys
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from skywire.config.load import parse_struct
from skywire.config.model import DmsgConfig
from skywire.crypto.keys import PubKey, SecKey
from skywire.errors import InvalidValue

MAX_FILE = 1024 * 1024  # bytes
STDIN = Path("-")


class _Keys(msgspec.Struct, frozen=True, kw_only=True):
    public_key: PubKey
    secret_key: SecKey
    dmsg: DmsgConfig = DmsgConfig()


class RouteSetupConfig(_Keys, frozen=True, kw_only=True):
    """Of `skywire svc sn`. A `transport_discovery` is allowed and not asked."""

    transport_discovery: str = ""
    log_level: str = "info"


class TransportSetupConfig(_Keys, frozen=True, kw_only=True):
    """Of `skywire svc tps`."""

    port: Annotated[int, Meta(ge=0, le=0xFFFF)] = 8080
    log_level: str = "info"


Config = TypeVar("Config", RouteSetupConfig, TransportSetupConfig)


def read(path: Path, kind: type[Config]) -> Config:
    """`-` is standard input. Raises InvalidValue, also when the file is not readable."""
    if path == STDIN:
        return load(sys.stdin.buffer.read(MAX_FILE + 1), "standard input", kind)
    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE + 1)
    except OSError as error:
        raise InvalidValue(f"config file {path}: {error.strerror}") from error
    return load(text, str(path), kind)


def load(text: bytes, source: str, kind: type[Config]) -> Config:
    """Raises InvalidValue naming the key, its value and what was expected."""
    config = parse_struct(text, source, kind)
    if config.secret_key.public() != config.public_key:
        raise InvalidValue(
            f'{source}: public_key "{config.public_key}" does not belong to secret_key, whose key '
            f'is "{config.secret_key.public()}"'
        )
    return config
