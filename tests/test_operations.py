"""Declaring operations: what is taken from the function, and what is refused."""

from typing import TYPE_CHECKING, Annotated

import pytest

from skywire.errors import LocalProtocolError
from skywire.operations import Http, operation, operations

if TYPE_CHECKING:
    from skywire.nowhere import Machine  # type: ignore[import-not-found]


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skywire.operations._registry", {})


async def test_a_declared_operation_is_found_and_stays_a_function() -> None:
    @operation(rpc="TestDouble", http="PUT /visors/{pk}/double")
    async def test_double(visor: "Machine", request: Annotated[int, "unit"]) -> str:
        """Twice the number.

        As a text."""
        return str(2 * request)

    found = next(known for known in operations() if known.name == "test_double")
    assert found.http == Http("PUT", "/visors/{pk}/double")
    assert found.request == Annotated[int, "unit"]
    assert found.answer is str
    assert found.help == "Twice the number.\n\nAs a text."
    assert await found.function(None, 4) == await test_double(None, 4) == "8"


async def test_no_request_and_no_answer_are_none() -> None:
    @operation(rpc="TestNothing")
    async def test_nothing(visor: "Machine") -> None:
        """Do nothing."""

    found = next(known for known in operations() if known.name == "test_nothing")
    assert (found.http, found.request, found.answer) == (None, None, None)


def test_an_rpc_name_is_given_once() -> None:
    @operation(rpc="TestOnce")
    async def test_once(visor: "Machine") -> None:
        """One."""

    with pytest.raises(LocalProtocolError, match="TestOnce"):

        @operation(rpc="TestOnce")
        async def test_twice(visor: "Machine") -> None:
            """Two."""
