"""Where this visor's rewards are paid: a file with one Skycoin address. Source: visor.md §3.2, §8.

Other programs may write the file, too (`skywire cli reward` without a visor): each look at it finds
out whether it has changed.
"""

from collections.abc import Callable
from pathlib import Path

from skywire.config.load import write_private
from skywire.crypto.address import parse_address
from skywire.errors import InvalidValue, Unavailable

NAME = "reward.txt"
MAX_SIZE = 1024  # bytes read of it
MODE = 0o644  # an address is no secret, and Go's programs of other users read it


def checked(address: str) -> str:
    """Without space around it. Raises InvalidValue with the address decoder's text."""
    address = address.strip()
    try:
        parse_address(address)
    except InvalidValue as error:
        raise InvalidValue(str(error).rpartition(": ")[2]) from error
    return address


class RewardAddress:
    """In `<local_path>/reward.txt`. `on_change` are called when the address was set or deleted."""

    def __init__(self, local_path: str) -> None:
        self.path = Path(local_path) / NAME
        self.on_change: list[Callable[[], None]] = []
        self._stamp: tuple[int, int] | None = None  # of the file at the last look
        self._address = ""

    def get(self) -> str:
        """What the file says, "" when it says nothing or is not there."""
        try:
            stat = self.path.stat()
            stamp = (stat.st_mtime_ns, stat.st_size)
            if stamp != self._stamp:
                with self.path.open("rb") as file:
                    self._address = file.read(MAX_SIZE).decode(errors="replace").strip()
                self._stamp = stamp
        except OSError:
            self._stamp, self._address = None, ""
        return self._address

    def set(self, address: str) -> None:
        """Raises InvalidValue with the address decoder's text, Unavailable."""
        self._write(checked(address) + "\n")

    def create(self) -> None:
        """An empty file, unless there is one. Raises Unavailable."""
        if not self.path.exists():
            self._write("")

    def delete(self) -> None:
        """It may be gone already. Raises Unavailable."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise Unavailable(f"cannot delete {self.path}: {error.strerror}") from error
        self._changed()

    def _write(self, text: str) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_private(self.path, text.encode())
            self.path.chmod(MODE)
        except OSError as error:
            raise Unavailable(f"cannot write {self.path}: {error.strerror}") from error
        self._changed()

    def _changed(self) -> None:
        self._stamp = None
        for call in self.on_change:
            call()
