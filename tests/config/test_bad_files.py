"""Files that are broken, half-written, of another program, huge, or changed meanwhile."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from skywire.config.load import BACKUP, MAX_DEPTH, MAX_SIZE, ConfigFile, keep_backup, write_private
from skywire.crypto.generate import deterministic_key_pair
from skywire.errors import InvalidValue, Unavailable
from skywire.testing.vectors import ROOT

PK, SK, _ = deterministic_key_pair(b"config")
WHOLE = (ROOT / "config" / "go_gen.json").read_bytes()


@given(st.integers(0, len(WHOLE) - 1))
def test_a_half_written_file_is_refused_and_shows_no_key(end: int) -> None:
    with pytest.raises(InvalidValue, match=r"^f: (empty|not valid JSON)") as caught:
        ConfigFile(WHOLE[:end], "f")
    assert SK.hex()[:16] not in str(caught.value)


def test_a_half_written_file_is_told_with_the_copy_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_bytes(WHOLE)
    kept = keep_backup(path)
    path.write_bytes(WHOLE[:100])
    with pytest.raises(InvalidValue, match=r"not valid JSON: .*c\.json\.bak") as caught:
        ConfigFile.load(path)
    assert str(kept) in str(caught.value)


@pytest.mark.parametrize("text", [b"", b"\n \n", b"\0" * 100])
def test_a_file_that_lost_its_content_is_refused(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "c.json"
    path.write_bytes(text)
    with pytest.raises(InvalidValue, match=r"c\.json: (empty|not valid JSON)"):
        ConfigFile.load(path)


@pytest.mark.parametrize(
    "document",
    [
        {"public_key": str(PK), "secret_key": SK.hex(), "log_level": "info", "discovery": "x"},
        {"prod": {}, "test": {}},
        {"name": "left-pad", "version": "1.3.0", "dependencies": {}},
        {"unknown": 1},
    ],
)
def test_a_file_of_another_program_gets_no_key(tmp_path: Path, document: dict[str, Any]) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps(document))
    with pytest.raises(InvalidValue, match="no config of a visor") as caught:
        ConfigFile.load(path)
    assert SK.hex() not in str(caught.value)
    assert json.loads(path.read_text()) == document


@pytest.mark.parametrize("document", [{}, {"log_level": "debug"}, {"dmsg": {}, "unknown": 1}])
def test_a_small_file_of_ours_is_ours(document: dict[str, Any]) -> None:
    assert ConfigFile(json.dumps(document), "f").new_key


@pytest.mark.parametrize("version", ["v2.0.0", "2", "v10.1", "3.0-rc1"])
def test_a_file_of_another_major_version_is_refused(version: str) -> None:
    with pytest.raises(InvalidValue, match=r"version: .* config version is incompatible"):
        ConfigFile(json.dumps({"sk": SK.hex(), "version": version}), "f")


@pytest.mark.parametrize("version", ["v1.3.29", "unknown", "", "v0.1.0", "v1.4.0-rc1", "(devel)"])
def test_files_of_this_major_version_are_read(version: str) -> None:
    assert ConfigFile(json.dumps({"sk": SK.hex(), "version": version}), "f").config.pk == PK


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    with path.open("wb") as file:
        file.truncate(100 * MAX_SIZE)
    with pytest.raises(InvalidValue, match=f"larger than {MAX_SIZE} bytes"):
        ConfigFile.load(path)


def test_values_in_each_other_without_end_are_refused() -> None:
    deep = '{"unknown": ' * MAX_DEPTH + "1" + "}" * MAX_DEPTH
    with pytest.raises(InvalidValue, match=f"more than {MAX_DEPTH}"):
        ConfigFile('{"sk": "", "dmsg": ' + deep + "}", "f")


def test_huge_numbers_are_refused() -> None:
    for text in ("1" + "0" * 400, "9" * 60 + "h"):
        value = text if text.endswith("h") else int(text)
        with pytest.raises(InvalidValue, match="shutdown_timeout"):
            ConfigFile(json.dumps({"shutdown_timeout": value}), "f")


@pytest.mark.parametrize(
    "document",
    [
        {"launcher": {"apps": [{"name": "x", "args": ["--passcode", "TOPSECRET", 7]}]}},
        {"launcher": {"apps": {"passcode": "TOPSECRET"}}},
        {"is_public": {"sk": "TOPSECRET"}},
        {"launcher": {"apps": [{"name": "x", "args": "--passcode TOPSECRET"}]}},
        {"hypervisor": {"cookies": {"hash_key": ["TOPSECRET"]}}},
        {"hypervisor": {"cookies": ["TOPSECRET"]}},
    ],
)
def test_an_error_shows_no_secret_that_is_in_a_wrong_place(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue, match="is not accepted: expected") as caught:
        ConfigFile(json.dumps({"sk": SK.hex()} | document), "f")
    assert "TOPSECRET" not in str(caught.value)


def test_what_a_person_changed_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_bytes(WHOLE)
    file = ConfigFile.load(path)
    by_hand = json.loads(WHOLE) | {"hostname": "attic", "mine": [1]}
    by_hand["dmsg"]["sessions_count"] = 9
    path.write_text(json.dumps(by_hand))
    file.update(replace(file.config, log_level="debug"))
    assert json.loads(path.read_text()) == by_hand | {"log_level": "debug"}


@pytest.mark.parametrize("broken", [b"", b"{", b'{"prod": {}}', None])
def test_a_file_that_was_broken_meanwhile_is_mended(tmp_path: Path, broken: bytes | None) -> None:
    path = tmp_path / "c.json"
    path.write_bytes(WHOLE)
    file = ConfigFile.load(path)
    path.unlink() if broken is None else path.write_bytes(broken)
    file.update(replace(file.config, log_level="debug"))
    assert json.loads(path.read_text()) == json.loads(WHOLE) | {"log_level": "debug"}


def test_a_switched_off_hypervisor_can_be_switched_on(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    section = {"enable": False, "http_addr": ":9000"}
    path.write_text(json.dumps({"sk": SK.hex(), "hypervisor": section}))
    file = ConfigFile.load(path)
    on = ConfigFile(json.dumps({"hypervisor": {"http_addr": ":9000"}}), "f").config.hypervisor
    file.update(replace(file.config, hypervisor=on))
    assert ConfigFile.load(path).config.hypervisor is not None


def test_a_copy_is_private_and_the_last_one(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    assert keep_backup(path) is None
    path.write_text("1")
    path.chmod(0o644)
    kept = keep_backup(path)
    assert kept == tmp_path / f"c.json{BACKUP}"
    assert kept.read_text() == "1"
    assert kept.stat().st_mode & 0o777 == 0o600
    path.write_text("2")
    keep_backup(path)
    assert kept.read_text() == "2"
    with pytest.raises(Unavailable, match="nothing changed"):
        keep_backup(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_stays_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text("{}")
    os.chown(path, 1234, 1234)
    write_private(path, b"[]")
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 1234)


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    target, link = tmp_path / "real.json", tmp_path / "c.json"
    target.write_bytes(WHOLE)
    link.symlink_to(target)
    file = ConfigFile.load(link)
    file.update(replace(file.config, log_level="debug"))
    assert link.is_symlink()
    assert json.loads(target.read_text())["log_level"] == "debug"


def test_a_file_in_another_encoding_of_json_is_read() -> None:
    assert ConfigFile(WHOLE.decode().encode("utf-16"), "f").config.pk == PK
    assert ConfigFile(b"\xef\xbb\xbf" + WHOLE, "f").config.pk == PK
