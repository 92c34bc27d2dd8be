"""The state directory of a demo: keys, configs, data, logs; and how `demo break` finds it.

A temporary directory goes when the demo ends; one that was named is kept, and the next demo in it
has the same keys and accounts. `demo.json` tells what runs; the locked file `lock`, that it does.
"""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import IO

import msgspec

from skywire.config.load import write_private
from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey, SecKey
from skywire.errors import Conflict, InvalidValue, NotFound, Unavailable

_INFO = "demo.json"
_LOCK = "lock"
_KEYS = "keys.json"


class PartInfo(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    what: str
    pid: int  # 0 while it is down
    address: str
    public_key: str  # "" where it has none
    rpc: str = ""  # address of a node's operations
    log: str


class DemoInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What `skywire demo --json` prints, and `demo break` reads."""

    url: str
    user: str
    password: str  # "" when the web page asks for one
    state_dir: str
    parts: list[PartInfo]

    def part(self, name: str) -> PartInfo:
        """Raises NotFound."""
        for part in self.parts:
            if part.name == name:
                return part
        names = ", ".join(part.name for part in self.parts)
        raise NotFound(f'the demo has no part "{name}"; it has {names}')


class StateDirectory:
    """Use as a context manager: it is locked inside, and a temporary one is deleted after."""

    def __init__(self, path: Path | None) -> None:
        self.temporary = path is None
        self._given = path
        self._lock: IO[bytes] | None = None

    def __enter__(self) -> "StateDirectory":
        """Raises Unavailable for a directory that cannot be used, Conflict when a demo uses it."""
        try:
            if self._given is None:
                self.path = Path(tempfile.mkdtemp(prefix=_temporary_prefix()))
            else:
                self.path = self._given.absolute()
                self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = (self.path / _LOCK).open("wb")
        except OSError as error:
            where = f" {error.filename}" if error.filename else ""
            raise Unavailable(f"cannot use the state directory{where}: {error.strerror}") from error
        if not _take(self._lock):
            self._lock.close()
            raise Conflict(f"a demo is running in {self.path}; end it, or name another directory")
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            self._lock.close()
        if self.temporary:
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            (self.path / _INFO).unlink(missing_ok=True)

    def directory(self, name: str) -> Path:
        """A directory below, for one part."""
        path = self.path / name
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    def keys(self, names: list[str]) -> dict[str, tuple[PubKey, SecKey]]:
        """A key pair for each name: those kept from an earlier demo, else new ones."""
        file = self.path / _KEYS
        kept: dict[str, str] = {}
        if file.exists():
            try:
                kept = msgspec.json.decode(file.read_bytes(), type=dict[str, str])
            except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
                raise InvalidValue(f"{file}: {error}; remove it to get new keys") from error
        secrets = {
            name: SecKey.parse(kept[name]) if name in kept else key_pair()[1] for name in names
        }
        written = kept | {name: secret.hex() for name, secret in secrets.items()}
        write_private(file, msgspec.json.encode(written))
        return {name: (secret.public(), secret) for name, secret in secrets.items()}

    def publish(self, info: DemoInfo) -> None:
        """Let `find_running` see what runs."""
        write_private(self.path / _INFO, msgspec.json.encode(info))


def find_running(path: Path | None) -> DemoInfo:
    """The demo running in `path`, or the only one with a temporary directory.

    Raises NotFound when none runs, Conflict when several do.
    """
    if path is not None:
        if not _is_running(path):
            raise NotFound(f'no demo is running in {path}; start one: "skywire demo"')
        candidates = [path]
    else:
        prefix = _temporary_prefix()
        base = Path(tempfile.gettempdir())
        candidates = [found for found in base.glob(f"{prefix}*") if _is_running(found)]
    if not candidates:
        raise NotFound('no demo is running here; start one: "skywire demo", or give --state-dir')
    if len(candidates) > 1:
        names = ", ".join(map(str, sorted(candidates)))
        raise Conflict(f"several demos are running: {names}; choose one with --state-dir")
    file = candidates[0] / _INFO
    try:
        return msgspec.json.decode(file.read_bytes(), type=DemoInfo)
    except FileNotFoundError:
        raise NotFound(f"the demo in {candidates[0]} is still starting; try again") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidValue(f"{file}: {error}") from error


def _temporary_prefix() -> str:
    return f"skywire-demo-{os.getuid()}-"


def _take(lock: IO[bytes]) -> bool:
    """Lock an open file until it is closed; False when another process has it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_running(path: Path) -> bool:
    try:
        with (path / _LOCK).open("rb") as lock:
            return not _take(lock)
    except OSError:
        return False
