"""What `doctor` looks at on this machine: the config file, the disk, ports, the control socket."""

import errno
import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import psutil

from skywire.cli.config_found import place_of_config
from skywire.cli.findings import Check, Verdict
from skywire.cli.progress import size
from skywire.config.check import warnings
from skywire.config.load import ConfigFile
from skywire.config.model import VisorConfig
from skywire.config.values import HostPort
from skywire.errors import InvalidValue
from skywire.platform.addresses import local_addresses, public_address
from skywire.platform.limits import open_files
from skywire.platform.lock import owner_of

FREE_RED, FREE_YELLOW = 50e6, 500e6  # bytes
FILES_RED, FILES_YELLOW = 256, 1024  # descriptors that may be open
FILES_USED = 0.8  # of these; more is too near the limit
MAX_SOCKET_PATH = 107  # bytes; Linux: sun_path
CONNECT_LIMIT = 1.0  # seconds for the control socket


class Local:
    """`file` is None where there is no config, or one that cannot be used."""

    def __init__(self, named: Path | None) -> None:
        self.place = place_of_config(named)
        self.file: ConfigFile | None = None
        self.error = ""
        if self.place is not None:
            try:
                self.file = ConfigFile.load(self.place)
            except InvalidValue as error:
                self.error = str(error)

    @property
    def process(self) -> psutil.Process | None:
        """The visor that has our config locked."""
        number = None if self.place is None else owner_of(self.place)
        with suppress(psutil.Error):
            return None if number is None else psutil.Process(number)
        return None

    def checks(self, *, visor_answers: bool) -> list[Check]:
        """Blocks for some milliseconds."""
        found = [*self._config(visor_answers=visor_answers)]
        config = None if self.file is None else self.file.config
        if config is None:
            return [*found, file_descriptors(self.process)]
        return [
            *found,
            disk(self._below(config.local_path)),
            file_descriptors(self.process),
            *([] if visor_answers or self.process is not None else [ports(config)]),
            *pty_socket(config, visor_runs=visor_answers),
            *_public(config),
        ]

    def _below(self, path: str) -> Path:
        """Relative paths are meant from where the visor runs: mostly beside its config."""
        place = Path(path).expanduser()
        here = Path() if self.place is None else self.place.parent
        return place if place.is_absolute() else here / place

    def _config(self, *, visor_answers: bool) -> Iterator[Check]:
        name = "config file"
        if self.place is None:
            if visor_answers:
                yield Check(name, Verdict.SKIPPED, "none here; name that of the visor with -c FILE")
            else:
                text = "there is none, here or in the home directory"
                yield Check(name, Verdict.YELLOW, text, "skywire cli config gen")
            return
        if self.file is None:
            fix = f"skywire cli config check {self.place}"
            yield Check(name, Verdict.RED, self.error, fix)
            return
        config = self.file.config
        key = "a key is made at the first start" if self.file.new_key else f"key {config.pk}"
        yield Check(name, Verdict.GREEN, f"{self.place}: version {config.version}, {key}")
        yield from self._strange()

    def _strange(self) -> Iterator[Check]:
        assert self.file is not None  # noqa: S101 - the caller has looked
        told = warnings(self.file)
        mode = [each for each in told if each.startswith(f"{self.place}:")]
        open_ = [each for each in told if each.startswith(("cli_addr:", "hypervisor.enable_auth:"))]
        rest = [each for each in told if each not in mode and each not in open_]
        fix = f"chmod 600 {self.place}"
        yield _found("config mode", mode, Verdict.RED, "only its owner can read it", fix)
        fix = f"set hypervisor.enable_auth, or addresses on localhost, in {self.place}"
        yield _found("exposure", open_, Verdict.RED, "nothing is open without a password", fix)
        fix = f"skywire cli config check {self.place}"
        yield _found("config keys", rest, Verdict.YELLOW, "all are known", fix)


def _found(name: str, told: list[str], verdict: Verdict, fine: str, fix: str) -> Check:
    if not told:
        return Check(name, Verdict.GREEN, fine)
    return Check(name, verdict, "; ".join(told), fix)


def disk(folder: Path) -> Check:
    """Room, and whether files can be made, in `folder` or what is above it."""
    name, place = "disk", folder
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        free = shutil.disk_usage(place).free
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"x" * 4096)
            file.flush()
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        fix = f"df -h {place}; make room" if full else f"ls -ld {place}; mount | grep ' ro,'"
        return Check(name, Verdict.RED, f"cannot write in {place}: {error.strerror}", fix)
    text = f"{size(free)} free in {place}, files can be written"
    verdict = Verdict.GREEN
    if free < FREE_YELLOW:
        verdict = Verdict.RED if free < FREE_RED else Verdict.YELLOW
    return Check(name, verdict, text, "" if verdict is Verdict.GREEN else f"df -h {place}")


