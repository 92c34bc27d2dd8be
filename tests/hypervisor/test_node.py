"""A visor's log and end over HTTP. Source: hypervisor.md §4.3."""

import json
from pathlib import Path
from typing import Any

import pytest

from skywire.config.load import ConfigFile
from skywire.config.model import VisorConfig
from skywire.crypto.generate import deterministic_key_pair
from skywire.errors import SkywireError
from skywire.hypervisor.visors import Visors
from skywire.testing.wait import eventually
from skywire.visor.log_ring import RuntimeLog

from .harness import FakeVisor, hypervisor

PK, SK, _SEED = deterministic_key_pair(b"managed")
DAY = 24 * 3600 * 10**9  # ns


class Managed(FakeVisor):
    """Its transports are itself."""

    def __init__(self) -> None:
        super().__init__(PK)
        self.file = ConfigFile(json.dumps({"sk": SK.hex()}), "test")
        self.logs = RuntimeLog()
        self.transports = self
        self.kept = 0.0
        self.ended = False

    @property
    def config(self) -> VisorConfig:
        return self.file.config

    def keep_logs_for(self, seconds: float) -> None:
        self.kept = seconds

    def end(self) -> None:
        self.ended = True


def is_connected(visors: Visors) -> bool:
    try:
        visors.connected(PK)
    except SkywireError:
        return False
    return True


async def test_logs_and_end_of_a_managed_visor(tmp_path: Path) -> None:
    async with hypervisor(tmp_path, auth=False, csrf=False) as (client, network, context):
        visor = Managed()
        await network.connect(visor)
        await eventually(lambda: is_connected(context.visors))
        path = f"/api/visors/{PK}"
        async with client.get(f"{path}/runtime-logs") as response:
            assert json.loads(await response.json()) == []
        async with client.get(f"{path}/log/rotation") as response:
            assert await response.json() == "168h0m0s"
        for interval, kept in (("48h", 2 * 86400), (3 * DAY, 3 * 86400)):
            body = {"log_rotation_interval": interval}
            async with client.put(f"{path}/log/rotation", json=body) as response:
                assert (response.status, await response.json()) == (200, {})
            assert visor.kept == kept
        async with client.post(f"{path}/shutdown") as response:
            assert await response.json() is True
        assert visor.ended


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"log_rotation_interval": "soon"}, 400),
        ({"other": 1}, 400),
        ({}, 500),  # refused by the visor, as every error of one
        ({"log_rotation_interval": 5}, 500),
    ],
)
async def test_an_interval_that_makes_no_sense_is_refused(
    tmp_path: Path, body: dict[str, Any], status: int
) -> None:
    async with hypervisor(tmp_path, auth=False, csrf=False) as (client, network, context):
        visor = Managed()
        await network.connect(visor)
        await eventually(lambda: is_connected(context.visors))
        async with client.put(f"/api/visors/{PK}/log/rotation", json=body) as response:
            assert response.status == status
            assert "error" in await response.json()
        assert visor.kept == 0
