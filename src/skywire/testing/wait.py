"""Waiting for a condition in tests: as short as possible, never longer than a limit."""

import asyncio
from collections.abc import Callable


async def eventually(condition: Callable[[], object], limit: float = 10.0) -> None:
    """Return once `condition()` is true; fail after `limit` seconds."""
    deadline = asyncio.get_running_loop().time() + limit
    while not condition():
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"not true within {limit} s: {condition}")
        await asyncio.sleep(0.005)
