"""A service tells its starter that it answers."""

import json
import os
from pathlib import Path

import pytest

from skywire.errors import InvalidValue
from skywire.platform import ready


def test_the_starter_gets_one_line_and_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    receiver, sender = os.pipe()
    monkeypatch.setenv(ready.VARIABLE, str(sender))
    ready.report(address="127.0.0.1:1", path=Path("a"))
    with open(receiver) as pipe:
        assert json.loads(pipe.read()) == {"address": "127.0.0.1:1", "path": "a"}
    assert ready.VARIABLE not in os.environ


def test_nobody_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ready.VARIABLE, raising=False)
    ready.report(address="x")


@pytest.mark.parametrize("value", ["x", "-1", "99999"])
def test_a_bad_descriptor_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ready.VARIABLE, value)
    with pytest.raises(InvalidValue, match="SKYWIRE_READY_FD"):
        ready.report()
