"""Values with a text form of their own in config files: durations and listening addresses.

Source: config.md §1 (durations are Go texts such as "168h0m0s", or nanoseconds), §2 (addresses).
"""

import ipaddress
import re
from typing import Self

from skywire.errors import InvalidValue

_UNITS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}  # both signs for micro are in use
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_MAX_TEXT = 64
_MAX_SECONDS = (2**63 - 1) / 1e9  # Go counts nanoseconds in 64 bits


class Duration(float):
    """Seconds; in a file a Go text ("10s", "1h30m") or a number of nanoseconds."""

    __slots__ = ()

    @classmethod
    def parse(cls, value: object) -> Self:
        """Raises InvalidValue for anything but a Go duration text or an integer."""
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
            return cls(value / 1e9)
        if isinstance(value, str) and len(value) <= _MAX_TEXT:
            sign, text = (-1, value[1:]) if value.startswith("-") else (1, value.removeprefix("+"))
            if text == "0":
                return cls(0)
            seconds, end = 0.0, 0
            while match := _PART.match(text, end):
                seconds += float(match[1]) * _UNITS[match[2]]
                end = match.end()
            if text and end == len(text) and seconds <= _MAX_SECONDS:
                return cls(sign * seconds)
        raise InvalidValue('expected a duration such as "10s" or "1h30m", or nanoseconds')

    def __str__(self) -> str:
        """As Go writes it: "168h0m0s", "1.5s", "250ms"."""
        ns = round(abs(self) * 1e9)
        sign = "-" if self < 0 and ns else ""
        if ns == 0:
            return "0s"
        for unit, size in (("ns", 1), ("µs", 1000), ("ms", 10**6)):
            if ns < size * 1000:
                return f"{sign}{_decimal(ns, size)}{unit}"
        minutes, rest = divmod(ns, 60 * 10**9)
        hours, minutes = divmod(minutes, 60)
        text = f"{_decimal(rest, 10**9)}s"
        if hours:
            return f"{sign}{hours}h{minutes}m{text}"
        return f"{sign}{minutes}m{text}" if minutes else f"{sign}{text}"


class Nanoseconds(Duration):
    """Seconds; written as a number of nanoseconds, where Go reads no text."""

    __slots__ = ()


def _decimal(count: int, size: int) -> str:
    whole, part = divmod(count, size)
    digits = f"{part:0{len(str(size)) - 1}}".rstrip("0") if part else ""
    return f"{whole}.{digits}" if digits else str(whole)


class Hidden(str):
    """A text that is shown nowhere but in the file itself."""

    __slots__ = ()

    @classmethod
    def parse(cls, value: object) -> Self:
        """Raises InvalidValue unless `value` is a text."""
        if isinstance(value, str):
            return cls(value)
        raise InvalidValue("expected a text")

    def __repr__(self) -> str:
        return "(hidden)" if self else "(empty)"


class HostPort(str):
    """A TCP address to listen on: "localhost:3435", ":8000", "[::1]:80"; "" means off."""

    __slots__ = ()

    @classmethod
    def parse(cls, value: object) -> Self:
        """Raises InvalidValue unless `value` is "" or host:port with a port of 0-65535."""
        if isinstance(value, str):
            host, colon, port = value.rpartition(":")
            bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
            numeric = port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 0xFFFF
            bracketed = bare != host or ":" not in host
            if not value or (colon and numeric and bracketed and is_host(bare)):
                return cls(value)
        raise InvalidValue('expected "host:port" or ":port", or "" for off')

    @property
    def host(self) -> str:
        """Without brackets; "" means every address of this machine."""
        return self.rpartition(":")[0].removeprefix("[").removesuffix("]")

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    @property
    def port(self) -> int:
        """0 picks a free one."""
        return int(self.rpartition(":")[2] or 0)


def is_host(text: str) -> bool:
    """Whether `text` can be asked for at all: a name with an empty or endless part cannot."""
    try:
        text.encode("idna")
    except UnicodeError:
        return False
    return text.isprintable() and " " not in text


def is_loopback(host: str) -> bool:
    """Whether a host, by name or address, is this machine and reached from nowhere else."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
