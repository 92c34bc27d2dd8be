"""Files that appear only when complete."""

import errno
import os
import stat
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import pytest

from skywire.cli import download
from skywire.cli.download import Meter, ToFile, ToMemory, ToStdout
from skywire.errors import Conflict, InvalidValue, RemoteProtocolError


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_file_appears_with_commit_and_only_then(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with ToFile("x", path, replace=False) as file:
        file.begin(200, 10)
        file.feed(b"half")
        file.begin(200, 8)  # a second try starts over
        file.feed(b"comp")
        assert not path.exists()
        file.feed(b"lete")
        file.commit()
    assert path.read_bytes() == b"complete"
    assert names(tmp_path) == ["out"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~download._umask()


def test_without_commit_nothing_stays(tmp_path: Path) -> None:
    with ToFile("x", tmp_path / "out", replace=False) as file:
        file.begin(200, None)
        file.feed(b"half")
    assert names(tmp_path) == []


def test_an_existing_file_is_replaced_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("old")
    with pytest.raises(Conflict, match="-r"):
        ToFile("x", path, replace=False)
    with ToFile("x", path, replace=True) as file:
        file.begin(200, None)
        file.feed(b"new")
        assert path.read_text() == "old"
        file.commit()
    assert path.read_text() == "new"
    assert names(tmp_path) == ["out"]


def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with ToFile("x", path, replace=False) as file:
        file.begin(200, None)
        path.write_text("somebody else's")
        with pytest.raises(Conflict, match="meanwhile"):
            file.commit()
    assert path.read_text() == "somebody else's"
    assert names(tmp_path) == ["out"]


def test_a_directory_and_an_answer_that_never_came_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="is a directory"):
        ToFile("x", tmp_path, replace=True)
    with ToFile("x", tmp_path / "out", replace=False) as file, pytest.raises(RemoteProtocolError):
        file.commit()


def test_the_body_of_a_refusal_is_kept_apart_and_short(tmp_path: Path) -> None:
    with ToFile("x", tmp_path / "out", replace=False) as file:
        file.begin(404, None)
        file.feed(b"n" * 5000)
        assert len(file.refusal) == download.MAX_ERROR_TEXT


def test_a_full_disk_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(BytesIO):
        def write(self, _: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with ToFile("x", tmp_path / "out", replace=False) as file:
        file.begin(200, None)
        assert file._file is not None
        file._file.close()
        file._file = Full()
        with pytest.raises(OSError, match="No space left") as caught:
            file.feed(b"x")
        assert caught.value.filename == str(tmp_path / "out")


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    nowhere = tmp_path / "no" / "out"
    with ToFile("x", nowhere, replace=False) as file, pytest.raises(FileNotFoundError):
        file.begin(200, None)


def test_what_is_printed_cannot_be_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    out = BytesIO()
    monkeypatch.setattr("sys.stdout", SimpleNamespace(buffer=out))
    sink = ToStdout("x")
    sink.begin(200, 3)
    sink.begin(200, 3)  # nothing was printed yet
    sink.feed(b"abc")
    assert out.getvalue() == b"abc"
    with pytest.raises(Conflict, match="after 3 bytes"):
        sink.begin(200, 3)


def test_memory_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MAX_IN_MEMORY", 4)
    sink = ToMemory("x")
    sink.begin(200, None)
    sink.feed(b"1234")
    with pytest.raises(Conflict, match="-o"):
        sink.feed(b"5")
    sink.begin(200, None)
    assert sink.data == b""


def test_progress_texts() -> None:
    meter = Meter("name")
    assert meter.describe() == "name …"
    meter.begin(200, 2_000_000)
    meter.feed(bytes(1500))
    assert meter.describe() == "name: 1.5 kB of 2.0 MB"
    meter.begin(200, None)
    meter.feed(bytes(10))
    assert meter.describe() == "name: 10 B"
