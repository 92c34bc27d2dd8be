"""What a hostile or broken client may send to the API, and TLS."""

import asyncio
import datetime
import io
import ipaddress
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession, CookieJar, TCPConnector
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

from skywire.config.values import HostPort
from skywire.http import app as http
from skywire.hypervisor import answers
from skywire.hypervisor.server import build_app, serving
from skywire.hypervisor.sessions import COOKIE, Attempts
from tests.hypervisor.harness import ACCOUNT, OWN, PASSWORD, hypervisor, log_in
from tests.hypervisor.test_accounts import error

SLOW = 0.2  # seconds


async def test_a_body_that_trickles_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "BODY_LIMIT", SLOW)

    async def trickle() -> AsyncIterator[bytes]:
        yield b'{"username":'
        await asyncio.sleep(5)

    async with hypervisor(tmp_path) as (client, _, _):
        async with asyncio.timeout(3):
            response = await client.post("/api/login", data=trickle())
            assert await error(response) == (400, "request body did not arrive within 0.2 s")


async def test_half_a_head_is_given_up(tmp_path: Path) -> None:
    async with (
        hypervisor(tmp_path) as (_, _, context),
        http.running(build_app(context), idle_timeout=SLOW) as runner,
    ):
        port = await http.listen(runner, "127.0.0.1", 0, what="test")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /api/ping HTTP/1.1\r\nHost: local")
        async with asyncio.timeout(3):
            assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_body_too_large_is_refused_before_it_is_kept(tmp_path: Path, chunked: bool) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b"x" * 65536

    async with hypervisor(tmp_path) as (client, _, _):
        body: Any = endless() if chunked else io.BytesIO(b"x" * (4 * 1024 * 1024))
        async with asyncio.timeout(5):
            try:
                response = await client.post("/api/login", data=body)
            except OSError:  # it did not listen to the end
                return
            assert response.status == 413


async def test_a_cookie_from_elsewhere_is_not_adopted(tmp_path: Path) -> None:
    """Session fixation: whatever the browser was given before, a login makes a new one."""
    async with hypervisor(tmp_path) as (client, _, _):
        await client.post("/api/create-account", json=ACCOUNT)
        planted = {"Cookie": f"{COOKIE}=planted-by-somebody-else-0123456789abcdef"}
        response = await client.post("/api/login", json=ACCOUNT, headers=planted)
        assert response.status == 200
        made = response.cookies[COOKIE].value
        assert "planted" not in made
        async with ClientSession() as other:
            url = f"http://{client.server.host}:{client.server.port}/api/about"
            async with other.get(url, headers=planted) as refused:
                assert refused.status == 401
            async with other.get(url, headers={"Cookie": f"{COOKIE}={made}"}) as accepted:
                assert accepted.status == 200


async def test_each_login_has_a_cookie_of_its_own(tmp_path: Path) -> None:
    async with hypervisor(tmp_path) as (client, _, _):
        await log_in(client)
        jar = {cookie.value for cookie in client.session.cookie_jar}
        await client.post("/api/logout")
        response = await client.post("/api/login", json=ACCOUNT)
        assert response.cookies[COOKIE].value not in jar


def test_who_has_one_address_of_ipv6_has_a_whole_network() -> None:
    now = 0.0
    attempts = Attempts(lambda: now)
    for host in range(Attempts.LIMIT):
        attempts.failed(f"2001:db8:1:2::{host:x}")
    assert attempts.wait("2001:db8:1:2:ffff::1%eth0") > 0
    assert attempts.wait("2001:db8:1:3::1") == 0
    for _ in range(Attempts.LIMIT):
        attempts.failed("::ffff:192.0.2.1")
    assert attempts.wait("192.0.2.1") > 0
    assert attempts.wait("192.0.2.2") == 0
    assert attempts.wait("") == 0


