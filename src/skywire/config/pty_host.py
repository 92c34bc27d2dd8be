"""The config file of a terminal host without a visor, with the reference's keys.

Source: pty.md §3.3.
"""

import json
from pathlib import Path

import msgspec

from skywire.config.deployment import base_deployment
from skywire.config.load import parse_struct, write_private
from skywire.crypto import generate
from skywire.crypto.keys import PubKey, SecKey
from skywire.errors import Conflict, InvalidValue
from skywire.ports import DMSG_PTY

SOCKET = "/tmp/dmsgpty.sock"  # noqa: S108 - the reference's; access is by file permission
MAX_FILE = 1024 * 1024  # bytes


class PtyHostConfig(msgspec.Struct, frozen=True, kw_only=True):
    """`wl` are the keys that may have a shell, besides our own."""

    dmsgdisc: str
    dmsgsessions: int = 1
    dmsgport: int = DMSG_PTY
    clinet: str = "unix"
    cliaddr: str = SOCKET
    sk: SecKey
    pk: PubKey
    wl: list[PubKey] = []


def new() -> PtyHostConfig:
    """With a new key pair, at the deployment."""
    public, secret = generate.key_pair()
    known = base_deployment()
    discovery = known.dmsg_discovery or known.dmsg_discovery_dmsg
    return PtyHostConfig(dmsgdisc=discovery, sk=secret, pk=public)


def parse(text: bytes, source: str) -> PtyHostConfig:
    """Raises InvalidValue naming the key, its value and what was expected."""
    config = parse_struct(text, source, PtyHostConfig)
    if config.sk.public() != config.pk:
        raise InvalidValue(f'{source}: pk "{config.pk}" does not belong to sk')
    if not 1 <= config.dmsgport <= 0xFFFF:
        raise InvalidValue(f"{source}: dmsgport {config.dmsgport}: expected 1-65535")
    return config


def read(path: Path) -> PtyHostConfig:
    """The file is made, with a new key pair, when it is not there. Raises InvalidValue."""
    if not path.exists():
        return write(path)
    try:
        with path.open("rb") as file:
            return parse(file.read(MAX_FILE + 1), str(path))
    except OSError as error:
        raise InvalidValue(f"config file {path}: {error.strerror}") from error


def write(path: Path, *, replace: bool = False) -> PtyHostConfig:
    """Write a new config, mode 0600. Raises Conflict when `path` exists, Unavailable."""
    if path.exists() and not replace:
        raise Conflict(f"{path} exists, and may hold a key in use; --unsafe replaces it")
    config = new()
    values = {
        field: value.hex() if isinstance(value, bytes) else value
        for field, value in msgspec.structs.asdict(config).items()
    }
    write_private(path, json.dumps(values, indent="  ").encode() + b"\n")
    return config
