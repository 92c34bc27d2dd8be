"""Networks of Go programs, of ours, and of both. Without SKYWIRE_PEER_BIN everything here is
skipped, in CI as well.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.go import BINARY, Go, has_way_out, nonces
from tests.interop.ours import Network, Ours
from tests.interop.processes import closed_port, environment


def pytest_itemcollected(item: pytest.Item) -> None:
    item.add_marker(pytest.mark.interop)
    item.add_marker(pytest.mark.xdist_group("interop"))  # one worker: the programs are shared


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without a Go program one test stands for all, so that the reason is told once."""
    ours = [item for item in items if item.get_closest_marker("interop") is not None]
    if BINARY or not ours:
        return
    reason = f"SKYWIRE_PEER_BIN names no Go skywire binary ({len(ours)} tests)"
    ours[0].add_marker(pytest.mark.skip(reason=reason))
    left_out = set(ours[1:])
    config.hook.pytest_deselected(items=ours[1:])
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session", autouse=True)
def reference() -> str:
    """Path of the Go program."""
    if not Path(BINARY).is_file():
        pytest.fail(f"SKYWIRE_PEER_BIN={BINARY} is no file")
    return BINARY


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("interop")


@pytest.fixture(scope="session")
def env(folder: Path) -> Iterator[dict[str, str]]:
    home = folder / "home"
    home.mkdir()
    with closed_port() as port:
        yield environment(home, port)


@pytest.fixture(scope="session")
def go(reference: str, folder: Path, env: dict[str, str]) -> Iterator[Go]:
    place = folder / "go"
    place.mkdir()
    programs = Go(reference, place, env)
    yield programs
    programs.close()


@pytest.fixture(scope="session")
def ours(reference: str, folder: Path, env: dict[str, str]) -> Iterator[Ours]:
    place = folder / "ours"
    place.mkdir()
    programs = Ours(place, env)
    yield programs
    programs.close()


@pytest.fixture(scope="session")
def go_net(go: Go) -> Network:
    """Discovery and server are Go's."""
    discovery = go.discovery(go.redis())
    return Network(discovery, go.server(discovery)[0])


@pytest.fixture(scope="session")
def our_net(ours: Ours) -> Network:
    """Discovery (on SQLite) and server are ours."""
    discovery = ours.discovery()
    return Network(discovery, ours.server(discovery)[0])


@pytest.fixture(scope="session")
def our_server_net(go: Go, ours: Ours) -> Network:
    """Our server registers at a Go discovery."""
    discovery = go.discovery(go.redis())
    return Network(discovery, ours.server(discovery)[0])


@pytest.fixture(scope="session")
def go_server_net(go: Go, ours: Ours) -> Network:
    """A Go server registers at our discovery."""
    discovery = ours.discovery()
    return Network(discovery, go.server(discovery)[0])


@pytest.fixture(params=["go_net", "our_net", "our_server_net", "go_server_net"])
def net(request: pytest.FixtureRequest) -> Network:
    """Each of the four networks."""
    found: Network = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def services() -> Iterator[str]:
    """For Go visors, which run only where they cannot reach anybody else."""
    if has_way_out():
        pytest.skip(
            "a Go visor listens on all addresses: run this in a network namespace without a way "
            "out, see docs/how-to/interop.md"
        )
    with nonces() as url:
        yield url


@pytest.fixture(scope="session")
def www(folder: Path) -> Path:
    """A directory of files to serve: `a.txt`, and `big.bin` of 3 MB."""
    made = folder / "www"
    made.mkdir()
    (made / "a.txt").write_text("hello dmsg\n")
    (made / "big.bin").write_bytes(bytes(range(256)) * 11719)
    return made
