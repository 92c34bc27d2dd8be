from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.crypto.generate import deterministic_key_pair
from skywire.errors import InvalidValue
from skywire.wire.dmsg_url import key_of_host, parse_address, parse_url, redirected

PK = deterministic_key_pair(b"url")[0]


@pytest.mark.parametrize(
    ("text", "port", "authority", "path"),
    [
        (f"dmsg://{PK}", 80, f"{PK}", "/"),
        (f"dmsg://{PK}:80/", 80, f"{PK}:80", "/"),
        (f"dmsg://{PK}:8080/a/b?c=d&e", 8080, f"{PK}:8080", "/a/b?c=d&e"),
        (f"DMSG://{str(PK).upper()}/x", 80, f"{PK}", "/x"),
        (f"dmsg://{PK}/x#part", 80, f"{PK}", "/x"),
    ],
)
def test_urls(text: str, port: int, authority: str, path: str) -> None:
    url = parse_url(text)
    assert url == (PK, port, authority, path)
    assert parse_url(str(url)) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "dmsg://",
        "dmsg:///path",
        f"http://{PK}/",
        f"{PK}:80/",
        f"dmsg://{PK}:0/",
        f"dmsg://{PK}:65536/",
        f"dmsg://{PK}:/",
        f"dmsg://{PK}:8O/",
        f"dmsg://user@{PK}/",
        "dmsg://02ab/",
        "dmsg://[::1]/",
        "dmsg://[",
        f"dmsg://{'0' * 66}/",
    ],
)
def test_no_urls(text: str) -> None:
    with pytest.raises(InvalidValue):
        parse_url(text)


def test_addresses() -> None:
    assert parse_address(str(PK)) == (PK, 80)
    assert parse_address(str(PK), 1081) == (PK, 1081)
    assert parse_address(f"{PK}:22") == (PK, 22)
    for bad in (f"{PK}:", f"{PK}:-1", f"{PK}:1.5", f"{PK}:99999", f"{PK}:²", ":80", "host:80"):
        with pytest.raises(InvalidValue):
            parse_address(bad)


def test_host_names_of_the_resolving_proxy() -> None:
    assert key_of_host(f"{PK}.dmsg") == PK
    assert key_of_host(f"{str(PK).upper()}.DMSG.") == PK
    assert key_of_host(f"{PK}.sky", ".sky") == PK
    assert key_of_host("example.com") is None
    assert key_of_host("notdmsg") is None
    for bad in (".dmsg", "home.dmsg", f"www.{PK}.dmsg"):
        with pytest.raises(InvalidValue):
            key_of_host(bad)


OTHER = deterministic_key_pair(b"other")[0]


@pytest.mark.parametrize(
    ("location", "leads_to"),
    [
        ("/new", f"dmsg://{PK}:8080/new"),
        ("new?q=1", f"dmsg://{PK}:8080/dir/new?q=1"),
        ("../up/", f"dmsg://{PK}:8080/up/"),
        ("?q", f"dmsg://{PK}:8080/dir/page?q"),
        (f"dmsg://{OTHER}/", f"dmsg://{OTHER}/"),
        (f"DMSG://{OTHER}:1/x#y", f"dmsg://{OTHER}:1/x"),
        (f"//{OTHER}:7/z", f"dmsg://{OTHER}:7/z"),
    ],
)
def test_redirects(location: str, leads_to: str) -> None:
    assert str(redirected(parse_url(f"dmsg://{PK}:8080/dir/page"), location)) == leads_to


@pytest.mark.parametrize(
    "location",
    ["http://example.com/", f"https://{PK}/", "file:///etc/passwd", "//localhost/", "//["],
)
def test_redirects_that_leave_dmsg_are_refused(location: str) -> None:
    with pytest.raises(InvalidValue):
        redirected(parse_url(f"dmsg://{PK}/"), location)


@given(st.text(), st.text())
def test_any_text_is_read_or_refused(text: str, location: str) -> None:
    with suppress(InvalidValue):
        parse_url(text)
    with suppress(InvalidValue):
        parse_url(f"dmsg://{PK}{text}")
    with suppress(InvalidValue):
        key_of_host(text)
    with suppress(InvalidValue):
        redirected(parse_url(f"dmsg://{PK}/"), location)
