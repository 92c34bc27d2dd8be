"""A visor's structs against the streams recorded from Go visors and a Go hypervisor."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar
from uuid import UUID

import pytest

from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import RemoteProtocolError
from skywire.testing import vectors
from skywire.visor import shown
from skywire.visor.types import (
    AppConfig,
    AppState,
    BuildInfo,
    DmsgStats,
    HealthInfo,
    LoadStats,
    LogEntry,
    Overview,
    RouteGroupInfo,
    Summary,
    TransportSummary,
    rfc3339,
    to_json,
)
from skywire.wire import gob
from skywire.wire.gob_types import (
    ANY,
    BYTES,
    EMPTY,
    FLOAT,
    Go,
    GoTime,
    GoType,
    Slice,
    struct_type,
)
from skywire.wire.rule import RouteDescriptor, Rule

PK = deterministic_key_pair(b"types")[0]
OTHER = deterministic_key_pair(b"others")[0]
ANSWERS: dict[str, GoType] = {
    "app-visor.Overview": Overview,
    "app-visor.Summary": Summary,
    "app-visor.Health": HealthInfo,
    "app-visor.Uptime": FLOAT,
    "app-visor.App": AppState,
    "app-visor.AddTransport": TransportSummary,
}
CASES = [*vectors.load("visor/go_visor"), *vectors.load("visor/go_hypervisor")]


def answers(case: dict[str, Any]) -> list[tuple[dict[str, Any], Any]]:
    """The server's messages whose reply we know, each with our decoded value."""
    decoder = gob.Decoder()
    found = []
    for message in case["messages"]:
        if message["from"] != "server":
            continue
        decoder.receive_data(bytes.fromhex(message["header_gob"] + message["body_gob"]))
        header = decoder.next(ANY)
        answer = ANSWERS.get(header["ServiceMethod"])
        if answer is None or header.get("Error"):
            assert decoder.skip()
        else:
            found.append((message, decoder.next(answer)))
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_what_others_sent_is_read(case: dict[str, Any]) -> None:
    found = answers(case)
    assert found
    for message, value in found:
        assert matches(message["body"], value), message["header"]["ServiceMethod"]


def matches(expected: Any, value: Any) -> bool:
    """Whether our value has what the recorded one shows, by Go field names."""
    if isinstance(expected, dict):
        if value is None:
            return False
        named = by_go_name(value)
        return all(
            part is None or name not in named or matches(part, named[name])
            for name, part in expected.items()
        ) and set(expected) <= set(named)
    if isinstance(expected, list):
        return len(expected) == len(value) and all(map(matches, expected, value))
    if isinstance(value, LogEntry):
        return bool(value.dump().hex() == expected)
    if isinstance(value, UUID):
        return bool(value.hex == expected)
    if isinstance(value, PubKey):
        return bool(str(value) == expected)
    return bool(value == expected)


def by_go_name(value: Any) -> dict[str, Any]:
    return {one.name: getattr(value, one.attribute) for one in struct_type(value.__class__).fields}


def test_the_json_is_what_the_go_hypervisor_shows() -> None:
    case = CASES[3]
    assert case["name"] == "summary and overview"
    (_, summary), (_, overview) = answers(case)
    shown = case["http"]
    expected = shown["/api/visors/{pk}"]
    expected["transports"][0]["log"] = {"recv": 5, "sent": 7}  # a Go receiver of 2024 drops them
    assert to_json(overview) == expected
    row = shown["/api/visors-summary (its row)"]
    row["overview"]["transports"][0]["log"] = {"recv": 5, "sent": 7}
    summary.dmsg_stats = DmsgStats()
    assert to_json(summary) == row | {"is_public": False}


