"""The demo's account on the hypervisor's page, and the last check: does it list every node?

Source: hypervisor.md §3 (accounts), §4.2 (`visors-summary`).
"""

import asyncio
import secrets
from collections.abc import Collection
from pathlib import Path

import aiohttp

from skywire.config.load import write_private
from skywire.crypto.keys import PubKey
from skywire.errors import Unavailable

USER = "admin"
REQUEST_LIMIT = 10.0  # seconds for one request
NODES_LIMIT = 20.0  # seconds until all nodes must be listed
POLL_INTERVAL = 0.1  # seconds
_RANDOM_BYTES = 12


def password_for(directory: Path) -> str:
    """The password kept in `directory`, or a new one. Raises Unavailable."""
    file = directory / "password"
    try:
        if file.exists():
            return file.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise Unavailable(
            f"cannot read {file}: {error}; remove it to get a new password"
        ) from error
    password = f"{secrets.token_urlsafe(_RANDOM_BYTES)}-Aa1"  # §3: upper, lower, digit, special
    write_private(file, f"{password}\n".encode())
    return password


async def prepare(url: str, password: str, nodes: Collection[PubKey]) -> bool:
    """Create the account, and return when the page lists all `nodes`.

    False when the account has another password by now (somebody changed it in the page); then the
    nodes cannot be asked for. Raises Unavailable.
    """
    timeout = aiohttp.ClientTimeout(total=REQUEST_LIMIT)
    body = {"username": USER, "password": password}
    try:
        async with aiohttp.ClientSession(
            url, timeout=timeout, cookie_jar=aiohttp.CookieJar(unsafe=True)
        ) as session:
            async with session.post("api/create-account", json=body) as answer:
                if answer.status not in (200, 409):
                    raise Unavailable(f"{url}: no account: {answer.status} {await answer.text()}")
            async with session.post("api/login", json=body) as answer:
                if answer.status == 401:
                    return False
                if answer.status != 200:
                    raise Unavailable(f"{url}: no login: {answer.status} {await answer.text()}")
            await _until_listed(session, {str(node) for node in nodes})
    except aiohttp.ClientError as error:
        raise Unavailable(f"{url}: {error}") from error
    return True


async def _until_listed(session: aiohttp.ClientSession, wanted: set[str]) -> None:
    listed: set[str] = set()
    try:
        async with asyncio.timeout(NODES_LIMIT):
            while not wanted <= listed:
                async with session.get("api/visors-summary") as answer:
                    answer.raise_for_status()
                    rows = await answer.json()
                listed = {row["overview"]["local_pk"] for row in rows if row["online"]}
                if not wanted <= listed:
                    await asyncio.sleep(POLL_INTERVAL)
    except TimeoutError:
        missing = ", ".join(sorted(wanted - listed))
        raise Unavailable(
            f"the hypervisor does not list every node after {NODES_LIMIT:g} s; missing: {missing}"
        ) from None
