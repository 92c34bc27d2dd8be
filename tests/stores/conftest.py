"""Runs store contracts on every backend; Redis and PostgreSQL are servers of our own."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from skywire.stores.contracts import DiscoveryStore
from skywire.stores.open import Stores, open_discovery, open_stores
from tests.stores import postgres

START_LIMIT = 10.0  # seconds for Redis to answer
OpenStore = Callable[[], Awaitable[DiscoveryStore]]


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = shutil.which("redis-server")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("redis-server is not installed, and in CI nothing may be skipped")
        pytest.skip("redis-server is not installed: apt install redis-server")
    folder = tmp_path_factory.mktemp("redis")
    for _ in range(3):  # somebody may take the free port before Redis does
        port = _free_port()
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
        command += ["--save", "", "--appendonly", "no"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
            try:
                if _answers(server, port):
                    yield f"redis://127.0.0.1:{port}"
                    return
            finally:
                server.terminate()
    pytest.fail("redis-server does not start")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _answers(server: "subprocess.Popen[bytes]", port: int) -> bool:
    deadline = time.monotonic() + START_LIMIT
    with redis.Redis(port=port) as client:
        while server.poll() is None and time.monotonic() < deadline:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                time.sleep(0.02)
    return False


@pytest.fixture
def empty_redis(redis_url: str) -> str:
    """The URL of a Redis without keys."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    return redis_url


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    with postgres.running() as url:
        yield url


@pytest.fixture
def empty_postgres(postgres_server: str) -> str:
    """The URL of a PostgreSQL without tables."""
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return postgres_server


REDIS = pytest.param("redis", marks=pytest.mark.redis)
BACKENDS = ["memory", "file", REDIS, pytest.param("postgres", marks=pytest.mark.postgres)]


def url_of(request: pytest.FixtureRequest, folder: Path) -> str:
    """The URL of empty stores in the backend that is the fixture's parameter."""
    if request.param in ("redis", "postgres"):
        return str(request.getfixturevalue(f"empty_{request.param}"))
    return "sqlite::memory:" if request.param == "memory" else f"sqlite:///{folder}/store.db"


@pytest.fixture(params=BACKENDS)
def stores_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of empty stores of a deployment's services."""
    return url_of(request, tmp_path)


@pytest.fixture
async def stores(stores_url: str) -> AsyncIterator[Stores]:
    opened = await open_stores(stores_url)
    yield opened
    await opened.close()


@pytest.fixture(params=["file", pytest.param("redis", marks=pytest.mark.redis)])
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store that several processes may open."""
    if request.param == "redis":
        return str(request.getfixturevalue("empty_redis"))
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture(params=["memory", "file", pytest.param("redis", marks=pytest.mark.redis)])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[DiscoveryStore]:
    url = "sqlite::memory:"
    if request.param == "file":
        url = f"sqlite:///{tmp_path}/store.db"
    elif request.param == "redis":
        url = request.getfixturevalue("empty_redis")
    opened = await open_discovery(url)
    yield opened
    await opened.close()
