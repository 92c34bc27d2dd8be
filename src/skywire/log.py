"""Logging set-up: one line per event, `time level logger event key=value …`, on stderr.

    2026-06-12T08:15:30.123Z INFO  dmsg.server session up remote=02ab… ms=4

The code writes `log.info("event key=%s", value)`; this module decides where it goes. A line never
breaks: a line feed in a value (a peer's error text, say) is shown as `\\n`, so nobody can forge a
second line. Tracebacks follow their line, indented by four spaces.
"""

import logging
import sys
import time
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
# controls of one byte and of two, and what breaks or turns a line in a viewer that knows Unicode
_UNPRINTED = (*range(32), *range(127, 160), 0x2028, 0x2029, *range(0x202A, 0x202F))
_ESCAPES = {code: repr(chr(code))[1:-1] for code in (*_UNPRINTED, *range(0x2066, 0x206A))}


class _OneLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        name = record.name.removeprefix("skywire.")
        text = record.getMessage().translate(_ESCAPES)
        line = f"{stamp}.{int(record.msecs):03d}Z {record.levelname:<7} {name} {text}"
        if record.exc_info:
            trace = self.formatException(record.exc_info)
            line += "".join(f"\n    {part}" for part in trace.splitlines())
        return line


def setup(level: str = "info", file: Path | None = None) -> None:
    """Log to stderr, or append to `file` (created with mode 0600); a second call starts anew.

    `level` is one of Go's names, from trace to panic. Raises InvalidValue.
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
    handler.setFormatter(_OneLine())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(LEVELS[level.lower()])
    for noisy in (
        "asyncio",
        "aiohttp.access",
    ):  # theirs tell of each request and each slow callback
        logging.getLogger(noisy).setLevel(max(logging.WARNING, LEVELS[level.lower()]))
