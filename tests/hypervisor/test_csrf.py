"""CSRF tokens with Go's form and texts. Source: hypervisor.md §3.2, §10 no. 5."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.errors import Forbidden
from skywire.hypervisor.csrf import CsrfTokens


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 6, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def test_a_token_has_gos_form() -> None:
    content, signature = CsrfTokens(Clock()).issue().split(".")
    values = json.loads(base64.urlsafe_b64decode(content + "=" * (-len(content) % 4)))
    assert list(values) == ["Nonce", "ExpiresAt"]
    assert len(base64.b64decode(values["Nonce"])) == 64
    assert values["ExpiresAt"] == "2026-06-12T00:00:30.000000Z"
    assert len(base64.urlsafe_b64decode(signature + "=")) == 32
    assert "=" not in content + signature


def test_a_token_is_good_for_thirty_seconds_and_many_uses() -> None:
    clock = Clock()
    tokens = CsrfTokens(clock)
    token = tokens.issue()
    clock.now += timedelta(seconds=29.9)
    tokens.check(token, "POST")
    tokens.check(token, "DELETE")
    clock.now += timedelta(seconds=0.1)
    with pytest.raises(Forbidden, match=r"^csrf token expired$"):
        tokens.check(token, "POST")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("token", [None, ""])
def test_a_missing_token_is_named(method: str, token: str | None) -> None:
    with pytest.raises(Forbidden, match=f"^no csrf token for {method} request$"):
        CsrfTokens().check(token, method)


def test_every_changed_byte_is_noticed() -> None:
    tokens = CsrfTokens()
    token = tokens.issue()
    for at, old in enumerate(token):
        changed = token[:at] + ("B" if old != "B" else "C") + token[at + 1 :]
        with pytest.raises(Forbidden, match=r"^invalid CSRF token$"):
            tokens.check(changed, "POST")


def test_a_token_of_another_process_is_refused() -> None:
    with pytest.raises(Forbidden, match=r"^invalid CSRF token$"):
        CsrfTokens().check(CsrfTokens().issue(), "POST")


@given(st.text(min_size=1, max_size=80))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(Forbidden, match=r"^invalid CSRF token$"):
        CsrfTokens().check(text, "POST")


def test_a_long_token_is_refused() -> None:
    with pytest.raises(Forbidden, match=r"^invalid CSRF token$"):
        CsrfTokens().check("A" * 100_000, "POST")
