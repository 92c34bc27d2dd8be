"""Times that people write, as Go keeps them."""

import re
from datetime import datetime

from skywire.errors import InvalidValue
from skywire.wire.gob_types import GoTime

_MOMENT = re.compile(r"(\S+[T ]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?", re.ASCII)


def go_time(text: str) -> GoTime:
    """From RFC 3339, with up to nine digits behind the point; no zone is UTC.

    Raises InvalidValue.
    """
    found = _MOMENT.fullmatch(text.strip())
    try:
        if found is None:
            raise ValueError
        whole = datetime.fromisoformat(f"{found[1]}{found[3] or 'Z'}")
        return GoTime(int(whole.timestamp()), int((found[2] or "").ljust(9, "0")))
    except (ValueError, OverflowError):
        raise InvalidValue(
            f'time "{text[:60]}": expected one such as 2026-06-12T08:00:00.5Z'
        ) from None