def full_summary() -> Summary:
    return Summary(
        overview=Overview(
            local_pk=PK,
            build_info=BuildInfo("v1", "c", "d"),
            app_protocol_version="0.1.0",
            apps=[AppState(AppConfig("skychat", "skywire", ["app"], True, 1), 1, "Running")],
            transports=[
                TransportSummary(UUID(int=5), PK, PK, "dmsg", LogEntry(5, 7), label="user")
            ],
            hypervisors=[PK],
            hostname="here",
        ),
        health=HealthInfo("healthy"),
        uptime=1.5,
        route_groups=[RouteGroupInfo(1, 2, initiator=True)],
        connected_dmsg_servers=[str(PK)],
        dmsg_stats=DmsgStats(PK, PK, 1_000_000),
        online=True,
        last_seen_at=GoTime(1_700_000_000, 5000),
        load=LoadStats(9.43, 1.0, 0.5, 4, 35.2, 100.0),
    )


def test_our_summary_reads_back() -> None:
    summary = full_summary()
    assert gob.decode(Summary, gob.encode(Summary, summary)) == summary


def test_3092_f_an_absent_load_stays_absent() -> None:
    """update-2026-06-12, 3092 f: the summary of an older visor has no load, not zeros."""
    (older,) = [value for _, value in answers(CASES[3]) if isinstance(value, Summary)]
    assert older.load is None
    assert "load" not in to_json(older)
    assert to_json(full_summary())["load"] == {
        "load1": 9.43,
        "load5": 1.0,
        "load15": 0.5,
        "cpu_cores": 4,
        "mem_used_percent": 35.2,
        "disk_used_percent": 100.0,
    }


def test_3092_g_a_reader_that_knows_fewer_fields_skips_ours() -> None:
    """update-2026-06-12, 3092 g: an older hypervisor ignores the field."""
    plain = gob.decode(ANY, gob.encode(Summary, full_summary()))
    assert plain["Load"]["CPUCores"] == 4
    assert gob.decode(LoadStats, gob.encode(LoadStats, LoadStats())) == LoadStats()


def test_a_log_entry_holds_both_numbers_even_when_zero() -> None:
    assert LogEntry().dump().hex() == "0306000003060000"
    assert LogEntry(5, 7).dump().hex() == "0306000503060007"
    for entry in (LogEntry(), LogEntry(127, 128), LogEntry(2**64 - 1, 300)):
        assert LogEntry.load(entry.dump()) == entry


@pytest.mark.parametrize("raw", [b"", b"\x03\x06\x00\x05", b"\xff", b"\x03\x06\x00"])
def test_a_broken_log_entry_is_refused(raw: bytes) -> None:
    with pytest.raises((RemoteProtocolError, ValueError, LookupError)):
        LogEntry.load(raw)


def test_a_time_no_calendar_has_is_shown_as_gos_zero() -> None:
    assert rfc3339(GoTime(2**62)) == "0001-01-01T00:00:00Z"
    assert rfc3339(GoTime(0, 1000)) == "1970-01-01T00:00:00.000001Z"
    assert gob.decode(EMPTY, gob.encode(EMPTY, None)) is None


@dataclass(slots=True)
class RouteGroupOf2024:
    GO_NAME: ClassVar[str] = "RouteGroupInfo"
    consume_rule: Annotated[bytes, Go("ConsumeRule", BYTES)] = b""
    fwd_rule: Annotated[bytes, Go("FwdRule", BYTES)] = b""


def test_route_groups_are_read_by_nodes_of_both_years() -> None:
    """Structs without a common field would be an error, which ends a Go client's connection."""
    there = Rule.forward(2, 9, RouteDescriptor(PK, OTHER, 3, 4), 5, UUID(int=6))
    back = Rule.consume(1, 9, RouteDescriptor(OTHER, PK, 4, 3))
    ours = shown.route_group_of(back, there)
    sent = gob.encode(Slice(RouteGroupInfo), [ours])
    assert gob.decode(Slice(RouteGroupOf2024), sent) == [
        RouteGroupOf2024(back.encode(), there.encode())
    ]
    older = gob.encode(Slice(RouteGroupOf2024), [RouteGroupOf2024(back.encode(), there.encode())])
    (read,) = gob.decode(Slice(RouteGroupInfo), older)
    assert (read.consume_rule, read.fwd_rule) == (back.encode(), there.encode())
    assert "consume_rule" not in to_json(ours)
    assert to_json(ours)["consume_rule_id"] == 1
