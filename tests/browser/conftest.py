from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Browser

from tests.browser.kit import Site, chromium


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as found:
        yield found


@pytest_asyncio.fixture(loop_scope="package")
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Site(tmp_path) as found:
        yield found
