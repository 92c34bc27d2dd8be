"""Days in UTC."""

from datetime import UTC, datetime, timedelta


def day_of(moment: float, *, less: int = 0) -> str:
    """YYYY-MM-DD of a Unix time in seconds, `less` days earlier."""
    return (datetime.fromtimestamp(moment, UTC).date() - timedelta(days=less)).isoformat()
