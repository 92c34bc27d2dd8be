"""The Stream interface, its carriers and wrappers; asyncio lives here and above."""
