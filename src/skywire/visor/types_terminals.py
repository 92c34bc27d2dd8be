"""The terminal sessions of a visor, as they are told. Ours; no Go visor has them."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from skywire.crypto.keys import NULL_KEY, PubKey
from skywire.wire.gob_types import (
    BOOL,
    FLOAT,
    INT,
    PUBKEY,
    STRING,
    TIME,
    UINT16,
    ZERO_TIME,
    Go,
    GoTime,
    Slice,
)


@dataclass(slots=True)
class TerminalSession:
    """`owner` is the key that started it, null for the node's control socket; `mine`: the caller
    may attach. `end` is why it is over, "" while it runs. Rows and columns are 0 if never set.
    """

    GO_NAME: ClassVar[str] = "TerminalSession"
    id: Annotated[str, Go("ID", STRING)] = ""
    owner: Annotated[PubKey, Go("Owner", PUBKEY)] = NULL_KEY
    mine: Annotated[bool, Go("Mine", BOOL)] = False
    command: Annotated[str, Go("Command", STRING)] = ""
    started: Annotated[GoTime, Go("Started", TIME)] = ZERO_TIME
    idle: Annotated[float, Go("Idle", FLOAT)] = 0.0  # seconds since the last viewer left
    viewers: Annotated[int, Go("Viewers", INT)] = 0
    rows: Annotated[int, Go("Rows", UINT16)] = 0
    cols: Annotated[int, Go("Cols", UINT16)] = 0
    end: Annotated[str, Go("End", STRING)] = ""
    last_lines: Annotated[list[str], Go("LastLines", Slice(STRING))] = field(default_factory=list)


@dataclass(slots=True)
class TerminalSessionsIn:
    """`lines` of output with each session; `id` names one session, "" is for all."""

    GO_NAME: ClassVar[str] = "TerminalSessionsIn"
    lines: Annotated[int, Go("Lines", INT)] = 0
    id: Annotated[str, Go("ID", STRING)] = ""
