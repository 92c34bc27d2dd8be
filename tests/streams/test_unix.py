"""Unix sockets: permissions, left-over files, files that are something else."""

import socket
import stat
from pathlib import Path

import pytest

from skywire.errors import Conflict, DialFailed, InvalidValue
from skywire.streams.unix import dial_unix, listen_unix


async def test_only_the_owner_may_connect_and_close_removes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "pty.sock"
    listener = await listen_unix(str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert str(listener.address) == str(path)
    await listener.close()
    assert not path.exists()


async def test_the_file_of_a_dead_process_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "pty.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    listener = await listen_unix(str(path))
    ours = await dial_unix(str(path))
    theirs = await listener.accept()
    await ours.close()
    await theirs.close()
    await listener.close()


async def test_a_live_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "pty.sock"
    listener = await listen_unix(str(path))
    with pytest.raises(Conflict, match=r"pty\.sock is in use by another program"):
        await listen_unix(str(path))
    assert path.exists()
    await listener.close()


async def test_another_kind_of_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "pty.sock"
    path.write_text("mine")
    with pytest.raises(Conflict, match="is not a socket"):
        await listen_unix(str(path))
    assert path.read_text() == "mine"


async def test_a_closed_listener_leaves_its_successors_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "pty.sock"
    first = await listen_unix(str(path))
    path.unlink()
    second = await listen_unix(str(path))
    await first.close()
    assert path.exists()
    await second.close()


async def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(DialFailed, match="No such file"):
        await dial_unix(str(tmp_path / "none"))
    with pytest.raises(Conflict, match="is not a socket"):
        await listen_unix(str(tmp_path))
    with pytest.raises(InvalidValue, match="no path of a socket"):
        await listen_unix("a\0b")
