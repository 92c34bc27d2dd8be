"""`fetch_cached`: fresh, or old and said so, or an error. Rows of 3087."""

import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.errors import InvalidValue, Unavailable
from skywire.http import cached
from skywire.http.cached import Way, cache_directory, cache_file, check_status, fetch_cached, spoken

URL = "http://tpd.example.org/uptimes?v=v2"
NOW = 1_800_000_000.0


class Ways:
    """A chain whose steps answer as told; `asked` names those that were tried."""

    def __init__(self, **answers: bytes | Exception) -> None:
        self.asked: list[str] = []
        self.ways = [Way(via, via.upper(), self._get(via, what)) for via, what in answers.items()]

    def _get(self, via: str, what: bytes | Exception) -> Callable[[], Awaitable[bytes]]:
        async def get() -> bytes:
            self.asked.append(via)
            if isinstance(what, Exception):
                raise what
            return what

        return get


def parse(body: bytes) -> str:
    if not body.endswith(b"]"):
        raise InvalidValue("not a whole list")
    return body.decode()


def cache(folder: Path, body: bytes = b"[old]", *, minutes: float = 0.0) -> Path:
    path = folder / "cache.json"
    path.write_bytes(body)
    os.utime(path, (NOW - minutes * 60,) * 2)
    return path


async def fetch(path: Path | None, ways: Ways, age: float) -> "cached.Fetched[str]":
    return await fetch_cached(path, URL, ways.ways, parse, max_age=age, clock=lambda: NOW)


def dead() -> Ways:
    return Ways(rpc=Unavailable("no visor"), dmsg=TimeoutError(), http=OSError("network down"))


async def test_a_age_zero_and_all_paths_dead_is_an_error_and_the_cache_is_untouched(
    tmp_path: Path,
) -> None:
    path = cache(tmp_path, minutes=24 * 60)
    before = (path.stat().st_mtime_ns, path.read_bytes())
    with pytest.raises(Unavailable, match="all fetch paths failed") as caught:
        await fetch(path, dead(), 0)
    for cause in ("RPC: no visor", "DMSG: no answer in time", "HTTP: network down"):
        assert cause in str(caught.value)
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before


async def test_b_old_rows_with_one_warning_that_names_the_age(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = await fetch(cache(tmp_path, minutes=24 * 60), dead(), 5)
    assert (found.value, found.via, found.stale, found.age) == ("[old]", "cache", True, 86400.0)
    (warning,) = caplog.records
    assert "serving stale cache age=24.0 h" in warning.message
    assert "network down" in warning.message
    assert "STALE" in found.describe()
    assert found.source()["stale"] is True


async def test_c_a_young_cache_asks_nobody(tmp_path: Path) -> None:
    ways = Ways(http=b"[new]")
    found = await fetch(cache(tmp_path, minutes=2), ways, 5)
    assert (found.value, found.age, found.stale, ways.asked) == ("[old]", 120.0, False, [])
    assert found.describe().endswith("from the cache, 2 min old")
    assert found.source() == {"url": URL, "via": "cache", "age_seconds": 120.0, "stale": False}


async def test_c_the_age_itself_is_still_young(tmp_path: Path) -> None:
    assert (await fetch(cache(tmp_path, minutes=5), dead(), 5)).stale is False


async def test_d_age_zero_asks_and_rewrites_the_cache(tmp_path: Path) -> None:
    path, ways = cache(tmp_path, minutes=2), Ways(http=b"[new]")
    found = await fetch(path, ways, 0)
    assert (found.value, found.via, found.age, ways.asked) == ("[new]", "http", 0.0, ["http"])
    assert path.read_bytes() == b"[new]"
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("age", [0, 5, 1e9])
async def test_e_without_a_cache_a_dead_network_is_an_error(age: float) -> None:
    with pytest.raises(Unavailable, match="all fetch paths failed"):
        await fetch(None, dead(), age)


async def test_e_no_file_and_a_dead_network_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="all fetch paths failed"):
        await fetch(tmp_path / "none.json", dead(), 5)


