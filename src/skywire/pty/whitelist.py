"""Who may have a shell, and the `whitelist` service that changes it. Source: pty.md §1, §3.3."""

from collections.abc import Iterable

from skywire.crypto.keys import PubKey
from skywire.errors import Unavailable
from skywire.pty.types import SIGNATURES
from skywire.rpc.server import Method

MAX_KEYS = 4096


class Whitelist:
    """One shared set: our own key, our hypervisors', the configured ones, later additions."""

    def __init__(self, keys: Iterable[PubKey] = ()) -> None:
        self._keys: set[PubKey] = set()
        self.add(keys)

    def __contains__(self, key: PubKey | None) -> bool:
        return key is not None and key in self._keys

    @property
    def keys(self) -> list[PubKey]:
        return sorted(self._keys)

    def add(self, keys: Iterable[PubKey]) -> None:
        """Keys that are in it already do not matter. Raises Unavailable when it is full."""
        wanted = self._keys | {key for key in keys if not key.is_null}
        if len(wanted) > MAX_KEYS:
            raise Unavailable(f"the pty whitelist has room for {MAX_KEYS} keys; remove some first")
        self._keys = wanted

    def remove(self, keys: Iterable[PubKey]) -> None:
        """Unknown keys do not matter. Connections that are open stay."""
        self._keys -= set(keys)

    def methods(self) -> dict[str, Method]:
        """The service `whitelist`, for the control socket only."""

        async def show(_: None) -> list[PubKey]:
            return self.keys

        async def add(keys: list[PubKey]) -> None:
            self.add(keys)

        async def remove(keys: list[PubKey]) -> None:
            self.remove(keys)

        return {
            "whitelist.Whitelist": Method(*SIGNATURES["whitelist.Whitelist"], show),
            "whitelist.WhitelistAdd": Method(*SIGNATURES["whitelist.WhitelistAdd"], add, True),
            "whitelist.WhitelistRemove": Method(
                *SIGNATURES["whitelist.WhitelistRemove"], remove, True
            ),
        }