def file_descriptors(process: psutil.Process | None) -> Check:
    """Of the visor that runs; else of what would be started from here."""
    name, limit, used, whose = "file descriptors", open_files(), 0, "a process started here"
    if process is not None:
        with suppress(psutil.Error, OSError):
            limit = process.rlimit(psutil.RLIMIT_NOFILE)[0]
            limit = 2**31 if limit < 0 else limit
            used, whose = process.num_fds(), f"the visor (process {process.pid})"
    text = f"{whose} may have {limit} open" + (f", has {used}" if used else "")
    near = used > FILES_USED * limit
    if limit >= FILES_YELLOW and not near:
        return Check(name, Verdict.GREEN, text)
    verdict = Verdict.RED if near or limit < FILES_RED else Verdict.YELLOW
    return Check(name, verdict, text, "ulimit -n 65536 (systemd: LimitNOFILE=65536)")


def ports(config: VisorConfig) -> Check:
    """Whether a visor that is started now can have those of the config."""
    taken = []
    wanted = {
        "cli_addr": config.cli_addr,
        "launcher.server_addr": config.launcher.server_addr,
        "hypervisor.http_addr": config.hypervisor.http_addr if config.hypervisor else HostPort(""),
        "skywire-tcp.listening_address": (
            config.skywire_tcp.listening_address if config.skywire_tcp else HostPort("")
        ),
        "transport.stcpr_port": _anywhere(config.transport.stcpr_port),
        "transport.sudph_port": _anywhere(config.transport.sudph_port),
    }
    kinds = {"transport.sudph_port": socket.SOCK_DGRAM}
    count = 0
    for key, place in wanted.items():
        if not place or not place.port:
            continue
        count += 1
        kind = kinds.get(key, socket.SOCK_STREAM)
        if why := _taken(place, kind):
            taken.append((key, place, why))
    if not taken:
        return Check("ports", Verdict.GREEN, f"{count} of the config are free")
    text = "; ".join(f"{key} {place}: {why}{_who(place.port)}" for key, place, why in taken)
    port = taken[0][1].port
    return Check("ports", Verdict.RED, text, f"ss -lptun sport = :{port}; end it or change the key")


def _anywhere(port: int) -> HostPort:
    return HostPort(f":{port}") if port else HostPort("")


def _taken(place: HostPort, kind: socket.SocketKind) -> str:
    """ "" when it is free."""
    host = "127.0.0.1" if place.host == "localhost" else place.host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with closing(socket.socket(family, kind)) as probe:
            if kind is socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, place.port))
            if kind is socket.SOCK_STREAM:
                probe.listen(1)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _who(port: int) -> str:
    with suppress(psutil.Error, OSError):
        for each in psutil.net_connections("inet"):
            listens = each.status in (psutil.CONN_LISTEN, psutil.CONN_NONE)
            if listens and each.laddr and each.laddr.port == port and each.pid:
                return f" by {psutil.Process(each.pid).name()} (process {each.pid})"
    return ""


def pty_socket(config: VisorConfig, *, visor_runs: bool) -> Iterator[Check]:
    name, pty = "pty socket", config.pty
    if pty is None or pty.cli_network != "unix" or not pty.cli_address:
        yield Check(name, Verdict.SKIPPED, "off by the config")
        return
    place = Path(pty.cli_address)
    if len(os.fsencode(place)) > MAX_SOCKET_PATH:
        text = f"{place}: longer than {MAX_SOCKET_PATH} bytes"
        yield Check(name, Verdict.RED, text, "shorten pty.cli_address")
        return
    try:
        mode = place.stat().st_mode
    except OSError as error:
        if visor_runs:
            text = f"{place}: {error.strerror}, although the visor runs"
            yield Check(name, Verdict.YELLOW, text, "skywire cli visor reload")
        else:
            yield Check(name, Verdict.GREEN, f"{place}: free")
        return
    if not stat.S_ISSOCK(mode):
        text = f"{place}: is no socket, so terminals have none"
        yield Check(name, Verdict.RED, text, f"remove {place}, or change pty.cli_address")
        return
    answers = _connects(place)
    if visor_runs == answers:
        text = "answers" if answers else "left over; the visor replaces it"
        yield Check(name, Verdict.GREEN, f"{place}: {text}")
    elif visor_runs:
        yield Check(name, Verdict.YELLOW, f"{place}: does not answer", "skywire cli visor reload")
    else:
        text = f"{place}: another program answers there"
        yield Check(name, Verdict.RED, text, f"lsof {place}; or change pty.cli_address")


def _connects(place: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(CONNECT_LIMIT)
        try:
            probe.connect(str(place))
        except OSError:
            return False
    return True


def _public(config: VisorConfig) -> Iterator[Check]:
    if config.is_public and public_address(local_addresses()) is None:
        yield Check(
            "public",
            Verdict.YELLOW,
            "is_public is set, and no interface has a public address: nobody can dial in",
            "set is_public to false in the config, or give this machine a public address",
        )
