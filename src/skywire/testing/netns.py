"""Network namespaces for tests: hosts on a small internet, behind NATs, over bad links.

    with Internet() as internet:
        a = internet.host(nat=True)
        with a.inside():
            sock = socket.socket(…)        # belongs to `a` from now on
        a.lose(0.02)
        b = internet.host(delay=0.04)      # seconds, each way

Everything is in one process: a socket stays in the namespace in which it was made. Needs root, and
iproute2 and nftables; `missing()` says what is not there.

        a ── nat ──┐
                   ├── bridge of the internet, 198.51.100.1
        b ─────────┘
"""

import asyncio
import ctypes
import fcntl
import os
import shutil
import struct
import subprocess
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

NETWORK = "198.51.100"  # documentation addresses: they lead nowhere outside
CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TAP_NO_PI = 0x1002
MAX_FRAME = 65536
MAX_WAITING = 4096  # frames on a slow cable; more are lost
RUN_LIMIT = 10.0  # seconds for one command
NAT_RULES = """
table ip n {
    chain p { type nat hook postrouting priority 100; oif wan masquerade; }
}
table inet f {
    chain i { type filter hook input priority 0; policy drop; iif eth0 accept; }
}
"""  # home routers drop what nobody asked for
LOSS_RULES = """
table inet loss {{
    chain o {{ type filter hook output priority 0; numgen random mod 1000 < {permille} drop; }}
    chain f {{ type filter hook forward priority 0; numgen random mod 1000 < {permille} drop; }}
}}
"""


def missing() -> str:
    """Why there can be no namespaces here, or ""."""
    if os.geteuid() != 0:
        return "needs root, for network namespaces"
    absent = [name for name in ("ip", "nft") if shutil.which(name) is None]
    return f"needs {', '.join(absent)}" if absent else ""


def _run(*command: str) -> None:
    done = subprocess.run(  # noqa: S603 - our own words
        command, capture_output=True, text=True, timeout=RUN_LIMIT
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


@contextmanager
def _in_namespace(name: str) -> Iterator[None]:
    """This thread only, and nothing may be awaited meanwhile."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{name}", os.O_RDONLY)
    try:
        assert libc.setns(there, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        try:
            yield
        finally:
            assert libc.setns(home, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
    finally:
        os.close(there)
        os.close(home)


def _tap(name: str, device: str) -> int:
    """A network card in namespace `name`, whose cable is the descriptor that is returned."""
    with _in_namespace(name):
        end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH", device.encode(), IFF_TAP_NO_PI))
    return end


class _SlowCable:
    """Carries frames between two cards in `delay` seconds; the kernel's netem is not everywhere."""

    def __init__(self, one: int, other: int, delay: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._ends: tuple[int, ...] = (one, other)
        self._delay = delay
        for source, target in ((one, other), (other, one)):
            waiting: deque[bytes] = deque()
            self._loop.add_reader(source, self._take, source, target, waiting)

    def _take(self, source: int, target: int, waiting: deque[bytes]) -> None:
        try:
            while True:
                frame = os.read(source, MAX_FRAME)
                if len(waiting) < MAX_WAITING:
                    waiting.append(frame)
                    self._loop.call_later(self._delay, self._give, target, waiting)
        except BlockingIOError:
            pass
        except OSError:  # the card is off
            self._loop.remove_reader(source)

    def _give(self, target: int, waiting: deque[bytes]) -> None:
        frame = waiting.popleft()
        try:
            if self._ends:
                os.write(target, frame)
        except OSError:
            pass  # it is off, or its queue is full: lost

    def close(self) -> None:
        ends, self._ends = self._ends, ()
        for end in ends:
            self._loop.remove_reader(end)
            os.close(end)


class Host:
    """`ip` is its own address, `public` the one others see."""

    def __init__(self, name: str, ip: str, public: str) -> None:
        self.name = name
        self.ip = ip
        self.public = public

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Make sockets here; without awaiting anything."""
        with _in_namespace(self.name):
            yield

    def lose(self, share: float) -> None:
        """From now on what it sends is lost with this probability."""
        rules = LOSS_RULES.format(permille=round(1000 * share))
        _run("ip", "netns", "exec", self.name, "nft", rules)

    def cut(self) -> None:
        """Nothing leaves any more, and nobody is told."""
        _run("ip", "-n", self.name, "link", "set", "eth0", "down")


class Internet(Host):
    """The middle, itself a host at 198.51.100.1."""

    def __init__(self) -> None:
        self._prefix = f"sky{os.getpid()}"
        super().__init__(f"{self._prefix}-net", f"{NETWORK}.1", f"{NETWORK}.1")
        self._namespaces: list[str] = []
        self._cables: list[_SlowCable] = []
        self._count = 1

    def __enter__(self) -> Self:
        try:
            self._namespace(self.name)
            _run("ip", "-n", self.name, "link", "add", "eth0", "type", "bridge")
            self._up(self.name, "eth0", f"{self.ip}/24")
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._remove()

    def _remove(self) -> None:
        while self._cables:
            self._cables.pop().close()
        while self._namespaces:
            name = self._namespaces.pop()
            if Path(f"/run/netns/{name}").exists():
                _run("ip", "netns", "del", name)

    def _namespace(self, name: str) -> None:
        _run("ip", "netns", "add", name)
        self._namespaces.append(name)
        _run("ip", "-n", name, "link", "set", "lo", "up")

    def _up(self, name: str, device: str, address: str = "") -> None:
        if address:
            _run("ip", "-n", name, "addr", "add", address, "dev", device)
        _run("ip", "-n", name, "link", "set", device, "up")

    def _cable(self, one: str, device: str, other: str, port: str) -> None:
        peer = ("peer", "name", port, "netns", other)
        _run("ip", "-n", one, "link", "add", device, "type", "veth", *peer)

    def host(self, *, nat: bool = False, delay: float = 0.0) -> Host:
        """Another host on the internet, directly or behind a NAT of its own.

        With `delay`, seconds each way, a loop must be running, and carries the frames.
        """
        self._count += 1
        number = self._count
        name, port = f"{self._prefix}-{number}", f"p{number}"
        public = f"{NETWORK}.{number}"
        self._namespace(name)
        if not nat:
            self._plug(name, "eth0", port, public, delay)
            return Host(name, public, public)
        router = f"{name}-nat"
        inner = f"10.{number}.0"
        self._namespace(router)
        self._plug(router, "wan", port, public, delay)
        self._cable(name, "eth0", router, "eth0")
        self._up(router, "eth0", f"{inner}.1/24")
        self._up(name, "eth0", f"{inner}.2/24")
        _run("ip", "-n", name, "route", "add", "default", "via", f"{inner}.1")
        _run("ip", "netns", "exec", router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        _run("ip", "netns", "exec", router, "nft", NAT_RULES)
        return Host(name, f"{inner}.2", public)

    def _plug(self, name: str, device: str, port: str, address: str, delay: float) -> None:
        if delay:
            self._cables.append(_SlowCable(_tap(name, device), _tap(self.name, port), delay))
        else:
            self._cable(name, device, self.name, port)
        self._up(name, device, f"{address}/24")
        _run("ip", "-n", self.name, "link", "set", port, "master", "eth0")
        self._up(self.name, port)
