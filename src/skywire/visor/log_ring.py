"""The last log entries of this process, for whoever looks at the visor from afar.

Source: visor.md §2 (runtime logs): JSON objects as Go's logger writes them, numbered from 1.
"""

import json
import logging
from collections import deque
from datetime import UTC, datetime

MAX_ENTRIES = 300
MAX_TEXT = 4096  # characters of one message; a longer one is cut

_LEVELS = {logging.WARNING: "warning", logging.CRITICAL: "fatal"}  # else Python's name


class RuntimeLog(logging.Handler):
    """Add it to the root logger: `attach`, then `detach`."""

    def __init__(self) -> None:
        super().__init__()
        self._entries: deque[str] = deque(maxlen=MAX_ENTRIES)
        self._count = 0

    def attach(self) -> None:
        logging.getLogger().addHandler(self)

    def detach(self) -> None:
        logging.getLogger().removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except (TypeError, ValueError):  # a bug in the call; the handler of stderr tells of it
            text = str(record.msg)
        if record.exc_info and record.exc_info[1] is not None:
            text += f" error={record.exc_info[1]!r}"
        self._count += 1
        when = datetime.fromtimestamp(record.created, UTC)
        entry = {
            "_module": record.name.removeprefix("skywire."),
            "level": _LEVELS.get(record.levelno, record.levelname.lower()),
            "log_line": self._count,
            "msg": text[:MAX_TEXT],
            "time": when.isoformat().replace("+00:00", "Z"),
        }
        self._entries.append(json.dumps(entry))

    def entries(self, after: int = 0) -> list[str]:
        """JSON objects, the oldest first; only those numbered above `after`."""
        first = self._count - len(self._entries) + 1
        return list(self._entries)[max(0, after + 1 - first) :]

    def text(self) -> str:
        """All of them, as the JSON array that the hypervisor's API answers (hypervisor.md §4.3)."""
        entries = "\n,".join(self._entries)
        return f"[{entries}]"
