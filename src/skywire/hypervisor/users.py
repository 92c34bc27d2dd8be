"""Accounts: which names and passwords are accepted, and checking a password.

Source: hypervisor.md §3. Ours: scrypt in place of one SHA-256; a name that does not exist costs as
much time as a wrong password.
"""

import asyncio
import hashlib
import hmac
import re

from skywire.crypto.generate import random_bytes
from skywire.errors import Conflict, Forbidden, InvalidValue
from skywire.stores.users import StoredUser, UserStore

ADMIN = "admin"  # the only name that may be created
MIN_PASSWORD, MAX_PASSWORD = 6, 64  # characters
SALT_SIZE, HASH_SIZE = 16, 32
MAX_HASHING = 2  # passwords hashed at the same time: each takes 32 MiB and 0.1 s of a core

_NAME = re.compile(r"[a-z0-9_-]{4,21}")
_SCHEME = "scrypt:32768:8:1"


class Users:
    def __init__(self, store: UserStore, *, scheme: str = _SCHEME) -> None:
        """`scheme` "scrypt:N:r:p" is how new passwords are hashed; tests use a cheap one."""
        self._store = store
        self._scheme = scheme
        self._hashing = asyncio.Semaphore(MAX_HASHING)

    async def exist(self) -> bool:
        return not await self._store.is_empty()

    async def has(self, name: str) -> bool:
        return await self._store.get(name) is not None

    async def mark(self, name: str) -> bytes | None:
        """Another one after each change of the password; None when there is no such account."""
        user = await self._store.get(name)
        return None if user is None else user.salt

    async def create(self, name: str, password: str) -> None:
        """Raises InvalidValue (name or password), Forbidden (not `admin`), Conflict (exists)."""
        check_name(name)
        check_password(password)
        if name != ADMIN:
            raise Forbidden("name not allowed")
        if await self.has(name):  # spares the hashing; `add` decides
            raise Conflict("username already exists")
        await self._store.add(await self._hashed(name, password))

    async def check(self, name: str, password: str) -> bool:
        """Whether the account exists and the password is right, in the same time either way."""
        user = await self._store.get(name)
        given = user or StoredUser(name, bytes(SALT_SIZE), bytes(HASH_SIZE), self._scheme)
        digest = await self._hash(password, given.salt, given.scheme)
        return hmac.compare_digest(digest, given.hash) and user is not None

    async def set_password(self, name: str, password: str) -> None:
        """Raises InvalidValue when the password is not accepted."""
        check_password(password)
        await self._store.replace(await self._hashed(name, password))

    async def _hashed(self, name: str, password: str) -> StoredUser:
        salt = random_bytes(SALT_SIZE)
        return StoredUser(name, salt, await self._hash(password, salt, self._scheme), self._scheme)

    async def _hash(self, password: str, salt: bytes, scheme: str) -> bytes:
        cost, block, parallel = (int(part) for part in scheme.split(":")[1:])
        async with self._hashing:
            return await asyncio.to_thread(
                hashlib.scrypt,
                password.encode(errors="surrogatepass"),
                salt=salt,
                n=cost,
                r=block,
                p=parallel,
                maxmem=256 * cost * block,
                dklen=HASH_SIZE,
            )


def check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidValue("format of 'username' is not accepted")


def check_password(password: str) -> None:
    """Raises InvalidValue with Go's text: length first, then characters, then variety."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise InvalidValue("password length should be between 6 and 64 chars")
    if not all("!" <= character <= "~" for character in password):
        raise InvalidValue("non-ASCII character found")
    kinds = (str.isupper, str.islower, str.isdigit, lambda character: not character.isalnum())
    if not all(any(map(kind, password)) for kind in kinds):
        raise InvalidValue(
            "password must have at least one upper, lower, digit and special character"
        )