async def test_a_right_password_does_not_help_who_has_guessed_too_often(tmp_path: Path) -> None:
    async with hypervisor(tmp_path) as (client, _, _):
        await client.post("/api/create-account", json=ACCOUNT)
        wrong = ACCOUNT | {"password": "Wr0ng-password"}
        for _ in range(Attempts.LIMIT):
            assert (await client.post("/api/login", json=wrong)).status == 401
        for body in (wrong, ACCOUNT):
            response = await client.post("/api/login", json=body)
            assert response.status == 429
            assert int(response.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    "path",
    [
        f"/api/visors/{OWN}/apps/..%2f..%2fetc%2fpasswd",
        f"/api/visors/{OWN}/apps/%00",
        f"/api/visors/{OWN}/../../../etc/passwd",
        f"/api/visors/{OWN}/transports/..%2f..",
        f"/api/visors/{OWN}/routes/-1",
        "/api/visors/..%2f..%2fetc/summary",
        "/pty/..%2f..%2fetc%2fpasswd",
        "/api/svc-fetch?service=transport_discovery&path=//evil.example/",
        "/api/svc-fetch?service=http://evil.example&path=/",
        "/api/svc-fetch?service=..%2f&path=/etc/passwd",
    ],
)
async def test_paths_lead_nowhere_else(tmp_path: Path, path: str) -> None:
    async with hypervisor(tmp_path, auth=False) as (client, _, _):
        url = URL(f"http://{client.server.host}:{client.server.port}{path}", encoded=True)
        async with ClientSession() as session, session.get(url, allow_redirects=False) as response:
            assert 400 <= response.status < 600
            text = await response.text()
            assert "root:" not in text
            assert set(msgspec.json.decode(text)) == {"error"}


BODIES = [
    *(("POST", path) for path in ("min-hops", "transports", "routes")),
    *(("PUT", path) for path in ("reward", "persistent-transports", "router-settings", "routes/7")),
    *(("DELETE", path) for path in ("transports/", "routes/")),
]


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.binary(max_size=100), max_size=20))
async def test_any_body_is_answered_with_json(tmp_path: Path, bodies: list[bytes]) -> None:
    async with hypervisor(tmp_path, auth=False, csrf=False) as (client, _, _):
        for raw in bodies:
            for method, path in [*BODIES, ("POST", "/api/bulk")]:
                url = path if path.startswith("/") else f"/api/visors/{OWN}/{path}"
                response = await client.request(method, url, data=raw)
                assert response.status == 400, (url, raw)
                assert await response.json() == {"error": "request format is malformed"}


def certificate(folder: Path) -> tuple[Path, Path]:
    """Self-signed, for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hypervisor")])
    begin = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=36500))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / "cert.pem", folder / "key.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return pem, private


async def test_with_tls_the_cookie_is_for_tls_only(tmp_path: Path) -> None:
    pem, private = certificate(tmp_path)
    async with hypervisor(tmp_path) as (_, _, context):
        context.config = msgspec.structs.replace(
            context.config,
            enable_tls=True,
            tls_cert_file=str(pem),
            tls_key_file=str(private),
            http_addr=HostPort("127.0.0.1:0"),
        )
        trusted = ssl.create_default_context(cafile=str(pem))
        async with (
            serving(context) as url,
            ClientSession(
                connector=TCPConnector(ssl=trusted), cookie_jar=CookieJar(unsafe=True)
            ) as session,
        ):
            assert url.startswith("https://127.0.0.1:")
            async with session.post(f"{url}api/create-account", json=ACCOUNT) as response:
                assert response.status == 200
            async with session.post(f"{url}api/login", json=ACCOUNT) as response:
                assert response.status == 200
                assert response.cookies[COOKIE]["secure"]
                assert response.cookies[COOKIE]["httponly"]
            async with session.get(f"{url}api/about") as response:
                assert response.status == 200
            await old_tls_is_refused(url, pem)
            await plain_http_gets_nothing(url)


async def old_tls_is_refused(url: str, pem: Path) -> None:
    old = ssl.create_default_context(cafile=str(pem))
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLS"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(OSError, match=r"(?i)ssl|protocol|reset|version"):
        await asyncio.open_connection("127.0.0.1", URL(url).port, ssl=old)


async def plain_http_gets_nothing(url: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(url).port)
    writer.write(b"GET /api/ping HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    async with asyncio.timeout(5):
        try:
            answered = await reader.read()
        except ConnectionError:
            answered = b""
    assert b"PONG" not in answered
    writer.close()


async def test_many_idle_connections_keep_nobody_out(tmp_path: Path) -> None:
    async with hypervisor(tmp_path, auth=False) as (client, _, _):
        idle = [
            (await asyncio.open_connection(client.server.host, client.server.port))[1]
            for _ in range(200)
        ]
        for one in idle:
            one.write(b"GET /api/ping HT")
        async with asyncio.timeout(2):
            assert (await client.get("/api/ping")).status == 200
        for one in idle:
            one.transport.abort()


async def test_passwords_are_in_no_answer_log_or_audit_entry(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with hypervisor(tmp_path) as (client, _, _):
        await log_in(client)
        await client.post(
            "/api/change-password",
            json={"old_password": PASSWORD + "x", "new_password": "N3w-password"},
        )
        log = await (await client.get("/api/audit")).text()
    for text in (log, caplog.text, (tmp_path / "audit.db").read_bytes().decode(errors="replace")):
        assert PASSWORD not in text
        assert "N3w-password" not in text
