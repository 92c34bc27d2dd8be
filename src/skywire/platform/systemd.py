"""Tells systemd how a service is: ready, alive, stopping. Source: sd_notify(3), systemd.service(5).

    systemd.notify("READY=1", "STATUS=4 modules run")
    interval = systemd.watchdog_interval()      # seconds, or None when nobody watches

Without systemd nothing happens. No library: it is one datagram to the socket named in the
environment.
"""

import logging
import os
import socket
import time

log = logging.getLogger(__name__)

SOCKET = "NOTIFY_SOCKET"  # a path, or "@" and an abstract name
WATCHDOG_TIME = "WATCHDOG_USEC"
WATCHDOG_PROCESS = "WATCHDOG_PID"
SEND_LIMIT = 1.0  # seconds; systemd reads at once, or it hangs

READY = "READY=1"
STOPPING = "STOPPING=1"
WATCHDOG = "WATCHDOG=1"


def notify(*lines: str) -> bool:
    """Send `lines`; whether somebody got them. Never raises: a service runs without systemd."""
    path = os.environ.get(SOCKET, "")
    if not path.startswith(("/", "@")) or len(path) < 2:
        return False
    address = "\0" + path[1:] if path.startswith("@") else path
    text = "\n".join(line.replace("\n", " ") for line in lines)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.settimeout(SEND_LIMIT)
            sender.sendto(text.encode(), address)
    except OSError as error:
        log.warning("systemd not told socket=%s error=%s", path, error.strerror or error)
        return False
    return True


def reloading() -> bool:
    """The config is read again; `READY` ends it."""
    return notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def watchdog_interval() -> float | None:
    """Seconds between two `WATCHDOG` messages, half of what systemd allows; None: none wanted."""
    wanted, process = os.environ.get(WATCHDOG_TIME, ""), os.environ.get(WATCHDOG_PROCESS, "")
    if process and process != str(os.getpid()):
        return None
    if not (wanted.isascii() and wanted.isdigit() and len(wanted) <= 18 and int(wanted)):
        return None
    return int(wanted) / 2e6
