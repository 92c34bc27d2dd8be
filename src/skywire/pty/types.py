"""What crosses the wire of a pty connection: Go types, URIs, error texts. Source: pty.md §2, §3."""

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, ClassVar, Final

from skywire.wire.gob_types import (
    BOOL,
    BYTES,
    EMPTY,
    INT,
    INT64,
    PUBKEY,
    STRING,
    UINT16,
    Go,
    GoType,
    Pointer,
    Slice,
)

PTY_URI = "dmsgpty/pty"
PROXY_URI = "dmsgpty/proxy"
WHITELIST_URI = "dmsgpty/whitelist"

# Error texts that peers compare.
ALREADY_RUNNING = "a pty session is already running"
NOT_RUNNING = "no active pty session"
SESSION_NOT_FOUND = "dmsgpty: session not found"
NO_SESSIONS = "this node keeps no terminal sessions; set pty.persistent_sessions in its config"
VIEW_ONLY = "dmsgpty: this session is viewed only"
NATURAL_END = "read /dev/ptmx: input/output error"  # the shell exited by itself
STOPPED = "EOF"  # the shell was stopped
CLOSED_PIPE = "io: read/write on closed pipe"
LOST = ("unexpected EOF", CLOSED_PIPE, "connection is shut down")  # said of a host behind a proxy
SHORT_WRITE = "short write"  # the program does not read its input
OLD_HOST = ("can't find method", "can't find service")  # parts of an older host's answer

MAX_READ = 65536  # bytes of one Read reply
MAX_WRITE = 4096  # bytes a client puts into one Write


@dataclass(slots=True)
class WinSize:
    """X and Y are the size in pixels, if known; the web page sends columns and rows there."""

    GO_NAME: ClassVar[str] = "WinSize"
    x: Annotated[int, Go("X", UINT16)] = 0
    y: Annotated[int, Go("Y", UINT16)] = 0
    rows: Annotated[int, Go("Rows", UINT16)] = 0
    cols: Annotated[int, Go("Cols", UINT16)] = 0


@dataclass(slots=True)
class CommandReq:
    """Start a program on a terminal. `env` entries are KEY=value; a 2024 host ignores them."""

    GO_NAME: ClassVar[str] = "CommandReq"
    name: Annotated[str, Go("Name", STRING)] = ""
    arg: Annotated[list[str], Go("Arg", Slice(STRING))] = field(default_factory=list)
    size: Annotated[WinSize | None, Go("Size", Pointer(WinSize))] = None
    env: Annotated[list[str], Go("Env", Slice(STRING))] = field(default_factory=list)


@dataclass(slots=True)
class CommandExecReq:
    """Run a program to its end. `timeout_ms` 0 stands for 30 s."""

    GO_NAME: ClassVar[str] = "CommandExecReq"
    name: Annotated[str, Go("Name", STRING)] = ""
    arg: Annotated[list[str], Go("Arg", Slice(STRING))] = field(default_factory=list)
    env: Annotated[list[str], Go("Env", Slice(STRING))] = field(default_factory=list)
    stdin: Annotated[bytes, Go("Stdin", BYTES)] = b""
    timeout_ms: Annotated[int, Go("TimeoutMS", INT64)] = 0


@dataclass(slots=True)
class CommandExecResult:
    """`exit_code` is -1 when a signal or the time limit ended the program, or it did not start."""

    GO_NAME: ClassVar[str] = "CommandExecResult"
    stdout: Annotated[bytes, Go("Stdout", BYTES)] = b""
    stderr: Annotated[bytes, Go("Stderr", BYTES)] = b""
    stdout_truncated: Annotated[bool, Go("StdoutTruncated", BOOL)] = False
    stderr_truncated: Annotated[bool, Go("StderrTruncated", BOOL)] = False
    exit_code: Annotated[int, Go("ExitCode", INT)] = 0
    timed_out: Annotated[bool, Go("TimedOut", BOOL)] = False
    duration_ms: Annotated[int, Go("DurationMS", INT64)] = 0


KEYS = Slice(PUBKEY)

SIGNATURES: Final = MappingProxyType[str, tuple[GoType, GoType]](
    {
        "pty.Start": (CommandReq, EMPTY),
        "pty.Stop": (EMPTY, EMPTY),
        "pty.Read": (INT, BYTES),
        "pty.Write": (BYTES, INT),
        "pty.SetPtySize": (WinSize, EMPTY),
        "pty.Ping": (EMPTY, EMPTY),  # 2026
        "pty.Exec": (CommandExecReq, CommandExecResult),  # 2026
        "pty.StartSession": (CommandReq, STRING),  # with persistence only
        "pty.Attach": (STRING, EMPTY),  # with persistence only
        "pty.View": (STRING, EMPTY),  # ours: attach without a say
        "whitelist.Whitelist": (EMPTY, KEYS),
        "whitelist.WhitelistAdd": (KEYS, EMPTY),
        "whitelist.WhitelistRemove": (KEYS, EMPTY),
    }
)
"""Argument and reply type of each method."""
