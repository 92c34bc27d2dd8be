"""The config file of a dmsg server, with the reference's keys. Source: dmsg.md §11."""

import json
from pathlib import Path

import msgspec

from skywire.config.load import parse_struct, write_private
from skywire.config.values import Duration, HostPort
from skywire.crypto import generate
from skywire.crypto.keys import PubKey, SecKey
from skywire.errors import Conflict, InvalidValue

PRODUCTION_DISCOVERY = "http://dmsgd.skywire.skycoin.com"
TEST_DISCOVERY = "http://dmsgd.skywire.dev"
DEFAULT_ADDRESS = ":8081"
DEFAULT_HEALTH = ":8082"
MAX_FILE = 1024 * 1024  # bytes


class DmsgServerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """`public_address` is what clients are told, `local_address` where we listen ("" = the same).

    `max_sessions` is what is advertised. `update_interval`: between posts of the unchanged entry.
    """

    public_key: PubKey
    secret_key: SecKey
    discovery: str
    public_address: str
    local_address: HostPort = HostPort("")
    health_endpoint_address: HostPort = HostPort("")
    log_level: str = "info"
    update_interval: Duration = Duration(60.0)
    max_sessions: int = 2048
    proxied: bool = False  # ours: a PROXY header precedes each connection


def load(text: bytes, source: str) -> DmsgServerConfig:
    """Raises InvalidValue naming the key, its value and what was expected."""
    config = parse_struct(text, source, DmsgServerConfig)
    if config.secret_key.public() != config.public_key:
        raise InvalidValue(
            f'{source}: public_key "{config.public_key}" does not belong to secret_key, whose key '
            f'is "{config.secret_key.public()}"'
        )
    if config.max_sessions < 1:
        raise InvalidValue(f"{source}: max_sessions {config.max_sessions}: expected at least 1")
    return config


def read(path: Path) -> DmsgServerConfig:
    """Raises InvalidValue, also when the file is not there or not readable."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE + 1)
    except OSError as error:
        raise InvalidValue(f"config file {path}: {error.strerror}") from error
    return load(text, str(path))


def generate_file(
    path: Path,
    *,
    discovery: str,
    public_address: str = "",
    local_address: str = DEFAULT_ADDRESS,
    health_address: str = DEFAULT_HEALTH,
) -> DmsgServerConfig:
    """Write a config with a new key pair, mode 0600. Raises Conflict when `path` exists."""
    if path.exists():
        raise Conflict(f"{path} exists, and may hold a key in use; name another file with -o")
    public, secret = generate.key_pair()
    config = DmsgServerConfig(
        public_key=public,
        secret_key=secret,
        discovery=discovery,
        public_address=public_address or f"127.0.0.1{DEFAULT_ADDRESS}",
        local_address=HostPort(local_address),
        health_endpoint_address=HostPort(health_address),
    )
    values = {
        field: value.hex() if isinstance(value, bytes) else value
        for field, value in msgspec.structs.asdict(config).items()
    }
    values["update_interval"] = str(config.update_interval)
    write_private(path, json.dumps(values, indent="\t").encode())
    return config
