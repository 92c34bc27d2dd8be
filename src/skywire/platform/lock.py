"""One process at a time for a file, such as a config: a second one is refused, not confused.

    with locked(Path("skywire-config.json"), "visor"):
        …

The kernel drops the lock when the process ends, however it ends. It is on a file beside the other,
`.<name>.lock` with the owner's process id, since the other is replaced when it is written; where
nothing can be created, nothing can be replaced either, and the file itself is locked.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from skywire.errors import Conflict, Unavailable

_TRIES = 10  # against owners that remove the lock's file while we open it


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold the lock of `path` for a `what`. Raises Conflict naming the owner, Unavailable."""
    target = path.resolve()
    lock = target.with_name(f".{target.name}.lock")
    try:
        descriptor, made = _take(target, lock)
    except BlockingIOError:
        owner = f" (process {number})" if (number := _owner(lock)) else ""
        raise Conflict(
            f"{path} is in use by another {what}{owner}: stop that one first, "
            "or give this one a config of its own"
        ) from None
    except OSError as error:
        raise Unavailable(f"cannot lock {path}: {error.strerror}") from error
    try:
        if made:
            with suppress(OSError):  # a full disk: the lock holds without the number
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        if made:
            with suppress(OSError):
                lock.unlink()  # we still hold it, so it is nobody else's
        os.close(descriptor)


def owner_of(path: Path) -> int | None:
    """Which process has the lock of `path`, by its file; it may have been killed."""
    target = path.resolve()
    number = _owner(target.with_name(f".{target.name}.lock"))
    return int(number) if number else None


def _take(target: Path, lock: Path) -> tuple[int, bool]:
    """A locked descriptor, and whether it is that of the lock's own file.

    Raises BlockingIOError when somebody else has it, OSError.
    """
    for _ in range(_TRIES):
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor, made = os.open(lock, flags, 0o600), True
        except OSError:
            descriptor, made = os.open(target, os.O_RDONLY | os.O_CLOEXEC), False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not made or _is_same(descriptor, lock):
                return descriptor, made
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its owner has ended just now, and removed it
    raise BlockingIOError


def _is_same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _owner(lock: Path) -> str:
    """The process id in the lock's file; "" when there is none to be read."""
    try:
        with lock.open("rb") as file:
            text = file.read(16).decode(errors="replace").strip()
    except OSError:
        return ""
    return text if text.isdigit() else ""
