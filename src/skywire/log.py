"""Logging set-up: one line per event, `time level logger event key=value …`, on stderr.

    2026-06-12T08:15:30.123Z INFO  dmsg.server session up remote=02ab… ms=4

The code writes `log.info("event key=%s", value)`; this module decides where it goes. A line never
breaks: a line feed in a value (a peer's error text, say) is shown as `\\n`, so nobody can forge a
second line. Tracebacks follow their line, indented by four spaces.
"""

import logging
import os
import sys
import time
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path

from skywire.errors import InvalidValue

LEVELS = {
    "trace": logging.DEBUG,  # Go's names; we have no level below debug
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
    "panic": logging.CRITICAL,
}
ROTATE_SIZE = 1_000_000  # bytes of a stored log; then a new one begins and the old is kept once …
KEEP_TIME = 24 * 3600.0  # … for so many seconds
_COLORS = {"DEBUG": "2", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}  # ANSI, of the level
# controls of one byte and of two, and what breaks or turns a line in a viewer that knows Unicode
_UNPRINTED = (*range(32), *range(127, 160), 0x2028, 0x2029, *range(0x202A, 0x202F))
_ESCAPES = {code: repr(chr(code))[1:-1] for code in (*_UNPRINTED, *range(0x2066, 0x206A))}


class _OneLine(logging.Formatter):
    def __init__(self, tag: str = "", *, color: bool = False) -> None:
        super().__init__()
        self._prefix = f"{tag}." if tag else ""
        self._color = color

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        name = self._prefix + record.name.removeprefix("skywire.")
        text = record.getMessage().translate(_ESCAPES)
        level = f"{record.levelname:<7}"
        if self._color and record.levelname in _COLORS:
            level = f"\x1b[{_COLORS[record.levelname]}m{level}\x1b[0m"
        line = f"{stamp}.{int(record.msecs):03d}Z {level} {name} {text}"
        if record.exc_info:
            trace = self.formatException(record.exc_info)
            line += "".join(f"\n    {part}" for part in trace.splitlines())
        return line


class _Stored(RotatingFileHandler):
    """A log file that is not missed: what cannot be written, as on a full disk, is told once."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=ROTATE_SIZE, backupCount=1, encoding="utf-8")
        self._told = False
        backup = path.with_name(f"{path.name}.1")
        with suppress(OSError):
            if time.time() - backup.stat().st_mtime > KEEP_TIME:
                backup.unlink()

    def _open(self):  # type: ignore[no-untyped-def]  # as the base class has it
        return open(self.baseFilename, "a", encoding="utf-8", opener=_private)

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not self._told and isinstance(error, OSError):
            self._told = True
            with suppress(OSError, ValueError):
                sys.stderr.write(f"log file {self.baseFilename} not written: {error.strerror}\n")

    def close(self) -> None:
        with suppress(OSError):  # what could not be written before cannot be now
            super().close()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def setup(
    level: str = "info",
    file: Path | None = None,
    *,
    store: Path | None = None,
    tag: str = "",
    color: bool | None = None,
) -> None:
    """Log to stderr, or append to `file` (created with mode 0600); a second call starts anew.

    `level` is one of Go's names, from trace to panic; `store` is a file that gets the same lines
    and is rotated; `tag` stands before each logger's name; `color` None is for a terminal that
    has not been asked to do without (NO_COLOR). Raises InvalidValue.
    """
    if level.lower() not in LEVELS:
        raise InvalidValue(f'invalid log level "{level}": expected one of {", ".join(LEVELS)}')
    handler: logging.Handler
    if file is None:
        handler = logging.StreamHandler(sys.stderr)
    else:
        try:
            file.touch(mode=0o600)
            handler = logging.FileHandler(file, encoding="utf-8")
        except OSError as error:
            raise InvalidValue(f"cannot write the log file {file}: {error.strerror}") from error
    if color is None:
        color = file is None and sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    handler.setFormatter(_OneLine(tag, color=color))
    handlers: list[logging.Handler] = [handler]
    if store is not None:
        handlers.append(_stored(store, tag))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    for new in handlers:
        root.addHandler(new)
    root.setLevel(LEVELS[level.lower()])
    for noisy in (
        "asyncio",
        "aiohttp.access",
    ):  # theirs tell of each request and each slow callback
        logging.getLogger(noisy).setLevel(max(logging.WARNING, LEVELS[level.lower()]))


def _stored(path: Path, tag: str) -> logging.Handler:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = _Stored(path)
    except OSError as error:
        raise InvalidValue(f"cannot write the log file {path}: {error.strerror}") from error
    handler.setFormatter(_OneLine(tag))
    return handler
