"""Where a fetched body goes: standard output, memory, or a file that appears only when complete."""

import os
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from skywire.errors import Conflict, InvalidValue, RemoteProtocolError

MAX_IN_MEMORY = 16 * 1024 * 1024  # bytes of a body shown as JSON
MAX_ERROR_TEXT = 2048  # bytes of a refusal's body that are shown
FIRST_ERROR = 400  # HTTP status from which the body is not what was asked for


class Meter:
    """Counts the body; `describe` is its progress line."""

    def __init__(self, what: str) -> None:
        self._what = what
        self.total: int | None = None
        self.size = 0

    def begin(self, status: int, total: int | None) -> None:
        self.total = total
        self.size = 0

    def feed(self, data: bytes) -> None:
        self.size += len(data)

    def describe(self) -> str:
        from skywire.cli.progress import size

        of = f" of {size(self.total)}" if self.total else ""
        return f"{self._what}: {size(self.size)}{of}" if self.size else f"{self._what} …"


class ToStdout(Meter):
    """As it comes; what was printed cannot be taken back."""

    def begin(self, status: int, total: int | None) -> None:
        if self.size:
            raise Conflict(
                f"the connection broke after {self.size} bytes, which are printed already; "
                "with -o FILE it would be tried again"
            )
        super().begin(status, total)

    def feed(self, data: bytes) -> None:
        super().feed(data)
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


class ToMemory(Meter):
    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.data = bytearray()

    def begin(self, status: int, total: int | None) -> None:
        super().begin(status, total)
        self.data.clear()

    def feed(self, data: bytes) -> None:
        super().feed(data)
        self.data += data
        if len(self.data) > MAX_IN_MEMORY:
            raise Conflict(f"the answer is over {MAX_IN_MEMORY} bytes; write it to a file with -o")


class ToFile(Meter):
    """A context manager. The file appears, complete, with `commit`; without it nothing stays.

    The body of a refusal (`refusal`) is kept apart, up to MAX_ERROR_TEXT bytes.
    """

    def __init__(self, what: str, path: Path, *, replace: bool) -> None:
        """Raises Conflict for a file that exists and is not to be replaced, InvalidValue for a
        directory."""
        super().__init__(what)
        if path.is_dir():
            raise InvalidValue(f"{path} is a directory; name a file in it")
        if path.exists() and not replace:
            raise Conflict(f"{path} exists; replace it with -r, or name another file")
        self.path = path
        self.refusal = bytearray()
        self._replace = replace
        self._temporary: str | None = None
        self._file: IO[bytes] | None = None
        self._refused = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()
        if self._temporary is not None:
            os.unlink(self._temporary)

    def begin(self, status: int, total: int | None) -> None:
        super().begin(status, total)
        self._refused = status >= FIRST_ERROR
        self.refusal.clear()
        if self._file is None:
            handle, self._temporary = tempfile.mkstemp(
                prefix=f".{self.path.name}.", suffix=".part", dir=self.path.parent
            )
            self._file = os.fdopen(handle, "wb")
        self._file.seek(0)
        self._file.truncate()

    def feed(self, data: bytes) -> None:
        super().feed(data)
        if self._refused:
            self.refusal += data[: MAX_ERROR_TEXT - len(self.refusal)]
        elif self._file is not None:
            try:
                self._file.write(data)
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(self.path)) from error

    def commit(self) -> None:
        """Make the file appear. Raises Conflict when one appeared meanwhile."""
        if self._file is None or self._temporary is None:
            raise RemoteProtocolError("there was no answer to write")
        try:
            os.fchmod(self._file.fileno(), 0o666 & ~_umask())
            self._file.flush()
            os.fsync(self._file.fileno())
            if self._replace:
                os.replace(self._temporary, self.path)
                self._temporary = None
            else:
                os.link(self._temporary, self.path)  # fails if it exists
        except FileExistsError as error:
            raise Conflict(f"{self.path} was made by somebody else meanwhile") from error
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.path)) from error


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
