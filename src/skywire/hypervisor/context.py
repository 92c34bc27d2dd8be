"""What the handlers of the HTTP API share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, time

from aiohttp import web

from skywire.config.model import HypervisorConfig
from skywire.crypto.keys import PubKey
from skywire.hypervisor.audit_log import AuditLog
from skywire.hypervisor.csrf import CsrfTokens
from skywire.hypervisor.followers import Followers
from skywire.hypervisor.sessions import Attempts, Sessions
from skywire.hypervisor.tree import Tree
from skywire.hypervisor.users import Users
from skywire.hypervisor.visors import Visors
from skywire.pty.dialing import Dial
from skywire.pty.web import WebTerminals
from skywire.stores.audit import AuditStore
from skywire.stores.users import UserStore

AUDIT_FILE = "audit.db"  # beside the accounts


@dataclass(kw_only=True)
class Context:
    """`csrf` None switches the tokens off. `dmsg_servers` tells our dmsg sessions."""

    own: PubKey
    config: HypervisorConfig
    visors: Visors
    users: Users
    sessions: Sessions
    dial: Dial
    audit: AuditLog
    dmsg_servers: Callable[[], Sequence[PubKey]] = tuple
    csrf: CsrfTokens | None = field(default_factory=CsrfTokens)
    attempts: Attempts = field(default_factory=lambda: Attempts(monotonic))
    terminals: WebTerminals = field(default_factory=WebTerminals)
    followers: Followers = field(default_factory=Followers)
    tree: Tree = field(init=False)

    def __post_init__(self) -> None:
        self.tree = Tree(self.visors, self.own)

    @classmethod
    def from_config(
        cls,
        own: PubKey,
        config: HypervisorConfig,
        visors: Visors,
        dial: Dial,
        *,
        csrf: bool = True,
        dmsg_servers: Callable[[], Sequence[PubKey]] = tuple,
    ) -> "Context":
        return cls(
            own=own,
            config=config,
            visors=visors,
            users=Users(UserStore(config.db_path)),
            sessions=Sessions(time, config.cookies.expires_duration),
            dial=dial,
            audit=AuditLog(AuditStore(Path(config.db_path).with_name(AUDIT_FILE))),
            dmsg_servers=dmsg_servers,
            csrf=CsrfTokens() if csrf else None,
        )


CONTEXT = web.AppKey("CONTEXT", Context)