async def test_f_a_step_with_an_error_status_is_passed_over_silently(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def get_500() -> Unavailable:
        try:
            check_status(500, b'{"error":"out of order"}')
        except Unavailable as error:
            return error
        raise AssertionError

    ways = Ways(rpc=get_500(), http=b"[new]")
    with caplog.at_level(logging.INFO):
        found = await fetch(tmp_path / "cache.json", ways, 5)
    assert (found.value, found.via, ways.asked) == ("[new]", "http", ["rpc", "http"])
    assert caplog.records == []


async def test_g_nothing_left_to_try(tmp_path: Path) -> None:
    with pytest.raises(
        Unavailable, match=r"all fetch methods disabled or unavailable for http://tpd\.example"
    ):
        await fetch(tmp_path / "none.json", Ways(), 0)


async def test_h_a_partial_body_neither_counts_nor_replaces_the_cache(tmp_path: Path) -> None:
    path = cache(tmp_path, minutes=60)
    found = await fetch(path, Ways(http=b"[new, but cut he"), 5)
    assert (found.value, found.stale, path.read_bytes()) == ("[old]", True, b"[old]")
    with pytest.raises(Unavailable, match="not a whole list"):
        await fetch(path, Ways(http=b"[new, but cut he"), 0)
    assert os.listdir(tmp_path) == ["cache.json"]  # no temporary file


async def test_a_damaged_cache_is_as_good_as_none(tmp_path: Path) -> None:
    path, ways = cache(tmp_path, b"[half", minutes=1), Ways(http=b"[new]")
    assert (await fetch(path, ways, 5)).value == "[new]"
    with pytest.raises(Unavailable):
        await fetch(cache(tmp_path, b"[half", minutes=1), dead(), 5)


async def test_a_file_from_the_future_is_not_fresh(tmp_path: Path) -> None:
    path, ways = cache(tmp_path, minutes=-60), Ways(http=b"[new]")
    assert (await fetch(path, ways, 5)).via == "http"
    found = await fetch(cache(tmp_path, minutes=-60), dead(), 5)
    assert (found.stale, found.age) == (True, None)
    assert "an unknown time" in found.describe()


async def test_a_link_in_the_place_of_the_cache_is_not_followed(tmp_path: Path) -> None:
    real = cache(tmp_path, minutes=1)
    link = tmp_path / "link.json"
    link.symlink_to(real)
    assert (await fetch(link, Ways(http=b"[new]"), 5)).via == "http"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
async def test_a_file_of_somebody_else_is_not_believed(tmp_path: Path) -> None:
    path = cache(tmp_path, minutes=1)
    os.chown(path, 65534, 65534)
    assert (await fetch(path, Ways(http=b"[new]"), 5)).via == "http"


async def test_a_cache_that_cannot_be_written_costs_a_warning_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    found = await fetch(tmp_path / "file" / "cache.json", Ways(http=b"[new]"), 0)
    assert found.value == "[new]"
    assert "cache not written" in caplog.text


def test_each_url_has_a_file_below_its_host() -> None:
    here = Path("cache")
    first = cache_file(here, "http://tpd.example.org:9091/uptimes?v=v2")
    second = cache_file(here, "http://tpd.example.org:9091/uptimes?v=v1")
    assert first is not None
    assert first != second
    assert first.parent == here / "tpd.example.org_9091"
    assert first.name.startswith("uptimes-v-v2.")
    assert cache_file(None, URL) is None
    assert str(os.getuid()) in cache_directory().name


@given(st.text(max_size=300))
def test_no_url_leads_out_of_the_cache(text: str) -> None:
    try:
        path = cache_file(Path("/cache"), f"http://{text}")
    except ValueError:
        return  # no URL at all: refused where it is parsed
    assert path is not None
    assert path.parent.parent == Path("/cache")
    assert ".." not in path.parts
    assert "\0" not in str(path)


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (40, "40 s"),
        (120, "2 min"),
        (5400, "1.5 h"),
        (259_200, "3.0 days"),
        (None, "an unknown time"),
    ],
)
def test_ages_for_people(age: float | None, text: str) -> None:
    assert spoken(age) == text


@pytest.mark.parametrize("status", [199, 301, 404, 500])
def test_other_statuses_than_2xx_are_failures(status: int) -> None:
    with pytest.raises(Unavailable, match=f"status {status}: no"):
        check_status(status, b"no")
    check_status(204, b"")
