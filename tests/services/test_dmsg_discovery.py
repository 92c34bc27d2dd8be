"""Entries over HTTP: the rows of dmsg.md §9 about one entry."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from skywire.errors import AuthenticationFailed
from skywire.services import dmsg_discovery as service
from skywire.services.dmsg_discovery import Settings
from skywire.wire import entry as wire
from skywire.wire.entry import Entry
from tests.services.conftest import (
    BAD_INPUT,
    BASE,
    CLIENT,
    CLIENT_SK,
    DELETED,
    MONITOR,
    NEW,
    NO_SERVERS,
    NOT_FOUND,
    SECOND,
    SERVER,
    SERVER_SK,
    UNAUTHORIZED,
    UNEXPECTED,
    UPDATED,
    Discovery,
    Start,
)

# Looking up


async def test_an_entry_is_answered_as_it_was_signed(disc: Discovery) -> None:
    entry = disc.client(client_type="a<b>&é\u2028")
    assert (await disc.post(entry)).json == NEW
    answer = await disc.get(f"/entry/{CLIENT}")
    assert (answer.status, answer.body) == (200, entry.encode())
    assert answer.content_type == "application/json"
    assert wire.verified(wire.parse(answer.body)) == entry
    assert (await disc.get(f"/entry/{str(CLIENT).upper()}")).body == entry.encode()


async def test_an_unknown_key_is_not_found(disc: Discovery) -> None:
    for text in (str(CLIENT), "0" * 66, "0"):
        answer = await disc.get(f"/entry/{text}")
        assert (answer.status, answer.json) == (404, NOT_FOUND)


@pytest.mark.parametrize(
    "text", ["x", "02", "04" + "11" * 32, "02" + "00" * 31 + "05", "%00", "a" * 3000]
)
async def test_a_bad_key_is_bad_input(disc: Discovery, text: str) -> None:
    answer = await disc.get(f"/entry/{text}")
    assert (answer.status, answer.json) == (400, BAD_INPUT)


# Posting


async def test_the_second_post_is_an_iteration(disc: Discovery) -> None:
    assert (await disc.post(disc.client())).json == NEW
    answer = await disc.post(disc.client(sequence=7))
    assert (answer.status, answer.json) == (200, UPDATED)
    assert wire.parse((await disc.get(f"/entry/{CLIENT}")).body).sequence == 7


async def test_any_path_below_entry_takes_a_post(disc: Discovery) -> None:
    path = f"{BASE}/entry/anything"
    assert (await disc.ask("POST", path, disc.client().encode())).json == NEW


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"{} x",
        b'{"static":"' + b"02" + b"00" * 31 + b'05"}',
        b"[" * 9999,
    ],
    ids=lambda body: body[:20],
)
async def test_what_is_no_entry_is_unexpected(disc: Discovery, body: bytes) -> None:
    for method, path in (("POST", "/entry/"), ("DELETE", "/entry")):
        answer = await disc.ask(method, BASE + path, body)
        assert (answer.status, answer.json) == (500, UNEXPECTED)


async def test_an_oversized_body_is_refused(disc: Discovery) -> None:
    body = b" " * (service.MAX_BODY + 1)
    for method, path in (("POST", "/entry/"), ("DELETE", "/entry"), ("DELETE", "/deregister")):
        headers = disc.deregistration()
        disc.rules._settings = Settings(monitors=frozenset({MONITOR}))
        answer = await disc.ask(method, BASE + path, body, **headers)
        assert (answer.status, answer.json["code"]) == (413, 413)
        assert str(service.MAX_BODY) in answer.json["message"]


async def test_a_body_that_does_not_arrive_is_given_up(
    disc: Discovery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "BODY_TIMEOUT", 0.05)

    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with asyncio.timeout(5):
        answer = await disc.ask("POST", f"{BASE}/entry/", never())  # type: ignore[arg-type]
    assert answer.json == {"message": "request body did not arrive within 0.05 s", "code": 408}


@pytest.mark.parametrize(
    "address", ["127.0.0.1:8081", "127.9.9.9:1", "[::1]:8081", "[::ffff:127.0.0.1]:80", ":8081"]
)
async def test_a_loopback_server_is_refused_in_production(start: Start, address: str) -> None:
    text = "advertising localhost listening address is not allowed in production mode"
    disc = await start()
    answer = await disc.post(disc.server(address=address))
    assert answer.status == 422
    assert answer.json == {"message": f"entry validation error: {text}", "code": 422}
    testing = await start(Settings(test_mode=True))
    assert (await testing.post(testing.server(address=address))).json == NEW


@pytest.mark.parametrize(
    "address", ["localhost:8081", "127.0.0.1", "::1:80", "[::1]", "example.com:80", "10.0.0.1:80"]
)
async def test_other_addresses_pass(disc: Discovery, address: str) -> None:
    assert (await disc.post(disc.server(address=address))).json == NEW


async def test_structural_errors_are_told(disc: Discovery) -> None:
    good = disc.client()
    for changed, reason in (
        (msgspec.structs.replace(good, version=""), "entry has no version"),
        (msgspec.structs.replace(good, signature=""), "entry has no signature"),
        (msgspec.structs.replace(good, client=None), "entry has neither client or server field"),
        (disc.server(address=""), "server address cannot be empty"),
        (disc.server(age=61), "advertised entry has outdated timestamp"),
        (disc.server(age=-6), "advertised entry has outdated timestamp"),
    ):
        for answer in (await disc.post(changed), await disc.delete(changed)):
            assert answer.status == 422
            assert answer.json == {"message": f"entry validation error: {reason}", "code": 422}
    assert (
        (await disc.ask("POST", f"{BASE}/entry/", b"null")).json["message"].endswith("no version")
    )


async def test_a_client_with_a_clock_far_off_is_welcome(disc: Discovery) -> None:
    assert (await disc.post(disc.client(age=10**8))).json == NEW
    assert (await disc.post(disc.client(1, age=-(10**8)))).json == UPDATED


async def test_a_wrong_signature_is_refused(disc: Discovery) -> None:
    forged = msgspec.structs.replace(disc.client(), sequence=1)
    for answer in (await disc.post(forged), await disc.delete(forged)):
        assert (answer.status, answer.json) == (401, UNAUTHORIZED)
    assert (await disc.get(f"/entry/{CLIENT}")).status == 404


async def test_the_structure_is_checked_before_the_signature(disc: Discovery) -> None:
    both = msgspec.structs.replace(disc.client(), version="", sequence=1)
    assert (await disc.post(both)).status == 422


async def test_an_old_sequence_or_time_is_refused(disc: Discovery) -> None:
    await disc.post(disc.client(5))
    for sequence in (4, 5):
        answer = await disc.post(disc.client(sequence))
        assert answer.status == 422
        assert answer.json == {"message": wire.WRONG_SEQUENCE, "code": 422}
    answer = await disc.post(disc.client(6, age=1))
    assert (answer.status, answer.json) == (422, {"message": wire.WRONG_TIME, "code": 422})


async def test_of_two_concurrent_posts_of_one_sequence_one_wins(disc: Discovery) -> None:
    posts = [disc.client(1, client_type=str(number)) for number in range(8)]
    answers = await asyncio.gather(*map(disc.post, posts))
    assert sorted(answer.status for answer in answers) == [200] + [422] * 7


async def test_a_full_discovery_takes_updates_but_no_new_keys(
    disc: Discovery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MAX_ENTRIES", 1)
    assert (await disc.post(disc.client())).json == NEW
    await disc.rules.sweep()
    answer = await disc.post(disc.server())
    assert (answer.status, answer.json["code"]) == (503, 503)
    assert (await disc.post(disc.client(1))).json == UPDATED
    await disc.delete(disc.client())
    await disc.rules.sweep()
    assert (await disc.post(disc.server())).json == NEW


async def test_keys_of_2026_are_kept_when_signed(disc: Discovery) -> None:
    plain = Entry.of_client(CLIENT, [SERVER], now=disc.now)
    newer = wire.sign(msgspec.structs.replace(plain, protocol="smux"), CLIENT_SK)
    await disc.post(newer)
    assert (await disc.get(f"/entry/{CLIENT}")).body == newer.encode()
    older = msgspec.structs.replace(disc.client(1), protocol="smux")  # not covered
    assert (await disc.post(older)).json == UPDATED
    assert (await disc.get(f"/entry/{CLIENT}")).body == disc.client(1).encode()


# The type of a server


async def server_type(disc: Discovery) -> str:
    server = wire.parse((await disc.get(f"/entry/{SERVER}")).body).server
    assert server
    return server.server_type


async def test_without_passphrase_the_second_post_makes_a_server_community(disc: Discovery) -> None:
    await disc.post(disc.server())
    assert await server_type(disc) == "official"
    await disc.post(disc.server(1, server_type="official"))  # what Go servers echo
    assert await server_type(disc) == "community"


async def test_with_a_passphrase_it_makes_a_server_official(start: Start) -> None:
    disc = await start(Settings(passphrase="sesame"))
    for sequence, (given_type, expected) in enumerate(
        [
            ("", "community"),
            ("sesame", "official"),
            ("official", "community"),
            ("sésame", "community"),
        ]
    ):
        await disc.post(disc.server(sequence, server_type=given_type))
        assert await server_type(disc) == expected
    assert b"sesame" not in (await disc.get("/all_servers")).body


async def test_a_listed_key_is_official_whatever_it_posts(start: Start) -> None:
    disc = await start(Settings(passphrase="sesame", official=frozenset({SERVER})))
    await disc.post(disc.server())
    assert await server_type(disc) == "official"


async def test_a_stored_server_no_longer_verifies_and_a_client_does(disc: Discovery) -> None:
    """dmsg.md §8: the type is rewritten after verifying."""
    await disc.post(disc.server())
    with pytest.raises(AuthenticationFailed):
        wire.verified(wire.parse((await disc.get(f"/entry/{SERVER}")).body))
    await disc.post(disc.client())
    wire.verified(wire.parse((await disc.get(f"/entry/{CLIENT}")).body))


# Lifetime


@pytest.mark.parametrize(("query", "seconds"), [("", 120), ("?timeout=true", 120)])
async def test_a_server_lives_two_minutes_after_a_post(
    disc: Discovery, query: str, seconds: int
) -> None:
    await disc.post(disc.server(), query)
    disc.now += (seconds - 1) * SECOND
    assert (await disc.get(f"/entry/{SERVER}")).status == 200
    disc.now += 2 * SECOND
    assert (await disc.get(f"/entry/{SERVER}")).json == NOT_FOUND
    assert (await disc.get("/all_servers")).json == NO_SERVERS
    assert (await disc.post(disc.server())).json == NEW


async def test_a_client_lives_for_ever_or_three_minutes(disc: Discovery) -> None:
    await disc.post(disc.client())
    disc.now += 10**9 * SECOND
    assert (await disc.get(f"/entry/{CLIENT}")).status == 200
    await disc.post(disc.client(1), "?timeout=true")
    disc.now += 179 * SECOND
    assert (await disc.get(f"/entry/{CLIENT}")).status == 200
    disc.now += 2 * SECOND
    assert (await disc.get(f"/entry/{CLIENT}")).json == NOT_FOUND
    assert (await disc.get("/entries")).body == b"[]"


async def test_the_sweep_forgets_and_counts(disc: Discovery) -> None:
    await disc.post(disc.server())
    await disc.post(disc.client())
    await disc.rules.sweep()
    metrics = await disc.ask("GET", "/metrics")
    assert b'dmsg_entries{type="server"} 1\n' in metrics.body
    assert b'dmsg_entries{type="client"} 1\n' in metrics.body
    assert b'dmsg_discovery_answers_total{status="200"} 2\n' in metrics.body
    disc.now += 121 * SECOND
    await disc.rules.sweep()
    assert b'dmsg_entries{type="server"} 0\n' in (await disc.ask("GET", "/metrics")).body


async def test_the_sweep_runs_until_cancelled(disc: Discovery) -> None:
    await disc.post(disc.server())
    task = asyncio.ensure_future(disc.rules.run())
    async with asyncio.timeout(5):
        while disc.rules._counts != (1, 0):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# Deleting


async def test_an_owner_deletes_its_entry(disc: Discovery) -> None:
    await disc.post(disc.client(5))
    answer = await disc.delete(disc.client(0))  # any sequence
    assert (answer.status, answer.json) == (200, DELETED)
    assert (await disc.get(f"/entry/{CLIENT}")).json == NOT_FOUND
    assert (await disc.delete(disc.client())).json == DELETED  # nothing was stored


async def test_nobody_else_deletes_it(disc: Discovery) -> None:
    await disc.post(disc.client())
    stranger = wire.sign(Entry.of_client(SERVER, [], now=disc.now), SERVER_SK)
    assert (await disc.delete(stranger)).json == DELETED  # its own, which is none
    assert (await disc.get(f"/entry/{CLIENT}")).status == 200


async def test_a_body_that_cannot_be_decoded_is_no_entry(
    disc: Discovery, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await disc.ask("POST", f"{BASE}/entry/", b"no archive", **{"Content-Encoding": "gzip"})
    assert (answer.status, answer.json) == (500, UNEXPECTED)
    assert [one for one in caplog.records if one.levelname == "ERROR"] == []
